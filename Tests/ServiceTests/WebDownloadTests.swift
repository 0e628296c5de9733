import Cryptography
import Database
import Downloads
import EventLoop
import Formats
import HTTPClient
import HTTPServer
import ObjectStorage
import Payments
import Settings
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// A paid order on the stage, with a file to download.
private struct DownloadStage: Sendable {
    let web: WebStage
    let payment: String
    let bytes: [UInt8]
    let link = DownloadLink(secret: WebStage.secret)
    static let key = "finals/order-1/final.pdf"

    static func with(
        size: Int = 2_000_000, language: String = "fr", storage: ((HTTPClient) -> any ObjectStorage)? = nil,
        _ body: (DownloadStage) async throws -> Void
    ) async throws {
        try await WebStage.with(storage: storage) { web in
            let payment = try await web.order(language: language)
            try await web.receive(payment)
            let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
                for place in 0..<size { buffer[place] = UInt8(truncatingIfNeeded: place &* 2_654_435_761 >> 11) }
                count = size
            }
            try await web.storage.put(bytes, key: key, type: "application/pdf")
            try await body(DownloadStage(web: web, payment: payment, bytes: bytes))
        }
    }

    func issue(uses: Int = 1, minutes: Int = 45, name: String = "Rapport final.pdf", key: String = key) async throws -> DownloadGrant {
        let file = DownloadFile(key: key, size: Int64(bytes.count), sha256: Digest.sha256Hex(bytes), name: name, type: "application/pdf")
        let new = NewDownload(subject: "order-1", payment: payment, file: file, terms: DownloadTerms(minutes: minutes, uses: uses))
        let nowMs = web.nowMs
        return try await web.database.write { try Downloads.issue(new, reason: "published", actor: "staff:awa", nowMs: nowMs, in: $0) }
    }

    func path(_ grant: DownloadGrant) throws -> String { try #require(link.path(of: grant)) }

    func used(_ grant: DownloadGrant) async throws -> Int64 {
        try await web.database.read { try Downloads.show(grant.id, in: $0)?.usedCount ?? -1 }
    }

    func setState(_ state: String) async throws {
        let payment = payment
        try await web.database.write { try $0.execute("UPDATE payments_payments SET state = $2 WHERE id = $1", [.text(payment), .text(state)]) }
    }
}

@Suite("Download pages")
struct WebDownloadTests {
    @Test("a scanner looks twenty times with GET and HEAD and uses nothing; a person downloads once, and once only", arguments: ["fr", "en"])
    func scannerAndPerson(language: String) async throws {
        try await DownloadStage.with(language: language) { stage in
            let grant = try await stage.issue(name: "Rapport <final> été.pdf")
            let path = try stage.path(grant)
            for number in 0..<20 {
                let scan = try await stage.web.send(number % 2 == 0 ? "GET" : "HEAD", path, headers: ["user-agent": "LinkScanner/1.0"])
                #expect(scan.status == 200)
                #expect(scan.headers["cache-control"] == "no-store" && scan.headers["referrer-policy"] == "no-referrer")
                #expect(scan.headers["accept-ranges"] == nil)
            }
            #expect(try await stage.used(grant) == 0)
            let page = try await stage.web.send("GET", path)
            try HTMLCheck.wellFormed(page.text)
            #expect(page.text.contains("<html lang=\"\(language)\">"))
            #expect(page.text.contains("Rapport &lt;final&gt; été.pdf"))
            #expect(page.text.contains(language == "fr" ? "2\u{A0}Mo" : "2\u{A0}MB"))
            #expect(page.text.contains("<form method=\"post\" action=\"\(path)\"><button>\(language == "fr" ? "Télécharger" : "Download")</button>"))
            #expect(!page.text.contains("<script") && !page.text.contains("http-equiv"))
            let policy = page.headers["content-security-policy"] ?? ""
            #expect(policy.contains("form-action 'self';") && !policy.contains("script-src"))

            let file = try await stage.download(path)
            #expect(file.status == 200 && file.body == stage.bytes)
            #expect(file.headers["content-type"] == "application/pdf")
            #expect(file.headers["content-length"] == "2000000")
            #expect(
                file.headers["content-disposition"]
                    == "attachment; filename=\"Rapport _final_ _t_.pdf\"; filename*=UTF-8''Rapport%20%3Cfinal%3E%20%C3%A9t%C3%A9.pdf")
            #expect(file.headers["cache-control"] == "no-store" && file.headers["x-content-type-options"] == "nosniff")
            #expect(file.headers["accept-ranges"] == "bytes")
            #expect(try await stage.used(grant) == 1)
            for method in ["POST", "GET", "HEAD"] { #expect(try await stage.web.send(method, path).status == 404) }
            let steps = try await stage.web.database.read { try Downloads.trail(grant.id, in: $0) }
            #expect(steps.map(\.kind) == [.issued, .used])
        }
    }

