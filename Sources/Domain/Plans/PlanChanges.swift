import Database
import Money

/// What a team wants after its period, in the caller's transaction.
public enum PlanChanges {
    /// Has the team fall back when its period ends; in the days of grace within minutes. Nothing is taken away before, and nothing paid back.
    /// To want the same once more changes nothing.
    /// - Parameters:
    ///   - plan: one that costs nothing: any other begins with its payment.
    ///   - actor: as ``PlanMove/actor`` says; no person's name or address.
    /// - Throws: ``PlanError/nothingToEnd(team:)`` when the team is on Free, ``PlanError/costs(_:)``, ``PlanError/notOnSale(_:)``.
    public static func plan(_ plan: String, of team: String, actor: String, nowMs: Int64, in connection: Connection) throws {
        guard let wanted = try Plan.onSale(plan, atMs: nowMs, in: connection) else { throw PlanError.notOnSale(plan) }
        guard wanted.price.minorUnits == 0 else { throw PlanError.costs(plan) }
        guard let subscription = try Subscription.of(team: team, in: connection), subscription.isRunning,
            let current = try Plan.find(subscription.plan, version: subscription.version, in: connection), current.price.minorUnits > 0
        else { throw PlanError.nothingToEnd(team: team) }
        let changed = try connection.execute(
            "INSERT INTO plans_next (team, plan, wanted_by, wanted_at) VALUES ($1, $2, $3, $4) ON CONFLICT (team) DO NOTHING",
            [.text(team), .text(plan), .text(actor), .integer(nowMs)])
        guard changed == 1 else { return }
        try subscription.touch(nowMs: nowMs, in: connection)
        try PlanMove.record(.planned, subscription, actor: actor, nowMs: nowMs, in: connection)
    }

    /// Takes back what was planned: the plan goes on, if it is paid.
    /// - Returns: false when nothing was planned.
    @discardableResult
    public static func keep(team: String, actor: String, nowMs: Int64, in connection: Connection) throws -> Bool {
        guard try connection.execute("DELETE FROM plans_next WHERE team = $1", [.text(team)]) == 1 else { return false }
        guard let subscription = try Subscription.of(team: team, in: connection) else { return true }
        try subscription.touch(nowMs: nowMs, in: connection)
        try PlanMove.record(.kept, subscription, actor: actor, nowMs: nowMs, in: connection)
        return true
    }

    /// The plan that the team falls back to after its period; nil while it is to go on.
    public static func next(of team: String, in connection: Connection) throws -> String? {
        try connection.first("SELECT plan FROM plans_next WHERE team = $1", [.text(team)])?.text("plan")
    }
}

extension Subscription {
    /// Notes that something about it has changed, for whoever follows it.
    fileprivate func touch(nowMs: Int64, in connection: Connection) throws {
        try connection.execute("UPDATE plans_subscriptions SET updated_at = $2 WHERE team = $1", [.text(team), .integer(nowMs)])
    }
}
