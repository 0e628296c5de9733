import EventLoop
import Formats
import JobQueue
import JobQueueRedis
import RedisClient
import Synchronization
import Telemetry

/// What a process has of the queue: a loop and a connection of its own.
final class BenchQueue: Sendable {
    let driver: RedisDriver
    private let queues: RedisQueues

    init(_ address: RedisAddress) throws {
        let loop = try EventLoop.started(name: "queue")
        queues = RedisQueues(loop: loop, address: address, name: "bench", log: Log("bench"))
        driver = queues.redisDriver(of: NoOperation.queue)
    }

    /// A worker that does nothing but tell the number of each job.
    func worker(concurrency: Int, _ each: @escaping @Sendable (Int) -> Void) -> JobWorker {
        let worker = JobWorker(driver: driver, configuration: JobWorker.Configuration(name: "bench", concurrency: concurrency))
        worker.register(NoOperation.self, retry: .none) { parameters, _ in
            each(parameters.number)
            return .done
        }
        return worker
    }

    func close() { queues.close() }
}

/// A job that does nothing.
struct NoOperation: JobParameters {
    static let kind = "bench.noop"
    static let queue = "bench"
    static let ready = "quittance:{\(queue)}:ready"
    /// Where jobs gather before they become the queue at one blow.
    static let staged = "quittance:{\(queue)}:staged"

    let number: Int
    let text: String

    /// About 200 bytes on the wire.
    static func job(_ number: Int, text: String = "as long as most jobs are: 200 bytes") throws -> JobEnvelope {
        let now = WallClock.nowMs
        let request = try JobRequest(NoOperation(number: number, text: text))
        return request.envelope(id: JobRequest.makeID(nowMs: now), nowMs: now)
    }

    /// A job of exactly so many bytes on the wire.
    static func job(_ number: Int, bytes: Int) throws -> [UInt8] {
        let bare = try job(number, text: "").encoded().count
        guard bare <= bytes else { throw BenchmarkError("a job has at least \(bare) bytes, not \(bytes)") }
        return try job(number, text: String(repeating: "x", count: bytes - bare)).encoded()
    }
}

enum QueueLoad {
    /// Puts jobs on the list in calls of a thousand.
    /// - Returns: how many a second.
    @discardableResult
    static func fill(_ jobs: Int, _ redis: RedisServer) async throws -> Double {
        let queue = try BenchQueue(redis.address)
        defer { queue.close() }
        let items = try (0..<jobs).map { EnqueueItem(try NoOperation.job($0)) }
        let begun = ContinuousClock.now
        try await queue.driver.enqueue(items)
        return Double(jobs) / (ContinuousClock.now - begun).seconds
    }

    /// Puts jobs on a list that nobody waits at. A thousand different ones, time and again: making millions would take longer than
    /// working them off, and the engine looks at none of them.
    static func stage(_ jobs: Int, _ redis: RedisServer) async throws {
        let bodies = try (0..<1000).map { try NoOperation.job($0).encoded() }
        var left = jobs
        while left > 0 {
            var commands: [RedisCommand] = []
            while left > 0 && commands.count < 50 {
                let count = min(left, bodies.count)
                var command = RedisCommand("LPUSH", reserving: count * 256)
                command.append(NoOperation.staged)
                for body in bodies[..<count] { command.append(body) }
                commands.append(command)
                left -= count
            }
            for reply in await redis.connection.pipeline(commands) { _ = try reply.get() }
        }
    }

    /// Makes what was staged the queue and waits until all of it is done.
    /// - Returns: jobs a second.
    static func release(_ jobs: Int, _ redis: RedisServer, watchedBy queue: BenchQueue) async throws -> Double {
        let deadline = ContinuousClock.now.advanced(by: .seconds(120))
        let begun = ContinuousClock.now
        _ = try await redis.connection.call("RENAME", NoOperation.staged, NoOperation.ready)
        while true {
            let counts = try await queue.driver.counts()
            if counts.ready == 0 && counts.inFlight == 0 { break }
            guard ContinuousClock.now < deadline else { throw BenchmarkError("\(counts.ready) of \(jobs) jobs are left after two minutes") }
            // While many wait there is no hurry to look again.
            try await Task.sleep(for: .milliseconds(min(100, max(1, counts.ready / 1000))))
        }
        return Double(jobs) / (ContinuousClock.now - begun).seconds
    }

    /// Waits until Redis has written its log anew, and lets it not begin again by itself.
    static func settleLog(_ redis: RedisServer, in arena: Arena) async throws {
        _ = try await redis.connection.call("CONFIG", "SET", "auto-aof-rewrite-percentage", "0")
        try await arena.wait("a rewrite of the log has begun", within: .seconds(60)) {
            try await redis.connection.call("BGREWRITEAOF").string != nil
        }
        try await arena.wait("the rewrite of the log has ended", within: .seconds(60)) {
            let text = try await redis.connection.call("INFO", "persistence").string ?? ""
            return text.contains("aof_rewrite_in_progress:0") && text.contains("aof_rewrite_scheduled:0")
        }
    }
}

/// Counts what passes until enough has.
final class Countdown: Sendable {
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
final class LatencyClock: Sendable {
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
