import EventLoop
import Formats
import RedisClient
import Subprocess

#if canImport(Glibc)
    import Glibc
#endif

/// Another system's queue with the same jobs on a Redis of its own, each at the best of some settings that its users choose.
struct QueueRival: Sendable {
    struct Speed: Sendable {
        var drain: Double
        var single: Double
        var bulk: Double
    }

    /// So many processes, each with so many threads, coroutines or callers.
    struct Setting: Sendable {
        let processes: Int
        let each: Int
    }

    let name: String
    let title: String
    let unit: String
    /// The list that its jobs wait on.
    let waiting: String
    let drains: [Setting]
    let singles: [Setting]
    let programs: [String]
    let files: [String]
    let work: @Sendable (_ port: Int, _ each: Int) -> [String]
    let fill: @Sendable (_ way: String, _ port: Int, _ jobs: Int, _ each: Int) -> [String]

    static let all = [sidekiq, bullMQ]

    static let sidekiq = QueueRival(
        name: "sidekiq", title: "Sidekiq", unit: "threads", waiting: "queue:bench",
        drains: [
            Setting(processes: 1, each: 10), Setting(processes: 2, each: 5), Setting(processes: 2, each: 10), Setting(processes: 2, each: 25),
        ],
        singles: [Setting(processes: 1, each: 1), Setting(processes: 1, each: 10), Setting(processes: 2, each: 1), Setting(processes: 2, each: 5)],
        programs: ["ruby", "sidekiq"], files: ["/usr/share/doc/ruby-sidekiq"],
        work: { _, each in ["sidekiq", "-r", "./deploy/bench/sidekiq_rival.rb", "-q", "bench", "-c", "\(each)"] },
        fill: { way, _, jobs, each in ["ruby", "deploy/bench/sidekiq_rival.rb", way, "\(jobs)", "\(each)"] })

    private static let python = ".venv/bin/python"
    private static let script = "deploy/bench/bullmq_rival.py"

    static let bullMQ = QueueRival(
        name: "bullmq", title: "BullMQ (its Python package)", unit: "jobs at a time", waiting: "bull:bench:wait",
        drains: [
            Setting(processes: 1, each: 50), Setting(processes: 2, each: 10), Setting(processes: 2, each: 50), Setting(processes: 2, each: 200),
        ],
        singles: [Setting(processes: 1, each: 1), Setting(processes: 1, each: 8), Setting(processes: 2, each: 1), Setting(processes: 2, each: 8)],
        programs: [python], files: [".venv/lib/python3*/site-packages/bullmq"],
        work: { port, each in [python, script, "work", "\(port)", "\(each)"] },
        fill: { way, port, jobs, each in [python, script, way, "\(port)", "\(jobs)", "\(each)"] })

    var isInstalled: Bool {
        programs.allSatisfy { (try? Self.path($0)) != nil } && files.allSatisfy { Self.exists(pattern: $0) }
    }

    private static func path(_ program: String) throws -> String {
        guard program.contains("/") else { return try Arena.tool(program) }
        guard access(program, X_OK) == 0 else { throw BenchmarkError("\(program) is not here: run deploy/bootstrap bench") }
        return program
    }

    private static func exists(pattern: String) -> Bool {
        var found = glob_t()
        defer { globfree(&found) }
        return glob(pattern, 0, nil, &found) == 0
    }

    // MARK: Measuring

    private static let drained = 40_000
    private static let drainedAtBest = 120_000
    private static let single = 10_000
    private static let bulk = 40_000

    func measure(in arena: Arena) async throws -> (speed: Speed, note: String) {
        let redis = try await arena.startRedis("redis-\(name)", sync: "everysec")
        var drain = (rate: 0.0, setting: drains[0])
        for setting in drains {
            let rate = try await self.drain(redis, setting, jobs: Self.drained, in: arena)
            if rate > drain.rate { drain = (rate, setting) }
        }
        var one = (rate: 0.0, setting: singles[0])
        for setting in singles {
            let rate = try await fill("single", Self.single, redis, setting, in: arena)
            if rate > one.rate { one = (rate, setting) }
        }
        var many = (rate: 0.0, setting: singles[0])
        for setting in [Setting(processes: 1, each: 1), Setting(processes: 2, each: 1)] {
            let rate = try await fill("bulk", Self.bulk, redis, setting, in: arena)
            if rate > many.rate { many = (rate, setting) }
        }
        // With the best setting the same measure as ours: the median of three drains of as many jobs.
        var rounds: [Double] = []
        for _ in 0..<3 { rounds.append(try await self.drain(redis, drain.setting, jobs: Self.drainedAtBest, in: arena)) }
        _ = try await redis.connection.call("FLUSHALL")
        let note =
            "\(title), the best of \(drains.count) settings (rounds \(rounds.map(Number.text).joined(separator: ", "))): drain with \(drain.setting.processes) process(es) of \(drain.setting.each) \(unit); "
            + "one by one from \(one.setting.processes) of \(one.setting.each); bulk, a thousand a call, from \(many.setting.processes)"
        return (Speed(drain: Statistics.median(rounds), single: one.rate, bulk: many.rate), note)
    }

