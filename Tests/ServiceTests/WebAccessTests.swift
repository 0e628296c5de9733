import Access
import Database
import Formats
import TestSupport
import Testing

@Suite("The web asks who calls")
struct WebAccessTests {
    @Test(
        "without a good bearer key every payment call is refused",
        arguments: [nil, "Basic c2hvcDpzZWNyZXQ=", "Bearer ", "Bearer qk_0000000000000000_nothing", "Bearer not a key"])
    func badKeys(header: String?) async throws {
        try await WebStage.with { stage in
            let headers = HTTPHeaders(header.map { [("authorization", $0)] } ?? [])
            let calls = [
                ("GET", "/api/v1/payments/pay_x/"), ("POST", "/api/v1/payments/"), ("POST", "/api/v1/payments/cinetpay/initiate/"),
                ("GET", "/api/v1/payments/cinetpay/pay_x/status/"), ("POST", "/api/payments/team/initiate"), ("GET", "/api/payments/team/history"),
            ]
            for (method, path) in calls {
                let answer = try await stage.send(method, path, headers: headers)
                #expect(answer.status == 401, "\(method) \(path)")
                #expect(answer.headers["www-authenticate"]?.hasPrefix("Bearer") == true)
                #expect(answer.headers["content-type"] == "application/problem+json")
            }
        }
    }

    @Test("a key with another secret, a revoked key and a key without the scope are refused")
    func wrongKeys() async throws {
        try await WebStage.with { stage in
            let forged = String(stage.key.dropLast(4)) + (stage.key.hasSuffix("AAAA") ? "BBBB" : "AAAA")
            #expect(try await stage.send("GET", "/api/v1/payments/pay_x/", headers: ["authorization": "Bearer \(forged)"]).status == 401)
            let other = try await stage.database.write { try APIKeys.create(name: "reports", scopes: ["reports"], nowMs: 1, in: $0) }
            #expect(try await stage.send("GET", "/api/v1/payments/pay_x/", headers: ["authorization": "Bearer \(other.text)"]).status == 403)

            #expect(try await stage.get("/api/v1/payments/pay_x/").status == 404)
            let keys = try await stage.database.read { try APIKeys.list(in: $0) }
            let shop = try #require(keys.first { $0.name == "shop" })
            #expect(try await stage.database.write { try APIKeys.revoke(shop.id, nowMs: 2, in: $0) })
            #expect(try await stage.database.write { try APIKeys.revoke(shop.id, nowMs: 3, in: $0) } == false)
            #expect(try await stage.get("/api/v1/payments/pay_x/").status == 401)
        }
    }

    @Test("only a digest of a key is kept, and its use is noted every few minutes at most")
    func keptAsDigest() async throws {
        try await WebStage.with { stage in
            let secret = try #require(stage.key.split(separator: "_", maxSplits: 2).last)
            let kept = try await stage.database.read { try $0.query("SELECT * FROM access_keys").flatMap(\.values).map { "\($0)" }.joined() }
            #expect(!kept.contains(secret))

            func lastUsed() async throws -> Int64? { try await stage.database.read { try APIKeys.list(in: $0).first?.lastUsedAtMs } }
            #expect(try await lastUsed() == nil)
            _ = try await stage.get("/api/v1/payments/pay_x/")
            let first = try #require(try await lastUsed())
            _ = try await stage.get("/api/v1/payments/pay_x/")
            #expect(try await lastUsed() == first)
            stage.turnClock(by: APIKey.lastUsedResolutionMs)
            _ = try await stage.get("/api/v1/payments/pay_x/")
            #expect(try #require(try await lastUsed()) >= first + APIKey.lastUsedResolutionMs)
        }
    }

    @Test("a key needs a name and scopes that are words")
    func keyRules() async throws {
        try await WebStage.with { stage in
            let refused: [(String, [String])] = [
                ("", ["payments"]), ("a\nb", ["payments"]), ("shop", []), ("shop", ["two words"]), ("shop", ["Payments"]),
            ]
            for (name, scopes) in refused {
                await #expect(throws: AccessError.self) {
                    try await stage.database.write { _ = try APIKeys.create(name: name, scopes: scopes, nowMs: 1, in: $0) }
                }
            }
        }
    }
}
