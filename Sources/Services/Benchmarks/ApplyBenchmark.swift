import Database
import Formats
import RedisClient
import Telemetry

/// How fast worker-payments applies events that prove themselves: nobody is asked, and nothing else runs beside it.
enum ApplyBenchmark {
    static let title = "apply: signed events taken off the list and applied, jobs in the outbox, SQLite with synchronous=FULL"

    private static let payments = 20_000
    private static let rounds = 3
    private static let connections = 64
    private static let goal = 5000.0
    private static let list = "quittance:{events}:ready"
    private static let aside = "quittance:{events}:bench"

    static func run(in arena: Arena) async throws -> BenchmarkResult {
        let redis = try await arena.startRedis()
        try await PipelineBenchmark.migrate(arena)
        var result = BenchmarkResult()
        var rates: [Double] = []
        let (_, port) = try await arena.startIngest(redis: redis)
        for round in 1...rounds {
            let attempts = try await PipelineBenchmark.prepare(arena, payments, named: "apply-\(round)")
            let requests = try SignedPosts.requests(for: attempts, named: "\(round)")
            let posting = try await Poster.post(requests, port: port, connections: connections, pool: arena.pool)
            guard posting.accepted == payments else { throw BenchmarkError("only \(posting.accepted) of \(payments) posts were answered 200") }
            // Put aside until the worker is there, so that its start is not in the time.
            _ = try await redis.connection.call("RENAME", list, aside)
            let worker = try await arena.startPaymentsWorker(redis: redis)
            let database = try arena.openDatabase()
            let begun = ContinuousClock.now
            _ = try await redis.connection.call("RENAME", aside, list)
            let wanted = Int64(payments * round)
            try await arena.wait("all events are applied", within: .seconds(90), pause: .milliseconds(10)) {
                try await database.read {
                    try $0.first("SELECT COUNT(*) AS n FROM payments_payments WHERE state = 'paid'")?.int("n") ?? 0
                } == wanted
            }
            let rate = Double(payments) / (ContinuousClock.now - begun).seconds
            await database.close()
            await arena.stop(worker)
            rates.append(rate)
            result.notes.append("round \(round): \(Number.text(rate)) events/s")
        }
        result.figures.append(Figure("payments.apply_per_s", Statistics.median(rates), "events/s", goal: .atLeast(goal)))
        return result
    }
}
