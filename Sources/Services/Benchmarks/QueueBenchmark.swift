import EventLoop
import Formats
import JobQueue
import JobQueueRedis
import RedisClient
import Synchronization
import Telemetry

/// The job engine with jobs that do nothing: 200 bytes of JSON, decoded, each its own task, leased, fenced, acked.
enum QueueBenchmark {
    static let title = "queue: no-op jobs, decoded, each its own task, at-least-once, fenced and leased"

    private static let drained = 200_000
    private static let single = 20_000
    private static let workers = 2
    private static let concurrency = 512
    private static let probes = 500
    private static let delayed = 1_000

    static func run(in arena: Arena) async throws -> BenchmarkResult {
        var result = BenchmarkResult()
        for sync in ["everysec", "always"] {
            let redis = try await arena.startRedis("redis-\(sync)", sync: sync)
            let bulk = try await fill(redis, in: arena)
            result.figures.append(Figure("queue.drain_per_s_\(sync)", try await drain(redis), "jobs/s"))
            guard sync == "everysec" else { continue }
            result.figures.append(Figure("queue.bulk_per_s", bulk, "jobs/s"))
            result.figures.append(Figure("queue.enqueue_per_s", try await enqueueSingly(redis, in: arena), "jobs/s"))
            let latencies = try await latency(redis)
            result.figures.append(Figure("queue.latency_p50_ms", Statistics.percentile(latencies, 50), "ms"))
            result.figures.append(Figure("queue.latency_p99_ms", Statistics.percentile(latencies, 99), "ms"))
            result.figures.append(Figure("queue.delayed_late_p99_ms", Statistics.percentile(try await lateness(redis), 99), "ms"))
        }
        result.notes.append(
            "drain: \(drained) jobs by \(workers) workers of \(concurrency) at a time in this process; one by one: \(single) calls, 256 under way")
        return result
    }

    /// Puts the jobs on the list in calls of a thousand.
    private static func fill(_ redis: RedisServer, in arena: Arena) async throws -> Double {
        let queue = try Queue(redis)
        defer { queue.close() }
        let items = try (0..<drained).map { EnqueueItem(try NoOperation.job($0)) }
        let begun = ContinuousClock.now
        try await queue.driver.enqueue(items)
        return Double(drained) / (ContinuousClock.now - begun).seconds
    }

    private static func drain(_ redis: RedisServer) async throws -> Double {
        let count = Countdown(drained)
        let queues = try (0..<workers).map { _ in try Queue(redis) }
        let running = queues.map { queue in
            let worker = JobWorker(driver: queue.driver, configuration: JobWorker.Configuration(name: "bench", concurrency: concurrency))
            worker.register(NoOperation.self, retry: .none) { _, _ in
                count.pass()
                return .done
            }
            return worker
        }
        let begun = ContinuousClock.now
        for worker in running { try await worker.start() }
        try await count.finished(within: .seconds(60))
        let seconds = (ContinuousClock.now - begun).seconds
        for worker in running { await worker.stop(by: .now.advanced(by: .seconds(5))) }
        let left = try await redis.length(of: "quittance:{\(NoOperation.queue)}:ready")
        for queue in queues { queue.close() }
        guard left == 0 else { throw BenchmarkError("\(left) jobs are left after the drain") }
        return Double(drained) / seconds
    }

