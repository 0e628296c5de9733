import Database
import Formats
import JobQueue
import Notifications
import Outbox
import Payments
import Plans
import Scheduling
import Synchronization
import Teams
import Telemetry
import TestSupport
import Usage
import UsageSamples

/// The rooms of usage on a database of their own, with a clock that the test turns.
final class UsageFixture: Sendable {
    let folder: TemporaryFolder
    let database: Database
    let outbox = Outbox(slot: "test.0")
    private let clock: Mutex<Int64>

    static let migrations: [MigrationSet] = [
        Outbox.migrations, TeamStore.migrations, PaymentStore.migrations, NotificationRecord.migrations, PlanPurpose.migrations,
        UsageStore.migrations, CronTable.migrations,
    ]
    /// 21 November 2026, 06:00 UTC.
    static let nowMs = Timestamp.ms(year: 2026, month: 11, day: 21, hour: 6)
    static let hourMs: Int64 = 60 * 60_000

    init(nowMs: Int64 = UsageFixture.nowMs) throws {
        clock = Mutex(nowMs)
        folder = try TemporaryFolder("quittance-usage")
        database = try Database.open(.sqlite(path: folder.path + "/usage.db"))
        _ = try database.migrate(Self.migrations)
    }

    var nowMs: Int64 { clock.withLock { $0 } }
    func turn(to ms: Int64) { clock.withLock { $0 = ms } }

    /// The same file opened once more, as another process would.
    func another() throws -> Database { try Database.open(.sqlite(path: folder.path + "/usage.db")) }

    /// A team with projects, and people who are told.
    func team(_ id: String, projects: [String], people: [(email: String, language: String, getsAlerts: Bool)] = [("awa@example.org", "fr", true)])
        async throws
    {
        let nowMs = nowMs
        try await database.write { connection in
            try TeamStore.put(Team(id: id, name: "Team \(id)", owner: "owner-\(id)", language: "fr", createdAtMs: nowMs), in: connection)
            for project in projects { try TeamStore.put(Project(id: project, team: id, name: project, createdAtMs: nowMs), in: connection) }
            for person in people {
                try TeamStore.put(
                    TeamMember(
                        team: id, email: person.email, name: "Awa", language: person.language, role: .member, getsAlerts: person.getsAlerts,
                        createdAtMs: nowMs), in: connection)
            }
        }
    }

    /// Puts a team on a version of a plan, which is made when it is not there.
    func subscribe(_ team: String, to plan: String = Plan.pro, version: Int64 = 1, status: String = "active") async throws {
        try await database.write { connection in
            try connection.execute(
                """
                INSERT INTO plans_subscriptions (team, plan, version, status, period_start, renews_at, anchor_day, updated_at)
                VALUES ($1, $2, $3, $4, 0, 0, 1, 0) ON CONFLICT (team) DO UPDATE SET plan = $2, version = $3, status = $4
                """, [.text(team), .text(plan), .integer(version), .text(status)])
        }
    }

    /// A version of Pro with limits of its own.
    func version(_ version: Int64, traffic: Int64, storage: Int64) async throws {
        try await database.write { connection in
            try connection.execute(
                "INSERT INTO plans_versions VALUES ('pay_as_you_go', $1, 'Pro', 300, 'EUR', 1, -1, -1, -1, 4000, 6144, $2, $3, 1, $4)",
                // Never on sale: the subscription alone names it.
                [.integer(version), .integer(traffic), .integer(storage), .integer(.max)])
        }
    }

    /// Counts traffic as a batch of its own.
    func traffic(_ project: String, _ bytes: Int64, atMs: Int64? = nil) async throws {
        let nowMs = nowMs
        let at = atMs ?? nowMs
        _ = try await database.write {
            try UsageCounters.recordTraffic(project: project, bytes: bytes, atMs: at, unit: ULID.make(), nowMs: nowMs, in: $0)
        }
    }

    /// What the storage run finds at Docker: everything there is.
    func storage(_ projects: [String: Int64], unknown: Int = 0, atMs: Int64? = nil) async throws {
        let at = atMs ?? nowMs
        let measurement = StorageMeasurement(
            origin: "docker", measuredAtMs: at, projects: projects.mapValues { StorageMeasurement.Part(bytes: $0, unknownItems: unknown) })
        _ = try await database.write { try StorageGauges.record(measurement, in: $0) }
    }

    /// A limits run under a name of its own.
    /// - Returns: the alerts sent by it, as `team metric threshold`.
    @discardableResult
    func look(overLimit: Bool = true) async throws -> [String] {
        let before = try await alerts()
        let check = LimitsCheck(
            database: database, outbox: outbox, overLimit: overLimit, staff: LimitsCheck.Staff(email: "ops@example.org", language: "en"), log: Log(),
            nowMs: { self.nowMs })
        let tick = "manual-" + ULID.make(nowMs: nowMs)
        guard case .done = try await check.run(CheckLimits(tick: tick), job: Self.job(CheckLimits.kind)) else {
            throw FixtureError("the limits run was not done")
        }
        let sent = try await alerts().filter { $0.state == .sent && !before.contains($0) }
        return sent.map { "\($0.team) \($0.metric) \($0.threshold.rawValue)" }.sorted()
    }

    func alerts() async throws -> [UsageAlert] { try await database.read { try UsageAlert.list(limit: 1000, in: $0) } }

    /// Recipients and templates of the messages that wait to be sent.
    func messages() async throws -> [String] {
        try await database.read { connection in
            try connection.query("SELECT args FROM outbox_jobs WHERE kind = 'notification.send' ORDER BY sequence").map { row in
                let args = try JSON(parsing: try row.text("args"))
                return "\(args["template"]?.string ?? "") \(args["recipient"]?.string ?? "") \(args["language"]?.string ?? "")"
            }
        }
    }

    static func job(_ kind: String, id: String = "job_" + ULID.make(), enqueuedAtMs: Int64 = nowMs) -> JobEnvelope {
        JobEnvelope(id: id, kind: kind, queue: "usage", args: [:], payment: nil, enqueuedAtMs: enqueuedAtMs)
    }
}
