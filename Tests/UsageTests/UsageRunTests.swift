import Database
import Formats
import JobQueue
import Outbox
import Scheduling
import Synchronization
import Telemetry
import TestSupport
import Testing
import Usage

@Suite("The two scheduled runs")
struct UsageRunTests {
    private static let hour = UsageFixture.hourMs
    private static let tick = "2026-11-21T06:00Z"

    private func limits(_ fixture: UsageFixture, _ database: Database? = nil) -> LimitsCheck {
        LimitsCheck(
            database: database ?? fixture.database, outbox: fixture.outbox, overLimit: true, staff: nil, log: Log(), nowMs: { fixture.nowMs })
    }

    private func storageRun(_ fixture: UsageFixture, tick: String, startedAtMs: Int64, outcome: UsageRun.Outcome?) async throws {
        try await fixture.database.write { connection in
            #expect(try UsageRun.begin(.storage, tick: tick, job: "job_x", nowMs: startedAtMs, in: connection))
            guard let outcome else { return }
            try UsageRun.end(
                .storage, tick: tick, as: outcome, UsageRun.Report(items: 3, errors: 0, detail: ""), nowMs: startedAtMs + 1500, in: connection)
        }
    }

    private func outcome(
        _ fixture: UsageFixture, tick: String = UsageRunTests.tick, enqueuedAtMs: Int64 = UsageFixture.nowMs
    ) async throws -> JobOutcome {
        try await limits(fixture).run(CheckLimits(tick: tick), job: UsageFixture.job(CheckLimits.kind, enqueuedAtMs: enqueuedAtMs))
    }

    @Test("the limits run waits for the day's storage run, and at most two hours")
    func waits() async throws {
        let fixture = try UsageFixture()
        // Yesterday's run is not today's.
        try await storageRun(fixture, tick: "2026-11-20T04:00Z", startedAtMs: UsageFixture.nowMs - 26 * Self.hour, outcome: .done)
        #expect(try await outcome(fixture) == .snooze(.seconds(20)))
        try await storageRun(fixture, tick: "2026-11-21T04:00Z", startedAtMs: UsageFixture.nowMs - 2 * Self.hour, outcome: nil)
        #expect(try await outcome(fixture) == .snooze(.seconds(20)))
        fixture.turn(to: UsageFixture.nowMs + 2 * Self.hour - 1)
        #expect(try await outcome(fixture) == .snooze(.seconds(20)))
        fixture.turn(to: UsageFixture.nowMs + 2 * Self.hour)
        #expect(try await outcome(fixture) == .done)
    }

    @Test("caught up after a downtime, it waits for the storage run that is caught up beside it")
    func catchUp() async throws {
        let late = UsageFixture.nowMs + 11 * Self.hour
        let fixture = try UsageFixture(nowMs: late)
        try await storageRun(fixture, tick: "2026-11-20T04:00Z", startedAtMs: UsageFixture.nowMs - 26 * Self.hour, outcome: .done)
        #expect(try await outcome(fixture, enqueuedAtMs: late) == .snooze(.seconds(20)))
        fixture.turn(to: late + 2 * Self.hour)
        #expect(try await outcome(fixture, enqueuedAtMs: late) == .done)
    }

    @Test("it goes on as soon as the storage run is done, a failed one is waited for until its next attempt")
    func goesOn() async throws {
        let fixture = try UsageFixture()
        let at = UsageFixture.nowMs - 2 * Self.hour
        try await storageRun(fixture, tick: "2026-11-21T04:00Z", startedAtMs: at, outcome: .failed)
        #expect(try await outcome(fixture) == .snooze(.seconds(20)))
        try await storageRun(fixture, tick: "2026-11-21T04:00Z", startedAtMs: at + 60_000, outcome: .done)
        #expect(try await outcome(fixture) == .done)
    }

