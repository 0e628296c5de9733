import Database
import Formats
import JobQueue
import Outbox
import Scheduling
import Synchronization
import TestSupport
import Testing

/// The time that all schedulers share.
private final class StoreClock: Sendable {
    private let state: Mutex<Int64>
    init(nowMs: Int64) { state = Mutex(nowMs) }

    var nowMs: Int64 { state.withLock { $0 } }
    func pass(_ ms: Int64, until last: Int64) { state.withLock { $0 = min(last, $0 + ms) } }
}

@Suite("Scheduled work: zones, catch-up, overlap")
struct CronTablePolicyTests {
    private static let noon = Timestamp.ms(year: 2026, month: 11, day: 21, hour: 12)
    private static let minute: Int64 = 60_000
    private static let hour: Int64 = 60 * minute

    private func fixture() async throws -> DomainFixture {
        let fixture = try DomainFixture()
        try await fixture.database.write { try $0.execute("CREATE TABLE noted (tick TEXT NOT NULL) STRICT") }
        return fixture
    }

    private static func noting(_ expression: String, zone: String = "UTC", catchUp: CronCatchUp = .latest) -> CronEntry {
        CronEntry(name: "noting", expression: expression, zone: zone, catchUp: catchUp, summary: "for a test") { run, connection in
            try connection.execute("INSERT INTO noted (tick) VALUES ($1)", [.text(run.tick)])
            return "noted"
        }
    }

    private func noted(_ fixture: DomainFixture) async throws -> [String] {
        try await fixture.database.read { try $0.query("SELECT tick FROM noted ORDER BY tick").map { try $0.text("tick") } }
    }

    /// Runs what is due until nothing is.
    private func runAll(_ table: CronTable, _ entry: CronEntry, nowMs: Int64) async throws -> [String] {
        var done: [String] = []
        while case .done(let tick, _) = try await table.runDue(entry, nowMs: nowMs) { done.append(tick) }
        return done
    }

    @Test("an entry keeps the clocks of its zone: 02:30 in Paris, also on the nights on which it is not there or there twice")
    func zone() async throws {
        for (from, expected) in [
            ("2026-03-27T12:00:00Z", ["2026-03-28T01:30Z", "2026-03-29T01:00Z", "2026-03-30T00:30Z"]),
            ("2026-10-23T12:00:00Z", ["2026-10-24T00:30Z", "2026-10-25T00:30Z", "2026-10-26T01:30Z"]),
        ] {
            let fixture = try await fixture()
            let entry = Self.noting("30 2 * * *", zone: "Europe/Paris")
            let table = CronTable(entries: [entry], database: fixture.database, runner: "scheduler.0")
            let start = try #require(Timestamp.parse(from))
            try await table.install(nowMs: start)
            var ticks: [String] = []
            for quarter in 0..<(3 * 24 * 4) { ticks += try await runAll(table, entry, nowMs: start + Int64(quarter) * 15 * Self.minute) }
            #expect(ticks == expected)
            #expect(try await table.listing(nowMs: start).first?.zone == "Europe/Paris")
        }
    }

    @Test("a zone or a schedule that is none is refused before anything is entered")
    func refused() async throws {
        let fixture = try await fixture()
        for entry in [Self.noting("0 6 * * *", zone: "Europe/Atlantis"), Self.noting("0 6 * * *", zone: "../../etc/passwd"), Self.noting("0 6 * *")] {
            let table = CronTable(entries: [entry], database: fixture.database, runner: "scheduler.0")
            await #expect(throws: CronError.self) { try await table.install(nowMs: Self.noon) }
        }
        #expect(try await fixture.database.read { try $0.query("SELECT name FROM scheduling_entries") }.isEmpty)
    }

    @Test("after a downtime: none, the latest, or all up to a number, the earliest first")
    func catchUp() async throws {
        for (policy, expected) in [
            (CronCatchUp.none, []), (.latest, ["2026-11-21T17:00Z"]),
            (.all(max: 3), ["2026-11-21T15:00Z", "2026-11-21T16:00Z", "2026-11-21T17:00Z"]),
        ] {
            let fixture = try await fixture()
            let entry = Self.noting("0 * * * *", catchUp: policy)
            let table = CronTable(entries: [entry], database: fixture.database, runner: "scheduler.0")
            try await table.install(nowMs: Self.noon + Self.minute)
            let later = Self.noon + 5 * Self.hour + 10 * Self.minute
            #expect(try await runAll(table, entry, nowMs: later) == expected)
            #expect(try await runAll(table, entry, nowMs: later).isEmpty)
            #expect(try await runAll(table, entry, nowMs: Self.noon + 6 * Self.hour) == ["2026-11-21T18:00Z"])
            #expect(try await noted(fixture) == expected + ["2026-11-21T18:00Z"])
        }
    }

