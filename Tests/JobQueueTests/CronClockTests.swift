import Formats
import JobQueue
import JobQueueRedis
import RedisClient
import TestSupport
import Testing

@Suite("Schedulers whose clocks cannot be trusted", .timeLimit(.minutes(3)), .enabled(if: Sanitizer.leavesClocks))
struct CronClockTests {
    private static let entries = 5
    private static let intervalMs: Int64 = 50
    private static let ticksWanted = 1000

    @Test("three schedulers, one killed at random, their clocks jumping by years: each of 1,000 ticks fires once")
    func jumpingClocks() async throws {
        let server = try await RedisServer.start()
        let folder = try TemporaryFolder("quittance-clocks")
        let process = try RedisProcess(server, "cron", prefix: "clocks:")
        _ = try await process.connection.connected(within: .seconds(10))
        var schedulers: [ProcessFixture] = []
        for number in 0..<3 { schedulers.append(try await Self.start(number, folder, server)) }
        for scheduler in schedulers { try await scheduler.waitForLine(containing: "clock ") }

        var shown: [Int64] = []
        var kills = 0
        let deadline = ContinuousClock.now + .seconds(90)
        while try await process.driver.counts().ready < Self.ticksWanted || kills < 10 {
            guard ContinuousClock.now < deadline else { throw FixtureError("too few ticks: \(try await process.driver.counts().ready)") }
            for number in 0..<3 { try Self.jump(number, folder) }
            try await Task.sleep(for: .milliseconds(.random(in: 100...400)))
            let victim = Int.random(in: 0..<3)
            shown += Self.clocks(schedulers[victim])
            schedulers[victim].kill9()
            try await schedulers[victim].waitForExit()
            kills += 1
            schedulers[victim] = try await Self.start(victim, folder, server)
        }
        for scheduler in schedulers {
            shown += Self.clocks(scheduler)
            scheduler.end()
        }
        let day: Int64 = 86_400_000
        #expect(shown.contains { $0 > WallClock.nowMs + day } && shown.contains { $0 < WallClock.nowMs - day }, "the clocks did jump")

        let jobs = try await process.driver.peek(limit: 100_000).map { try JobEnvelope(decoding: $0) }
        #expect(jobs.count >= Self.ticksWanted)
        #expect(Set(jobs.map(\.id)).count == jobs.count)
        for (entry, fired) in Dictionary(grouping: jobs, by: { $0.id.split(separator: ":")[1] }) {
            let ticks = fired.compactMap { $0.args["at"]?.int }
            #expect(zip(ticks.dropFirst(), ticks).allSatisfy { $0 - $1 == Self.intervalMs }, "\(entry): none twice, none left out, in order")
            #expect(fired.allSatisfy { ($0.args["at"]?.int ?? .max) <= $0.enqueuedAtMs }, "\(entry): none early")
        }
    }

    /// A scheduler with a clock of its own: wall time is read from a file, elapsed time is left as it is.
    private static func start(_ number: Int, _ folder: TemporaryFolder, _ server: RedisServer) async throws -> ProcessFixture {
        if !fileExists(clockFile(number, folder)) { try jump(number, folder) }
        return try await ProcessFixture.start(
            try builtProduct("cron-runner"), ["\(server.port)", "clocks:", "\(entries)", "\(intervalMs)"],
            environment: try FakeTime.environment(file: clockFile(number, folder)))
    }

    private static func clockFile(_ number: Int, _ folder: TemporaryFolder) -> String { folder.file("clock-\(number)") }

    private static func jump(_ number: Int, _ folder: TemporaryFolder) throws {
        try folder.write(FakeTime.jumps.randomElement() ?? "+0", to: "clock-\(number)")
    }

    private static func clocks(_ scheduler: ProcessFixture) -> [Int64] {
        scheduler.output.compactMap { $0.hasPrefix("clock ") ? Int64($0.dropFirst(6)) : nil }
    }
}
