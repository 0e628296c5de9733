import Cryptography
import Formats
import TestSupport
import Testing

@Suite("Tokens of HS256")
struct JSONWebTokenTests {
    static let secret = "a-secret-of-more-than-thirty-two-characters"
    static let now: Int64 = 1_795_000_000
    private static let check = JSONWebTokenCheck(secrets: [.init(id: "new", secret: secret)])

    private static func part(_ text: String) -> String { Base64.urlEncode(Array(text.utf8)) }

    /// A token with this header and these claims, signed whatever they say.
    private static func token(_ header: String, _ claims: String, secret: String = secret) -> String {
        let signed = "\(part(header)).\(part(claims))"
        return "\(signed).\(Base64.urlEncode(HMACSHA256(key: secret).authenticate(Array(signed.utf8))))"
    }

    private static func token(_ claims: String, secret: String = secret) -> String { token(#"{"alg":"HS256","typ":"JWT"}"#, claims, secret: secret) }

    private static func claims(_ more: String = "") -> String { #"{"sub":"shop-17","exp":\#(now + 300)\#(more)}"# }

    private func refusal(_ text: String, _ check: JSONWebTokenCheck = check) -> JSONWebTokenError? {
        do throws(JSONWebTokenError) {
            _ = try check.verify(text, now: Self.now)
            return nil
        } catch {
            return error
        }
    }

    @Test("PyJWT's are read as it means them, and those that it makes wrongly on purpose are refused")
    func madeByPyJWT() async throws {
        let process = try await ProcessFixture.start(
            repositoryRoot + "/.venv/bin/python", [repositoryRoot + "/Tests/Fixtures/tokens/make.py", Self.secret, "\(Self.now)"])
        try await process.waitForExit()
        let lines = process.output.map { $0.split(separator: " ").map(String.init) }
        try #require(lines.count == 18, "\(process.transcript)")
        for line in lines {
            let refused = refusal(line[2])
            #expect((refused == nil) == (line[1] == "good"), "\(line[0]): \(refused?.description ?? "taken")")
        }
        let whole = try #require(lines.first { $0[0] == "whole" })
        let token = try Self.check.verify(whole[2], now: Self.now)
        #expect(token.subject == "shop-17")
        #expect(token.scopes == ["payments", "usage"])
        #expect(token.expiresAt == Self.now + 300)
        #expect(token.claims["name"] == "Aïcha")
    }

    @Test(
        "that are built otherwise prove nothing, however they are signed",
        arguments: [
            #"{"alg":"none"}"#, #"{"alg":"None"}"#, #"{"alg":"hs256"}"#, #"{"alg":"HS384"}"#, #"{"alg":"RS256"}"#, #"{"alg":["HS256"]}"#,
            #"{"typ":"JWT"}"#, #"{}"#, #"[]"#, "", #""HS256""#, #"{"alg":"HS256","crit":["exp"]}"#, #"{"alg":"HS256","kid":"gone"}"#,
            #"{"alg":"HS256","kid":7}"#, #"{"alg":"HS256","alg":"none"}"#, #"{"alg":"none","alg":"HS256"}"#, #"{"alg":"HS256"} "x""#,
        ])
    func badHeaders(header: String) {
        #expect(refusal(Self.token(header, Self.claims())) == .notGenuine)
    }

    @Test("a tampered, cut, padded or oversized one is not genuine")
    func tampered() throws {
        let good = Self.token(Self.claims())
        #expect(refusal(good) == nil)
        let parts = good.split(separator: ".").map(String.init)
        let forged = Self.part(#"{"sub":"boss","exp":\#(Self.now + 300)}"#)
        var wrong = [
            "", ".", "..", "...", good + ".", "." + good, good + "=", String(good.dropLast()), good.uppercased(), " " + good, good + "\n",
            "\(parts[0]).\(forged).\(parts[2])", "\(parts[0]).\(parts[1]).", "\(parts[0]).\(parts[1])", "\(parts[0])=.\(parts[1]).\(parts[2])",
            "\(parts[1]).\(parts[0]).\(parts[2])", Self.token(Self.claims(), secret: Self.secret + "x"),
            Self.token(#"{"alg":"HS256"}"#, #"{"sub":"\#(String(repeating: "x", count: 9000))","exp":\#(Self.now + 300)}"#),
            String(repeating: ".", count: 100_000), String(repeating: "A", count: 100_000) + "..",
        ]
        // Every single character changed.
        for index in good.indices where good[index] != "." {
            var other = good
            other.replaceSubrange(index...index, with: good[index] == "A" ? "B" : "A")
            wrong.append(other)
        }
        for text in wrong { #expect(refusal(text) == .notGenuine, "\(text.prefix(300))") }
    }

    @Test(
        "claims that are missing, of another type or said twice are refused",
        arguments: [
            (#"{"sub":"a"}"#, "exp"), (#"{"exp":1795000300}"#, "sub"), (#"{"sub":"","exp":1795000300}"#, "sub"),
            (#"{"sub":7,"exp":1795000300}"#, "sub"), (#"{"sub":"a b","exp":1795000300}"#, "sub"), (#"{"sub":"a\nb","exp":1795000300}"#, "sub"),
            (#"{"sub":"a","exp":"1795000300"}"#, "exp"), (#"{"sub":"a","exp":true}"#, "exp"), (#"{"sub":"a","exp":-1}"#, "exp"),
            (#"{"sub":"a","exp":1e300}"#, "exp"), (#"{"sub":"a","exp":99999999999999999999}"#, "exp"), (#"{"sub":"a","exp":null}"#, "exp"),
            (#"{"sub":"a","exp":1795000300,"nbf":"now"}"#, "nbf"), (#"{"sub":"a","exp":1795000300,"iat":[]}"#, "iat"),
            (#"{"sub":"a","exp":1795000300,"scope":["payments"]}"#, "scope"), (#"{"sub":"a","exp":1795000300,"aud":"x"}"#, "aud"),
            (#"{"sub":"a","exp":1,"exp":1795000300}"#, ""), (#"{"sub":"a","sub":"b","exp":1795000300}"#, ""), ("[]", ""), ("", ""),
            (#"{"sub":"a","exp":1795000300,"deep":[[[[[[[[[[1]]]]]]]]]]}"#, ""),
        ])
    func badClaims(claims: String, name: String) {
        #expect(refusal(Self.token(claims)) == (name.isEmpty ? .notGenuine : .claim(name)))
    }

    @Test("times are taken with a minute's patience")
    func times() {
        let table: [(String, JSONWebTokenError?)] = [
            (#"{"sub":"a","exp":1794999941}"#, nil), (#"{"sub":"a","exp":1794999940}"#, .expired), (#"{"sub":"a","exp":0}"#, .expired),
            (Self.claims(#","nbf":1795000060"#), nil), (Self.claims(#","nbf":1795000061"#), .notYetValid),
            (Self.claims(#","iat":1795000060"#), nil), (Self.claims(#","iat":1795000061"#), .notYetValid),
        ]
        for (claims, refused) in table { #expect(refusal(Self.token(claims)) == refused, "\(claims)") }
    }

    @Test("issuer and audience must be ours where they are set")
    func meant() {
        let strict = JSONWebTokenCheck(secrets: [.init(id: nil, secret: Self.secret)], issuer: "https://shop.example", audience: "quittance")
        let table: [(String, JSONWebTokenError?)] = [
            (#","iss":"https://shop.example","aud":"quittance""#, nil), (#","iss":"https://shop.example","aud":["x","quittance"]"#, nil),
            (#","iss":"https://shop.example""#, .claim("aud")), (#","iss":"https://shop.example","aud":["x"]"#, .claim("aud")),
            (#","iss":"https://shop.example","aud":7"#, .claim("aud")), (#","iss":"https://shop.example/","aud":"quittance""#, .claim("iss")),
            (#","aud":"quittance""#, .claim("iss")), (#","iss":["https://shop.example"],"aud":"quittance""#, .claim("iss")),
        ]
        for (more, refused) in table { #expect(refusal(Self.token(Self.claims(more)), strict) == refused, "\(more)") }
    }

    @Test("while a secret is changed both are good, and a token that names one is checked by that one")
    func rotation() {
        let old = "the-old-secret-of-more-than-thirty-two-characters"
        let both = JSONWebTokenCheck(secrets: [.init(id: "new", secret: Self.secret), .init(id: "old", secret: old)])
        #expect(refusal(Self.token(Self.claims()), both) == nil)
        #expect(refusal(Self.token(Self.claims(), secret: old), both) == nil)
        #expect(refusal(Self.token(#"{"alg":"HS256","kid":"old"}"#, Self.claims(), secret: old), both) == nil)
        #expect(refusal(Self.token(#"{"alg":"HS256","kid":"new"}"#, Self.claims(), secret: old), both) == .notGenuine)
        #expect(refusal(Self.token(#"{"alg":"HS256","kid":"old"}"#, Self.claims(), secret: old)) == .notGenuine)
    }
}
