import Cryptography
import Database
import EventLoop
import Formats
import HTTPClient
import Payments
import Staff
import Subprocess

/// Pages of the console at a fixed rate, over a million payments of a month.
enum ConsoleBenchmark {
    static let title = "console: its pages at 40 requests/s over a million payments, open loop, times from the scheduled moments"

    private static let payments = 1_000_000
    private static let spanMs: Int64 = 30 * 86_400_000
    private static let perSecond = 40.0
    private static let connections = 8
    /// A page has at most 60 KB.
    private static let answerMax = 80 * 1024
    private static let rounds = 3
    private static let seconds = 12.0
    private static let goal = 50.0
    /// Milliseconds: a generator that is later is itself what is measured.
    private static let lagMax = 2.0
    private static let password = "a passphrase of the benchmark"

    static func run(in arena: Arena) async throws -> BenchmarkResult {
        let redis = try await arena.startRedis()
        let database = try arena.migratedDatabase()
        let begun = ContinuousClock.now
        let some = try await fill(database)
        try await ManyTeams.fill(database)
        let filled = (ContinuousClock.now - begun).seconds
        let hash = try await arena.pool.run { PasswordHash(of: password, cost: PasswordHash.Cost(n: 1024, r: 8, p: 1)) }
        try await database.write {
            try StaffStore.add(
                "bench", role: .admin, password: hash, mustChange: false, actor: "bench", nowMs: WallClock.nowMs, in: $0)
        }
        await database.close()
        let (web, port) = try await arena.startWeb(redis: redis)
        let cookie = try await signIn(port, arena)
        var result = BenchmarkResult()
        result.notes.append("\(payments) payments of 30 days, each with an attempt, and \(ManyTeams.count) teams, within \(Number.text(filled)) s")
        let paths = paths(some)
        for path in paths { try await look(path, cookie, port, arena, &result) }
        let requests = (0..<40).flatMap { _ in paths }.map { path in
            Array("GET \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/html\r\nCookie: \(cookie)\r\n\r\n".utf8)
        }
        let loop = OpenLoop(
            port: port, requests: requests, perSecond: perSecond, seconds: seconds, connections: connections, answerMax: answerMax)
        let run = try await OpenLoopRounds.run(loop, rounds: rounds, in: arena, into: &result, lagMax: lagMax)
        result.figures.append(Figure("console.p50_ms", run.median(50), "ms"))
        result.figures.append(Figure("console.p99_ms", run.median(99), "ms", goal: .atMost(goal)))
        result.figures.append(Figure("console.web_rss_mb", Machine.residentMB(of: web.pid) ?? 0, "MB resident"))
        return result
    }

    private static func paths(_ some: [String]) -> [String] {
        let list = "/console/payments/"
        return [
            "/console/", list, "\(list)?state=paid", "\(list)?state=conflicted", "\(list)?provider=wave",
            "\(list)?provider=cinetpay&state=conflicted",
            "\(list)?from=\(Timestamp.date(WallClock.nowMs - 20 * 86_400_000))&to=\(Timestamp.date(WallClock.nowMs - 19 * 86_400_000))",
            "\(list)?before=\(some[0])", "\(list)\(some[1])/", "/console/tasks/", "/console/providers/", "/console/queues/", "/console/events/",
            "/console/audit/", "/console/figures/?days=30", "/console/teams/", "/console/teams/?q=team-0077", "/console/teams/?status=active",
            "/console/teams/team-00777/", "/console/consumers/", "/console/consumers/?by=storage&level=warning",
        ]
    }

    /// Each page alone, once cold: what is slow is told by its name.
    private static func look(_ path: String, _ cookie: String, _ port: Int, _ arena: Arena, _ result: inout BenchmarkResult) async throws {
        let begun = ContinuousClock.now
        let answer = try await arena.http.send(HTTPClient.Request(url: "http://127.0.0.1:\(port)\(path)", headers: ["cookie": cookie]))
        let took = (ContinuousClock.now - begun).seconds * 1000
        guard answer.status == 200 else { throw BenchmarkError("\(path): \(answer.status)") }
        if answer.body.count > 60 * 1024 { result.problems.append("\(path) has \(answer.body.count) bytes") }
        result.notes.append("\(path) \(answer.body.count) bytes, the first time \(Number.text(took)) ms")
    }