    @Test("where nothing is ever measured it does not wait; a run by hand waits only for one that is under way")
    func noStorage() async throws {
        let fixture = try UsageFixture()
        #expect(try await outcome(fixture) == .done)
        try await storageRun(fixture, tick: "manual-1", startedAtMs: UsageFixture.nowMs, outcome: nil)
        #expect(try await outcome(fixture, tick: "manual-2") == .snooze(.seconds(20)))
        try await storageRun(fixture, tick: "manual-1", startedAtMs: UsageFixture.nowMs, outcome: .done)
        #expect(try await outcome(fixture, tick: "manual-2") == .done)
    }

    @Test("a run says what it did: items, errors, duration; done once, it is not repeated; failed, it is")
    func report() async throws {
        let fixture = try UsageFixture()
        let runner = UsageRunner(database: fixture.database, log: Log(), nowMs: { fixture.nowMs })
        struct Broken: Error {}
        await #expect(throws: Broken.self) {
            try await runner.run(.storage, tick: "t", job: UsageFixture.job(MeasureStorage.kind)) { throw Broken() }
        }
        let find: @Sendable () async throws -> UsageRun? = { try await fixture.database.read { try UsageRun.find(.storage, tick: "t", in: $0) } }
        #expect(try await find()?.outcome == .failed)
        let job = UsageFixture.job(MeasureStorage.kind)
        let count = Mutex(0)
        for expected in [JobOutcome.done, .skipped(reason: "the run storage t is done")] {
            let result = try await runner.run(.storage, tick: "t", job: job) {
                count.withLock { $0 += 1 }
                fixture.turn(to: fixture.nowMs + 1234)
                return UsageRun.Report(items: 12, errors: 1, detail: "eleven volumes")
            }
            #expect(result == expected)
        }
        #expect(count.withLock { $0 } == 1)
        let run = try #require(try await find())
        #expect((run.outcome, run.items, run.errors, run.durationMs, run.detail) == (.done, 12, 1, 1234, "eleven volumes"))
        #expect(try await fixture.database.read { try JobRecord.find(job.id, in: $0)?.outcome } == .done)
    }

    @Test("three schedulers at once, and three workers with the same job and with jobs of their own: one alert, one message")
    func threeAtOnce() async throws {
        let fixture = try UsageFixture()
        try await fixture.team("baobab", projects: ["shop"])
        try await fixture.traffic("shop", 5 << 30)
        // The schedulers: one tick, one job.
        let entry = CronEntry(name: "usage-limits", expression: UsageSchedule.limits, summary: "for the test") { run, connection in
            try fixture.outbox.add(try CheckLimits(tick: run.tick).request(), nowMs: run.nowMs, in: connection) ?? "there already"
        }
        let databases = try (0..<3).map { _ in try fixture.another() }
        let tables = databases.enumerated().map { CronTable(entries: [entry], database: $1, runner: "scheduler.\($0)") }
        for table in tables { try await table.install(nowMs: fixture.nowMs) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for table in tables { group.addTask { _ = try await table.runDue(entry, nowMs: fixture.nowMs) } }
            try await group.waitForAll()
        }
        let jobs = try await fixture.database.read { connection in
            try connection.query("SELECT id FROM outbox_jobs WHERE kind = $1", [.text(CheckLimits.kind)]).map { try $0.text("id") }
        }
        #expect(jobs.count == 1)
        // The workers: the job delivered to all three, and runs by hand beside it.
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (place, database) in databases.enumerated() {
                let check = limits(fixture, database)
                group.addTask { _ = try await check.run(CheckLimits(tick: Self.tick), job: UsageFixture.job(CheckLimits.kind, id: jobs[0])) }
                group.addTask { _ = try await check.run(CheckLimits(tick: "manual-\(place)"), job: UsageFixture.job(CheckLimits.kind)) }
            }
            try await group.waitForAll()
        }
        #expect(try await fixture.alerts().count { $0.state == .sent } == 1)
        #expect(try await fixture.messages() == ["usage_exceeded awa@example.org fr"])
        for database in databases { await database.close() }
    }
}
