import Access
import Database
import EventLoop
import Formats
import HTTPClient
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

    private static func fill(_ database: Database) async throws {
        let (id, attempt) = ("printf('pay_%026d', \(ManyPayments.value(0)))", "printf('att_%026d', \(ManyPayments.value(0)))")
        let changes = ManyPayments.Changes(
            payment: ["id": id, "subject": "'bench-' || \(ManyPayments.value(0))"], attempt: ["id": attempt, "payment": id],
            reference: ["value": attempt, "attempt": attempt])
        let first = try await ManyPayments(in: database)
        try await first.copy(1..<payments, step: 50_000, changing: changes, in: database) { [.int(Int64($0))] }
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