    // MARK: Signing in

    private static func signIn(_ port: Int, _ arena: Arena) async throws -> String {
        let root = "http://127.0.0.1:\(port)/console"
        func post(_ path: String, _ fields: [(String, String)], _ cookie: String?) async throws -> HTTPClient.Response {
            var headers: HTTPHeaders = ["content-type": "application/x-www-form-urlencoded"]
            if let cookie { headers["cookie"] = cookie }
            return try await arena.http.send(
                HTTPClient.Request(method: "POST", url: root + path, headers: headers, body: Array(FormURLEncoded.encode(fields).utf8)))
        }
        func cookie(_ answer: HTTPClient.Response) throws -> String {
            guard let set = answer.headers["set-cookie"], let pair = set.split(separator: ";").first else {
                throw BenchmarkError("no session: \(answer.status) \(String(decoding: answer.body.prefix(300), as: UTF8.self))")
            }
            return String(pair)
        }
        let half = try cookie(try await post("/sign-in", [("name", "bench"), ("password", password)], nil))
        let page = try await arena.http.send(HTTPClient.Request(url: root + "/enrol", headers: ["cookie": half]))
        let text = String(decoding: page.body, as: UTF8.self)
        guard let from = text.firstRange(of: "<code>")?.upperBound, let key = Base32.decode(String(text[from...].prefix { $0 != "<" })) else {
            throw BenchmarkError("no key is shown: \(page.status)")
        }
        let token = StaffSession.formToken(of: String(half.split(separator: "=", maxSplits: 1)[1]))
        let code = OneTimeCode.code(key, step: OneTimeCode.step(atMs: WallClock.nowMs))
        return try cookie(try await post("/enrol", [("code", code), ("token", token)], half))
    }

    // MARK: A month of payments

    private static let states: [(name: PaymentState, parts: Int)] = [
        (.paid, 800), (.failed, 80), (.expired, 50), (.cancelled, 39), (.pending, 20), (.refunded, 10), (.conflicted, 1),
    ]
    private static let providers = ["cinetpay", "cinetpay", "cinetpay", "orange-money", "feexpay", "standard-webhooks", "wave"]

    /// - Returns: the ids of some of them.
    private static func fill(_ database: Database) async throws -> [String] {
        let now = WallClock.nowMs
        var random = SeededRandom(seed: 23)
        var some: [String] = []
        let first = try await ManyPayments(in: database)
        try await first.copy(0..<payments, step: 20_000, changing: changes, in: database) { number in
            let at = now - spanMs + spanMs * Int64(number) / Int64(payments)
            let id = "pay_\(ULID.lowest(atMs: at).prefix(18))\(String(100_000_000 + number % 100_000_000).suffix(8))"
            let state = Self.state(Int.random(in: 0..<1000, using: &random))
            let provider = providers[Int.random(in: 0..<providers.count, using: &random)]
            let isPaid = [.paid, .refunded].contains(state)
            if number == payments / 2 || number == payments - 7 { some.append(id) }
            return [
                .string(id), .int(at), .string(state.rawValue), .string(provider), .int(isPaid ? 15_000 : 0), isPaid ? .int(at + 60_000) : .null,
                .int(Int64(number)),
            ]
        }
        return some
    }

    private static let changes: ManyPayments.Changes = {
        let (id, at, number) = (ManyPayments.value(0), ManyPayments.value(1), ManyPayments.value(6))
        return ManyPayments.Changes(
            payment: [
                "id": id, "subject": "'bench-' || \(number)", "state": ManyPayments.value(2), "captured": ManyPayments.value(4), "created_at": at,
                "updated_at": at, "paid_at": ManyPayments.value(5),
            ],
            // Nothing is left to ask about.
            attempt: [
                "id": "printf('att_%020d', \(number))", "payment": id, "provider": ManyPayments.value(3), "open": "0", "created_at": at,
                "next_check_at": "NULL",
            ])
    }()

    private static func state(_ part: Int) -> PaymentState {
        var left = part
        for (name, parts) in states {
            if left < parts { return name }
            left -= parts
        }
        return .paid
    }
}
