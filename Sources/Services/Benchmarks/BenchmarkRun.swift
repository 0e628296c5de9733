import EventLoop
import Formats
import Telemetry

#if canImport(Glibc)
    import Glibc
#endif

/// The program `bench`: runs the benchmarks one after the other, prints their tables and writes `.build/bench.json`.
public enum BenchmarkRun {
    private struct Entry: Sendable {
        let name: String
        let title: String
        /// Programs of the system that it starts.
        let tools: [String]
        let run: @Sendable (Arena) async throws -> BenchmarkResult
    }

    private static let entries = [
        Entry(name: "ingest", title: IngestBenchmark.title, tools: ["redis-server", "wrk", "nginx"], run: IngestBenchmark.run),
        Entry(name: "worker", title: WorkerBenchmark.title, tools: ["redis-server"], run: WorkerBenchmark.run),
        Entry(name: "pipeline", title: PipelineBenchmark.title, tools: ["redis-server"], run: PipelineBenchmark.run),
        Entry(name: "paid", title: PaidBenchmark.title, tools: ["redis-server"], run: PaidBenchmark.run),
        Entry(name: "apply", title: ApplyBenchmark.title, tools: ["redis-server"], run: ApplyBenchmark.run),
        Entry(name: "status", title: StatusBenchmark.title, tools: ["redis-server"], run: StatusBenchmark.run),
        Entry(name: "console", title: ConsoleBenchmark.title, tools: ["redis-server"], run: ConsoleBenchmark.run),
        Entry(name: "downloads", title: DownloadBenchmark.title, tools: ["redis-server", "nginx"], run: DownloadBenchmark.run),
        Entry(name: "usage", title: UsageBenchmark.title, tools: ["redis-server"], run: UsageBenchmark.run),
        Entry(name: "collector", title: CollectorBenchmark.title, tools: ["redis-server"], run: CollectorBenchmark.run),
        Entry(name: "limits", title: LimitsBenchmark.title, tools: ["redis-server"], run: LimitsBenchmark.run),
        Entry(name: "storage", title: StorageBenchmark.title, tools: ["redis-server"], run: StorageBenchmark.run),
        Entry(name: "allowed", title: AllowedBenchmark.title, tools: ["redis-server"], run: AllowedBenchmark.run),
        Entry(name: "drafts", title: DraftBenchmark.title, tools: [], run: DraftBenchmark.run),
        Entry(name: "queue", title: QueueBenchmark.title, tools: ["redis-server", "redis-benchmark"], run: QueueBenchmark.run),
    ]

    private static let resultPath = ".build/bench.json"
    /// Everything together takes about five minutes; what takes much longer hangs.
    private static let limit = Duration.seconds(800)

    /// Runs what the arguments ask for.
    /// - Returns: the exit code: 0 when every benchmark ran (a missed goal is shown, not punished: it may be the machine's), 1 when one
    ///   could not, 64 for bad arguments.
    public static func run(arguments: [String]) async -> Int32 {
        if arguments.first == QueueWorkerProcess.command { return await QueueWorkerProcess.run(arguments: Array(arguments.dropFirst())) }
        let chosen: [Entry]
        switch arguments.count {
        case 0: chosen = entries
        case 2 where arguments[0] == "--only": chosen = entries.filter { $0.name == arguments[1] }
        default: chosen = []
        }
        guard !chosen.isEmpty else {
            say("usage: bench [--only \(entries.map(\.name).joined(separator: "|"))]")
            return 64
        }
        Log.configure(format: .text, program: "bench", level: .error)
        watch()
        let signals = ProcessSignals.listen { name in end("stopped by \(name)", code: 130) }
        defer { signals.forget() }
        #if DEBUG
            say("This is a debug build: its figures mean nothing. Use make bench.")
        #endif
        say("\(Machine.description); load before: \(Number.text(Machine.load))")
        if Machine.load > 1 { say("Something else is running: figures will be lower than they could be.") }
        do {
            // Said before minutes are spent.
            guard Machine.file("deploy/redis.conf") != nil else {
                throw BenchmarkError("deploy/redis.conf is not here: run from the repository's folder")
            }
            for tool in Set(chosen.flatMap(\.tools)) { _ = try Arena.tool(tool) }
            return try await runAll(chosen) ? 0 : 1
        } catch {
            say("bench: \(error)")
            return 1
        }
    }

    /// Runs them all, also when one fails, and keeps what was found.
    /// - Returns: whether all of them ran and were right.
    private static func runAll(_ chosen: [Entry]) async throws -> Bool {
        var figures: [Figure] = []
        var isSound = true
        for entry in chosen {
            do {
                let result = try await run(entry)
                say(Report.table(entry.title, result))
                figures += result.figures
                isSound = isSound && result.problems.isEmpty
            } catch {
                say("\n\(entry.title)\n  WRONG: \(error)")
                isSound = false
            }
        }
        try Machine.write(Report.json(figures), to: resultPath)
        say("\nwritten to \(resultPath)")
        return isSound
    }

    private static func run(_ entry: Entry) async throws -> BenchmarkResult {
        let arena = try await Arena(name: entry.name)
        do {
            let result = try await entry.run(arena)
            await arena.close()
            return result
        } catch {
            await arena.close()
            throw error
        }
    }

    /// Ends the program when it hangs.
    private static func watch() {
        Task.detached {
            try await Task.sleep(for: limit)
            end("not finished after \(limit)", code: 1)
        }
    }

    private static func end(_ why: String, code: Int32) -> Never {
        Arena.killAll()
        say("bench: \(why)")
        exit(code)
    }

    private static func say(_ text: String) {
        print(text)
        fflush(nil)
    }
}
