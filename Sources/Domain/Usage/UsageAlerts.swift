import Database
import Formats
import Notifications
import Outbox
import Plans
import Teams

/// Tells a team's people when a share of a limit is used: once per team, metric, UTC month, threshold and limit. The alert's row
/// and the messages' jobs are one transaction, and the row's key is unique: whoever looks, and however often, one alert is sent.
public struct UsageAlerts: Sendable {
    /// What a look at one team came to.
    public struct TeamCheck: Sendable, Equatable {
        public var sent: [UsageAlert] = []
        /// Alerts that wait for somebody to be told.
        public var untold = 0
        /// Messages that were added to the outbox.
        public var messages = 0
        /// Storage was not judged: its gauge is too old.
        public var hasStaleStorage = false
    }

    /// Which teams a look at all of them is worth while for.
    public struct Survey: Sendable {
        public let teams: Int
        /// Teams that have reached a threshold they were not told of.
        public let candidates: [String]
        /// Teams whose storage is not judged: its gauge is too old.
        public let staleTeams: Int
    }

    private let outbox: Outbox
    private let thresholds: [AlertThreshold]

    /// - Parameter overLimit: whether 100 % is told too.
    public init(outbox: Outbox, overLimit: Bool) {
        self.outbox = outbox
        thresholds = overLimit ? [.warning, .critical, .limit] : [.warning, .critical]
    }

    // MARK: All teams

    /// Looks at every team, with a few readings for all of them.
    public func survey(nowMs: Int64, in connection: Connection) throws -> Survey {
        let period = UsagePeriod(containing: nowMs)
        var uses: [String: TeamSums] = [:]
        let teamsByProject = try TeamStore.teamsByProject(removedSinceMs: period.startMs, in: connection)
        try connection.forEach(
            "SELECT project, traffic_bytes FROM usage_project_months WHERE year = $1 AND month = $2", [.int(period.year), .int(period.month)]
        ) { row in
            guard let team = teamsByProject[try row.text("project")] else { return }
            uses[team, default: TeamSums()].add(traffic: try row.int("traffic_bytes"))
        }
        let gauges = try StorageGauges.all(origins: try StorageGauges.origins(in: connection), in: connection)
        for (project, gauge) in gauges {
            if let team = teamsByProject[project] { uses[team, default: TeamSums()].gauge.add(gauge) }
        }
        let plans = try TeamPlans(nowMs: nowMs, in: connection)
        let told = try toldKeys(period, in: connection)
        var candidates: [String] = []
        var staleTeams = 0
        for (team, sums) in uses {
            let isStale = sums.gauge.bytes > 0 && sums.gauge.isStale(nowMs: nowMs)
            if isStale { staleTeams += 1 }
            let plan = plans[team]
            let reached =
                [MetricUse(.traffic, used: sums.traffic, plan: plan)]
                + (isStale ? [] : [MetricUse(.storage, used: sums.gauge.bytes, plan: plan)])
            let isNew = reached.contains { use in
                guard let threshold = AlertThreshold.reached(used: use.used, limit: use.limit, among: thresholds) else { return false }
                return !told.contains(Key(team: team, metric: use.metric, threshold: threshold, limit: use.limit))
            }
            if isNew { candidates.append(team) }
        }
        return Survey(teams: Set(teamsByProject.values).count, candidates: candidates.sorted(), staleTeams: staleTeams)
    }

    private struct TeamSums {
        var traffic: Int64 = 0
        var gauge = StorageGauge.nothing
        mutating func add(traffic bytes: Int64) { traffic = min(traffic + bytes, ByteFigure.counterMax) }
    }

    private struct Key: Hashable {
        let team: String
        let metric: UsageMetric
        let threshold: AlertThreshold
        let limit: Int64
    }

    private func toldKeys(_ period: UsagePeriod, in connection: Connection) throws -> Set<Key> {
        var keys: Set<Key> = []
        let told = "SELECT * FROM usage_alerts WHERE period = $1 AND state <> 'untold'"
        for row in try connection.query(told, [.text("\(period)")]) {
            let alert = try UsageAlert(row)
            keys.insert(Key(team: alert.team, metric: alert.metric, threshold: alert.threshold, limit: alert.limitBytes))
        }
        return keys
    }

    // MARK: One team