    @Test("of fifty posts at once one gets the file")
    func fiftyAtOnce() async throws {
        try await DownloadStage.with(size: 400_000) { stage in
            let grant = try await stage.issue()
            let path = try stage.path(grant)
            let answers = try await withThrowingTaskGroup(of: (Int, [UInt8], String).self) { group in
                for number in 0..<50 {
                    // From as many addresses: a crowd is not held back as one caller is.
                    group.addTask {
                        let answer = try await stage.web.send("POST", path, headers: ["x-forwarded-for": "192.0.2.\(number)"])
                        return (answer.status, answer.body, answer.text)
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let winners = answers.filter { $0.0 == 200 }
            #expect(winners.count == 1 && winners.first?.1 == stage.bytes)
            #expect(answers.count { $0.0 == 404 } == 49)
            #expect(try await stage.used(grant) == 1)
        }
    }

    @Test("whatever is wrong with a link is one same answer: expired, revoked, used, tampered, of another purpose, of another key, unpaid, none")
    func oneAnswer() async throws {
        try await DownloadStage.with(size: 1000) { stage in
            var paths: [String] = []
            let expired = try await stage.issue(minutes: 1)
            let revoked = try await stage.issue()
            let used = try await stage.issue()
            let nowMs = stage.web.nowMs
            try await stage.web.database.write { try Downloads.revoke(revoked.id, reason: "mistake", actor: "staff", nowMs: nowMs, in: $0) }
            #expect(try await stage.download(stage.path(used)).status == 200)
            stage.web.turnClock(by: 6 * 60_000)
            let good = try await stage.issue()
            let token = String(try stage.path(good).dropFirst("/downloads/".count))
            paths += [try stage.path(expired), try stage.path(revoked), try stage.path(used)]
            paths.append("/downloads/\(token.dropLast())\(token.last == "A" ? "B" : "A")")
            paths.append("/downloads/\(token)A")
            let stranger = try #require(DownloadLink(secret: String(repeating: "s", count: 32)).path(of: good))
            paths.append(stranger)
            paths += ["/downloads/x", "/downloads/..%2f..%2fetc%2fpasswd", "/downloads/%2e%2e", "/downloads/%00"]
            let paying = try await stage.web.link(to: stage.payment)
            paths.append("/downloads/\(paying.dropFirst("/pay/".count))")

            var bodies: Set<String> = []
            for (number, path) in paths.enumerated() {
                for method in ["GET", "POST"] {
                    let answer = try await stage.web.send(method, path, headers: ["x-forwarded-for": "198.51.100.\(number)"])
                    #expect(answer.status == 404, "\(method) \(path)")
                    bodies.insert(answer.text)
                }
                #expect(try await stage.web.send("HEAD", path, headers: ["x-forwarded-for": "198.51.100.\(number)"]).status == 404)
            }
            try await stage.setState("refunded")
            for method in ["GET", "POST"] {
                let answer = try await stage.web.send(method, try stage.path(good))
                #expect(answer.status == 404)
                bodies.insert(answer.text)
            }
            #expect(bodies.count == 1)
            #expect(try await stage.used(good) == 0)
        }
    }

    @Test("a refund between publication and download closes the link")
    func refunded() async throws {
        try await DownloadStage.with(size: 1000) { stage in
            let grant = try await stage.issue()
            let path = try stage.path(grant)
            #expect(try await stage.web.send("GET", path).status == 200)
            let refund = try await stage.web.post(
                "/api/v1/payments/\(stage.payment)/refund/", ["amount": "12500", "reason": "asked", "provider_reference": "bank-1"],
                headers: ["idempotency-key": "back"])
            #expect(refund.status == 201, "\(refund.text)")
            #expect(try await stage.web.send("GET", path).status == 404)
            #expect(try await stage.download(path).status == 404)
            #expect(try await stage.used(grant) == 0)
        }
    }

    @Test("a download that broke is gone on with by ranges for five minutes, and the whole is not had twice")
    func ranges() async throws {
        try await DownloadStage.with { stage in
            let grant = try await stage.issue()
            let path = try stage.path(grant)
            // Before the use a range is overlooked: a page is shown, nothing is used.
            #expect(try await stage.web.send("GET", path, headers: ["range": "bytes=5-9"]).headers["content-type"] == "text/html; charset=utf-8")
            let file = try await stage.download(path, headers: ["range": "bytes=5-9"])
            #expect(file.status == 200 && file.body == stage.bytes)
            let tag = try #require(file.headers["etag"])

            for method in ["GET", "POST"] {
                let rest = try await stage.web.send(method, path, headers: ["range": "bytes=1500000-", "if-range": tag])
                #expect(rest.status == 206 && rest.headers["etag"] == tag)
                #expect(rest.headers["content-range"] == "bytes 1500000-1999999/2000000")
                #expect(rest.body == Array(stage.bytes[1_500_000...]))
            }
            #expect(try await stage.web.send("GET", path, headers: ["range": "bytes=0-99"]).body == Array(stage.bytes[..<100]))
            let roaming: HTTPHeaders = ["range": "bytes=10-19", "if-range": tag, "x-forwarded-for": "203.0.113.9"]
            #expect(try await stage.web.send("GET", path, headers: roaming).status == 206)

            let refused: [HTTPHeaders] = [
                [:], ["range": "bytes=0-"], ["range": "bytes=0-1999999", "if-range": tag], ["range": "bytes=-2000000", "if-range": tag],
                ["range": "bytes=10-19", "if-range": "\"other\""], ["range": "bytes=10-19", "x-forwarded-for": "203.0.113.9"],
                ["range": "bytes=1-2,4-5", "if-range": tag], ["range": "bytes=2000000-", "if-range": tag],
            ]
            for headers in refused { #expect(try await stage.web.send("GET", path, headers: headers).status == 404, "\(headers)") }
            #expect(try await stage.web.send("HEAD", path, headers: ["range": "bytes=10-19", "if-range": tag]).status == 404)
            stage.web.turnClock(by: 5 * 60_000)
            #expect(try await stage.web.send("GET", path, headers: ["range": "bytes=10-19", "if-range": tag]).status == 404)
            #expect(try await stage.used(grant) == 1)
        }
    }

    @Test("a file that is gone, or is not the one that was published, uses nothing: 503, and the same link works once it is back")
    func missing() async throws {
        try await DownloadStage.with(size: 1000) { stage in
            let grant = try await stage.issue()
            let path = try stage.path(grant)
            try await stage.web.storage.delete(DownloadStage.key)
            let gone = try await stage.download(path)
            #expect(gone.status == 503 && gone.headers["retry-after"] != nil)
            try await stage.web.storage.put([1, 2, 3], key: DownloadStage.key, type: "application/pdf")
            #expect(try await stage.download(path).status == 503)
            #expect(try await stage.used(grant) == 0)
            try await stage.web.storage.put(stage.bytes, key: DownloadStage.key, type: "application/pdf")
            #expect(try await stage.download(path).body == stage.bytes)
        }
    }

    @Test("a range asked of a link that is over is the same 404, also where the file is gone")
    func rangesOfTheOver() async throws {
        try await DownloadStage.with(size: 1000) { stage in
            let (late, revoked) = (try await stage.issue(), try await stage.issue())
            for grant in [late, revoked] { #expect(try await stage.download(stage.path(grant)).status == 200) }
            let nowMs = stage.web.nowMs
            try await stage.web.database.write { try Downloads.revoke(revoked.id, reason: "mistake", actor: "staff", nowMs: nowMs, in: $0) }
            try await stage.web.storage.delete(DownloadStage.key)
            // Whoever may go on is told that it is not their fault.
            #expect(try await stage.web.send("GET", try stage.path(late), headers: ["range": "bytes=5-9"]).status == 503)
            #expect(try await stage.web.send("GET", try stage.path(revoked), headers: ["range": "bytes=5-9"]).status == 404)
            stage.web.turnClock(by: 5 * 60_000)
            #expect(try await stage.web.send("GET", try stage.path(late), headers: ["range": "bytes=5-9"]).status == 404)
        }
    }

    @Test("a key that leads out of the storage opens nothing", arguments: ["../quittance.db", "/etc/passwd", "a/../../quittance.db"])
    func traversal(key: String) async throws {
        try await DownloadStage.with(size: 1000) { stage in
            let grant = try await stage.issue(key: key)
            #expect(try await stage.download(stage.path(grant)).status == 503)
            #expect(try await stage.used(grant) == 0)
        }
    }

    @Test("an address that tries links is held back, others are not")
    func guessing() async throws {
        try await DownloadStage.with(size: 1000) { stage in
            // Counted by the minute, which must not end on the way.
            stage.web.turnClock(by: 60_000 - stage.web.nowMs % 60_000)
            let path = try stage.path(try await stage.issue())
            var statuses: [Int] = []
            for number in 0..<40 {
                statuses.append(try await stage.web.send("GET", "/downloads/guess\(number)", headers: ["x-forwarded-for": "203.0.113.5"]).status)
            }
            #expect(statuses.filter { $0 == 404 }.count == 30 && statuses.last == 429)
            let held = try await stage.web.send("GET", path, headers: ["x-forwarded-for": "203.0.113.5"])
            #expect(held.status == 429 && held.headers["retry-after"] == "60")
            #expect(try await stage.web.send("GET", path, headers: ["x-forwarded-for": "203.0.113.6"]).status == 200)
            stage.web.turnClock(by: 60_000)
            #expect(try await stage.web.send("GET", path, headers: ["x-forwarded-for": "203.0.113.5"]).status == 200)
        }
    }

    @Test("a reader that leaves in the middle has used the link, and gets the rest within the grace")
    func disconnecting() async throws {
        try await DownloadStage.with(size: 12_000_000) { stage in
            let grant = try await stage.issue()
            let path = try stage.path(grant)
            let (begun, head) = try await stage.beginAndLeave(path)
            #expect(head.hasPrefix("HTTP/1.1 200 "))
            #expect(begun.elementsEqual(stage.bytes[..<begun.count]) && begun.count < stage.bytes.count)
            #expect(try await stage.used(grant) == 1)
            let rest = try await stage.download(path, method: "GET", headers: ["range": "bytes=\(begun.count)-"])
            #expect(rest.status == 206)
            #expect(begun + rest.body == stage.bytes)
        }
    }

    @Test("with a bucket the use leads to a link of seconds that gives the file, and the grace to one of the range alone")
    func bucket() async throws {
        let server = try await S3Server.start()
        func storage(_ client: HTTPClient) -> any ObjectStorage {
            S3Storage(
                S3Storage.Bucket(
                    endpoint: server.endpoint, region: "us-east-1", name: S3Server.bucket, accessKey: "test", secretKey: Secret("test")),
                client: client, linkSeconds: 20)
        }
        try await DownloadStage.with(size: 100_000, storage: storage) { stage in
            let grant = try await stage.issue()
            let path = try stage.path(grant)
            let page = try await stage.web.send("GET", path)
            #expect(page.headers["content-security-policy"]?.contains("form-action 'self' \(server.endpoint);") == true)
            let sent = try await stage.download(path)
            #expect(sent.status == 303)
            let location = try #require(sent.headers["location"])
            #expect(location.hasPrefix("\(server.endpoint)/") && location.contains("X-Amz-Expires=20&"))
            let file = try await stage.web.client.send(HTTPClient.Request(url: location))
            #expect(file.body == stage.bytes && file.headers["content-disposition"]?.contains("Rapport final.pdf") == true)
            #expect(try await stage.download(path).status == 404)

            // The bucket's own tag is all that the reader knows.
            let tag = try #require(file.headers["etag"])
            let rest = try await stage.web.send("GET", path, headers: ["range": "bytes=10-19", "if-range": tag])
            #expect(rest.status == 303)
            let elsewhere: HTTPHeaders = ["range": "bytes=10-19", "if-range": tag, "x-forwarded-for": "203.0.113.9"]
            #expect(try await stage.web.send("GET", path, headers: elsewhere).status == 404)
            let link = try #require(rest.headers["location"])
            #expect(link.contains("X-Amz-SignedHeaders=host%3Brange&"))
            let part = try await stage.web.client.send(HTTPClient.Request(url: link, headers: ["range": "bytes=10-19"]))
            #expect(part.status == 206 && part.body == Array(stage.bytes[10...19]))

            try await stage.web.storage.delete(DownloadStage.key)
            let lost = try await stage.issue()
            #expect(try await stage.download(stage.path(lost)).status == 503)
            #expect(try await stage.used(lost) == 0)
        }
    }
}

extension DownloadStage {
    /// What the page's button does.
    func download(_ path: String, method: String = "POST", headers more: HTTPHeaders = [:]) async throws -> WebStage.Answer {
        var headers: HTTPHeaders = ["content-type": "application/x-www-form-urlencoded", "origin": WebStage.baseURL]
        more.forEach { headers[$0] = $1 }
        let response = try await web.client.send(
            HTTPClient.Request(method: method, url: web.webURL + path, headers: headers, timeout: .seconds(20), responseLimit: 32 << 20))
        return WebStage.Answer(status: response.status, headers: response.headers, body: response.body)
    }

    /// Uses the link on a plain socket and goes away after a first part.
    func beginAndLeave(_ path: String) async throws -> (bytes: [UInt8], head: String) {
        let address = web.address
        return try await Self.readers.run {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            guard descriptor >= 0 else { throw FixtureError("no socket") }
            defer { close(descriptor) }
            var size: Int32 = 65_536
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, 4)
            var limit = timeval(tv_sec: 30, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            guard withLoopback(address.port, { connect(descriptor, $0, $1) }) == 0 else { throw FixtureError("no connection") }
            let request = Array("POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".utf8)
            guard send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else { throw FixtureError("not sent") }
            var taken: [UInt8] = []
            var piece = [UInt8](repeating: 0, count: 65_536)
            while taken.count < 1_000_000 {
                let count = recv(descriptor, &piece, piece.count, 0)
                guard count > 0 else { throw FixtureError("the answer ended") }
                taken += piece[..<count]
            }
            let text = String(decoding: taken.prefix(2048), as: UTF8.self)
            let head = text.ranges(of: "\r\n\r\n").first.map { String(text[..<$0.upperBound]) } ?? ""
            return (Array(taken[head.utf8.count...]), head)
        }
    }

    private static let readers = BlockingPool(name: "readers", threads: 2)
}
