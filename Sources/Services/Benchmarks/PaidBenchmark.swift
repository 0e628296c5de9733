import Access
import Database
import Formats
import HTTPClient
import HTTPServer
import Payments
import ProviderPort
import RedisClient
import Telemetry

/// Paid payments of every provider that posts, mixed, from the post to all their jobs queued. Most posts of these providers are no more
/// than a hint: the worker asks the provider, which the sandbox plays, before it believes them.
enum PaidBenchmark {
    static let title =
        "paid: from the post to the last job on its list, \(PlayedHouses.all.count) providers mixed, asked in the sandbox where their posts prove no amount"

    private static let perHouse = 600
    private static let connections = 64
    /// Questions of the worker under way.
    private static let questions = 32
    private static let goal = 1000.0
    private static let queues = ["invoices", "notifications"]

    static func run(in arena: Arena) async throws -> BenchmarkResult {
        let redis = try await arena.startRedis()
        let database = try arena.migratedDatabase()
        let recorder = try await PostRecorder(loop: arena.loop)
        let sandboxPort = try Arena.freePort()
        let played = PlayedHouses.environment(sandboxPort: sandboxPort)
        let beside = played.merging(["INGEST_ADDRESS": "127.0.0.1:\(recorder.port)"]) { $1 }
        try await arena.start("sandbox", try Arena.program("sandbox"), environment: arena.environment(redis: redis, beside))
        let web = try await arena.startWeb(redis: redis, beside)
        let prepared = ContinuousClock.now
        let shop = BenchmarkShop(
            http: arena.http, web: "http://127.0.0.1:\(web.port)", sandbox: "http://127.0.0.1:\(sandboxPort)", database: database,
            key: try await database.write { try APIKeys.create(name: "bench", scopes: [APIKey.payments], nowMs: WallClock.nowMs, in: $0).text })
        try await shop.sell(perHouse)
        let count = perHouse * PlayedHouses.all.count
        try await arena.wait("every payment is told", within: .seconds(60)) { recorder.posts.count >= count }
        let posts = recorder.posts
        guard posts.count == count else { throw BenchmarkError("\(posts.count) posts of \(count) payments") }
        await arena.stop(web.process)
        await recorder.stop()
        let preparation = (ContinuousClock.now - prepared).seconds

        let (_, port) = try await arena.startIngest(redis: redis, played)
        // Most of a question is waiting for its answer: ten at a time leave the machine idle.
        let working = played.merging(["WORKER_CONCURRENCY": "\(questions)"]) { $1 }
        try await arena.startPaymentsWorker(redis: redis, working)
        var before: [String: Int] = [:]
        for queue in queues { before[queue] = try await redis.length(of: "quittance:{\(queue)}:ready") }
        var random = SeededRandom(seed: 5)
        let begun = ContinuousClock.now
        let posting = try await Poster.post(posts.shuffled(using: &random), port: port, connections: connections, pool: arena.pool)
        guard posting.accepted == count else { throw BenchmarkError("only \(posting.accepted) of \(count) posts were answered 200") }
        let posted = (ContinuousClock.now - begun).seconds
        try await arena.wait("all jobs are queued", within: .seconds(120), pause: .milliseconds(10)) {
            for queue in queues where try await redis.length(of: "quittance:{\(queue)}:ready") < before[queue, default: 0] + count { return false }
            return true
        }
        let seconds = (ContinuousClock.now - begun).seconds
        var result = BenchmarkResult()
        for queue in queues {
            let depth = try await redis.length(of: "quittance:{\(queue)}:ready") - before[queue, default: 0]
            guard depth == count else { throw BenchmarkError("\(depth) jobs in \(queue) for \(count) payments") }
        }
        let paid = try await database.read { try $0.first("SELECT COUNT(*) AS n FROM payments_payments WHERE state = 'paid'")?.int("n") ?? 0 }
        if paid != Int64(count) { result.problems.append("\(paid) of \(count) payments are paid") }
        await database.close()
        result.notes.append(
            "\(perHouse) payments of each of \(PlayedHouses.all.map(\.name).joined(separator: ", ")), begun and paid within "
                + "\(Number.text(preparation)) s; posted over \(connections) connections within \(Number.text(posted)) s; all jobs queued after "
                + "\(Number.text(seconds)) s")
        result.figures.append(Figure("payments.paid_per_s_mixed", Double(count) / seconds, "payments/s", goal: .atLeast(goal)))
        return result
    }
}

/// A shop and its customers, for payments that the sandbox must know.
struct BenchmarkShop: Sendable {
    let http: HTTPClient
    let web: String
    let sandbox: String
    let database: Database
    let key: String

    /// Customers who buy side by side.
    private static let tills = 12

    /// So many payments at each house, begun and paid.
    func sell(_ perHouse: Int) async throws {
        let sales = (0..<perHouse).flatMap { number in PlayedHouses.all.map { (house: $0, number: number) } }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for till in 0..<Self.tills {
                group.addTask {
                    for sale in stride(from: till, to: sales.count, by: Self.tills) {
                        try await sell(sales[sale].house, sales[sale].number)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private func sell(_ house: PlayedHouses.House, _ number: Int) async throws {
        let name = "\(house.name)-\(number)"
        let order: JSON = [
            "order_id": .string(name), "description": "Order of the benchmark", "amount": .string(house.amount),
            "currency": .string(house.currency), "customer": ["name": "Awa Diop", "email": .string("awa.\(number)@example.org"), "language": "fr"],
        ]
        let payment = try await post("\(web)/api/v1/payments/", order, name: "order-\(name)", awaiting: "id")
        let start = JSON.object(JSONObject([("payment", .string(payment))] + house.fields.map { ($0.key, JSON.string($0.value)) }))
        let attempt = try await post("\(web)/api/v1/payments/\(house.name)/initiate/", start, name: "start-\(name)", awaiting: "attempt")
        guard house.isWidget else {
            _ = try await post("\(sandbox)/sandbox/pay", ["reference": .string(attempt)], name: "pay-\(name)", awaiting: nil)
            return
        }
        let step = try await database.read { try PaymentStore.requireAttempt(attempt, in: $0).step?.fields ?? [:] }
        let told = step.merging(["action": "pay", "phone": "22966123456"]) { $1 }
        let pressed = JSON.object(JSONObject(told.map { ($0.key, JSON.string($0.value)) }))
        _ = try await post("\(sandbox)/kkiapay/widget", pressed, name: "pay-\(name)", awaiting: nil)
    }

    private func post(_ url: String, _ body: JSON, name: String, awaiting field: String?) async throws -> String {
        let headers: HTTPHeaders = ["authorization": "Bearer \(key)", "content-type": "application/json", "idempotency-key": name]
        let answer = try await http.send(
            HTTPClient.Request(method: "POST", url: url, headers: headers, body: body.bytes, timeout: .seconds(20)))
        guard (200..<300).contains(answer.status) else {
            throw BenchmarkError("\(url): \(answer.status) \(String(decoding: answer.body.prefix(300), as: UTF8.self))")
        }
        guard let field else { return "" }
        guard let value = try JSON(parsing: answer.body)[field]?.string else { throw BenchmarkError("\(url): the answer has no '\(field)'") }
        return value
    }
}
