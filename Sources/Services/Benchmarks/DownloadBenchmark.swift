import Cryptography
import Database
import Downloads
import Formats
import HTTPClient
import Money
import ObjectStorage
import Payments
import PrivateFiles
import ProviderPort
import Subprocess
import Synchronization

/// Downloads of a 5 MB file from the process web, each by a link of its own that is used up in SQL first, beside nginx that serves the same
/// file to whoever asks: the same readers, in turns, so that a slower minute of the machine is slower for both.
enum DownloadBenchmark {
    static let title = "downloads: a 5 MB file behind links of one use (POST, committed before the first byte), beside nginx with sendfile"

    private static let size = 5_000_000
    private static let connections = 32
    private static let rounds = 5
    private static let seconds = 3.0
    private static let links = 40_000
    private static let key = "bench/final.pdf"
    private static let goal = 0.7

    static func run(in arena: Arena) async throws -> BenchmarkResult {
        let redis = try await arena.startRedis()
        let database = try arena.migratedDatabase()
        let bytes = content()
        let storage = LocalStorage(PrivateFiles(root: "\(arena.folder)/var/private", pool: arena.pool))
        let stored = try await storage.put(bytes, key: key, type: "application/pdf")
        let requests = try await posts(database, stored)
        await database.close()
        let (web, port) = try await arena.startWeb(redis: redis)
        let nginx = try await arena.startNginx(template: "Benchmarks/nginx-files.conf", answering: "HEAD", "/\(key)")
        try await check(in: arena, port: port, nginx: nginx, requests, bytes)

        let waiting = Mutex(requests.dropFirst())
        let mine = FileReaders(port: port, connections: connections, seconds: seconds, size: size) { waiting.withLock { $0.popFirst() } }
        let get = Array("GET /\(key) HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".utf8)
        let other = FileReaders(port: nginx, connections: connections, seconds: seconds, size: size) { get }
        var result = BenchmarkResult()
        var ours: [Double] = []
        var theirs: [Double] = []
        for round in 0...rounds {
            var (own, their) = (mine, other)
            if round == 0 { (own.seconds, their.seconds) = (1, 1) }
            let (left, right) = (try await own.run(on: arena.pool), try await their.run(on: arena.pool))
            if let failure = left.failure { result.problems.append("round \(round), web: \(failure)") }
            if let failure = right.failure { result.problems.append("round \(round), nginx: \(failure)") }
            // Round 0 warms both up.
            guard round > 0 else { continue }
            ours.append(left.perSecond)
            theirs.append(right.perSecond)
            result.notes.append(
                "round \(round): web \(Number.text(left.perSecond))/s, nginx \(Number.text(right.perSecond))/s, "
                    + "ratio \(Number.text(left.perSecond / right.perSecond))")
        }
        let ratio = Statistics.median(zip(ours, theirs).map { $0 / $1 })
        result.figures.append(Figure("downloads.per_s", Statistics.median(ours), "files/s"))
        result.figures.append(Figure("downloads.mb_per_s", Statistics.median(ours) * Double(size) / 1e6, "MB/s"))
        result.figures.append(Figure("downloads.nginx_per_s", Statistics.median(theirs), "files/s"))
        result.figures.append(Figure("downloads.ratio_to_nginx", ratio, "of nginx", goal: .atLeast(goal)))
        result.figures.append(Figure("downloads.web_rss_mb", Machine.residentMB(of: web.pid) ?? 0, "MB resident"))
        return result
    }

    private static func content() -> [UInt8] {
        var random = SeededRandom(seed: 5)
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            for place in 0..<size { buffer[place] = UInt8(truncatingIfNeeded: random.next()) }
            count = size
        }
    }

    /// A request for each link, as a browser's button makes it; from many addresses, as customers come, since one alone is held back.
    private static func posts(_ database: Database, _ stored: StoredObject) async throws -> [[UInt8]] {
        let now = WallClock.nowMs
        let file = DownloadFile(key: stored.key, size: stored.size, sha256: stored.sha256, name: "final.pdf", type: "application/pdf")
        let payment = try await database.write { connection in
            let customer = Customer(name: "Awa Diop", email: "awa@example.org", phone: nil, language: "fr")
            let order = NewPayment(purpose: "order", subject: "bench", description: "Order", amount: Money(15_000, .xof), customer: customer)
            let payment = try PaymentStore.create(order, actor: "bench", nowMs: now, in: connection)
            try connection.execute("UPDATE payments_payments SET state = 'paid', paid_at = $2 WHERE id = $1", [.text(payment.id), .integer(now)])
            return payment.id
        }
        let link = DownloadLink(secret: Arena.secretKey)
        var requests: [[UInt8]] = []
        for step in 0..<(links / 2000) {
            requests += try await database.write { connection in
                try (0..<2000).map { place in
                    let number = step * 2000 + place
                    let new = NewDownload(subject: "bench-\(number)", payment: payment, file: file, terms: .standard)
                    let grant = try Downloads.issue(new, reason: "benchmark", actor: "bench", nowMs: now, in: connection)
                    let address = "10.\(number >> 16 & 255).\(number >> 8 & 255).\(number & 255)"
                    let head = "POST \(link.path(of: grant) ?? "/") HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: \(address)\r\n"
                    return Array((head + "Content-Length: 0\r\n\r\n").utf8)
                }
            }
        }
        return requests
    }

    /// Both send the very bytes.
    private static func check(in arena: Arena, port: Int, nginx: Int, _ requests: [[UInt8]], _ bytes: [UInt8]) async throws {
        guard let first = requests.first, let path = String(decoding: first, as: UTF8.self).split(separator: " ").dropFirst().first else {
            throw BenchmarkError("no links were made")
        }
        for (method, url) in [("POST", "http://127.0.0.1:\(port)\(path)"), ("GET", "http://127.0.0.1:\(nginx)/\(key)")] {
            let answer = try await arena.http.send(HTTPClient.Request(method: method, url: url, responseLimit: size))
            guard answer.status == 200, answer.body == bytes else { throw BenchmarkError("\(method) was answered \(answer.status), not the file") }
        }
    }
}
