import Database
import Formats
import JobQueue
import StorageMetering
import Subprocess
import Usage

/// The storage run against an engine with many volumes, by the process worker-usage: asked over a unix socket, read, attributed and
/// recorded.
enum StorageBenchmark {
    static let title = "storage: 20 000 volumes and 500 images asked of a recorded engine by worker-usage, attributed and recorded in SQLite"

    private static let volumes = 20_000
    private static let images = 500
    /// With each shape of the answer.
    private static let runs = 4
    private static let goal = 5.0

    static func run(in arena: Arena) async throws -> BenchmarkResult {
        let redis = try await arena.startRedis()
        let database = try arena.migratedDatabase()
        let recorded = EngineAnswers.Shape.allCases.map { (shape: $0, answers: EngineAnswers(volumes: volumes, images: images, shape: $0)) }
        let socket = "\(arena.folder)/engine.sock"
        let engine = try RecordedEngine(path: socket, shape: recorded[0].shape, answers: recorded[0].answers, pool: arena.pool)
        defer { engine.close() }
        let worker = try await arena.startUsageWorker(redis: redis, ["DOCKER_SOCKET": socket, "DOCKER_PROJECT_LABEL": EngineAnswers.label])
        let idle = Machine.residentMB(of: worker.pid) ?? 0

        var result = BenchmarkResult()
        var sizes: [Double] = []
        var slowest = 0.0
        for (shape, answers) in recorded {
            engine.answer(as: shape, with: answers)
            var seconds: [Double] = []
            for number in 0..<runs {
                let tick = "bench-\(shape)-\(number)"
                let (time, run) = try await arena.usageRun(
                    .storage, try JobRequest(MeasureStorage(tick: tick)), tick: tick, redis: redis, database: database)
                seconds.append(time)
                sizes.append(Machine.residentMB(of: worker.pid) ?? 0)
                try await verify(answers, after: run, database)
            }
            slowest = max(slowest, Statistics.median(seconds))
            let attribution = try attributing(answers)
            let size = sizes[sizes.count - 1]
            result.notes.append(
                "API \(shape.rawValue), \(Number.text(Double(answers.bytes) / 1024 / 1024)) MB: "
                    + "runs \(seconds.map { Number.text($0) }.joined(separator: ", ")) s, "
                    + "of which reading and attributing \(Number.text(attribution)) s; worker-usage \(Number.text(size)) MB resident")
        }
        await arena.stop(worker)
        await database.close()
        result.figures.append(Figure("storage.attribute_20k_s", slowest, "s, the slower shape", goal: .atMost(goal)))
        result.figures.append(Figure("storage.worker_rss_start_mb", idle, "MB resident"))
        result.figures.append(Figure("storage.worker_rss_mb", sizes[sizes.count - 1], "MB resident, after \(sizes.count) runs"))
        let growth = sizes[sizes.count - 1] - sizes[runs - 1]
        result.figures.append(Figure("storage.worker_rss_growth_mb", growth, "MB, from run \(runs) to \(sizes.count)"))
        return result
    }

    /// The part between the socket and SQL, here.
    /// - Returns: seconds.
    static func attributing(_ answers: EngineAnswers) throws -> Double {
        let begun = ContinuousClock.now
        let shares = try StorageAttribution(
            diskUsage: answers.diskUsage, volumes: answers.volumes, images: answers.images, label: EngineAnswers.label)
        let seconds = (ContinuousClock.now - begun).seconds
        let bytes = shares.projects.values.reduce(0) { $0 + $1.bytes }
        guard shares.projects.count == answers.projects, bytes == answers.attributedBytes else {
            throw BenchmarkError(
                "\(bytes) bytes of \(shares.projects.count) projects were found instead of \(answers.attributedBytes) of \(answers.projects)")
        }
        return seconds
    }

    private static func verify(_ answers: EngineAnswers, after run: UsageRun, _ database: Database) async throws {
        let found = try await database.read { connection in
            try connection.first("SELECT COUNT(*) AS projects, SUM(bytes) AS bytes, SUM(unknown_items) AS unknown FROM usage_storage").map {
                (Int(try $0.int("projects")), try $0.int("bytes"), Int(try $0.int("unknown")))
            }
        }
        let expected = (answers.projects, answers.attributedBytes, answers.unknownItems)
        guard let found, found == expected, run.items == volumes + images else {
            throw BenchmarkError("recorded \(String(describing: found)) instead of \(expected): \(run.detail)")
        }
    }
}
