import Database
import Teams

/// What there is to measure about usage, as of one moment.
public struct UsageFigures: Sendable {
    /// The bytes of teams: the greatest by name, all others together.
    public struct ByTeam: Sendable {
        /// The greatest first.
        public let greatest: [(team: String, bytes: Int64)]
        /// Of the other teams, and of projects that belong to none.
        public let rest: Int64
        public let total: Int64

        init(_ teams: [String: Int64], unowned: Int64, most: Int) {
            greatest = teams.filter { $0.value > 0 }.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(most).map { ($0.key, $0.value) }
            total = teams.values.reduce(unowned, UsageFigures.sum)
            rest = total - greatest.reduce(0) { UsageFigures.sum($0, $1.bytes) }
        }
    }

    /// The last run of a kind, and when one last came to a good end.
    public struct Run: Sendable, Equatable {
        public let kind: UsageRun.Kind
        /// Nil when none ever ran.
        public let outcome: UsageRun.Outcome?
        /// Of the last run that ended.
        public let durationMs: Int64?
        public let succeededAtMs: Int64?
    }

    public let traffic: ByTeam
    public let storage: ByTeam
    /// Teams that there are, and projects that there are or that something was measured of.
    public let teams: Int
    public let projects: Int
    public let lastMonthTraffic: Int64
    public let lastMonthStorage: Int64
    /// Projects of teams whose storage gauge is stale, or has been incomplete for as long.
    public let staleGauges: Int
    public let origins: [StorageOrigin]
    public let runs: [Run]
    /// Samples of the last 24 hours that were not counted, by reason.
    public let rejected: [String: Int64]

    /// - Parameter teamsMax: teams that get a figure by name.
    public static func read(teamsMax: Int, nowMs: Int64, in connection: Connection) throws -> UsageFigures {
        let period = UsagePeriod(containing: nowMs)
        let owners = try TeamStore.teamsByProject(removedSinceMs: period.startMs, in: connection)
        var projects = Set(owners.keys)
        var traffic: (teams: [String: Int64], unowned: Int64) = ([:], 0)
        var storage = traffic
        func add(_ bytes: Int64, of project: String, to sums: inout (teams: [String: Int64], unowned: Int64)) {
            projects.insert(project)
            if let team = owners[project] {
                sums.teams[team] = sum(sums.teams[team] ?? 0, bytes)
            } else {
                sums.unowned = sum(sums.unowned, bytes)
            }
        }
        try connection.forEach(
            "SELECT project, traffic_bytes FROM usage_project_months WHERE year = $1 AND month = $2", [.int(period.year), .int(period.month)]
        ) { row in add(try row.int("traffic_bytes"), of: try row.text("project"), to: &traffic) }
        let origins = try StorageGauges.origins(in: connection)
        var stale = 0
        for (project, gauge) in try StorageGauges.all(origins: origins, in: connection) {
            add(gauge.bytes, of: project, to: &storage)
            // What no team has any more is nobody's to mend.
            if owners[project] != nil, gauge.isStale(nowMs: nowMs) || gauge.isIncomplete(nowMs: nowMs) { stale += 1 }
        }
        let last = try month(period.adding(months: -1), in: connection)
        return UsageFigures(
            traffic: ByTeam(traffic.teams, unowned: traffic.unowned, most: teamsMax),
            storage: ByTeam(storage.teams, unowned: storage.unowned, most: teamsMax), teams: try TeamStore.everyTeam(in: connection).count,
            projects: projects.count, lastMonthTraffic: last.traffic, lastMonthStorage: last.storage, staleGauges: stale, origins: origins,
            runs: try UsageRun.Kind.allCases.map { try run($0, in: connection) },
            rejected: try rejected(sinceMs: nowMs - UsagePeriod.dayMs, in: connection))
    }

    private static func rejected(sinceMs: Int64, in connection: Connection) throws -> [String: Int64] {
        var samples: [String: Int64] = ["too_old": 0, "in_future": 0, "conflict": 0]
        for row in try connection.query(
            "SELECT reason, SUM(samples) AS samples FROM usage_rejections WHERE rejected_at > $1 GROUP BY reason", [.integer(sinceMs)])
        { samples[try row.text("reason")] = try row.int("samples") }
        return samples
    }

    private static func month(_ period: UsagePeriod, in connection: Connection) throws -> (traffic: Int64, storage: Int64) {
        var sums: (traffic: Int64, storage: Int64) = (0, 0)
        try connection.forEach(
            "SELECT traffic_bytes, storage_bytes FROM usage_project_months WHERE year = $1 AND month = $2",
            [.int(period.year), .int(period.month)]
        ) { row in
            sums.traffic = sum(sums.traffic, try row.int("traffic_bytes"))
            sums.storage = sum(sums.storage, try row.intOrNil("storage_bytes") ?? 0)
        }
        return sums
    }

    private static func run(_ kind: UsageRun.Kind, in connection: Connection) throws -> Run {
        let ended = try connection.first(
            "SELECT duration_ms FROM usage_runs WHERE kind = $1 AND finished_at IS NOT NULL ORDER BY started_at DESC LIMIT 1", [.text(kind.rawValue)])
        let done = try connection.first(
            "SELECT finished_at FROM usage_runs WHERE kind = $1 AND outcome = 'done' ORDER BY started_at DESC LIMIT 1", [.text(kind.rawValue)])
        return Run(
            kind: kind, outcome: try UsageRun.list(kind, limit: 1, in: connection).first?.outcome, durationMs: try ended?.intOrNil("duration_ms"),
            succeededAtMs: try done?.intOrNil("finished_at"))
    }

    /// No sum overflows, however absurd the figures.
    private static func sum(_ left: Int64, _ right: Int64) -> Int64 { min(left + right, ByteFigure.counterMax) }
}
