import Access
import Cryptography
import Database
import Formats
import Settings
import TestSupport
import Testing

@Suite("Calls that are too many, tokens, and pages of other sites")
struct WebCallLimitTests {
    private static func limited(_ calls: Int, status: Int) -> APISettings {
        var api = APISettings()
        (api.callsPerMinute, api.statusCallsPerMinute) = (calls, status)
        return api
    }

    @Test("a caller is answered 429 with when to come back, others and other kinds of calls are not, and probes are never counted")
    func tooMany() async throws {
        try await WebStage.with(api: Self.limited(3, status: 5)) { stage in
            // No minute shall end meanwhile.
            stage.turnClock(by: 61_000 - stage.nowMs % 60_000)
            var answer = try await stage.get("/api/v1/payments/providers/")
            #expect(answer.headers["ratelimit-limit"] == "3")
            #expect(answer.headers["ratelimit-remaining"] == "2")
            #expect((1...60).contains(answer.headers["ratelimit-reset"].flatMap { Int($0) } ?? 0))
            for _ in 0..<2 { _ = try await stage.get("/api/v1/payments/providers/") }
            answer = try await stage.get("/api/v1/payments/providers/")
            #expect(answer.status == 429)
            #expect(answer.headers["content-type"] == "application/problem+json")
            #expect((1...120).contains(answer.headers["retry-after"].flatMap { Int($0) } ?? 0))
            #expect(answer.headers["ratelimit-remaining"] == "0")
            #expect(try await stage.post("/api/v1/payments/", [:]).status == 429)
            // Where a payment stands is counted apart.
            for _ in 0..<5 { #expect(try await stage.get("/api/v1/payments/pay_x/").status == 404) }
            #expect(try await stage.get("/api/v1/payments/cinetpay/pay_x/status/").status == 429)
            // Gateways ask before every delivery; probes and the description are nobody's calls.
            for _ in 0..<10 { #expect(try await stage.get("/api/usage/shop/allowed").status == 404) }
            for path in ["/healthz", "/readyz", "/openapi.json"] { #expect(try await stage.send("GET", path).status == 200) }
            let second = try await stage.database.write { try APIKeys.create(name: "second", nowMs: 1, in: $0).text }
            #expect(try await stage.send("GET", "/api/v1/payments/providers/", headers: ["authorization": "Bearer \(second)"]).status == 200)
            stage.turnClock(by: 120_000)
            #expect(try await stage.get("/api/v1/payments/providers/").status == 200)
        }
    }

    private static let secret = "a-secret-of-more-than-thirty-two-characters"

    private static func token(_ subject: String, nowMs: Int64, _ more: [(String, JSON)] = []) -> String {
        let claims = JSON.object(JSONObject([("sub", .string(subject)), ("exp", .int(nowMs / 1000 + 300))] + more))
        let signed = [#"{"alg":"HS256"}"#.utf8, claims.text.utf8].map { Base64.urlEncode(Array($0)) }.joined(separator: ".")
        return "\(signed).\(Base64.urlEncode(HMACSHA256(key: secret).authenticate(Array(signed.utf8))))"
    }

    @Test("a merchant's token calls as its subject: its scopes, its own idempotency keys and count, its name in the audit")
    func tokens() async throws {
        var api = Self.limited(20, status: 0)
        api.tokenSecrets = [.init(id: nil, secret: Secret(Self.secret))]
        try await WebStage.with(api: api) { stage in
            let now = stage.nowMs
            func call(_ token: String, _ method: String, _ path: String, _ body: JSON? = nil, key: String? = nil) async throws -> WebStage.Answer {
                var headers: HTTPHeaders = ["authorization": "Bearer \(token)", "content-type": "application/json"]
                if let key { headers["idempotency-key"] = key }
                return try await stage.send(method, path, headers: headers, body: body?.bytes ?? [])
            }
            let order: JSON = ["order_id": "o-1", "description": "Two lamps", "amount": "5000", "currency": "XOF", "customer": ["name": "A"]]
            let (aicha, bakary) = (Self.token("aicha", nowMs: now), Self.token("bakary", nowMs: now))
            let made = try await call(aicha, "POST", "/api/v1/payments/", order, key: "one")
            #expect(made.status == 201, "\(made.text)")
            #expect(made.headers["ratelimit-remaining"] == "19")
            let again = try await call(aicha, "POST", "/api/v1/payments/", order, key: "one")
            #expect(again.headers["idempotency-replayed"] == "true")
            // The same key of another subject is another key, and its calls are counted apart.
            let other = try await call(bakary, "POST", "/api/v1/payments/", order, key: "one")
            #expect(other.status == 201)
            #expect(other.string("id") != made.string("id"))
            #expect(other.headers["ratelimit-remaining"] == "19")
            let actors = try await stage.database.read { try $0.query("SELECT DISTINCT actor FROM payments_audit").map { try $0.text("actor") } }
            #expect(Set(actors) == ["jwt:aicha", "jwt:bakary"])

            // No token can do more than tokens may, whatever it claims.
            let refund = "/api/v1/payments/\(made.string("id") ?? "")/refund/"
            let wide = Self.token("aicha", nowMs: now, [("scope", "payments refunds")])
            #expect(try await call(wide, "POST", refund, ["reason": "x"], key: "two").status == 403)
            let narrow = Self.token("aicha", nowMs: now, [("scope", "usage")])
            #expect(try await call(narrow, "GET", "/api/v1/payments/\(made.string("id") ?? "")/").status == 403)
            let expired = try await call(Self.token("aicha", nowMs: now - 600_000), "GET", "/api/v1/payments/pay_x/")
            #expect(expired.status == 401)
            #expect(expired.headers["www-authenticate"]?.contains("invalid_token") == true)
            #expect(expired.string("detail") == "the token has expired")
        }
    }

    @Test("without a secret no token is taken")
    func noTokens() async throws {
        try await WebStage.with { stage in
            let token = Self.token("aicha", nowMs: stage.nowMs)
            let answer = try await stage.send("GET", "/api/v1/payments/pay_x/", headers: ["authorization": "Bearer \(token)"])
            #expect(answer.status == 401)
        }
    }

    private static let preflight: [(String, String)] = [
        ("access-control-request-method", "POST"), ("access-control-request-headers", "authorization,content-type,idempotency-key"),
    ]

    @Test("pages of a listed site may call, and no others; credentials are never allowed")
    func listedOrigin() async throws {
        var api = WebStage.unlimited
        api.origins = ["https://shop.example", "http://localhost:5173"]
        try await WebStage.with(api: api) { stage in
            func ask(_ origin: String) -> HTTPHeaders { HTTPHeaders([("origin", origin)] + Self.preflight) }
            let path = "/api/v1/payments/cinetpay/initiate/"
            let allowed = try await stage.send("OPTIONS", path, headers: ask("https://shop.example"))
            #expect(allowed.status == 204)
            #expect(allowed.headers["access-control-allow-origin"] == "https://shop.example")
            #expect(allowed.headers["access-control-allow-methods"] == "POST")
            #expect(allowed.headers["access-control-allow-headers"]?.contains("Idempotency-Key") == true)
            #expect(allowed.headers["access-control-max-age"] == "600")
            #expect(allowed.headers["access-control-allow-credentials"] == nil)
            #expect(allowed.headers["vary"]?.contains("Origin") == true)
            let others = [
                "https://shop.example.evil.test", "https://evil.test", "http://shop.example", "https://shop.example:8443", "null",
                "https://SHOP.example", "https://shop.example/",
            ]
            for other in others {
                let refused = try await stage.send("OPTIONS", path, headers: ask(other))
                #expect(refused.status == 403, "\(other)")
                #expect(refused.headers["access-control-allow-origin"] == nil)
                #expect(refused.headers["vary"]?.contains("Origin") == true)
            }
            // Answers, problems too, can be read by the page; they depend on the origin for caches.
            for origin in ["https://shop.example", "https://evil.test"] {
                let answer = try await stage.send(
                    "GET", "/api/v1/payments/pay_x/", headers: ["origin": origin, "authorization": "Bearer \(stage.key)"])
                #expect(answer.status == 404)
                #expect(answer.headers["access-control-allow-origin"] == (origin == "https://evil.test" ? nil : origin))
                #expect(answer.headers["vary"] == "Origin")
            }
            let unauthorised = try await stage.send("GET", "/api/v1/payments/pay_x/", headers: ["origin": "http://localhost:5173"])
            #expect(unauthorised.status == 401)
            #expect(unauthorised.headers["access-control-allow-origin"] == "http://localhost:5173")
            #expect(unauthorised.headers["access-control-expose-headers"]?.contains("Retry-After") == true)
            // A form that anybody may send takes a listed site's post as it takes ours; pages stay our own site's.
            let inquiry = try await stage.post(
                "/api/v1/kit/inquiries/", WebStage.inquiry, headers: ["origin": "https://shop.example", "sec-fetch-site": "cross-site"])
            #expect(inquiry.status == 201)
            let foreign = try await stage.post(
                "/api/v1/kit/inquiries/", WebStage.inquiry, headers: ["origin": "https://evil.test", "sec-fetch-site": "cross-site"])
            #expect(foreign.status == 403)
            #expect(try await stage.send("OPTIONS", "/kit/inquiry/", headers: ask("https://shop.example")).status == 405)
            #expect(try await stage.send("OPTIONS", path).status == 405)
        }
    }

    @Test("a star lets all pages call; without a list none may, and nothing is said of origins")
    func starAndNone() async throws {
        var api = WebStage.unlimited
        api.origins = ["*"]
        try await WebStage.with(api: api) { stage in
            let answer = try await stage.send(
                "GET", "/api/v1/payments/pay_x/", headers: ["origin": "https://anybody.test", "authorization": "Bearer \(stage.key)"])
            #expect(answer.headers["access-control-allow-origin"] == "*")
            #expect(answer.headers["access-control-allow-credentials"] == nil)
            #expect(answer.headers["vary"] == nil)
        }
        try await WebStage.with { stage in
            let answer = try await stage.send("OPTIONS", "/api/v1/payments/", headers: HTTPHeaders([("origin", "https://a.test")] + Self.preflight))
            #expect(answer.status == 405)
            let read = try await stage.send("GET", "/api/v1/payments/pay_x/", headers: ["origin": "https://a.test"])
            #expect(read.headers["access-control-allow-origin"] == nil)
            #expect(read.headers["vary"] == nil)
        }
    }
}
