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

    @Test("a paused entry does not fire, at a start neither; a named extra run always does, and leaves the tick alone")
    func pausedAndExtra() async throws {
        let fixture = try await fixture()
        let entry = Self.noting()
        let table = CronTable(entries: [entry], database: fixture.database, runner: "scheduler.0")
        try await table.install(nowMs: Self.noon)
        #expect(try await table.setPaused(true, entry: "noting"))
        #expect(try await table.setPaused(true, entry: "nobody") == false)
        #expect(try await table.runDue(entry, nowMs: Self.noon + 1000) == .nothingDue)
        #expect(try await table.runAtStart(entry, nowMs: Self.noon + 1000) == .nothingDue)
        guard case .done(let extra, _) = try await table.runNow(entry, nowMs: Self.noon + 1000) else {
            Issue.record("the extra run did not run")
            return
        }
        #expect(extra.hasPrefix("manual-"))
        #expect(try await table.setPaused(false, entry: "noting"))
        #expect(try await table.runDue(entry, nowMs: Self.noon + 1000) == .done(tick: "2026-11-21T12:00Z", detail: "noted"))
        guard case .done = try await table.runAtStart(entry, nowMs: Self.noon + 2000) else {
            Issue.record("the run at the start did not run")
            return
        }
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

    @Test("a tick that fails for one scheduler and succeeds for another one is done, and does not run again")
    func failureBesideSuccess() async throws {
        let fixture = try await fixture()
        let seen = Mutex<Set<String>>([])
        let entry = CronEntry(name: "wavering", expression: "* * * * *", summary: "for a test") { run, connection in
            try connection.execute("INSERT INTO noted (tick) VALUES ($1)", [.text(run.tick)])
            // The first to try it fails, while the others wait for their turn to write.
            if seen.withLock({ $0.insert(run.tick).inserted }) { throw Bad() }
            return "done"
        }
        let tables = try (0..<4).map { CronTable(entries: [entry], database: try fixture.another(), runner: "scheduler.\($0)") }
        for table in tables { try await table.install(nowMs: Self.noon) }
        for step in 0..<15 {
            let nowMs = Self.noon + Int64(step) * Self.minute
            // Once all at the same time, then each once more.
            for _ in 0..<2 {
                _ = try await withThrowingTaskGroup(of: CronResult.self) { group in
                    for table in tables { group.addTask { try await table.runDue(entry, nowMs: nowMs) } }
                    return try await group.reduce(into: [CronResult]()) { $0.append($1) }
                }
            }
            #expect(try await tables[0].runDue(entry, nowMs: nowMs) == .alreadyDone(tick: CronTable.name(ofTick: nowMs)))
        }
        #expect(try await noted(fixture) == (0..<15).map { CronTable.name(ofTick: Self.noon + Int64($0) * Self.minute) })
        let rows = try await fixture.database.read { try $0.query("SELECT outcome, finished_at FROM scheduling_ticks") }
        #expect(try rows.allSatisfy { try $0.text("outcome") == "done" })
    }

    @Test("a tick older than a day, and one from before the entry was there, are not caught up")
    func tooOld() async throws {
        let fixture = try await fixture()
        let daily = CronEntry(name: "daily", expression: "0 12 * * *", summary: "for a test") { _, _ in "" }
        let yearly = CronEntry(name: "yearly", expression: "0 0 1 1 *", summary: "for a test") { _, _ in "" }
        let table = CronTable(entries: [daily, yearly], database: fixture.database, runner: "scheduler.0")
        try await table.install(nowMs: Self.noon + 60 * Self.minute)
        #expect(try await table.runDue(daily, nowMs: Self.noon + 61 * Self.minute) == .nothingDue)
        #expect(try await table.runDue(yearly, nowMs: Self.noon + 61 * Self.minute) == .nothingDue)
        let next = Self.noon + 24 * 60 * Self.minute
        #expect(try await table.runDue(daily, nowMs: next + 23 * 60 * Self.minute) == .done(tick: "2026-11-22T12:00Z", detail: ""))
    }

    @Test("extra runs of the same millisecond are two")
    func extraRuns() async throws {
        let fixture = try await fixture()
        let entry = Self.noting()
        let table = CronTable(entries: [entry], database: fixture.database, runner: "operator")
        try await table.install(nowMs: Self.noon)
        for _ in 0..<2 { _ = try await table.runNow(entry, nowMs: Self.noon) }
        #expect(Set(try await noted(fixture)).count == 2)
    }

    @Test("a tick that goes on failing is left alone for a while after each time")
    func pause() async throws {
        let fixture = try await fixture()
        let runs = Mutex(0)
        let entry = CronEntry(name: "failing", expression: "0 * * * *", summary: "for a test") { _, _ in
            runs.withLock { $0 += 1 }
            throw Bad()
        }
        let table = CronTable(entries: [entry], database: fixture.database, runner: "scheduler.0")
        try await table.install(nowMs: Self.noon)
        for second in 0..<60 { _ = try await table.runDue(entry, nowMs: Self.noon + Int64(second) * 1000, retryAfterMs: 20_000) }
        #expect(runs.withLock { $0 } == 3)
    }

    @Test("what comes after the commit and fails makes its tick a failed one, which runs again")
    func followUp() async throws {
        let fixture = try await fixture()
        let failures = Mutex(1)
        let entry = CronEntry(
            name: "following", expression: "0 * * * *", summary: "for a test",
            followUp: { run in
                if failures.withLock({ left in
                    left -= 1
                    return left >= 0
                }) {
                    throw Bad()
                }
                return "followed \(run.cause)"
            },
            body: { _, _ in "body" })
        let table = CronTable(entries: [entry], database: fixture.database, runner: "scheduler.0")
        try await table.install(nowMs: Self.noon)
        guard case .failed(let tick, _) = try await table.runDue(entry, nowMs: Self.noon) else {
            Issue.record("the tick did not fail")
            return
        }
        #expect(try await table.listing(nowMs: Self.noon).first?.lastOutcome == "failed")
        let again = try await table.runDue(entry, nowMs: Self.noon + 1000)
        #expect(again == .done(tick: tick, detail: "body, followed cron:following:2026-11-21T12:00Z"))
        #expect(try await table.runDue(entry, nowMs: Self.noon + 2000) == .alreadyDone(tick: tick))
    }
}
