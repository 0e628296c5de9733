import Database
import Plans
import Teams

/// One metric of a team under its plan's limit.
public struct MetricUse: Sendable, Equatable {
    public let metric: UsageMetric
    public let used: Int64
    /// In bytes; -1 is unlimited.
    public let limit: Int64

    /// The seed's name of the limit.
    public var limitName: String { metric.limitName }
    public var level: UsageLevel { UsageLevel(used: used, limit: limit) }
    /// Whole percent of the limit, rounded down; nil when it is unlimited, 100 at the least when a limit of zero is used.
    public var percent: Int64? {
        guard limit >= 0 else { return nil }
        guard limit > 0 else { return used > 0 ? 100 : 0 }
        return Int64(clamping: Int128(used) * 100 / Int128(limit))
    }

    init(_ metric: UsageMetric, used: Int64, plan: Plan) {
        self.metric = metric
        self.used = used
        limit = metric == .traffic ? plan.maxTrafficBytesPerMonth : plan.maxStorageBytes
    }
}

/// What a team used in one month, and under which plan: the seed's usage summary.
public struct TeamUsage: Sendable {
    public let team: String
    public let plan: Plan
    public let period: UsagePeriod
    public let traffic: MetricUse
    public let storage: MetricUse
    /// Of the current month; nil for one that is over.
    public let gauge: StorageGauge?
    /// In the order of their ids.
    public let projects: [ProjectUsage]
}

/// A team's month or day in a history.
public struct UsagePoint: Sendable, Equatable {
    public let trafficBytes: Int64
    /// Nil when storage was not measured then.
    public let storageBytes: Int64?
}

/// Reads usage. Everything is of the projects that a team has now, a project takes its past along when it moves, and of those that
/// were removed in the time that is asked for.
public enum UsageReading {
    /// The month of one project; a month without any record is one of zeros.
    public static func project(_ project: String, _ period: UsagePeriod, nowMs: Int64, in connection: Connection) throws -> ProjectUsage {
        var gauge: StorageGauge?
        if period == UsagePeriod(containing: nowMs) {
            gauge = try StorageGauges.of(project: project, origins: try StorageGauges.origins(in: connection), in: connection)
        }
        return ProjectUsage(project: project, period: period, row: try ProjectUsage.find(project, period, in: connection), gauge: gauge)
    }

    /// The storage gauge of one project as it stands.
    public static func gauge(of project: String, in connection: Connection) throws -> StorageGauge {
        try StorageGauges.of(project: project, origins: try StorageGauges.origins(in: connection), in: connection)
    }

    /// A team's month; nil when there is no such team.
    public static func team(_ team: String, _ period: UsagePeriod, nowMs: Int64, in connection: Connection) throws -> TeamUsage? {
        guard try TeamStore.find(team, in: connection) != nil else { return nil }
        let plan = try Plan.of(team: team, nowMs: nowMs, in: connection)
        let isCurrent = period == UsagePeriod(containing: nowMs)
        let origins = try StorageGauges.origins(in: connection)
        var total = try StorageGauges.empty(origins: origins)
        var traffic: Int64 = 0
        var storage: Int64 = 0
        let projects = try TeamStore.projects(of: team, removedSinceMs: period.startMs, in: connection).map { project in
            let gauge = isCurrent ? try StorageGauges.of(project: project.id, origins: origins, in: connection) : nil
            if let gauge { total.add(gauge) }
            let usage = ProjectUsage(
                project: project.id, period: period, row: try ProjectUsage.find(project.id, period, in: connection), gauge: gauge)
            traffic = min(traffic + usage.trafficBytes, ByteFigure.counterMax)
            storage = min(storage + usage.storageBytes, ByteFigure.counterMax)
            return usage
        }
        return TeamUsage(
            team: team, plan: plan, period: period, traffic: MetricUse(.traffic, used: traffic, plan: plan),
            storage: MetricUse(.storage, used: storage, plan: plan), gauge: isCurrent ? total : nil, projects: projects)
    }

