import Formats
import RedisClient
import Synchronization
import TestSupport
import Testing

@Suite("Redis' disk is full", .timeLimit(.minutes(4)))
struct RedisDiskFullTests {
    /// What the append-only file may hold: less than the posts of the test need.
    private static let room = 64 << 10

    @Test("Redis ends in the middle of a write: posts are answered all the while, and each is applied once when there is room again")
    func full() async throws {
        try await Stage.run(["ingest", "worker-payments"]) { stage in
            let payments = try await stage.seed(.order, 200)
            try await stage.awaitRedisAtIngest()
            let limiting = try await ProcessFixture.start(
                "prlimit", ["--pid", "\(stage.instance.redis.process.pid)", "--fsize=\(Self.room):unlimited"])
            guard try await limiting.waitForExit() == .exited(0) else { throw FixtureError("prlimit: \(limiting.transcript)") }
            let rest = Mutex(payments)
            let stream = EventStream.start(port: stage.ingestPort, lines: 2, pause: .milliseconds(10)) {
                let payment = rest.withLock { $0.popLast() }
                return payment.map { .paid($0) } ?? .unmatched()
            }
            try await eventually(within: .seconds(60), "Redis has ended") { !stage.instance.redis.isRunning }
            let before = stream.tally.accepted.count
            try await eventually(within: .seconds(30), "posts are taken without it") { stream.tally.accepted.count > before + 20 }
            // Its successor has no limit: there is room again.
            try await stage.instance.redis.restart()
            try await eventually(within: .seconds(60), "the rest of the payments is posted") { rest.withLock { $0.isEmpty } }
            let tally = try await stream.end()
            #expect(tally.statuses == [200: tally.accepted.count], "\(tally.statuses)")
            let accounting = try await stage.settle(tally.accepted)
            #expect(accounting.dead.isEmpty && accounting.archived["quarantined"] == nil)
            #expect(accounting.archived["applied"]?.count == payments.count)
            try await stage.requirePaidOnce(payments)
        }
    }
}
