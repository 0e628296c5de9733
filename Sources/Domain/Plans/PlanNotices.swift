import Database
import JobQueue
import Money
import Notifications
import Payments
import Teams

/// What a team's people are told of the end of a period: once for each step and period, in the transaction of what it tells of.
enum PlanNotices {
    /// The messages of a step, which is noted as told.
    /// - Parameters:
    ///   - subscription: as it was before the move: with the end of the period that is told of.
    /// - Returns: nil when it was told before.
    static func requests(
        _ notice: PlanNotice, _ subscription: Subscription, nowMs: Int64, in connection: Connection
    ) throws -> [JobRequest]? {
        let (team, end) = (subscription.team, subscription.renewsAtMs)
        let known = try connection.first(
            "SELECT 1 AS found FROM plans_notices WHERE team = $1 AND period_end = $2 AND step = $3",
            [.text(team), .integer(end), .text(notice.rawValue)])
        guard known == nil else { return nil }
        let requests = try messages(
            notice, subscription, nil, cause: "\(team):\(end):\(notice.rawValue)", nowMs: nowMs, in: connection)
        try connection.execute(
            """
            INSERT INTO plans_notices (team, period_end, step, messages, created_at) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (team, period_end, step) DO NOTHING
            """, [.text(team), .integer(end), .text(notice.rawValue), .int(requests.count), .integer(nowMs)])
        return requests
    }

    /// The messages of a period that was taken away. That happens once, whatever was told before of the period that is left.
    /// - Parameters:
    ///   - subscription: as it stands afterwards.
    ///   - payment: the one whose money went back, whose customer is asked where the team has no owner's address.
    static func requests(
        _ notice: PlanNotice, _ subscription: Subscription, takenBack payment: Payment, nowMs: Int64, in connection: Connection
    ) throws -> [JobRequest] {
        try messages(
            notice, subscription, payment, cause: "\(subscription.team):\(payment.id):\(nowMs):\(notice.rawValue)", nowMs: nowMs, in: connection)
    }

    /// One to every owner; where there is none, one to whoever paid last. Of a team that was removed nobody is told: it has no page.
    private static func messages(
        _ notice: PlanNotice, _ subscription: Subscription, _ payment: Payment?, cause: String, nowMs: Int64, in connection: Connection
    ) throws -> [JobRequest] {
        guard let team = try TeamStore.find(subscription.team, in: connection),
            let plan = try Plan.find(subscription.plan, version: subscription.version, in: connection)
        else { return [] }
        let words = Words(notice, subscription, team: team.name, plan: plan.name, price: try price(of: plan, nowMs: nowMs, in: connection))
        let link = SendNotification.Link(.team, subscription.team, periodEndMs: subscription.renewsAtMs)
        let owners = try TeamStore.members(of: team.id, in: connection).filter { $0.role == .owner }
        guard owners.isEmpty else {
            return try owners.map { owner in
                let message = SendNotification(
                    template: words.template, recipient: owner.email, language: owner.language,
                    values: words.values(in: owner.language).merging(["name": owner.name]) { mine, _ in mine }, cause: cause, link: link)
                return try message.request(payment: nil)
            }
        }
        guard let payer = try payment ?? newestPayment(of: team.id, in: connection) else { return [] }
        return try SendNotification.plan(
            words.template, values: words.values(in:), cause: cause, link: link, toCustomerOf: payer)
    }

    /// What the next period costs: the price on sale, which may be another one than was paid.
    private static func price(of plan: Plan, nowMs: Int64, in connection: Connection) throws -> String {
        (try Plan.onSale(plan.id, atMs: nowMs, in: connection) ?? plan).price.description
    }

    private static func newestPayment(of team: String, in connection: Connection) throws -> Payment? {
        let newest = try connection.first(
            "SELECT payment FROM plans_activations WHERE team = $1 ORDER BY applied_at DESC, period_start DESC LIMIT 1", [.text(team)])
        return try newest.flatMap { try PaymentStore.find(try $0.text("payment"), in: connection) }
    }

    private struct Words {
        let template: MessageTemplate
        private let shared: [String: String]
        private let untilMs: Int64?

        init(_ notice: PlanNotice, _ subscription: Subscription, team: String, plan: String, price: String) {
            switch notice {
            case .week, .day: (template, untilMs) = (.planRenewal, subscription.renewsAtMs)
            case .grace: (template, untilMs) = (.planGrace, subscription.graceEndsAtMs)
            case .ended: (template, untilMs) = (.planEnded, nil)
            }
            var shared = ["team": team, "plan": plan]
            if untilMs != nil { shared["price"] = price }
            self.shared = shared
        }

        func values(in language: String) -> [String: String] {
            guard let untilMs else { return shared }
            return shared.merging(["until": MessageMoment.text(untilMs, language: language)]) { mine, _ in mine }
        }
    }
}

extension Subscription {
    /// What a message about the end of one of its periods may still link to: until when a link made now is good, or nil where the message is of
    /// no use any more, as the next period is paid.
    public static func linkExpiry(of team: String, periodEndMs: Int64, nowMs: Int64, in connection: Connection) throws -> Int64? {
        if let current = try of(team: team, in: connection), current.isRunning, current.renewsAtMs > periodEndMs { return nil }
        return max(periodEndMs, nowMs) + PlanTerms.graceMs
    }
}
