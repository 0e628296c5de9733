import Database
import Formats
import Scheduling
import Synchronization
import TestSupport
import Testing

@Suite("Scheduled work")
struct CronTableTests {
    private static let noon = Timestamp.ms(year: 2026, month: 11, day: 21, hour: 12, minute: 0, second: 0)
    private static let minute: Int64 = 60_000

    private struct Bad: Error {}

    /// An entry that notes its ticks in SQL, in the transaction of the tick.
    private static func noting() -> CronEntry {
        CronEntry(name: "noting", expression: "*/5 * * * *", summary: "for a test") { run, connection in
            try connection.execute("INSERT INTO noted (tick) VALUES ($1)", [.text(run.tick)])
            return "noted"
        }
    }

    private func fixture() async throws -> DomainFixture {
        let fixture = try DomainFixture()
        try await fixture.database.write { try $0.execute("CREATE TABLE noted (tick TEXT NOT NULL) STRICT") }
        return fixture
    }

    private func noted(_ fixture: DomainFixture) async throws -> [String] {
        try await fixture.database.read { try $0.query("SELECT tick FROM noted ORDER BY tick").map { try $0.text("tick") } }
    }

    @Test("three schedulers fire every tick once")
    func threeSchedulers() async throws {
        let fixture = try await fixture()
        let entry = Self.noting()
        let tables = try (0..<3).map { CronTable(entries: [entry], database: try fixture.another(), runner: "scheduler.\($0)") }
        for table in tables { try await table.install(nowMs: Self.noon) }
        var fired = 0
        for step in 0..<24 {
            // Each looks several times within a tick, none of them exactly on it.
            let nowMs = Self.noon + Int64(step) * 5 * Self.minute / 2 + 7_000
            let results = try await withThrowingTaskGroup(of: CronResult.self) { group in
                for table in tables { for _ in 0..<2 { group.addTask { try await table.runDue(entry, nowMs: nowMs) } } }
                return try await group.reduce(into: [CronResult]()) { $0.append($1) }
            }
            fired += results.count { if case .done = $0 { true } else { false } }
        }
        let expected = (0..<12).map { CronTable.name(ofTick: Self.noon + Int64($0) * 5 * Self.minute) }
        #expect(try await noted(fixture) == expected)
        #expect(fired == expected.count)
    }

    @Test("after a downtime the latest tick is caught up, and no more than that")
    func catchUp() async throws {
        let fixture = try await fixture()
        let entry = Self.noting()
        let table = CronTable(entries: [entry], database: fixture.database, runner: "scheduler.0")
        try await table.install(nowMs: Self.noon)
        #expect(try await table.runDue(entry, nowMs: Self.noon + 1000) == .done(tick: "2026-11-21T12:00Z", detail: "noted"))
        #expect(try await table.runDue(entry, nowMs: Self.noon + 2000) == .alreadyDone(tick: "2026-11-21T12:00Z"))
        let later = Self.noon + 3 * 60 * Self.minute + 4 * Self.minute
        #expect(try await table.runDue(entry, nowMs: later) == .done(tick: "2026-11-21T15:00Z", detail: "noted"))
        #expect(try await noted(fixture).count == 2)
    }

    @Test("a paused entry does not fire; a named extra run always does, and leaves the tick alone")
    func pausedAndExtra() async throws {
        let fixture = try await fixture()
        let entry = Self.noting()
        let table = CronTable(entries: [entry], database: fixture.database, runner: "scheduler.0")
        try await table.install(nowMs: Self.noon)
        #expect(try await table.setPaused(true, entry: "noting"))
        #expect(try await table.setPaused(true, entry: "nobody") == false)
        #expect(try await table.runDue(entry, nowMs: Self.noon + 1000) == .nothingDue)
        guard case .done(let extra, _) = try await table.runNow(entry, nowMs: Self.noon + 1000) else {
            Issue.record("the extra run did not run")
            return
        }
        #expect(extra.hasPrefix("manual-"))
        #expect(try await table.setPaused(false, entry: "noting"))
        #expect(try await table.runDue(entry, nowMs: Self.noon + 1000) == .done(tick: "2026-11-21T12:00Z", detail: "noted"))
    }

    @Test("a tick that fails leaves nothing behind, is recorded, and runs again")
    func failedTick() async throws {
        let fixture = try await fixture()
        let failures = Mutex(1)
        let entry = CronEntry(name: "failing", expression: "0 * * * *", summary: "for a test") { run, connection in
            try connection.execute("INSERT INTO noted (tick) VALUES ($1)", [.text(run.tick)])
            let fails = failures.withLock { left in
                left -= 1
                return left >= 0
            }
            if fails { throw Bad() }
            return "done"
        }
        let table = CronTable(entries: [entry], database: fixture.database, runner: "scheduler.0")
        try await table.install(nowMs: Self.noon)
        guard case .failed(let tick, _) = try await table.runDue(entry, nowMs: Self.noon) else {
            Issue.record("the tick did not fail")
            return
        }
        #expect(tick == "2026-11-21T12:00Z")
        #expect(try await noted(fixture).isEmpty)
        #expect(try await table.listing(nowMs: Self.noon).first?.lastOutcome == "failed")
        #expect(try await table.runDue(entry, nowMs: Self.noon + 1000) == .done(tick: tick, detail: "done"))
        #expect(try await noted(fixture) == [tick])
        #expect(try await table.listing(nowMs: Self.noon).first?.nextMs == Self.noon + 60 * Self.minute)
    }
}
