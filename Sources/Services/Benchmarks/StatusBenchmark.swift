import Access
import Database
import EventLoop
import Formats
import HTTPClient
import Money
import Payments
import ProviderPort
import Subprocess

/// `GET /api/v1/payments/{provider}/{payment}/status/` of the process web at a fixed rate, over a million payments.
enum StatusBenchmark {
    static let title = "status: GET …/{payment}/status/ at 500 requests/s over a million payments, open loop, times from the scheduled moments"

    private static let payments = 1_000_000
    private static let asked = 20_000
    private static let perSecond = 500.0
    private static let connections = 16
    private static let rounds = 3
    private static let seconds = 10.0
    private static let goal = 5.0

    static func run(in arena: Arena) async throws -> BenchmarkResult {
        let redis = try await arena.startRedis()
        let database = try arena.migratedDatabase()
        let begun = ContinuousClock.now
        try await fill(database)
        let filled = (ContinuousClock.now - begun).seconds
        let key = try await database.write { try APIKeys.create(name: "shop", scopes: [APIKey.payments], nowMs: WallClock.nowMs, in: $0).text }
        let ids = try await someIDs(database)
        await database.close()
        let (web, port) = try await arena.startWeb(redis: redis)
        let requests = ids.map { id in
            Array(
                "GET /api/v1/payments/standard-webhooks/\(id)/status/ HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer \(key)\r\n\r\n".utf8)
        }
        var result = BenchmarkResult()
        result.notes.append("\(payments) payments, each with an attempt and its reference, within \(Number.text(filled)) s")
        let loop = OpenLoop(port: port, requests: requests, perSecond: perSecond, seconds: seconds, connections: connections)
        // Each round begins with payments that none has asked for before it.
        let run = try await OpenLoopRounds.run(loop, rounds: rounds, in: arena, into: &result) { round, loop in
            loop.requests = Array(requests[(round * asked / (rounds + 1))...])
        }
        result.figures.append(Figure("api.status_p50_ms", run.median(50), "ms"))
        result.figures.append(Figure("api.status_p99_ms", run.median(99), "ms", goal: .atMost(goal)))
        result.figures.append(Figure("status.web_rss_mb", Machine.residentMB(of: web.pid) ?? 0, "MB resident"))
        return result
    }

    /// One payment as the product makes it, and a million like it under other ids.
    private static func fill(_ database: Database) async throws {
        let now = WallClock.nowMs
        let (payment, attempt) = try await database.write { connection in
            let customer = Customer(name: "Awa Diop", email: "awa@example.org", phone: "+2250707123456", language: "fr")
            let order = NewPayment(
                purpose: "order", subject: "bench-0", description: "Order of the benchmark", amount: Money(15_000, .xof), customer: customer)
            let payment = try PaymentStore.create(order, actor: "bench", nowMs: now, in: connection)
            let attempt = try PaymentStore.startAttempt(
                of: payment, provider: "standard-webhooks", mode: "sandbox", method: nil, nowMs: now, in: connection)
            return (payment.id, attempt.id)
        }
        let step = 50_000
        for first in stride(from: 1, to: payments, by: step) {
            try await database.write { connection in
                try copy(
                    "payments_payments", changing: ["id": "printf('pay_%026d', n)", "subject": "'bench-' || n"], of: payment, first, step,
                    connection)
                try copy(
                    "payments_attempts", changing: ["id": "printf('att_%026d', n)", "payment": "printf('pay_%026d', n)"], of: attempt, first, step,
                    connection)
                try copy(
                    "payments_references", changing: ["value": "printf('att_%026d', n)", "attempt": "printf('att_%026d', n)"], of: attempt, first,
                    step, connection)
            }
        }
    }

    private static func copy(
        _ table: String, changing: [String: String], of id: String, _ first: Int, _ count: Int, _ connection: Connection
    ) throws {
        let columns = try connection.query("SELECT name FROM pragma_table_info('\(table)')").map { try $0.text("name") }
        let values = columns.map { changing[$0] ?? "t.\($0)" }.joined(separator: ", ")
        let key = table == "payments_references" ? "attempt" : "id"
        try connection.execute(
            """
            WITH RECURSIVE numbers (n) AS (SELECT \(first) UNION ALL SELECT n + 1 FROM numbers WHERE n < \(first + count - 1))
            INSERT INTO \(table) (\(columns.joined(separator: ", "))) SELECT \(values) FROM numbers, \(table) AS t WHERE t.\(key) = $1
            """, [.text(id)])
    }

    private static func someIDs(_ database: Database) async throws -> [String] {
        let all = try await database.read { try $0.first("SELECT COUNT(*) AS n FROM payments_payments")?.int("n") ?? 0 }
        guard all >= payments else { throw BenchmarkError("only \(all) payments were made") }
        var random = SeededRandom(seed: 7)
        return (0..<asked).map { _ in
            let digits = String(Int.random(in: 1..<payments, using: &random))
            return "pay_" + String(repeating: "0", count: 26 - digits.count) + digits
        }
    }
}
