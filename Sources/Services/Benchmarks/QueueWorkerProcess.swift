import EventLoop
import Formats
import JobQueue
import RedisClient
import Subprocess

#if canImport(Glibc)
    import Glibc
#endif

/// `bench queue-worker <port> <workers> <concurrency>`: a process with nothing but the engine, and what it costs idle and over time.
enum QueueWorkerProcess {
    static let command = "queue-worker"

    /// The process itself: works off no-op jobs until it is told to stop.
    /// - Returns: its exit code.
    static func run(arguments: [String]) async -> Int32 {
        let numbers = arguments.compactMap { Int($0) }
        guard arguments.count == 3, numbers.count == 3, (1...65_535).contains(numbers[0]), numbers[1] > 0, numbers[2] > 0 else { return 64 }
        let (stops, stop) = AsyncStream<Void>.makeStream()
        let signals = ProcessSignals.listen { _ in stop.finish() }
        defer { signals.forget() }
        do {
            let address = RedisAddress(place: .tcp(SocketAddress("127.0.0.1", numbers[0])))
            let queues = try (0..<numbers[1]).map { _ in try BenchQueue(address) }
            let workers = queues.map { $0.worker(concurrency: numbers[2]) { _ in } }
            for worker in workers { try await worker.start() }
            for await _ in stops {}
            for worker in workers { await worker.stop(by: .now.advanced(by: .seconds(2))) }
            for queue in queues { queue.close() }
            return 0
        } catch {
            return 1
        }
    }

    // MARK: What it costs

    private static let starts = 5
    private static let idleSeconds = 6
    private static let few = 30_000
    private static let fewRounds = 5
    private static let many = 3_000_000
    private static let lot = 1_000_000
    private static let sized = 100_000

    static func measure(in arena: Arena, _ redis: RedisServer, _ result: inout BenchmarkResult) async throws {
        try await measureIdle(in: arena, redis, &result)
        try await measureBytes(redis, &result)
        try await measureDepth(in: arena, redis, &result)
    }

    private static func start(_ setting: QueueBenchmark.Setting, in arena: Arena, _ redis: RedisServer) async throws -> ChildProcess {
        try await arena.start(
            command, try Arena.program("bench"), [command, "\(redis.port)", "\(setting.workers)", "\(setting.concurrency)"],
            environment: ["SWIFT_BACKTRACE": "enable=no"])
    }

    /// From its start until it has taken the job that waits, and then without any.
    private static func measureIdle(in arena: Arena, _ redis: RedisServer, _ result: inout BenchmarkResult) async throws {
        var milliseconds: [Double] = []
        var worker: ChildProcess?
        for _ in 0..<starts {
            if let worker { await arena.stop(worker) }
            try await QueueLoad.fill(1, redis)
            let begun = ContinuousClock.now
            let started = try await start(QueueBenchmark.Setting(workers: 1, concurrency: 16), in: arena, redis)
            try await arena.wait("the waiting job is taken", pause: .microseconds(200)) { try await redis.length(of: NoOperation.ready) == 0 }
            milliseconds.append((ContinuousClock.now - begun).seconds * 1000)
            worker = started
        }
        guard let worker else { return }
        defer { worker.terminate() }
        try await Task.sleep(for: .seconds(1))
        guard let before = processorNanoseconds(of: worker.pid) else { throw BenchmarkError("the idle worker has ended") }
        let begun = ContinuousClock.now
        try await Task.sleep(for: .seconds(idleSeconds))
        guard let after = processorNanoseconds(of: worker.pid), let resident = Machine.residentMB(of: worker.pid) else {
            throw BenchmarkError("the idle worker has ended")
        }
        let percent = (after - before) / 1e9 / (ContinuousClock.now - begun).seconds * 100
        await arena.stop(worker)
        result.figures += [
            Figure("queue.idle_cpu_percent", percent, "% of a core", goal: .atMost(0.2)),
            Figure("queue.idle_rss_mb", resident, "MB resident", goal: .atMost(20)),
            Figure("queue.start_ms", Statistics.median(milliseconds), "ms to the first job", goal: .atMost(50)),
        ]
    }

