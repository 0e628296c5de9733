import Formats
import TestSupport
import Testing

@Suite("What ingest answers", .timeLimit(.minutes(4)))
struct IngestAnswerTests {
    /// One line of the answer table.
    private struct Line: Sendable {
        let what: String
        let status: Int
        var method = "POST"
        var path = "/webhooks/standard-webhooks"
        var headers: [(String, String)] = []
        var body: [UInt8]? = []
        /// Whether the post must stand on the events list afterwards, how often.
        var kept = 0
    }

    @Test("every line of the answer table holds")
    func answerTable() async throws {
        try await Stage.run(["ingest"]) { stage in
            try await stage.awaitRedisAtIngest()
            for line in Self.table() {
                let before = try await stage.waiting(on: "events").count
                let answer = try await HTTPLine.once(
                    port: stage.ingestPort, line.method, line.path, headers: line.headers, body: line.body)
                #expect(answer.status == line.status, "\(line.what): \(answer.text)")
                let after = try await stage.waiting(on: "events").count
                #expect(after - before == line.kept, "\(line.what): \(after - before) on the list")
                if answer.status >= 400 && line.method != "HEAD" {
                    #expect(answer.headers["content-type"] == "application/problem+json", "\(line.what)")
                }
                if answer.status == 405 { #expect(answer.headers["allow"]?.isEmpty == false, "\(line.what)") }
            }
        }
    }

    @Test("the seeds' own paths of FeexPay and iCount are checked and taken as ours are")
    func seedPaths() async throws {
        let secret = String(repeating: "s", count: 24)
        let settings = [
            "PROVIDER_MODE_FEEXPAY": "sandbox", "FEEXPAY_API_KEY": "fp_key", "FEEXPAY_SHOP_ID": "shop-1", "FEEXPAY_WEBHOOK_SECRET": secret,
            "PROVIDER_MODE_ICOUNT": "sandbox", "ICOUNT_API_TOKEN": "token", "ICOUNT_CID": "demo", "ICOUNT_PAYPAGE_ID": "30512",
            "ICOUNT_WEBHOOK_SECRET": secret,
        ]
        let feexPay = Array(#"{"reference":"ref_1","amount":500,"status":"SUCCESSFUL","callback_info":"att_1"}"#.utf8)
        let iCount = Array(#"[{"doctype":"invrec","docnum":"1001","cc_payments":[{"cc_shovar":"1234567"}]}]"#.utf8)
        let cases = [
            ("/api/v1/payments/feexpay/webhook/", "authorization", "Bearer ", feexPay), ("/webhooks/feexpay", "authorization", "Bearer ", feexPay),
            ("/api/webhooks/icount", "x-icount-secret", "", iCount), ("/webhooks/icount", "x-icount-secret", "", iCount),
        ]
        try await Stage.run(["ingest"], Instance.Configuration(settings: settings)) { stage in
            try await stage.awaitRedisAtIngest()
            for (path, header, scheme, body) in cases {
                let before = try await stage.waiting(on: "events").count
                func post(_ proof: String) async throws -> Int {
                    try await HTTPLine.once(
                        port: stage.ingestPort, "POST", path, headers: [("content-type", "application/json"), (header, scheme + proof)], body: body
                    ).status
                }
                #expect(try await post("x" + secret.dropFirst()) == 401, "\(path)")
                #expect(try await post(secret) == 200, "\(path)")
                #expect(try await stage.waiting(on: "events").count == before + 1, "\(path)")
            }
        }
    }

    @Test("a webhook needs no cookie and no form's token: its own proof counts, whatever a browser of another site would send along")
    func noFormToken() async throws {
        try await Stage.run(["ingest"]) { stage in
            try await stage.awaitRedisAtIngest()
            let browser = [
                ("origin", "https://evil.example"), ("referer", "https://evil.example/"), ("sec-fetch-site", "cross-site"),
                ("cookie", "quittance_console=\(String(repeating: "a", count: 43))"),
            ]
            for extra in [[], browser] {
                let message = Message.unmatched()
                let answer = try await HTTPLine.once(
                    port: stage.ingestPort, "POST", message.path, headers: message.headers() + extra, body: message.body)
                #expect(answer.status == 200, "\(answer.text)")
                #expect(answer.headers["set-cookie"] == nil)
            }
            #expect(try await stage.waiting(on: "events").count == 2)
            // And nothing else takes its place: not a cookie, not a token.
            let message = Message.unmatched()
            let forged = browser + [("content-type", "application/json"), ("x-csrf-token", "t"), ("x-csrftoken", "t")]
            let answer = try await HTTPLine.once(port: stage.ingestPort, "POST", message.path, headers: forged, body: message.body)
            #expect(answer.status == 401)
        }
    }

    private static func table() -> [Line] {
        let good = Message.unmatched()
        let cinetPay = Proofs.cinetPay(transaction: "T1")
        let otherSite = Proofs.cinetPay(transaction: "T1", site: "1")
        let backend = Proofs.backend(external: "ext_1")
        let tampered = Array(String(decoding: good.body, as: UTF8.self).replacing("100", with: "999").utf8)
        let notJSON = Message(id: Message.newID(), body: Array("{half".utf8))
        let capability = Proofs.capability(provider: "cinetpay", payment: "pay_1", secret: Instance.cinetPaySecret)
        let token = [Proofs.form, ("x-token", cinetPay.token)]
        let large = [UInt8](repeating: 32, count: 300 << 10)
        var lines = [
            Line(what: "verified", status: 200, headers: good.headers(), body: good.body, kept: 1),
            Line(what: "the same delivery again", status: 200, headers: good.headers(), body: good.body, kept: 1),
            Line(what: "a trailing slash", status: 200, path: "/webhooks/standard-webhooks/", headers: good.headers(), body: good.body, kept: 1),
            Line(what: "verified, but no JSON", status: 200, headers: notJSON.headers(), body: notJSON.body, kept: 1),
            Line(what: "299 seconds old", status: 200, headers: good.headers(age: 298), body: good.body, kept: 1),
            Line(what: "older than 300 seconds", status: 401, headers: good.headers(age: 303), body: good.body),
            Line(what: "more than 300 seconds ahead", status: 401, headers: good.headers(age: -303), body: good.body),
            Line(what: "no proof", status: 401, headers: [("content-type", "application/json")], body: good.body),
            Line(what: "a tampered body", status: 401, headers: good.headers(), body: tampered),
            Line(what: "another body signed", status: 401, headers: good.headers(signing: tampered), body: good.body),
            Line(what: "no signature among the headers", status: 401, headers: Array(good.headers().prefix(3)), body: good.body),
            Line(what: "an unknown provider", status: 404, path: "/webhooks/nobody", headers: good.headers(), body: good.body),
            Line(what: "a provider that is off", status: 404, path: "/webhooks/kkiapay", headers: good.headers(), body: good.body),
            Line(what: "no path of ours", status: 404, path: "/", headers: [], body: []),
            Line(what: "a GET where only POST is taken", status: 405, method: "GET", body: nil),
            Line(what: "a PUT", status: 405, method: "PUT", headers: good.headers(), body: good.body),
            Line(what: "a DELETE with a good proof", status: 405, method: "DELETE", headers: good.headers(), body: good.body),
            Line(what: "a body over the cap", status: 413, headers: good.headers(), body: large),
            Line(what: "CinetPay's ping", status: 200, method: "GET", path: "/webhooks/cinetpay", body: nil),
            Line(what: "CinetPay's ping by HEAD", status: 200, method: "HEAD", path: "/payments/cinetpay/notify/", body: nil),
            Line(what: "CinetPay's notification", status: 200, path: "/webhooks/cinetpay", headers: token, body: cinetPay.body, kept: 1),
            Line(what: "on the seed's own path", status: 200, path: "/payments/cinetpay/notify/", headers: token, body: cinetPay.body, kept: 1),
            Line(what: "without its slash", status: 200, path: "/payments/cinetpay/notify", headers: token, body: cinetPay.body, kept: 1),
            Line(
                what: "CinetPay without a token is unproven", status: 200, path: "/webhooks/cinetpay", headers: [Proofs.form], body: cinetPay.body,
                kept: 1),
            Line(
                what: "CinetPay with a wrong token", status: 401, path: "/webhooks/cinetpay",
                headers: [Proofs.form, ("x-token", otherSite.token)], body: cinetPay.body),
            Line(
                what: "a notification for another site", status: 401, path: "/webhooks/cinetpay",
                headers: [Proofs.form, ("x-token", otherSite.token)], body: otherSite.body),
        ]
        let signed = [("content-type", "application/json"), ("x-webhook-signature", backend.signature)]
        let wrong = [("content-type", "application/json"), ("x-webhook-signature", "sha256=" + String(repeating: "0", count: 64))]
        for path in ["/webhooks/payment-backend", "/api/payments/callback"] {
            lines.append(Line(what: "the back end's callback at \(path)", status: 200, path: path, headers: signed, body: backend.body, kept: 1))
            lines.append(Line(what: "a wrong signature at \(path)", status: 401, path: path, headers: wrong, body: backend.body))
        }
        let capabilities = [
            ("right", capability, 200), ("wrong", "1." + String(repeating: "0", count: 22), 401),
            ("another attempt's", "2." + capability.dropFirst(2), 401), ("empty", "", 401),
        ]
        for (what, secret, status) in capabilities {
            lines.append(
                Line(
                    what: "a \(what) capability", status: status, path: "/webhooks/cinetpay/pay_1/\(secret)", headers: token, body: cinetPay.body,
                    kept: status == 200 ? 1 : 0))
        }
        lines.append(
            Line(
                what: "another payment's capability", status: 401, path: "/webhooks/cinetpay/pay_2/\(capability)", headers: token, body: cinetPay.body
            ))
        for path in ["/healthz", "/readyz", "/metrics"] {
            lines.append(Line(what: path, status: 200, method: "GET", path: path, body: nil))
            lines.append(Line(what: "POST \(path)", status: 405, path: path))
        }
        return lines
    }

    @Test("a body of 10 MB is refused while it comes, announced or in chunks, and nobody else waits", arguments: [false, true])
    func hugeBody(chunked: Bool) async throws {
        try await Stage.run(["ingest"]) { stage in
            let message = Message.unmatched()
            let status = try await HTTPLine.blocking {
                let line = try HTTPLine(port: stage.ingestPort)
                var headers = message.headers()
                headers.append(chunked ? ("transfer-encoding", "chunked") : ("content-length", "\(10 << 20)"))
                try line.send(HTTPLine.request("POST", message.path, headers: headers))
                let piece = [UInt8](repeating: 97, count: 64 << 10)
                let frame = chunked ? Array("10000\r\n".utf8) + piece + Array("\r\n".utf8) : piece
                // The answer may come long before the end, and the connection may be closed under what still comes.
                do {
                    for _ in 0..<160 { try line.send(frame) }
                } catch {
                    return try line.answer().status
                }
                return try line.answer().status
            }
            #expect(status == 413)
            #expect(try await stage.post(message).status == 200)
        }
    }

    @Test("an event on the list has the contract's members and the exact bytes")
    func eventShape() async throws {
        try await Stage.run(["ingest"]) { stage in
            try await stage.awaitRedisAtIngest()
            // Bytes that no re-encoding would leave as they are.
            let message = Message(
                id: Message.newID(), body: Array("{ \"type\" :\t\"payment.paid\",\n \"data\": {\"order_id\":\"é\\u00e9\"}  }\n".utf8))
            let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            let headers = message.headers() + [("traceparent", traceparent), ("user-agent", "Tests/1"), ("authorization", "Bearer very-secret")]
            #expect(try await stage.post(message, headers: headers).status == 200)
            let cinetPay = Proofs.cinetPay(transaction: "T9")
            let capability = Proofs.capability(
                provider: "cinetpay", payment: "pay_9", attempt: 3, secret: Instance.cinetPaySecret)
            let answer = try await HTTPLine.once(
                port: stage.ingestPort, "POST", "/webhooks/cinetpay/pay_9/\(capability)", headers: [Proofs.form], body: cinetPay.body)
            #expect(answer.status == 200)

            let waiting = try await stage.waiting(on: "events")
            try #require(waiting.count == 2)
            let event = try JSON(parsing: waiting[0])
            let members = [
                "specversion", "id", "source", "type", "time", "datacontenttype", "data_base64", "provider", "mode", "trust", "target", "headers",
                "matchedkey", "traceparent",
            ]
            #expect(event.object?.map(\.key).sorted() == members.sorted())
            #expect(event["specversion"]?.string == "1.0")
            #expect(event["id"]?.string == message.id)
            #expect(event["source"]?.string == "/webhooks/standard-webhooks")
            #expect(event["datacontenttype"]?.string == "application/json")
            #expect(event["data_base64"]?.string.flatMap { Base64.decode($0) } == message.body)
            #expect(event["provider"]?.string == "standard-webhooks")
            #expect(event["mode"]?.string == "sandbox")
            #expect(event["trust"]?.string == "signed")
            #expect(event["target"]?.string == "/webhooks/standard-webhooks")
            #expect(event["matchedkey"]?.int == 0)
            #expect(event["traceparent"]?.string == traceparent)
            let time = try #require(event["time"]?.string.flatMap { Timestamp.parse($0) })
            #expect(abs(WallClock.nowMs - time) < 60_000)
            let kept = try #require(event["headers"]?.string)
            #expect(kept.contains("webhook-id: \(message.id)") && kept.contains("user-agent: Tests/1"))
            #expect(!kept.contains("very-secret") && !kept.contains("v1,"))

            let unproven = try JSON(parsing: waiting[1])
            #expect(unproven["trust"]?.string == "unproven")
            #expect(unproven["payment"]?.string == "pay_9")
            #expect(unproven["target"]?.string == "/webhooks/cinetpay")
            #expect(unproven["attemptnumber"]?.int == 3)
            #expect(unproven["matchedkey"]?.int == 0 && unproven["traceparent"] == nil)
            #expect(!waiting[1].contains(capability))
        }
    }

    @Test("who keeps posting what is refused is slowed down with 429; good posts from the same address are not")
    func tooManyRefused() async throws {
        try await Stage.run(["ingest"]) { stage in
            let bad = Message.unmatched()
            // On one connection, so that all come to the same loop.
            let (answers, good, fine) = try await HTTPLine.blocking {
                let line = try HTTPLine(port: stage.ingestPort)
                var headers = bad.headers()
                headers[3].1 = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
                let answers = try (0..<200).map { _ in try line.exchange("POST", bad.path, headers: headers, body: bad.body) }
                let good = try line.exchange("POST", bad.path, headers: bad.headers(), body: bad.body)
                let ping = try line.exchange("GET", "/webhooks/cinetpay")
                return (answers, good, ping)
            }
            #expect(answers.prefix(90).allSatisfy { $0.status == 401 })
            let slowed = answers.filter { $0.status == 429 }
            #expect(!slowed.isEmpty)
            for answer in slowed { #expect(Int(answer.headers["retry-after"] ?? "") ?? 0 >= 1) }
            #expect(good.status == 200, "a genuine post must not pay for another's forgeries")
            #expect(fine.status == 200)
        }
    }

    @Test(
        "with Redis gone and the disk full an event is answered 503 with Retry-After, and taken again as soon as it can be kept",
        .enabled(if: Sanitizer.leavesFullDisks))
    func nothingCanKeepIt() async throws {
        try await Stage.run([]) { stage in
            // No file may grow at all, and the signal for it is ignored: writes fail as on a full disk.
            try await stage.instance.start("ingest", through: ["/bin/sh", "-c", "trap '' XFSZ; exec prlimit --fsize=0 \"$0\""])
            try await stage.awaitRedisAtIngest()
            try await stage.instance.redis.kill9()
            let message = Message.unmatched()
            var answer = try await stage.post(message)
            #expect(answer.status == 503)
            #expect(Int(answer.headers["retry-after"] ?? "") ?? 0 >= 1)
            let ready = try await HTTPLine.once(port: stage.ingestPort, "GET", "/readyz")
            #expect(ready.status == 503, "ingest says that it is ready while it can keep nothing")
            try await stage.instance.redis.restart()
            try await eventually("ingest takes posts again") {
                answer = try await stage.post(message)
                return answer.status == 200
            }
            try await eventually("ingest says that it is ready") {
                try await HTTPLine.once(port: stage.ingestPort, "GET", "/readyz").status == 200
            }
            #expect(try await stage.account().everywhere == [message.id])
        }
    }

    @Test("what is verified but unreadable is taken, and quarantined by worker-payments")
    func unreadable() async throws {
        try await Stage.run(["ingest", "worker-payments"]) { stage in
            let bodies = ["{half", "[]", #"{"type":"payment.succeeded"}"#, #"{"type":"payment.succeeded","data":{"order_id":7.5}}"#, ""]
            let messages = bodies.map { Message(id: Message.newID(), body: Array($0.utf8)) }
            let ignored = Message(id: Message.newID(), body: Array(#"{"type":"invoice.sent","data":{}}"#.utf8))
            for message in messages + [ignored] { #expect(try await stage.post(message).status == 200) }
            let accounting = try await stage.settle(Set(messages.map(\.id) + [ignored.id]))
            #expect(accounting.archived["quarantined"] == Set(messages.map(\.id)))
            #expect(accounting.archived["ignored"] == [ignored.id])
            let reasons = try await stage.texts("SELECT detail FROM payments_events WHERE outcome = 'quarantined'")
            #expect(reasons.count == messages.count && reasons.allSatisfy { !$0.isEmpty })
        }
    }
}

extension Array where Element == UInt8 {
    func contains(_ text: String) -> Bool { firstRange(of: Array(text.utf8)) != nil }
}