    @Test("three schedulers whose looks come in any order and at any time: each of 1,000 ticks fires once")
    func thousandTicks() async throws {
        let fixture = try await fixture()
        let entry = Self.noting("* * * * *", catchUp: .all(max: 120))
        let tables = try (0..<3).map { CronTable(entries: [entry], database: try fixture.another(), runner: "scheduler.\($0)") }
        try await tables[0].install(nowMs: Self.noon + 1000)
        let last = Self.noon + 999 * Self.minute
        let clock = StoreClock(nowMs: Self.noon + 1000)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for table in tables {
                group.addTask {
                    while true {
                        let nowMs = clock.nowMs
                        if case .alreadyDone = try await table.runDue(entry, nowMs: nowMs) {
                            if nowMs >= last { return }
                            // Whoever finds nothing to do lets time pass, by an unforeseen amount.
                            clock.pass(.random(in: 0...30) * Self.minute, until: last)
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await noted(fixture) == (0..<1000).map { CronTable.name(ofTick: Self.noon + Int64($0) * Self.minute) })
    }

    @Test("a schedule that was changed, and one that was resumed, count from then on")
    func countsFrom() async throws {
        let fixture = try await fixture()
        func table(_ entry: CronEntry) -> CronTable { CronTable(entries: [entry], database: fixture.database, runner: "scheduler.0") }
        let first = Self.noting("0 6 * * *")
        try await table(first).install(nowMs: Self.noon)
        let changed = Self.noting("*/10 * * * *", catchUp: .all(max: 100))
        let later = Self.noon + 5 * Self.hour
        try await table(changed).install(nowMs: later)
        #expect(
            try await runAll(table(changed), changed, nowMs: later + 21 * Self.minute) == [
                "2026-11-21T17:00Z", "2026-11-21T17:10Z", "2026-11-21T17:20Z",
            ])
        _ = try await table(changed).setPaused(true, entry: "noting")
        _ = try await table(changed).setPaused(false, entry: "noting", nowMs: later + 65 * Self.minute)
        #expect(try await runAll(table(changed), changed, nowMs: later + 71 * Self.minute) == ["2026-11-21T18:10Z"])
    }

    // MARK: Overlap

    private struct Work: JobParameters {
        static let kind = "work"
        static let queue = "work"
        let tick: String
    }

    private static func working(_ overlap: CronOverlap, _ outbox: Outbox) -> CronEntry {
        CronEntry(name: "working", expression: "*/10 * * * *", overlap: overlap, summary: "for a test") { run, connection in
            let job = try outbox.add(try JobRequest(Work(tick: run.tick), unique: run.cause), nowMs: run.nowMs, in: connection)
            return CronWork(detail: "added", job: job)
        }
    }

    @Test("a tick whose predecessor's job is at work runs beside it, is passed over, or waits and is one", arguments: CronOverlap.allCases)
    func overlap(_ policy: CronOverlap) async throws {
        let fixture = try await fixture()
        let entry = Self.working(policy, Outbox(slot: "scheduler.0"))
        let table = CronTable(entries: [entry], database: fixture.database, runner: "scheduler.0")
        try await table.install(nowMs: Self.noon)
        func look(_ minutes: Int64) async throws -> CronResult { try await table.runDue(entry, nowMs: Self.noon + minutes * Self.minute) }
        #expect(try await look(0) == .done(tick: "2026-11-21T12:00Z", detail: "added"))

        let second = try await look(10)
        let third = try await look(25)
        let listed = try await table.listing(nowMs: Self.noon + 25 * Self.minute).first
        switch policy {
        case .allow:
            #expect(second == .done(tick: "2026-11-21T12:10Z", detail: "added") && third == .done(tick: "2026-11-21T12:20Z", detail: "added"))
        case .skip:
            guard case .skipped("2026-11-21T12:20Z", let reason) = third else {
                Issue.record("\(third)")
                return
            }
            #expect(reason.hasPrefix("job_") && listed?.lastOutcome == "skipped")
            #expect(try await look(26) == .alreadyDone(tick: "2026-11-21T12:20Z"))
        case .queueOne:
            #expect(second == .nothingDue && third == .nothingDue)
        }

        try await fixture.database.write { connection in
            for job in try connection.query("SELECT id FROM outbox_jobs") {
                _ = try Outbox.finish(
                    JobEnvelope(id: try job.text("id"), kind: "work", queue: "work", args: [:], enqueuedAtMs: 0), as: .done, nowMs: Self.noon,
                    in: connection)
            }
        }
        #expect(
            try await look(27) == (policy == .queueOne ? .done(tick: "2026-11-21T12:20Z", detail: "added") : .alreadyDone(tick: "2026-11-21T12:20Z")))
        if policy == .queueOne { #expect(try await look(28) == .alreadyDone(tick: "2026-11-21T12:20Z")) }
        if policy == .skip { #expect(try await look(30) == .done(tick: "2026-11-21T12:30Z", detail: "added")) }
        // An extra run asks nobody.
        guard case .done = try await table.runNow(entry, nowMs: Self.noon + 31 * Self.minute) else {
            Issue.record("no extra run")
            return
        }
    }

    @Test("a database of before keeps its ticks, and its entries are of UTC")
    func migrated() async throws {
        let folder = try TemporaryFolder("quittance-cron")
        let database = try Database.open(.sqlite(path: folder.file("old.db")))
        let all = CronTable.migrations
        _ = try database.migrate([MigrationSet(room: all.room, migrations: Array(all.migrations.prefix(1)))])
        try await database.write { connection in
            try connection.execute("INSERT INTO scheduling_entries (name, expression, created_at) VALUES ('noting', '*/10 * * * *', 1)")
            try connection.execute(
                "INSERT INTO scheduling_ticks VALUES ('noting', '2026-11-21T12:00Z', $1, $1, $1, 'done', 'of old', 'scheduler.0')",
                [.integer(Self.noon)])
        }
        _ = try database.migrate([all])
        let entry = CronEntry(name: "noting", expression: "*/10 * * * *", summary: "for a test") { _, _ in "new" }
        let table = CronTable(entries: [entry], database: database, runner: "scheduler.0")
        try await table.install(nowMs: Self.noon + Self.minute)
        #expect(try await table.runDue(entry, nowMs: Self.noon + Self.minute) == .alreadyDone(tick: "2026-11-21T12:00Z"))
        #expect(try await table.runDue(entry, nowMs: Self.noon + 10 * Self.minute) == .done(tick: "2026-11-21T12:10Z", detail: "new"))
        let listed = try await table.listing(nowMs: Self.noon).first
        #expect(listed?.zone == "UTC" && listed?.catchUp == .latest && listed?.overlap == .allow)
    }
}
