import Formats
import JobQueue
import JobQueueRedis
import RedisClient
import TestSupport
import Testing

/// What operators do with standing bodies, the same on every driver.
@Suite("Operators' verbs")
struct OperatingTests {
    /// Two queues of one server.
    private struct Pair: QueueDirectory {
        let first: any QueueDriver
        let second: any QueueDriver
        let bench: any QueueBench
        func driver(of queue: String) -> any QueueDriver { queue == first.queue ? first : second }
    }

    private func pair(_ backend: Backend) async throws -> Pair {
        let bench = try await backend.bench()
        switch bench {
        case let memory as MemoryBench:
            return Pair(first: memory.driver, second: InMemoryDriver(queue: uniqueQueue(), clock: memory.clock.clock), bench: memory)
        case let redis as RedisBench:
            return Pair(
                first: redis.driver, second: RedisDriver(connection: redis.process.connection, prefix: "test:", queue: uniqueQueue()), bench: redis)
        default: throw Unlucky()
        }
    }

    private func standing(_ driver: any QueueDriver, _ name: String) async throws -> StandingBody {
        try #require(try await driver.find(job: "job_\(name)"))
    }

    @Test("a place is listed page by page in the order of its claims", arguments: Backend.contract)
    func pages(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let driver = bench.driver
        try await driver.put((0..<100).map { driver.job("\($0)") })
        var names: [String] = []
        var offset: Int? = 0
        while let from = offset {
            let page = try await driver.standing(in: .ready, order: .next, from: from, limit: 30, holding: [])
            names += page.bodies.compactMap { $0.job?.id }
            offset = page.next
        }
        #expect(names == (0..<100).map { "job_\($0)" })
        #expect(try await driver.places() == [.delayed, .ready, .moving])
        withExtendedLifetime(bench) {}
    }

    @Test("a delayed job is tried now, once", arguments: Backend.contract)
    func hasten(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let driver = bench.driver
        try await driver.put([driver.job("a")])
        try await driver.enqueue([EnqueueItem(driver.job("b"), dueMs: bench.nowMs + 600_000)])
        let delayed = try await standing(driver, "b")
        #expect(try await driver.hasten(delayed))
        #expect(try await driver.hasten(delayed) == false)
        #expect(try await driver.hasten(try await standing(driver, "a")) == false, "it is not delayed")
        let worker = try await driver.worker()
        #expect(try await driver.claim(worker).map { try JobEnvelope(decoding: $0.body).id } == ["job_b", "job_a"])
    }

    @Test("what has moved on since it was seen is left alone", arguments: Backend.contract)
    func movedOn(_ backend: Backend) async throws {
        let pair = try await pair(backend)
        let driver = pair.first
        try await driver.put([driver.job("a")])
        let seen = try await standing(driver, "a")
        let worker = try await driver.worker()
        #expect(try await driver.claim(worker).count == 1)
        #expect(try await driver.remove(seen, ending: nil) == false)
        #expect(try await pair.move(seen, from: driver.queue, to: pair.second.queue) == false)
        let held = try await standing(driver, "a")
        #expect(held.place == .claimed(worker: worker.description))
        #expect(try await driver.remove(held, ending: nil) == false, "it is in a worker's hands")
        #expect(try await pair.move(held, from: driver.queue, to: pair.second.queue) == false)
        #expect(try await driver.counts().inFlight == 1)
    }