    /// Looks at one team and adds what is to be told, in the caller's transaction.
    public func check(team: String, nowMs: Int64, in connection: Connection) throws -> TeamCheck {
        var check = TeamCheck()
        guard let usage = try UsageReading.team(team, UsagePeriod(containing: nowMs), nowMs: nowMs, in: connection) else { return check }
        var uses = [usage.traffic]
        if let gauge = usage.gauge, gauge.bytes > 0, gauge.isStale(nowMs: nowMs) {
            check.hasStaleStorage = true
        } else {
            uses.append(usage.storage)
        }
        for use in uses {
            guard let threshold = AlertThreshold.reached(used: use.used, limit: use.limit, among: thresholds),
                let alert = try enter(use, threshold, of: usage, nowMs: nowMs, in: connection)
            else { continue }
            let messages = try tell(alert, use, in: connection, nowMs: nowMs)
            check.messages += messages
            if messages > 0 {
                check.sent.append(try mark(alert, as: .sent, in: connection))
            } else {
                check.untold += 1
                try mark(alert, as: .untold, in: connection)
            }
        }
        return check
    }

    /// Enters the alert, and the lower ones as superseded.
    /// - Returns: nil when the team was told before.
    private func enter(
        _ use: MetricUse, _ threshold: AlertThreshold, of usage: TeamUsage, nowMs: Int64, in connection: Connection
    ) throws -> UsageAlert? {
        var entered: UsageAlert?
        for step in thresholds where step <= threshold {
            let state = step == threshold ? UsageAlert.State.sent : .superseded
            let row = try connection.first(
                """
                INSERT INTO usage_alerts (team, metric, period, threshold, limit_bytes, used_bytes, plan, state, created_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                ON CONFLICT (team, metric, period, threshold, limit_bytes) DO UPDATE SET used_bytes = $6, state = $8, created_at = $9
                  WHERE state = 'untold'
                RETURNING *
                """,
                [
                    .text(usage.team), .text(use.metric.rawValue), .text("\(usage.period)"), .integer(step.rawValue), .integer(use.limit),
                    .integer(use.used), .text(usage.plan.name), .text(state.rawValue), .integer(nowMs),
                ])
            if step == threshold { entered = try row.map(UsageAlert.init) }
        }
        return entered
    }

    @discardableResult
    private func mark(_ alert: UsageAlert, as state: UsageAlert.State, in connection: Connection) throws -> UsageAlert {
        guard alert.state != state else { return alert }
        let row = try connection.first(
            """
            UPDATE usage_alerts SET state = $6 WHERE team = $1 AND metric = $2 AND period = $3 AND threshold = $4 AND limit_bytes = $5 RETURNING *
            """,
            [
                .text(alert.team), .text(alert.metric.rawValue), .text("\(alert.period)"), .integer(alert.threshold.rawValue),
                .integer(alert.limitBytes), .text(state.rawValue),
            ])
        return try row.map(UsageAlert.init) ?? alert
    }

    private func tell(_ alert: UsageAlert, _ use: MetricUse, in connection: Connection, nowMs: Int64) throws -> Int {
        let name = try TeamStore.find(alert.team, in: connection)?.name ?? alert.team
        var count = 0
        for member in try TeamStore.members(of: alert.team, in: connection) where member.getsAlerts {
            let message = SendNotification(
                template: alert.threshold.template, recipient: member.email, language: member.language,
                values: [
                    "name": member.name, "team": name, "metric": alert.metric.word(in: member.language),
                    "used": ByteFigure.text(alert.usedBytes, language: member.language),
                    "allowed": ByteFigure.text(alert.limitBytes, language: member.language), "percent": "\(use.percent ?? 0)",
                    "period": "\(alert.period)", "plan": alert.plan,
                ],
                cause: "\(alert.team):\(alert.metric.rawValue):\(alert.period):\(alert.threshold.rawValue):\(alert.limitBytes)")
            if try outbox.add(try message.request(payment: nil), nowMs: nowMs, in: connection) != nil { count += 1 }
        }
        return count
    }
}

extension AlertThreshold {
    fileprivate var template: MessageTemplate {
        switch self {
        case .warning: .usageWarning
        case .critical: .usageCritical
        case .limit: .usageExceeded
        }
    }
}

extension UsageMetric {
    fileprivate func word(in language: String) -> String {
        switch (self, language) {
        case (.traffic, "en"): "traffic"
        case (.traffic, _): "trafic"
        case (.storage, "en"): "storage"
        case (.storage, _): "stockage"
        }
    }
}
