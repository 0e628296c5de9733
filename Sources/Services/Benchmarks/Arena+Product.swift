import Database
import Formats
import HTTPClient
import JobQueue
import PaymentsService
import RedisClient
import Subprocess
import Telemetry
import Usage

/// The parts of the product that several benchmarks stand on.
extension Arena {
    /// The installation's database, beside the programs that have it open too.
    func openDatabase() throws -> Database {
        try Database.open(.sqlite(path: "\(folder)/var/quittance.db"), log: Log("bench"))
    }

    /// Makes the tables, as `quittance migrate` does, and opens them.
    func migratedDatabase() throws -> Database {
        let database = try openDatabase()
        _ = try database.migrate(Product.migrations)
        return database
    }

    /// worker-usage, at work on its lists.
    func startUsageWorker(redis: RedisServer, _ more: [String: String] = [:]) async throws -> ChildProcess {
        try await startWorker("worker-usage", list: "samples", redis: redis, more)
    }

    /// worker-payments, at work on its lists.
    @discardableResult
    func startPaymentsWorker(redis: RedisServer, _ more: [String: String] = [:]) async throws -> ChildProcess {
        try await startWorker("worker-payments", list: "events", redis: redis, more)
    }

    private func startWorker(_ name: String, list: String, redis: RedisServer, _ more: [String: String]) async throws -> ChildProcess {
        // One that was killed before may still be in the set of leases.
        _ = try await redis.connection.call("DEL", "quittance:{\(list)}:leases")
        let process = try await start(name, try Self.program(name), environment: environment(redis: redis, more))
        try await wait("\(name) is at work") { try await redis.connection.call("ZCARD", "quittance:{\(list)}:leases").int ?? 0 > 0 }
        return process
    }

    /// Of every installation of a benchmark.
    static let secretKey = String(repeating: "k", count: 32)

    /// web, ready to answer.
    func startWeb(redis: RedisServer, _ more: [String: String] = [:]) async throws -> (process: ChildProcess, port: Int) {
        let port = try Self.freePort()
        // Calls are counted as always, and none is refused: the one caller is the benchmark.
        let settings = [
            "WEB_ADDRESS": "127.0.0.1:\(port)", "SECRET_KEY": Self.secretKey, "API_CALLS_PER_MINUTE": "1000000",
            "API_STATUS_CALLS_PER_MINUTE": "1000000",
        ]
        let process = try await start(
            "web", try Self.program("web"), environment: environment(redis: redis, settings.merging(more) { $1 }))
        let http = http
        try await wait("web is ready") { try await http.send(HTTPClient.Request(url: "http://127.0.0.1:\(port)/healthz")).status == 200 }
        return (process, port)
    }

    /// Hands a scheduled run of usage to worker-usage as an outside producer would, and waits for its end.
    /// - Returns: seconds from the push to the run's record in SQL, and that record.
    func usageRun(
        _ kind: UsageRun.Kind, _ job: JobRequest, tick: String, redis: RedisServer, database: Database
    ) async throws -> (seconds: Double, run: UsageRun) {
        let now = WallClock.nowMs
        let body = job.envelope(id: JobRequest.makeID(nowMs: now), nowMs: now).encoded()
        let begun = ContinuousClock.now
        _ = try await redis.connection.call("LPUSH", "quittance:{\(job.queue)}:ready", body)
        var ended: UsageRun?
        try await wait("the run \(tick) has ended", within: .seconds(60), pause: .milliseconds(5)) {
            ended = try await database.read { try UsageRun.find(kind, tick: tick, in: $0) }
            return ended.map { $0.outcome != .running } ?? false
        }
        let seconds = (ContinuousClock.now - begun).seconds
        guard let ended, ended.outcome == .done else { throw BenchmarkError("the run \(tick) failed: \(ended?.detail ?? "")") }
        return (seconds, ended)
    }
}

/// The same numbers in every run.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
