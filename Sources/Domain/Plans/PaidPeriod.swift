import Database
import Formats

/// One period that a payment buys: when it begins and ends, given what the team has.
struct PaidPeriod: Sendable {
    let startMs: Int64
    let renewsAtMs: Int64
    let anchorDay: Int64
    /// Where the unbroken run of periods began that this one belongs to.
    let runStartMs: Int64
    /// Whether it adds to a period that runs, or is in its grace: days of grace are paid for.
    let continues: Bool

    /// - Parameters:
    ///   - paidAtMs: what it adds to is what ran then, or was in its grace.
    ///   - appliedAtMs: a new period begins with this: nobody is charged for days without the plan.
    ///   - current: what the team had when it paid.
    init(of plan: Plan, paidAtMs: Int64, appliedAtMs: Int64, after current: Subscription?) {
        let before = current.flatMap { $0.plan == plan.id && $0.isRunning && $0.graceEndsAtMs > paidAtMs ? $0 : nil }
        continues = before != nil
        startMs = before?.renewsAtMs ?? appliedAtMs
        runStartMs = before?.periodStartMs ?? appliedAtMs
        anchorDay = before?.anchorDay ?? Int64(Timestamp.civil(appliedAtMs).day)
        renewsAtMs = BillingCalendar.adding(months: plan.periodMonths, to: startMs, anchorDay: anchorDay)
    }

    func subscription(of team: String, _ plan: Plan, nowMs: Int64) -> Subscription {
        Subscription(
            team: team, plan: plan.id, version: plan.version, status: "active", periodStartMs: runStartMs, renewsAtMs: renewsAtMs,
            anchorDay: anchorDay, updatedAtMs: nowMs)
    }
}

extension Subscription {
    /// Enters it in place of what the team had.
    func store(in connection: Connection) throws {
        try connection.execute(
            """
            INSERT INTO plans_subscriptions (team, plan, version, status, period_start, renews_at, anchor_day, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT (team) DO UPDATE SET plan = $2, version = $3, status = $4, period_start = $5, renews_at = $6, anchor_day = $7,
              updated_at = $8
            """,
            [
                .text(team), .text(plan), .integer(version), .text(status), .integer(periodStartMs), .integer(renewsAtMs), .integer(anchorDay),
                .integer(updatedAtMs),
            ])
    }
}
