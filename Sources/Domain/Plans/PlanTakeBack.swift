import Database
import JobQueue
import Payments

/// Takes a period back whose money has gone back: what is left is what the other payments have bought.
enum PlanTakeBack {
    /// - Returns: the messages about it. None where the payment had bought nothing (yet), or something is left.
    static func apply(_ payment: Payment, nowMs: Int64, in connection: Connection) throws -> [JobRequest] {
        guard let taken = try PaidActivation.find(payment: payment.id, in: connection),
            let current = try Subscription.of(team: taken.team, in: connection)
        else { return [] }
        let all = try PaidActivation.list(team: taken.team, in: connection)
        try connection.execute("DELETE FROM plans_activations WHERE payment = $1", [.text(payment.id)])
        let left = try refold(all, without: payment.id, current, in: connection)
        // What has ended stays ended: less was paid than before, not more.
        guard current.isRunning else {
            try PlanMove.record(.takenBack, current, payment: payment.id, actor: "payment", nowMs: nowMs, in: connection)
            return []
        }
        let status = left == nil ? "ended" : left.map { $0.renewsAtMs > nowMs } == true ? "active" : current.status
        let moved = (left ?? current).with(
            status: status, renewsAtMs: left?.renewsAtMs ?? min(current.renewsAtMs, nowMs), nowMs: nowMs)
        try moved.store(in: connection)
        if left == nil { try connection.execute("DELETE FROM plans_next WHERE team = $1", [.text(taken.team)]) }
        try PlanMove.record(.takenBack, moved, payment: payment.id, actor: "payment", nowMs: nowMs, in: connection)
        guard left == nil else { return [] }
        return try PlanNotices.requests(.ended, current, payment: payment, nowMs: nowMs, in: connection) ?? []
    }

    /// The payment has its money after all: its period is bought once more, from now on. Nothing where it was never taken back.
    static func undone(_ payment: Payment, nowMs: Int64, in connection: Connection) throws -> [JobRequest] {
        let taken = try connection.first(
            "SELECT COUNT(*) AS times FROM plans_moves WHERE team = $1 AND payment = $2 AND cause = $3",
            [.text(payment.subject), .text(payment.id), .text(PlanMove.Cause.takenBack.rawValue)])
        let times = try taken?.int("times") ?? 0
        guard times > 0, let plan = payment.metadata["new_plan"] else { return [] }
        return [
            try JobRequest(
                ActivatePlan(team: payment.subject, plan: plan), payment: payment.id, unique: "\(ActivatePlan.kind):\(payment.id):\(times)")
        ]
    }

    /// Lays the periods of the payments that are left one after the other again, in the order in which they were applied. One that began anew
    /// begins there still.
    private static func refold(
        _ all: [PaidActivation], without payment: String, _ current: Subscription, in connection: Connection
    ) throws -> Subscription? {
        var subscription = try base(of: all, current, in: connection)
        for activation in all where activation.payment != payment {
            guard let plan = try Plan.find(activation.plan, version: activation.version, in: connection) else { continue }
            let period = PaidPeriod(of: plan, paidAtMs: activation.appliedAtMs, after: activation.beganAnew ? nil : subscription)
            subscription = period.subscription(of: activation.team, plan, nowMs: activation.appliedAtMs)
            try connection.execute(
                "UPDATE plans_activations SET period_start = $2, renews_at = $3 WHERE payment = $1",
                [.text(activation.payment), .integer(period.startMs), .integer(period.renewsAtMs)])
        }
        return subscription
    }

    /// What the team had before the first payment that is known here, of a period paid elsewhere: the first one has added to it.
    private static func base(of all: [PaidActivation], _ current: Subscription, in connection: Connection) throws -> Subscription? {
        guard let first = all.first, !first.beganAnew else { return nil }
        return Subscription(
            team: first.team, plan: first.plan, version: first.version, status: "active", periodStartMs: current.periodStartMs,
            renewsAtMs: first.periodStartMs, anchorDay: current.anchorDay, updatedAtMs: current.updatedAtMs)
    }
}

/// What one payment has bought.
struct PaidActivation: Sendable {
    let payment: String
    let team: String
    let plan: String
    let version: Int64
    let periodStartMs: Int64
    let appliedAtMs: Int64

    /// Whether there was nothing that it could have added to.
    var beganAnew: Bool { periodStartMs == appliedAtMs }

    init(_ row: Row) throws {
        payment = try row.text("payment")
        team = try row.text("team")
        plan = try row.text("plan")
        version = try row.int("version")
        periodStartMs = try row.int("period_start")
        appliedAtMs = try row.int("applied_at")
    }

    static func find(payment: String, in connection: Connection) throws -> PaidActivation? {
        try connection.first("SELECT * FROM plans_activations WHERE payment = $1", [.text(payment)]).map(PaidActivation.init)
    }

    /// The oldest first.
    static func list(team: String, in connection: Connection) throws -> [PaidActivation] {
        try connection.query("SELECT * FROM plans_activations WHERE team = $1 ORDER BY applied_at, period_start", [.text(team)])
            .map(PaidActivation.init)
    }
}

extension Subscription {
    fileprivate func with(status: String, renewsAtMs: Int64, nowMs: Int64) -> Subscription {
        Subscription(
            team: team, plan: plan, version: version, status: status, periodStartMs: periodStartMs, renewsAtMs: renewsAtMs,
            anchorDay: anchorDay, updatedAtMs: nowMs)
    }
}
