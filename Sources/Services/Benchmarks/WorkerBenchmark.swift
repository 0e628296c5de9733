import Database
import Formats
import PaymentsService
import Subprocess

/// The memory of every worker of the Procfile, of the scheduler and of web five seconds after their start, with nothing to do.
enum WorkerBenchmark {
    static let title = "worker: resident memory, idle 5 s after the start"
    private static let idleMax = 25.0

    static func run(in arena: Arena) async throws -> BenchmarkResult {
        let redis = try await arena.startRedis()
        try await PipelineBenchmark.migrate(arena)
        var started: [(name: String, process: ChildProcess)] = []
        for name in try programs() {
            let process = try await arena.start(name, try Arena.program(name), environment: arena.environment(redis: redis))
            started.append((name, process))
        }
        started.append(("web", try await arena.startWeb(redis: redis).process))
        try await Task.sleep(for: .seconds(5))
        var result = BenchmarkResult()
        var most = 0.0
        for (name, process) in started {
            guard process.isRunning, let resident = Machine.residentMB(of: process.pid) else {
                throw BenchmarkError("\(name) did not stay up: \(Machine.file("\(arena.folder)/\(name).log")?.suffix(500) ?? "")")
            }
            if name.hasPrefix("worker-") { most = max(most, resident) }
            result.figures.append(Figure("\(name).idle_rss_mb", resident, "MB resident"))
        }
        result.figures.append(Figure("worker.idle_rss_mb", most, "MB resident, the largest worker", goal: .atMost(idleMax)))
        return result
    }

    /// The scheduler and all workers that the Procfile names.
    private static func programs() throws(BenchmarkError) -> [String] {
        guard let procfile = Machine.file("Procfile") else { throw BenchmarkError("Procfile is not here: run from the repository's folder") }
        let names = procfile.split(separator: "\n").compactMap { $0.split(separator: ":").first.map(String.init) }
        return names.filter { $0 == "scheduler" || $0.hasPrefix("worker-") }
    }
}
