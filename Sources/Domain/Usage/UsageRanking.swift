import Database
import Plans
import Teams

/// What one team uses now, beside the others.
public struct TeamStanding: Sendable {
    public let team: String
    /// The plan's shown name.
    public let plan: String
    public let traffic: MetricUse
    public let storage: MetricUse
    public let gauge: StorageGauge

    public func use(of metric: UsageMetric) -> MetricUse { metric == .traffic ? traffic : storage }

    /// How near the nearer of its two limits is.
    public var level: UsageLevel { max(traffic.level, storage.level) }
}

/// The teams in the order of what they use in this UTC month.
public enum UsageRanking {
    /// Teams that use anything of a metric, the greatest first.
    /// - Parameter level: only teams that have come this near to the metric's limit.
    public static func top(
        by metric: UsageMetric, atLeast level: UsageLevel = .ok, limit: Int, nowMs: Int64, in connection: Connection
    ) throws -> [TeamStanding] {
        let standings = sorted(try standings(nowMs: nowMs, in: connection), by: metric)
        return Array(standings.lazy.filter { $0.use(of: metric).level >= level }.prefix(limit))
    }

    /// Those that use anything of a metric, the greatest first; of equals by their names.
    public static func sorted(_ standings: [TeamStanding], by metric: UsageMetric) -> [TeamStanding] {
        standings.filter { $0.use(of: metric).used > 0 }.sorted { ($1.use(of: metric).used, $0.team) < ($0.use(of: metric).used, $1.team) }
    }

    /// Every team that has any traffic in this month or any storage that is measured, in no order.
    public static func standings(nowMs: Int64, in connection: Connection) throws -> [TeamStanding] {
        let period = UsagePeriod(containing: nowMs)
        let owners = try TeamStore.teamsByProject(removedSinceMs: period.startMs, in: connection)
        var traffic: [String: Int64] = [:]
        var gauges: [String: StorageGauge] = [:]
        try connection.forEach(
            "SELECT project, traffic_bytes FROM usage_project_months WHERE year = $1 AND month = $2", [.int(period.year), .int(period.month)]
        ) { row in
            guard let team = owners[try row.text("project")] else { return }
            traffic[team] = min((traffic[team] ?? 0) + (try row.int("traffic_bytes")), ByteFigure.counterMax)
        }
        for (project, gauge) in try StorageGauges.all(origins: try StorageGauges.origins(in: connection), in: connection) {
            guard let team = owners[project] else { continue }
            var sum = gauge
            if let known = gauges[team] { sum.add(known) }
            gauges[team] = sum
        }
        let plans = try TeamPlans(nowMs: nowMs, in: connection)
        return Set(traffic.keys).union(gauges.keys).map { team in
            let gauge = gauges[team] ?? .nothing
            return TeamStanding(
                team: team, plan: plans[team].name, traffic: MetricUse(.traffic, used: traffic[team] ?? 0, plan: plans[team]),
                storage: MetricUse(.storage, used: gauge.bytes, plan: plans[team]), gauge: gauge)
        }
    }
}
