import EventLoop
import Formats
import JobQueue
import JobQueueRedis
import RedisClient

/// The job engine with jobs that do nothing: 200 bytes of JSON, decoded, each its own task, leased, fenced, acked.
enum QueueBenchmark {
    static let title = "queue: no-op jobs, decoded, each its own task, at-least-once, fenced and leased"

    /// How the jobs of one process are drained.
    struct Setting: Sendable {
        let workers: Int
        /// Jobs at a time, of each worker.
        let concurrency: Int
    }

    private static let settings = [
        Setting(workers: 1, concurrency: 1024), Setting(workers: 2, concurrency: 512), Setting(workers: 2, concurrency: 1024),
    ]
    private static let drained = 200_000
    private static let single = 50_000
    private static let probes = 500
    private static let delayed = 1_000
    private static let rounds = 3

    static func run(in arena: Arena) async throws -> BenchmarkResult {
        var result = BenchmarkResult()
        let redis = try await arena.startRedis("redis-everysec", sync: "everysec")

        var best = (setting: settings[0], rate: 0.0)
        for setting in settings {
            try await QueueLoad.fill(drained, redis)
            let rate = try await drain(redis, setting)
            if rate > best.rate { best = (setting, rate) }
        }
        let everysec = try await drains(redis, best.setting)
        result.figures.append(Figure("queue.drain_per_s_everysec", Statistics.median(everysec.drain), "jobs/s", goal: .atLeast(120_000)))
        let always = try await drains(try await arena.startRedis("redis-always", sync: "always"), best.setting)
        result.figures.append(Figure("queue.drain_per_s_always", Statistics.median(always.drain), "jobs/s", goal: .atLeast(60_000)))
        var singles: [Double] = []
        for _ in 0..<rounds { singles.append(try await enqueueSingly(redis)) }
        let ours = QueueRival.Speed(
            drain: Statistics.median(everysec.drain), single: Statistics.median(singles), bulk: Statistics.median(everysec.bulk))
        result.figures.append(Figure("queue.bulk_per_s", ours.bulk, "jobs/s", goal: .atLeast(400_000)))
        result.figures.append(Figure("queue.enqueue_per_s", ours.single, "jobs/s"))
        result.notes.append(
            "drain: \(drained) jobs by \(best.setting.workers) worker(s) of \(best.setting.concurrency) at a time in this process, the best of "
                + "\(settings.count) settings; rounds \(rounded(everysec.drain)) everysec, \(rounded(always.drain)) always; "
                + "one by one: \(single) calls, 256 under way")

        try await add(latenciesOf: redis, to: &result)
        try await QueueWorkerProcess.measure(in: arena, redis, &result)
        try await compare(ours, in: arena, &result)
        return result
    }

    /// What others make of the same jobs, in the same minutes. One that is not installed is named and left out.
    private static func compare(_ ours: QueueRival.Speed, in arena: Arena, _ result: inout BenchmarkResult) async throws {
        for rival in QueueRival.all {
            guard rival.isInstalled else {
                result.notes.append("\(rival.title) is not installed (deploy/bootstrap bench): no comparison with it")
                continue
            }
            let found = try await rival.measure(in: arena)
            let theirs = found.speed
            result.figures += [
                Figure("queue.\(rival.name)_drain_per_s", theirs.drain, "jobs/s"),
                Figure("queue.\(rival.name)_enqueue_per_s", theirs.single, "jobs/s"),
                Figure("queue.\(rival.name)_bulk_per_s", theirs.bulk, "jobs/s"),
                Figure("queue.ratio_to_\(rival.name)", ours.drain / theirs.drain, "times", goal: .atLeast(10)),
                Figure("queue.enqueue_ratio_to_\(rival.name)", ours.single / theirs.single, "times", goal: .atLeast(3)),
                Figure("queue.bulk_ratio_to_\(rival.name)", ours.bulk / theirs.bulk, "times"),
            ]
            result.notes.append(found.note)
        }
        let pushes = try await redisBenchmark(in: arena)
        result.figures.append(Figure("queue.ratio_to_redis_benchmark", ours.drain / pushes, "of LPUSH"))
        result.notes.append("redis-benchmark -P 50 -t lpush: \(Number.text(pushes)) a second")
    }