    /// The last months of a team, the current one included, oldest first; months without a record are there with zeros.
    public static func months(
        of team: String, count: Int, nowMs: Int64, in connection: Connection
    ) throws -> [(period: UsagePeriod, point: UsagePoint)] {
        let last = UsagePeriod(containing: nowMs)
        let periods = (0..<max(1, count)).reversed().map { last.adding(months: -$0) }
        let origins = try StorageGauges.origins(in: connection)
        var traffic: [UsagePeriod: Int64] = [:]
        var storage: [UsagePeriod: Int64] = [:]
        for project in try TeamStore.projects(of: team, removedSinceMs: periods[0].startMs, in: connection) {
            try connection.forEach(
                "SELECT * FROM usage_project_months WHERE project = $1 AND (year > $2 OR (year = $2 AND month >= $3))",
                [.text(project.id), .int(periods[0].year), .int(periods[0].month)]
            ) { row in
                let period = UsagePeriod(year: try row.int("year"), month: try row.int("month"))
                traffic[period, default: 0] = min(traffic[period, default: 0] + (try row.int("traffic_bytes")), ByteFigure.counterMax)
                guard period != last, let bytes = try row.intOrNil("storage_bytes") else { return }
                storage[period] = min((storage[period] ?? 0) + bytes, ByteFigure.counterMax)
            }
            let gauge = try StorageGauges.of(project: project.id, origins: origins, in: connection)
            if gauge.measuredAtMs != nil { storage[last] = min((storage[last] ?? 0) + gauge.bytes, ByteFigure.counterMax) }
        }
        return periods.map { ($0, UsagePoint(trafficBytes: traffic[$0] ?? 0, storageBytes: storage[$0])) }
    }

    /// The days of a team that have a record, oldest first; days are counted from 1970-01-01, UTC.
    public static func days(
        of team: String, _ range: Range<Int64>, in connection: Connection
    ) throws -> [(day: Int64, point: UsagePoint)] {
        var traffic: [Int64: Int64] = [:]
        var storage: [Int64: Int64] = [:]
        for project in try TeamStore.projects(of: team, removedSinceMs: range.lowerBound * UsagePeriod.dayMs, in: connection) {
            try connection.forEach(
                "SELECT * FROM usage_project_days WHERE project = $1 AND day >= $2 AND day < $3",
                [.text(project.id), .integer(range.lowerBound), .integer(range.upperBound)]
            ) { row in
                let day = try row.int("day")
                traffic[day, default: 0] = min(traffic[day, default: 0] + (try row.int("traffic_bytes")), ByteFigure.counterMax)
                if let bytes = try row.intOrNil("storage_bytes") { storage[day] = min((storage[day] ?? 0) + bytes, ByteFigure.counterMax) }
            }
        }
        return traffic.keys.sorted().map { ($0, UsagePoint(trafficBytes: traffic[$0] ?? 0, storageBytes: storage[$0])) }
    }

    /// Every month on record of a team's projects between two months, both included: by project, then by month. Of the current month
    /// the storage is the gauge, as everywhere.
    public static func export(
        of team: String, from: UsagePeriod, through: UsagePeriod, nowMs: Int64, in connection: Connection
    ) throws -> [ProjectUsage] {
        let current = UsagePeriod(containing: nowMs)
        let origins = try StorageGauges.origins(in: connection)
        return try TeamStore.projects(of: team, removedSinceMs: from.startMs, in: connection).flatMap { project in
            var months = try connection.query(
                """
                SELECT * FROM usage_project_months WHERE project = $1 AND year * 12 + month BETWEEN $2 AND $3 ORDER BY year, month
                """,
                [.text(project.id), .int(from.year * 12 + from.month), .int(through.year * 12 + through.month)]
            ).map(ProjectUsage.init)
            guard from <= current, current <= through else { return months }
            let gauge = try StorageGauges.of(project: project.id, origins: origins, in: connection)
            let row = months.last.flatMap { $0.period == current ? months.removeLast() : nil }
            if row != nil || gauge.bytes > 0 { months.append(ProjectUsage(project: project.id, period: current, row: row, gauge: gauge)) }
            return months
        }
    }
}
