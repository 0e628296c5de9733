import EventLoop
import Formats
import HTTPServer
import IngestService
import KKiaPay
import ProviderPort
import RedisClient
import Settings
import Telemetry
import TestSupport
import Testing

/// Where posts may come from, in terms of HTTP, against a real ingest.
@Suite("Addresses of sources")
struct IngestAddressTests {
    private static let secret = "kkiapay-secret"

    /// A real ingest with a real Redis, which serves KKiaPay.
    private func withIngest(
        _ check: AddressCheck, ranges: [String] = ["192.0.2.0/24", "2001:db8::/32"], proxies: [String], policy: TrustPolicy? = nil,
        _ body: (_ port: Int, _ redis: RedisConnection) async throws -> Void
    ) async throws {
        let redis = try await RedisServer.start()
        let folder = try TemporaryFolder("addresses")
        let adapter = try KKiaPayProvider(publicKey: "pk", privateKey: "sk", secret: "s", webhookSecrets: [Self.secret], apiURL: "http://127.0.0.1:1")
        let source = IngestSource(
            adapter: adapter, mode: "sandbox", bodyLimit: 65_536, otherPaths: [], policy: policy,
            addresses: ranges.compactMap { AddressRange(parsing: $0) },
            addressCheck: check)
        let ingest = try IngestServer(
            IngestConfiguration(
                address: SocketAddress("127.0.0.1", 0), redis: redis.address, queuePrefix: "quittance:", spoolDirectory: folder.file("spool"),
                loops: 1, sources: [source], trustedProxies: proxies.compactMap { AddressRange(parsing: $0) }), log: Log())
        let loop = try EventLoop.started(name: "addresses-test")
        let connection = RedisConnection(loop: loop, address: redis.address, name: "addresses-test", waitsForConnection: true)
        connection.start()
        try await ingest.start()
        let result: Result<Void, any Error>
        do { result = .success(try await body(ingest.address.port, connection)) } catch { result = .failure(error) }
        await ingest.stop(by: .now + .seconds(5))
        connection.close()
        let ending = BlockingPool(name: "addresses-end", threads: 1)
        try await ending.run { loop.stop() }
        ending.close()
        try result.get()
    }

