import Database

/// What there is to measure about plans.
public struct PlanFigures: Sendable, Equatable {
    /// After so long a period that is over should have been moved on: the scheduler looks every five minutes.
    public static let overdueAfterMs: Int64 = 15 * 60_000

    /// The words of a subscription's status.
    public static let statuses = ["active", "grace", "ended"]

    /// The plans on sale at any time, by id.
    public let plans: [String]
    /// Teams with a running subscription, and its plan's id.
    public let planByTeam: [String: String]
    /// Teams that ever bought a plan.
    public let buyers: Set<String>
    /// Subscriptions by status; every status is there.
    public let countByStatus: [String: Int64]
    /// Subscriptions whose period, or grace, has been over for longer than ``overdueAfterMs``, and that were not moved on.
    public let overdue: Int64

    public static func read(nowMs: Int64, in connection: Connection) throws -> PlanFigures {
        var plans: [String: String] = [:]
        for row in try connection.query("SELECT team, plan FROM plans_subscriptions WHERE status <> 'ended'") {
            plans[try row.text("team")] = try row.text("plan")
        }
        return PlanFigures(
            plans: try connection.query("SELECT DISTINCT plan FROM plans_versions ORDER BY plan").map { try $0.text("plan") }, planByTeam: plans,
            buyers: try buyers(in: connection),
            countByStatus: try counts(in: connection), overdue: try overdue(nowMs: nowMs, in: connection))
    }

    /// Subscriptions by status; every status is there.
    public static func counts(in connection: Connection) throws -> [String: Int64] {
        var counts = Dictionary(uniqueKeysWithValues: statuses.map { ($0, Int64(0)) })
        for row in try connection.query("SELECT status, COUNT(*) AS n FROM plans_subscriptions GROUP BY status") {
            counts[try row.text("status")] = try row.int("n")
        }
        return counts
    }

    /// What was bought before moves were on record is known by its payment alone; what was taken back, by its moves alone.
    private static func buyers(in connection: Connection) throws -> Set<String> {
        let teams = try connection.query(
            "SELECT team FROM plans_moves WHERE cause IN ('bought', 'taken_back') UNION SELECT team FROM plans_activations")
        return Set(try teams.map { try $0.text("team") })
    }

    private static func overdue(nowMs: Int64, in connection: Connection) throws -> Int64 {
        try connection.first(
            """
            SELECT COUNT(*) AS n FROM plans_subscriptions
            WHERE (status = 'active' AND renews_at < $1) OR (status = 'grace' AND renews_at < $2)
            """, [.integer(nowMs - overdueAfterMs), .integer(nowMs - overdueAfterMs - PlanTerms.graceMs)]
        )?.int("n") ?? 0
    }

    /// How many teams are on each plan, Free for those that have no other.
    /// - Parameter teams: those that are known to the product; others that subscribe count too.
    public func teamsByPlan(among teams: [String]) -> [String: Int] {
        var counts = Dictionary(uniqueKeysWithValues: plans.map { ($0, 0) })
        for plan in planByTeam.values { counts[plan, default: 0] += 1 }
        counts[Plan.free, default: 0] += teams.count { planByTeam[$0] == nil }
        return counts
    }

    /// The share of all teams that ever bought a plan, 0 to 1; nil while there are none.
    public func conversionRatio(among teams: [String]) -> Double? {
        let all = Set(teams).union(buyers).union(planByTeam.keys)
        return all.isEmpty ? nil : Double(buyers.count) / Double(all.count)
    }
}

extension Subscription {
    /// The teams whose subscription has a status, in the order of their ids.
    /// - Parameter after: the last id of the page before; nil begins.
    public static func teams(in status: String, after: String? = nil, limit: Int, in connection: Connection) throws -> [String] {
        try connection.query(
            "SELECT team FROM plans_subscriptions WHERE status = $1 AND team > $2 ORDER BY team LIMIT $3",
            [.text(status), .text(after ?? ""), .int(limit)]
        ).map { try $0.text("team") }
    }
}
