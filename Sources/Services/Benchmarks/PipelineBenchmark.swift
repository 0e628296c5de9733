import Database
import Formats
import Money
import Payments
import PaymentsService
import ProviderPort
import RedisClient
import Telemetry

/// Paid payments from the provider's post to all their jobs queued: HTTP, proof, Redis, one SQLite transaction per batch (archive,
/// state, audit, ledger, outbox), publication. The workers of the jobs do not run, so what is on the lists can be counted.
enum PipelineBenchmark {
    static let title = "pipeline: from the first post to the last job on its list, SQLite with synchronous=FULL, Redis with appendfsync always"

    private static let payments = 20_000
    private static let connections = 64
    private static let goal = 1500.0
    private static let queues = ["invoices", "notifications"]

    static func run(in arena: Arena) async throws -> BenchmarkResult {
        let redis = try await arena.startRedis()
        try await migrate(arena)
        let prepared = ContinuousClock.now
        let attempts = try await prepare(arena, payments, named: "bench")
        let preparation = ContinuousClock.now - prepared
        let (_, port) = try await arena.startIngest(redis: redis)
        try await arena.startPaymentsWorker(redis: redis)
        let requests = try SignedPosts.requests(for: attempts, named: "0")

        let begun = ContinuousClock.now
        let posting = try await Poster.post(requests, port: port, connections: connections, pool: arena.pool)
        guard posting.accepted == payments else { throw BenchmarkError("only \(posting.accepted) of \(payments) posts were answered 200") }
        let posted = ContinuousClock.now
        try await arena.wait("all jobs are queued", within: .seconds(90), pause: .milliseconds(10)) {
            for queue in queues where try await redis.length(of: "quittance:{\(queue)}:ready") < payments { return false }
            return true
        }
        let seconds = (ContinuousClock.now - begun).seconds
        var result = BenchmarkResult()
        for queue in queues {
            let depth = try await redis.length(of: "quittance:{\(queue)}:ready")
            guard depth == payments else { throw BenchmarkError("\(depth) jobs in \(queue) for \(payments) payments") }
        }
        result.notes.append(
            "\(payments) payments prepared in \(Number.text(preparation.seconds)) s; posted over \(connections) connections within "
                + "\(Number.text((posted - begun).seconds)) s; all jobs queued after \(Number.text(seconds)) s")
        result.figures.append(Figure("pipeline.paid_per_s_sqlite", Double(payments) / seconds, "payments/s", goal: .atLeast(goal)))
        return result
    }

    /// Makes the tables, as `quittance migrate` does.
    static func migrate(_ arena: Arena) async throws {
        await (try arena.migratedDatabase()).close()
    }

    /// Orders that wait for their money, each with an attempt at the provider.
    /// - Returns: the references that the provider was given.
    static func prepare(_ arena: Arena, _ payments: Int, named name: String) async throws -> [String] {
        let database = try arena.openDatabase()
        var attempts: [String] = []
        let batch = 500
        for start in stride(from: 0, to: payments, by: batch) {
            let numbers = start..<min(start + batch, payments)
            attempts += try await database.write { connection in
                try numbers.map { number in
                    let now = WallClock.nowMs
                    let customer = Customer(name: "Awa Diop", email: "awa.\(number)@example.org", phone: nil, language: "fr")
                    let order = NewPayment(
                        purpose: "order", subject: "\(name)-\(number)", description: "Order of the benchmark", amount: Money(15_000, .xof),
                        customer: customer)
                    let payment = try PaymentStore.create(order, actor: "bench", nowMs: now, in: connection)
                    return try PaymentStore.startAttempt(
                        of: payment, provider: "standard-webhooks", mode: "sandbox", method: nil, nowMs: now, in: connection
                    ).id
                }
            }
        }
        await database.close()
        return attempts
    }
}

extension Duration {
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