    /// What all threads of a process have had of the processors: the process' own count goes in steps of 10 ms.
    private static func processorNanoseconds(of process: Int32) -> Double? {
        guard let threads = FolderEntry.names(in: "/proc/\(process)/task") else { return nil }
        var total = 0.0
        for name in threads {
            guard Int(name) != nil, let text = Machine.file("/proc/\(process)/task/\(name)/schedstat") else { continue }
            total += text.split(separator: " ").first.flatMap { Double($0) } ?? 0
        }
        return total
    }

    private static func measureBytes(_ redis: RedisServer, _ result: inout BenchmarkResult) async throws {
        let bodies = try (0..<sized).map { try NoOperation.job($0, bytes: 300) }
        let before = try await usedMemory(redis)
        for start in stride(from: 0, to: bodies.count, by: 1000) {
            var command = RedisCommand("LPUSH", reserving: 320 * 1000)
            command.append(NoOperation.ready)
            for body in bodies[start..<min(start + 1000, bodies.count)] { command.append(body) }
            _ = try await redis.connection.perform(command)
        }
        let after = try await usedMemory(redis)
        _ = try await redis.connection.call("DEL", NoOperation.ready)
        result.figures.append(
            Figure("queue.redis_bytes_per_job", (after - before) / Double(sized), "bytes, of 300", goal: .atMost(350)))
    }

    private static func usedMemory(_ redis: RedisServer) async throws -> Double {
        let text = try await redis.connection.call("INFO", "memory").string ?? ""
        for line in text.split(whereSeparator: \.isNewline) where line.hasPrefix("used_memory:") {
            if let bytes = Double(line.dropFirst("used_memory:".count)) { return bytes }
        }
        throw BenchmarkError("Redis does not say how much memory it uses")
    }

    /// The same process with little and with much waiting, and its memory all the way.
    private static func measureDepth(in arena: Arena, _ redis: RedisServer, _ result: inout BenchmarkResult) async throws {
        let worker = try await start(QueueBenchmark.Setting(workers: 2, concurrency: 512), in: arena, redis)
        try await arena.wait("two workers are at work") { try await redis.connection.call("ZCARD", "quittance:{bench}:leases").int == 2 }
        let watcher = try BenchQueue(redis.address)
        defer { watcher.close() }
        var done = 0
        func drain(_ jobs: Int) async throws -> Double {
            try await QueueLoad.stage(jobs, redis)
            try await QueueLoad.settleLog(redis, in: arena)
            done += jobs
            return try await QueueLoad.release(jobs, redis, watchedBy: watcher)
        }
        func resident() throws -> Double {
            guard let megabytes = Machine.residentMB(of: worker.pid) else { throw BenchmarkError("the worker has ended") }
            return megabytes
        }

        // The first round is everybody's warm-up.
        _ = try await drain(lot)
        let begin = try resident()
        var shallow: [Double] = []
        var deep: [Double] = []
        var memory: [Double] = []
        for _ in 0..<3 {
            for _ in 0..<fewRounds { shallow.append(try await drain(few)) }
            deep.append(try await drain(many))
            memory.append(try resident())
        }
        await arena.stop(worker)
        result.figures += [
            Figure("queue.drain_3m_over_30k", Statistics.median(deep) / Statistics.median(shallow), "", goal: .atLeast(0.9)),
            Figure("queue.worker_rss_start_mb", begin, "MB resident"), Figure("queue.worker_rss_mb", memory.last ?? begin, "MB resident"),
            Figure("queue.worker_rss_growth_mb", (memory.last ?? begin) - (memory.first ?? begin), "MB", goal: .atMost(2)),
        ]
        result.notes.append(
            "depth: \(few) waiting: \(Number.text(Statistics.median(shallow))), \(many) waiting: "
                + "\(deep.map(Number.text).joined(separator: ", ")) jobs/s, each after a rewrite of the log had ended; memory over "
                + "\(Number.text(Double(done))) jobs: \(Number.text(begin)), \(memory.map(Number.text).joined(separator: ", ")) MB")
    }
}