    /// What Redis itself can take: LPUSH of three bytes, fifty under way on each of fifty connections.
    private static func redisBenchmark(in arena: Arena) async throws -> Double {
        let redis = try await arena.startRedis("redis-benchmark", sync: "everysec")
        var rates: [Double] = []
        for _ in 0..<rounds {
            let text = try await arena.run("redis-benchmark", ["-p", "\(redis.port)", "-P", "50", "-t", "lpush", "-n", "1000000", "--csv"])
            guard let rate = RedisBenchmarkReport.requestsPerSecond(text, of: "LPUSH") else {
                throw BenchmarkError("redis-benchmark's report is not understood: \(text)")
            }
            rates.append(rate)
        }
        return Statistics.median(rates)
    }

    private static func rounded(_ rates: [Double]) -> String { rates.map(Number.text).joined(separator: ", ") }

    // MARK: Draining

    private static func drains(_ redis: RedisServer, _ setting: Setting) async throws -> (drain: [Double], bulk: [Double]) {
        var found: (drain: [Double], bulk: [Double]) = ([], [])
        for _ in 0..<rounds {
            found.bulk.append(try await QueueLoad.fill(drained, redis))
            found.drain.append(try await drain(redis, setting))
        }
        return found
    }

    private static func drain(_ redis: RedisServer, _ setting: Setting) async throws -> Double {
        let count = Countdown(drained)
        let queues = try (0..<setting.workers).map { _ in try BenchQueue(redis.address) }
        let running = queues.map { queue in
            queue.worker(concurrency: setting.concurrency) { _ in count.pass() }
        }
        let begun = ContinuousClock.now
        for worker in running { try await worker.start() }
        try await count.finished(within: .seconds(60))
        let seconds = (ContinuousClock.now - begun).seconds
        for worker in running { await worker.stop(by: .now.advanced(by: .seconds(5))) }
        let left = try await redis.length(of: NoOperation.ready)
        for queue in queues { queue.close() }
        guard left == 0 else { throw BenchmarkError("\(left) jobs are left after the drain") }
        return Double(drained) / seconds
    }

    /// One job a call, as producers do, many calls under way at a time.
    private static func enqueueSingly(_ redis: RedisServer) async throws -> Double {
        let queue = try BenchQueue(redis.address)
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
        _ = try await redis.connection.call("DEL", NoOperation.ready)
        return Double(single) / seconds
    }

    // MARK: Lateness

    private static func add(latenciesOf redis: RedisServer, to result: inout BenchmarkResult) async throws {
        let latencies = try await latency(redis)
        let late = try await lateness(redis)
        result.figures += [
            Figure("queue.latency_p50_ms", Statistics.percentile(latencies, 50), "ms", goal: .atMost(0.3)),
            Figure("queue.latency_p99_ms", Statistics.percentile(latencies, 99), "ms", goal: .atMost(1)),
            Figure("queue.delayed_late_p99_ms", Statistics.percentile(late, 99), "ms", goal: .atMost(20)),
        ]
    }

    /// From handing a job in, one at a time, to the beginning of its work by a worker that was idle.
    private static func latency(_ redis: RedisServer) async throws -> [Double] {
        let producer = try BenchQueue(redis.address)
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
        let producer = try BenchQueue(redis.address)
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
        let queue = try BenchQueue(redis.address)
        defer { queue.close() }
        let clock = LatencyClock(jobs)
        let worker = queue.worker(concurrency: 512) { clock.end($0) }
        try await worker.start()
        // Registered, and waiting for work.
        try await Task.sleep(for: .milliseconds(200))
        try await produce(clock)
        try await clock.count.finished(within: .seconds(20))
        await worker.stop(by: .now.advanced(by: .seconds(5)))
        return clock.milliseconds
    }
}

/// What `redis-benchmark --csv` prints.
enum RedisBenchmarkReport {
    /// `"LPUSH","1219512.12","2.0",…`; the test's name may go on, as in `LPUSH (needed to benchmark LRANGE)`.
    static func requestsPerSecond(_ report: String, of test: String) -> Double? {
        for line in report.split(whereSeparator: \.isNewline) where line.hasPrefix("\"\(test)\"") {
            let fields = line.split(separator: ",")
            guard fields.count > 1 else { return nil }
            return Double(fields[1].filter { $0 != "\"" })
        }
        return nil
    }
}
