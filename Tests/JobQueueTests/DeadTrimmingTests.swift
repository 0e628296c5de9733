import Formats
import JobQueue
import JobQueueRedis
import RedisClient
import TestSupport
import Testing

@Suite("Dead records are trimmed")
struct DeadTrimmingTests {
    /// A queue with dead records, each buried a minute after the one before, the last one now.
    private struct Stage {
        let bench: RedisBench
        let driver: RedisDriver

        init(_ count: Int, keeping retention: DeadRetention) async throws {
            bench = try await RedisBench(server: SharedRedis.server())
            driver = RedisDriver(connection: bench.process.connection, prefix: "test:", queue: bench.queue, deadRetention: retention)
            for number in 0..<count {
                let buriedAtMs = bench.nowMs - Int64(count - 1 - number) * 60_000
                let record = DeadRecord(
                    job: "job_\(number)", kind: "k", reason: "no", buriedAtMs: buriedAtMs, worker: "w", body: Array("\(number)".utf8))
                _ = try await bench.command("ZADD", driver.keys.dead, buriedAtMs, record.bytes)
                _ = try await bench.command("HSET", driver.keys.history, "job_\(number)", "{}")
            }
        }

        func left() async throws -> [String] {
            try await driver.dead(offset: 0, limit: 10_000).compactMap(\.record.job)
        }
    }

    @Test("the oldest go first, by number and by age, with their histories, and are counted")
    func rules() async throws {
        let many = try await Stage(5, keeping: DeadRetention(maxAge: nil, maxCount: 3))
        #expect(try await many.driver.trimDead(nowMs: many.bench.nowMs) == 2)
        #expect(try await many.left() == ["job_4", "job_3", "job_2"])
        #expect(try await many.bench.command("HKEYS", many.driver.keys.history).array?.count == 3)
        #expect(try await many.driver.trimDead(nowMs: many.bench.nowMs) == 0)

        let old = try await Stage(5, keeping: DeadRetention(maxAge: .seconds(150), maxCount: nil))
        #expect(try await old.driver.trimDead(nowMs: old.bench.nowMs) == 2)
        #expect(try await old.left() == ["job_4", "job_3", "job_2"])

        let kept = try await Stage(5, keeping: .forever)
        #expect(try await kept.driver.trimDead(nowMs: .max) == 0)
        #expect(try await kept.left().count == 5)
        #expect(DeadRetention.usual == DeadRetention(maxAge: .seconds(90 * 86_400), maxCount: 100_000))
    }

    @Test("a worker does it, a thousand at a time at most")
    func worker() async throws {
        let stage = try await Stage(1300, keeping: DeadRetention(maxAge: nil, maxCount: 200))
        let worker = try await stage.driver.worker()
        try await eventually("a round is over") { try await stage.left().count == 300 }
        #expect(try await stage.driver.trimDead(nowMs: stage.bench.nowMs) == 100)
        #expect(try await stage.left().count == 200)
        await stage.driver.retire(worker)
    }
}