    private func post(
        _ port: Int, forwarded: [String] = [], secret: String? = secret, transaction: String = ULID.make(nowMs: WallClock.nowMs)
    ) async throws -> Int {
        var headers = [("content-type", "application/json")] + forwarded.map { ("x-forwarded-for", $0) }
        if let secret { headers.append(("x-kkiapay-secret", secret)) }
        let body = Array(#"{"transactionId":"\#(transaction)","event":"transaction.success"}"#.utf8)
        return try await HTTPLine.once(port: port, "POST", "/webhooks/kkiapay", headers: headers, body: body).status
    }

    private struct Row: Sendable {
        let what: String
        let forwarded: [String]
        /// Whether it counts as the source's, once the connection's own end is a proxy of ours.
        let isListed: Bool
    }

    private static let rows = [
        Row(what: "told by the proxy", forwarded: ["192.0.2.9"], isListed: true),
        Row(what: "with a port", forwarded: ["192.0.2.9:4711"], isListed: true),
        Row(what: "version 6", forwarded: ["2001:db8::5"], isListed: true),
        Row(what: "version 6 in brackets", forwarded: ["[2001:db8::5]:443"], isListed: true),
        Row(what: "version 4 written as 6", forwarded: ["::ffff:192.0.2.9"], isListed: true),
        Row(what: "through two proxies of ours", forwarded: ["192.0.2.9, 127.0.0.3"], isListed: true),
        Row(what: "through two, each with a header of its own", forwarded: ["192.0.2.9", "127.0.0.3"], isListed: true),
        Row(what: "somebody else", forwarded: ["198.51.100.7"], isListed: false),
        Row(what: "another version 6", forwarded: ["2001:db9::5"], isListed: false),
        Row(what: "somebody else who names the source", forwarded: ["192.0.2.9, 198.51.100.7"], isListed: false),
        Row(what: "the same in two headers", forwarded: ["192.0.2.9", "198.51.100.7"], isListed: false),
        Row(what: "no address", forwarded: ["192.0.2.9, unknown"], isListed: false),
        Row(what: "nothing", forwarded: [], isListed: false),
        Row(what: "blanks", forwarded: [" , "], isListed: false),
    ]

    @Test("enforced behind a proxy of ours: the address is taken from X-Forwarded-For only as far as proxies are trusted")
    func enforced() async throws {
        try await withIngest(.enforce, proxies: ["127.0.0.0/8"]) { port, _ async throws in
            for row in Self.rows { #expect(try await post(port, forwarded: row.forwarded) == (row.isListed ? 200 : 401), "\(row.what)") }
        }
    }

    @Test("without a trusted proxy nobody's X-Forwarded-For counts")
    func untrusted() async throws {
        try await withIngest(.enforce, proxies: []) { port, _ async throws in
            for row in Self.rows { #expect(try await post(port, forwarded: row.forwarded) == 401, "\(row.what)") }
        }
        try await withIngest(.enforce, ranges: ["127.0.0.1"], proxies: ["10.0.0.0/8"]) { port, _ async throws in
            #expect(try await post(port, forwarded: ["198.51.100.7"]) == 200)
        }
    }

    @Test("logged: everything passes and is counted; off: nothing is looked at", arguments: [AddressCheck.log, .off])
    func unenforced(_ check: AddressCheck) async throws {
        try await withIngest(check, proxies: ["127.0.0.1"]) { port, _ async throws in
            let before = try await count(port, "unlisted")
            for row in Self.rows { #expect(try await post(port, forwarded: row.forwarded) == 200, "\(row.what)") }
            if check == .log {
                let counted = try await count(port, "unlisted") - before
                // The registry is the process's: other tests count too.
                #expect(counted >= Self.rows.count { !$0.isListed })
            }
        }
    }

    private func count(_ port: Int, _ address: String) async throws -> Int {
        let text = try await HTTPLine.once(port: port, "GET", "/metrics").text
        let labels = [#"{source="kkiapay",address="\#(address)"}"#, #"{address="\#(address)",source="kkiapay"}"#]
        let line = text.split(separator: "\n").first { line in labels.contains { line.hasPrefix("ingest_posts_by_address_total\($0) ") } }
        return try #require(line?.split(separator: " ").last.flatMap { Int($0) })
    }

    @Test("a good proof from elsewhere is refused, told to staff with the client's address; a bad one from there is limited by that address")
    func staff() async throws {
        try await withIngest(.enforce, proxies: ["127.0.0.1"]) { port, redis async throws in
            // Refusals are kept once Redis is there.
            try await eventually("the refusal is kept") {
                _ = try await post(port, forwarded: ["198.51.100.7"])
                let kept = try await redis.call("LINDEX", "quittance:{refused}:kkiapay", 0).string ?? ""
                return kept.contains("198.51.100.7") && kept.contains("not the source's")
            }
            // On one kept connection, so that the posts come quicker than the limit grows.
            let statuses = try await HTTPLine.blocking {
                let line = try HTTPLine(port: port)
                return try Set(
                    (0..<400).map { _ in
                        try line.exchange("POST", "/webhooks/kkiapay", headers: [("x-forwarded-for", "198.51.100.8")], body: Array("{}".utf8)).status
                    })
            }
            #expect(statuses == [401, 429])
            #expect(try await post(port, forwarded: ["198.51.100.9"]) == 401)
            #expect(try await post(port, forwarded: ["192.0.2.9"]) == 200)
        }
    }

    @Test(
        "ingest asks its source's policy about a missing proof",
        arguments: [(TrustPolicy.trust, 401), (.fetch, 200), (.fetchIfUnsigned, 200)])
    func policy(_ policy: TrustPolicy, _ status: Int) async throws {
        try await withIngest(.off, proxies: [], policy: policy) { port, _ async throws in
            #expect(try await post(port, secret: nil) == status)
            #expect(try await post(port, secret: "wrong") == 401)
            #expect(try await post(port) == 200)
            #expect(try await post(port, secret: nil, transaction: "not a number of a transaction") == 401)
            #expect(try await HTTPLine.once(port: port, "GET", "/webhooks/kkiapay").status == 405)
        }
    }
}