    @Test("a moved job stands on the other queue with its due time and history, its keys free here", arguments: Backend.contract)
    func move(_ backend: Backend) async throws {
        let pair = try await pair(backend)
        let (driver, other) = (pair.first, pair.second)
        let worker = try await driver.worker()
        var job = driver.job("a")
        job.unique = "u"
        try await driver.enqueue(job)
        let claimed = try #require(try await driver.claim(worker).first)
        let entry = HistoryEntry(job: "job_a", attempt: 1, atMs: 7, worker: "w", reason: "no")
        try await driver.tell(worker, .retry(claimed.token, delay: .seconds(600), body: claimed.body, history: entry))
        let seen = try await standing(driver, "a")
        #expect(try await pair.move(seen, from: driver.queue, to: other.queue))
        #expect(try await pair.move(seen, from: driver.queue, to: other.queue) == false)
        #expect(try await driver.counts() == QueueCounts(workers: 1))
        #expect(try await driver.history(ofJob: "job_a").isEmpty)
        #expect(try await driver.enqueue(job).isNew, "the key is free")
        let there = try await standing(other, "a")
        #expect(there.place == .delayed && there.dueMs == seen.dueMs)
        #expect(there.job?.queue == other.queue && there.job?.admitted == .no && there.job?.args == job.args)
        #expect(try await other.history(ofJob: "job_a") == [entry])
    }

    @Test("a move that is begun and tried again arrives once", arguments: Backend.contract)
    func arriveTwice(_ backend: Backend) async throws {
        let pair = try await pair(backend)
        try await pair.first.put([pair.first.job("a")])
        let departure = try #require(try await pair.first.depart(try await standing(pair.first, "a"), to: pair.second.queue))
        #expect(try await pair.first.counts() == QueueCounts(moving: 1))
        let between = try await standing(pair.first, "a")
        #expect(between.place == .moving && between.job?.queue == pair.second.queue)
        #expect(try await pair.first.status(of: "job_a").state == .moving)
        #expect(try await pair.first.remove(between, ending: nil) == false, "its mover would put it on the other queue all the same")
        #expect(try await pair.first.cancel("job_a") == .unknown)
        #expect(try await pair.second.arrive(departure))
        #expect(try await pair.second.arrive(departure) == false)
        try await pair.first.forget(departure)
        #expect(try await pair.first.counts() == QueueCounts())
        #expect(try await pair.second.counts() == QueueCounts(ready: 1))
    }

    @Test(
        "a move whose mover died is ended by a worker of either queue, whether the job had arrived or not", arguments: [false, true], [false, true])
    func moverLost(hadArrived: Bool, byTarget: Bool) async throws {
        let pair = try await pair(.redis)
        let first = try #require(pair.first as? RedisDriver)
        try await first.put([first.job("a")])
        let departure = try #require(try await first.depart(try await standing(first, "a"), to: pair.second.queue))
        if hadArrived { try await pair.second.arrive(departure) }
        #expect(try await first.finishMoves(nowMs: pair.bench.nowMs) == 0, "the mover may still be at it")
        // Long ago, as far as the queue knows: the next sign of life finds it.
        let redis = try #require(pair.bench as? RedisBench)
        let kept = try #require(try await redis.command("HGET", first.keys.moving, departure.number).string)
        let old = "1000 " + kept.drop { $0 != " " }.dropFirst()
        _ = try await redis.command("HSET", first.keys.moving, departure.number, old)
        let second = try #require(pair.second as? RedisDriver)
        _ = try await redis.command("HSET", second.keys.arriving, departure.number, "1000 \(first.queue)")
        let helpful = byTarget ? second : first
        let worker = try await helpful.worker()
        try await eventually("it is ended") { try await first.counts().moving == 0 }
        await helpful.retire(worker)
        try await eventually("nothing is announced") { try await redis.command("HLEN", second.keys.arriving).int == 0 }
        #expect(try await pair.second.counts() == QueueCounts(ready: 1))
        #expect(try await standing(pair.second, "a").job?.id == "job_a")
    }

    @Test("a body that is no job is removed, and is not moved", arguments: Backend.contract)
    func opaque(_ backend: Backend) async throws {
        let pair = try await pair(backend)
        try await pair.first.put("x", "x", "y")
        let page = try await pair.first.standing(in: .ready, order: .next, from: 0, limit: 10, holding: body("y"))
        let found = try #require(page.bodies.first)
        #expect(page.bodies.count == 1 && found.job == nil)
        #expect(try await pair.move(found, from: pair.first.queue, to: pair.second.queue) == false)
        #expect(try await pair.first.remove(found, ending: nil))
        #expect(try await pair.first.counts().ready == 2)
    }
}
