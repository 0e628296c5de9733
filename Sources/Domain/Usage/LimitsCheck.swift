import Database
import Formats
import JobQueue
import Notifications
import Outbox
import Telemetry

/// When the two scheduled runs are due, in UTC.
public enum UsageSchedule {
    public static let storage = "0 4 * * *"
    public static let limits = "0 6 * * *"
    /// How long a limits run waits for the day's storage run at most.
    public static let waitMaxMs: Int64 = 2 * 60 * 60_000
    static let storageTimeOfDayMs: Int64 = 4 * 60 * 60_000
}

/// Carries out ``CheckLimits``.
public struct LimitsCheck: Sendable {
    /// Who is told when storage is no longer measured.
    public struct Staff: Sendable {
        let email: String
        let language: String
        public init(email: String, language: String) {
            self.email = email
            self.language = language
        }
    }

    private let database: Database
    private let outbox: Outbox
    private let alerts: UsageAlerts
    private let staff: Staff?
    private let runner: UsageRunner
    private let nowMs: @Sendable () -> Int64

    /// Teams in one transaction.
    static let chunk = 100
    static let waitStep = Duration.seconds(20)

    /// - Parameter overLimit: whether teams are told at 100 % too.
    public init(
        database: Database, outbox: Outbox, overLimit: Bool, staff: Staff?, log: Log, nowMs: @escaping @Sendable () -> Int64
    ) {
        self.database = database
        self.outbox = outbox
        alerts = UsageAlerts(outbox: outbox, overLimit: overLimit)
        self.staff = staff
        runner = UsageRunner(database: database, log: log, nowMs: nowMs)
        self.nowMs = nowMs
    }

    public func run(_ parameters: CheckLimits, job: JobEnvelope) async throws -> JobOutcome {
        let now = nowMs()
        let enqueued = job.enqueuedAtMs
        if try await database.read({ try Self.mustWait(parameters, enqueuedAtMs: enqueued, nowMs: now, in: $0) }) {
            return .snooze(Self.waitStep)
        }
        return try await runner.run(.limits, tick: parameters.tick, job: job) { try await check() }
    }

    /// Whether the storage figures that the run is to judge are still being made. A scheduled run waits for that of its day, a run by
    /// hand for one that is under way. Neither waits longer than ``UsageSchedule/waitMaxMs``, counted from when it was due or, after a
    /// downtime, from when its job was made: the storage run is caught up in the same moment.
    static func mustWait(_ parameters: CheckLimits, enqueuedAtMs: Int64, nowMs: Int64, in connection: Connection) throws -> Bool {
        let last = try UsageRun.list(.storage, limit: 1, in: connection).first
        guard let due = parameters.dueMs else {
            return last.map { $0.outcome == .running && nowMs < $0.startedAtMs + UsageSchedule.waitMaxMs } ?? false
        }
        guard nowMs < max(due, enqueuedAtMs) + UsageSchedule.waitMaxMs else { return false }
        // Nothing is ever measured here: there is nothing to wait for.
        guard try last != nil || StorageGauges.origins(in: connection).contains(where: \.isWhole) else { return false }
        let midnight = due - due % UsagePeriod.dayMs
        let measured = midnight + UsageSchedule.storageTimeOfDayMs
        let needed = measured <= due ? measured : measured - UsagePeriod.dayMs
        return try !UsageRun.isDone(.storage, since: needed, in: connection)
    }

    private func check() async throws -> UsageRun.Report {
        let now = nowMs()
        let survey = try await database.read { try alerts.survey(nowMs: now, in: $0) }
        var sent = 0
        var messages = 0
        var untold = 0
        var rest = survey.candidates[...]
        while !rest.isEmpty {
            let chunk = Array(rest.prefix(Self.chunk))
            rest = rest.dropFirst(Self.chunk)
            let checks = try await database.write { connection in
                try chunk.map { try alerts.check(team: $0, nowMs: now, in: connection) }
            }
            sent += checks.reduce(0) { $0 + $1.sent.count }
            messages += checks.reduce(0) { $0 + $1.messages }
            untold += checks.count { $0.untold > 0 }
        }
        let stale = try await database.write { try tellStale(nowMs: now, in: $0) }
        let detail =
            "\(survey.teams) teams, \(sent) alerts, \(messages) messages, \(untold) teams with nobody to tell, "
            + "\(survey.staleTeams) teams with stale storage, \(stale.count) stale origins"
        return UsageRun.Report(items: survey.teams, errors: untold + survey.staleTeams + stale.count, detail: detail)
    }

    /// Tells staff of origins that have gone stale, once each time.
    /// - Returns: the stale origins.
    private func tellStale(nowMs: Int64, in connection: Connection) throws -> [StorageOrigin] {
        let stale = try StorageGauges.origins(in: connection).filter { $0.isStale(nowMs: nowMs) }
        for origin in stale {
            let isNew = try connection.execute(
                "INSERT INTO usage_stale_notices (origin, measured_at, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                [.text(origin.name), .integer(origin.measuredAtMs ?? 0), .integer(nowMs)])
            guard isNew == 1, let staff else { continue }
            let message = SendNotification(
                template: .storageStale, recipient: staff.email, language: staff.language,
                values: [
                    "origin": origin.name, "measured": origin.measuredAtMs.map(Timestamp.rfc3339) ?? "-", "error": origin.error ?? "-",
                ], cause: "\(origin.name):\(origin.measuredAtMs ?? 0)")
            try outbox.add(try message.request(payment: nil), nowMs: nowMs, in: connection)
        }
        return stale
    }
}