    /// One job a call, as producers do, many calls under way at a time.
    private static func enqueueSingly(_ redis: RedisServer, in arena: Arena) async throws -> Double {
        let queue = try Queue(redis)
        defer { queue.close() }
        let items = try (0..<single).map { EnqueueItem(try NoOperation.job($0)) }
        let lanes = 256
        let begun = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for lane in 0..<lanes {
                group.addTask {
                    for number in stride(from: lane, to: items.count, by: lanes) { try await queue.driver.enqueue([items[number]]) }
                }
            }
            try await group.waitForAll()
        }
        let seconds = (ContinuousClock.now - begun).seconds
        _ = try await redis.connection.call("DEL", "quittance:{\(NoOperation.queue)}:ready")
        return Double(single) / seconds
    }

    /// From handing a job in, one at a time, to the beginning of its work by a worker that was idle.
    private static func latency(_ redis: RedisServer) async throws -> [Double] {
        let producer = try Queue(redis)
        defer { producer.close() }
        return try await withWorker(redis, expecting: probes) { clock in
            for number in 0..<probes {
                let job = try NoOperation.job(number)
                clock.begin(number)
                try await producer.driver.enqueue([EnqueueItem(job)])
                try await clock.count.passed(number + 1, within: .seconds(5))
            }
        }
    }

    /// How long after its due time a delayed job begins.
    private static func lateness(_ redis: RedisServer) async throws -> [Double] {
        let producer = try Queue(redis)
        defer { producer.close() }
        return try await withWorker(redis, expecting: delayed) { clock in
            let first = WallClock.nowMs + 500
            var items: [EnqueueItem] = []
            for number in 0..<delayed {
                // Two seconds' worth, in an order that has nothing to do with time.
                let due = first + Int64(number * 7919 % 2000)
                clock.begin(number, atMs: due)
                items.append(EnqueueItem(try NoOperation.job(number), dueMs: due))
            }
            try await producer.driver.enqueue(items)
        }
    }

    private static func withWorker(
        _ redis: RedisServer, expecting jobs: Int, _ produce: (LatencyClock) async throws -> Void
    ) async throws -> [Double] {
        let queue = try Queue(redis)
        defer { queue.close() }
        let clock = LatencyClock(jobs)
        let worker = JobWorker(driver: queue.driver, configuration: JobWorker.Configuration(name: "bench", concurrency: concurrency))
        worker.register(NoOperation.self, retry: .none) { parameters, _ in
            clock.end(parameters.number)
            return .done
        }
        try await worker.start()
        // Registered, and waiting for work.
        try await Task.sleep(for: .milliseconds(200))
        try await produce(clock)
        try await clock.count.finished(within: .seconds(20))
        await worker.stop(by: .now.advanced(by: .seconds(5)))
        return clock.milliseconds
    }
}

/// What a process has of the queue: a loop and a connection of its own.
private final class Queue: Sendable {
    let driver: RedisDriver
    private let queues: RedisQueues

    init(_ redis: RedisServer) throws {
        let loop = try EventLoop.started(name: "queue")
        queues = RedisQueues(loop: loop, address: redis.address, name: "bench", log: Log("bench"))
        driver = queues.redisDriver(of: NoOperation.queue)
    }

    func close() { queues.close() }
}

/// A job that does nothing.
private struct NoOperation: JobParameters {
    static let kind = "bench.noop"
    static let queue = "bench"
    let number: Int
    let text: String

    /// About 200 bytes on the wire.
    static func job(_ number: Int) throws -> JobEnvelope {
        let now = WallClock.nowMs
        let request = try JobRequest(NoOperation(number: number, text: "as long as most jobs are: 200 bytes"))
        return request.envelope(id: JobRequest.makeID(nowMs: now), nowMs: now)
    }
}

/// Counts what passes until enough has.
private final class Countdown: Sendable {
    private let goal: Int
    private let passed = Atomic<Int>(0)

    init(_ goal: Int) { self.goal = goal }

    func pass() { passed.add(1, ordering: .relaxed) }

    func finished(within limit: Duration) async throws { try await passed(goal, within: limit) }

    func passed(_ count: Int, within limit: Duration) async throws {
        let deadline = ContinuousClock.now.advanced(by: limit)
        while passed.load(ordering: .relaxed) < count {
            guard ContinuousClock.now < deadline else {
                throw BenchmarkError("only \(passed.load(ordering: .relaxed)) of \(count) jobs were done within \(limit)")
            }
            try await Task.sleep(for: .milliseconds(1))
        }
    }
}

/// Takes the time of single jobs.
private final class LatencyClock: Sendable {
    let count: Countdown
    private let times: Mutex<[Int: (begun: ContinuousClock.Instant, taken: Double?)]> = Mutex([:])

    init(_ jobs: Int) { count = Countdown(jobs) }

    func begin(_ number: Int) { times.withLock { $0[number] = (.now, nil) } }

    /// For a job that is to begin at a time of the wall clock, which Redis on the same machine shares.
    func begin(_ number: Int, atMs due: Int64) {
        let start = ContinuousClock.now.advanced(by: .milliseconds(due - WallClock.nowMs))
        times.withLock { $0[number] = (start, nil) }
    }

    func end(_ number: Int) {
        let now = ContinuousClock.now
        times.withLock { times in
            guard let entry = times[number] else { return }
            times[number] = (entry.begun, (now - entry.begun).seconds * 1000)
        }
        count.pass()
    }

    var milliseconds: [Double] { times.withLock { $0.values.compactMap(\.taken) } }
}
