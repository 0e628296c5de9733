import Database
import Formats
import JobQueue
import Money
import Notifications
import Outbox
import Payments
import Teams
import Telemetry

/// `plan.activate`: gives a team the plan version that its payment has bought. Paid-only, applied once per payment.
public struct ActivatePlan: PaidOnlyParameters {
    public static let kind = "plan.activate"
    public static let queue = "plans"

    public let team: String
    public let plan: String
    public init(team: String, plan: String) {
        self.team = team
        self.plan = plan
    }

    /// Only SQL can be in the way, and not for long.
    public static let retry = RetryPolicy.exponential(base: .seconds(1), factor: 2, cap: .seconds(300), jitter: .equal, attemptsMax: 12)
}

/// Carries out ``ActivatePlan``.
public struct PlanActivation: Sendable {
    private let database: Database
    private let outbox: Outbox

    public init(database: Database, outbox: Outbox) {
        self.database = database
        self.outbox = outbox
    }

    public func run(_ parameters: ActivatePlan, job: JobEnvelope, log: Log, nowMs: Int64) async throws -> JobOutcome {
        let outbox = outbox
        let result = try await database.paidEffect(of: job, nowMs: nowMs, detail: "\(parameters.team): \(parameters.plan)") {
            payment, connection -> Int64? in
            let applied = try Self.apply(parameters, payment: payment, nowMs: nowMs, in: connection)
            guard let (plan, renewsAt) = applied else { return nil }
            let team = try TeamStore.find(parameters.team, in: connection)?.name ?? parameters.team
            for request in try SendNotification.planConfirmed(plan.name, team: team, untilMs: renewsAt, for: payment) {
                try outbox.add(request, nowMs: nowMs, in: connection)
            }
            return renewsAt
        }
        if case .done(let renewsAt?) = result {
            log.info(
                "plan activated",
                ["team": .string(parameters.team), "plan": .string(parameters.plan), "renews_at": .string(Timestamp.rfc3339(renewsAt))])
        }
        return switch result {
        case .done, .finishedBefore: .done
        case .skipped(let reason): .skipped(reason: reason)
        }
    }

    /// - Returns: the plan, and when the period that was paid ends; nil when the payment was applied before, by a job of another id.
    static func apply(
        _ parameters: ActivatePlan, payment: Payment, nowMs: Int64, in connection: Connection
    ) throws -> (plan: Plan, renewsAtMs: Int64)? {
        guard try connection.first("SELECT 1 AS found FROM plans_activations WHERE payment = $1", [.text(payment.id)]) == nil else { return nil }
        // The price that counts is that of the version on sale when the payment was created: never the client's.
        guard let plan = try Plan.onSale(parameters.plan, atMs: payment.createdAtMs, in: connection) else {
            throw JobFailure.bury("there is no plan '\(parameters.plan)'")
        }
        guard payment.amount == plan.price, payment.subject == parameters.team else {
            let paid = "\(payment.amount.decimalText) \(payment.amount.currency)"
            throw JobFailure.bury("\(paid) for \(payment.subject) does not buy \(plan.id) version \(plan.version) for \(parameters.team)")
        }
        // Whatever has ended by now has ended, although no tick has come by yet.
        _ = try Subscription.of(team: parameters.team, in: connection)?.settle(nowMs: nowMs, in: connection)
        let current = try Subscription.of(team: parameters.team, in: connection)
        let period = PaidPeriod(of: plan, paidAtMs: nowMs, after: current)
        try connection.execute(
            """
            INSERT INTO plans_activations (payment, team, plan, version, period_start, renews_at, applied_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            """,
            [
                .text(payment.id), .text(parameters.team), .text(plan.id), .integer(plan.version), .integer(period.startMs),
                .integer(period.renewsAtMs), .integer(nowMs),
            ])
        try connection.execute("DELETE FROM plans_next WHERE team = $1", [.text(parameters.team)])
        let subscription = period.subscription(of: parameters.team, plan, nowMs: nowMs)
        try subscription.store(in: connection)
        try PlanMove.record(
            period.continues ? .renewed : .bought, subscription, payment: payment.id, actor: "payment", nowMs: nowMs, in: connection)
        return (plan, period.renewsAtMs)
    }
}
