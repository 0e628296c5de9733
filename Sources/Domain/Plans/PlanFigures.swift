import Database

/// What there is to measure about plans.
public struct PlanFigures: Sendable, Equatable {
    /// The plans on sale at any time, by id.
    public let plans: [String]
    /// Teams with a running subscription, and its plan's id.
    public let planByTeam: [String: String]
    /// Teams that ever bought a plan.
    public let buyers: Set<String>

    public static func read(in connection: Connection) throws -> PlanFigures {
        var plans: [String: String] = [:]
        for row in try connection.query("SELECT team, plan FROM plans_subscriptions WHERE status <> 'ended'") {
            plans[try row.text("team")] = try row.text("plan")
        }
        return PlanFigures(
            plans: try connection.query("SELECT DISTINCT plan FROM plans_versions ORDER BY plan").map { try $0.text("plan") }, planByTeam: plans,
            buyers: Set(try connection.query("SELECT DISTINCT team FROM plans_activations").map { try $0.text("team") }))
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