    /// The rate from when all of its processes are at work until nothing waits, or until the time is up.
    private func drain(_ redis: RedisServer, _ setting: Setting, jobs: Int, in arena: Arena) async throws -> Double {
        _ = try await redis.connection.call("FLUSHALL")
        _ = try await fill("bulk", jobs, redis, Setting(processes: 1, each: 1), in: arena)
        var samples: [DrainSample] = []
        var workers: [ChildProcess] = []
        let begun = ContinuousClock.now
        for index in 0..<setting.processes {
            let command = work(redis.port, setting.each)
            workers.append(
                try await arena.start("\(name)-\(index)", try Self.path(command[0]), Array(command.dropFirst()), environment: environment(redis)))
        }
        while true {
            let left = try await redis.length(of: waiting)
            let seconds = (ContinuousClock.now - begun).seconds
            samples.append(DrainSample(seconds: seconds, waiting: left))
            if left == 0 || seconds > 8 { break }
            try await Task.sleep(for: .milliseconds(10))
        }
        for worker in workers {
            worker.kill9()
            await arena.stop(worker)
        }
        guard let rate = DrainSample.rate(samples, without: Double(jobs) / 8) else {
            throw BenchmarkError("\(title) has not worked: \(samples.last?.waiting ?? 0) of \(jobs) jobs are left")
        }
        return rate
    }

    /// Several processes begin at the same moment; what each reports is added.
    private func fill(_ way: String, _ jobs: Int, _ redis: RedisServer, _ setting: Setting, in arena: Arena) async throws -> Double {
        let begin = setting.processes > 1 ? Double(WallClock.nowMs) / 1000 + 1.5 : 0
        let command = fill(way, redis.port, jobs / setting.processes, setting.each) + [String(begin)]
        let executable = try Self.path(command[0])
        let variables = environment(redis)
        return try await withThrowingTaskGroup(of: Double.self) { group in
            for _ in 0..<setting.processes {
                group.addTask {
                    let output = try await Subprocess.run(
                        executable: executable, arguments: Array(command.dropFirst()), environment: variables,
                        limits: Subprocess.Limits(wallTime: .seconds(60)), pool: arena.pool)
                    let text = String(decoding: output.output, as: UTF8.self)
                    guard output.status.isSuccess, let rate = text.split(whereSeparator: \.isNewline).last.flatMap({ Double($0) }) else {
                        throw BenchmarkError("\(command.joined(separator: " ")) ended with \(output.status): \(output.errorText.suffix(500))")
                    }
                    return rate
                }
            }
            return try await group.reduce(0, +)
        }
    }

    private func environment(_ redis: RedisServer) -> [String: String] {
        [
            "PATH": Subprocess.inheritedEnvironment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8",
            "REDIS_URL": "redis://127.0.0.1:\(redis.port)/0",
        ]
    }
}

/// How many jobs waited at one moment.
struct DrainSample: Sendable {
    let seconds: Double
    let waiting: Int

    /// Jobs a second once so many have been done, when a program's start is over, until the first moment without any waiting.
    /// Nil when nothing was done after that.
    static func rate(_ samples: [DrainSample], without warmUp: Double) -> Double? {
        guard let most = samples.first?.waiting, let first = samples.first(where: { Double(most - $0.waiting) >= warmUp }),
            let last = samples.first(where: { $0.waiting == 0 }) ?? samples.last, last.seconds > first.seconds, last.waiting < first.waiting
        else { return nil }
        return Double(first.waiting - last.waiting) / (last.seconds - first.seconds)
    }
}
