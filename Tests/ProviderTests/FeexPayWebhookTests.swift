import Cryptography
import FeexPay
import Formats
import ProviderPort
import Testing

private let secret = "demo-feex-hook-value-93a7"
/// HMAC-SHA256 of `success_phone_string.json` under ``secret``, made by openssl.
private let signature = "da25ca154457c1bf1e5bffb4c1cf9283fab5144a0a712e4b4f74cc50507c12ff"

private func post(_ body: [UInt8], _ headers: HTTPHeaders = [:], method: String = "POST") -> IncomingWebhook {
    var headers = headers
    headers["content-type"] = "application/json"
    return IncomingWebhook(method: method, headers: headers, body: body)
}

private func success() throws -> [UInt8] { try Fixture.bytes("feexpay/success_phone_string.json") }

@Suite("FeexPay: webhook")
struct FeexPayWebhookTests {
    static let samples: [(file: String, references: [ProviderReference], claim: ProviderClaim)] = [
        ("success_phone_string", [ProviderReference("reference", "3f2b9c1e-6a84-4d0e-9f57-1c2d3e4f5a6b"), .ours("INV-2026-000481")], .captured),
        (
            "success_phone_number_callback_object",
            [ProviderReference("reference", "a7c1d2e3-4b5f-4c6d-8e7f-90a1b2c3d4e5"), .ours("INV-2026-000482")],
            .captured
        ),
        ("success_celtiis_reference", [ProviderReference("reference", "AG_20260314_701000000a4e1387a99b"), .ours("INV-2026-000483")], .captured),
        ("success_contradictory_reason", [ProviderReference("reference", "5d4c3b2a-1908-4f7e-8d6c-5b4a39281706")], .captured),
        ("failed_low_balance", [ProviderReference("reference", "c0a8f1d2-77b3-4e19-a5c6-d7e8f9012345"), .ours("INV-2026-000485")], .failed),
        ("pending_defensive", [ProviderReference("reference", "e1f20304-5a6b-4c7d-8e9f-a0b1c2d3e4f5"), .ours("INV-2026-000486")], .processing),
        ("payout_success", [ProviderReference("reference", "b9a87654-3210-4fed-8cba-0123456789ab"), .ours("PO-2026-0031")], .captured),
    ]

    @Test("the recorded webhooks are read; no amount is taken from one", arguments: samples)
    func sample(_ sample: (file: String, references: [ProviderReference], claim: ProviderClaim)) throws {
        let body = try Fixture.bytes("feexpay/\(sample.file).json")
        let notice = try feexPay().parse(body: body, contentType: "application/json")
        #expect(notice.references == sample.references)
        #expect(notice.claim == sample.claim)
        #expect(notice.amount == nil && notice.amountProblem == nil)
        #expect(notice.errorCode == (sample.claim == .failed ? "LOW_BALANCE_OR_PAYEE_LIMIT_REACHED_OR_NOT_ALLOWED" : nil))
        let accepted = try #require(
            try feexPay(secrets: [secret]).verifyWebhook(post(body, ["authorization": "Bearer \(secret)"]), nowMs: 0).accepted)
        #expect(accepted.trust == .sharedSecret)
    }

    static let forms: [String] = [
        "Bearer \(secret)", "bearer \(secret)", "BEARER  \(secret)", "Basic \(secret)", secret, "Basic \(Base64.encode(Array(secret.utf8)))",
        "Bearer \(Base64.encode(Array(secret.utf8)))",
    ]

    @Test("the fixed authorization value is taken in the forms that are in use", arguments: forms)
    func authorization(_ value: String) throws {
        let provider = try feexPay(secrets: [secret])
        let accepted = try #require(provider.verifyWebhook(post(try success(), ["authorization": value]), nowMs: 0).accepted)
        #expect(accepted.trust == .sharedSecret)
        #expect(accepted.matchedKey == 0)
        #expect(accepted.type == "payment.notification")
        #expect(provider.verifyWebhook(post(try success(), ["authorization": value]), nowMs: 999_999_999).accepted == accepted)
    }

    @Test("the signature of the body is taken in hex", arguments: [signature, signature.uppercased(), "sha256=\(signature)"])
    func signed(_ value: String) throws {
        let accepted = try #require(
            try feexPay(secrets: [secret]).verifyWebhook(post(try success(), ["x-feexpay-signature": value]), nowMs: 0).accepted)
        #expect(accepted.trust == .signed)
        #expect(accepted.matchedKey == 0)
    }

    @Test("one changed byte breaks the signature")
    func tampered() throws {
        let provider = try feexPay(secrets: [secret])
        let body = try success()
        for at in stride(from: 0, to: body.count, by: 5) {
            var other = body
            other[at] ^= 1
            #expect(provider.verifyWebhook(post(other, ["x-feexpay-signature": signature]), nowMs: 0).refusal?.contains("does not match") == true)
        }
    }

    static let wrong: [HTTPHeaders] = [
        ["authorization": "Bearer other"], ["authorization": "Bearer"], ["authorization": "Bearer "], ["authorization": "Bearer \(secret)x"],
        ["authorization": "Bearer \(secret.dropLast())"], ["authorization": "Digest \(secret)"], ["authorization": "Bearer \(secret) \(secret)"],
        ["authorization": "Bearer \(secret.uppercased())"], ["x-feexpay-signature": "da25ca15"], ["x-feexpay-signature": "zz"],
        // A digest without a key, which some projects take for a signature.
        ["x-feexpay-signature": "6dbea3b20a736c716f56f4cb9cfb7909e971e643ebfc6280bc6c3e0e05978aec"],
        // Another key's signature.
        ["x-feexpay-signature": "28a10c8a8d5fbcd5cd92a8fd094db928528d1190434c21e645dc2fd66397b0de"],
        // One good proof does not outweigh a wrong one.
        ["authorization": "Bearer \(secret)", "x-feexpay-signature": String(repeating: "0", count: 64)],
        ["authorization": "Bearer other", "x-feexpay-signature": signature],
    ]

    @Test("a wrong proof is refused, and so is a missing one once a secret is set", arguments: wrong.indices)
    func refused(_ index: Int) throws {
        let provider = try feexPay(secrets: [secret])
        let refusal = provider.verifyWebhook(post(try success(), Self.wrong[index]), nowMs: 0).refusal
        #expect(refusal?.contains("does not match") == true)
        #expect(refusal?.contains(secret) == false)
        for missing in [[:], ["authorization": ""], ["x-feexpay-signature": ""]] as [HTTPHeaders] {
            #expect(provider.verifyWebhook(post(try success(), missing), nowMs: 0).refusal?.contains("FEEXPAY_WEBHOOK_SECRET is set") == true)
        }
    }

    @Test("during a rotation both secrets verify, and the one that matched is told")
    func rotation() throws {
        let provider = try feexPay(secrets: ["newer", secret])
        #expect(provider.verifyWebhook(post(try success(), ["authorization": secret]), nowMs: 0).accepted?.matchedKey == 1)
        #expect(provider.verifyWebhook(post(try success(), ["authorization": "newer"]), nowMs: 0).accepted?.matchedKey == 0)
        #expect(provider.verifyWebhook(post(try success(), ["x-feexpay-signature": signature]), nowMs: 0).accepted?.matchedKey == 1)
    }

    @Test("without a secret a webhook is an unproven hint, and each minute a new one")
    func unproven() throws {
        let provider = try feexPay()
        let webhook = post(try success(), ["authorization": "Bearer \(secret)"])
        let first = try #require(provider.verifyWebhook(webhook, nowMs: 60_000).accepted)
        #expect(first.trust == .unproven)
        #expect(first.matchedKey == nil)
        #expect(provider.verifyWebhook(webhook, nowMs: 119_999).accepted?.deliveryID == first.deliveryID)
        #expect(provider.verifyWebhook(webhook, nowMs: 120_000).accepted?.deliveryID != first.deliveryID)
        for body in [
            "", "[]", "{}", "{\"reference\":\"\"}", "{\"reference\":{}}", "null", "x", "{\"reference\":\"\(String(repeating: "a", count: 300))\"}",
        ] {
            #expect(provider.verifyWebhook(post(Array(body.utf8)), nowMs: 0).refusal != nil, "\(body.prefix(30))")
        }
    }

    @Test("another status or another reference is another delivery, the same body the same one")
    func identity() throws {
        let provider = try feexPay(secrets: [secret])
        func id(_ body: String) -> String? {
            provider.verifyWebhook(post(Array(body.utf8), ["authorization": secret]), nowMs: 0).accepted?.deliveryID
        }
        let bodies = [
            #"{"reference":"r","status":"PENDING"}"#, #"{"reference":"r","status":"SUCCESSFUL"}"#, #"{"reference":"s","status":"SUCCESSFUL"}"#,
        ]
        #expect(Set(bodies.compactMap(id)).count == 3)
        #expect(id(bodies[0]) == id(bodies[0]))
    }

    @Test("a ping is passed over, and the result of a history is about no payment")
    func ignored() throws {
        for provider in try [feexPay(), feexPay(secrets: [secret])] {
            #expect(provider.verifyWebhook(post([], method: "GET"), nowMs: 0).isIgnored)
            let result = Array(#"{"request_id":"78fc","status":"COMPLETED","type":"PAYMENT_HISTORY","amount":0,"data":[]}"#.utf8)
            #expect(provider.verifyWebhook(post(result, ["authorization": secret]), nowMs: 0).accepted != nil)
            #expect(try provider.parse(body: result, contentType: "") == ProviderNotice(references: [], claim: .unknown))
        }
    }

    @Test(
        "what has not FeexPay's shape is unreadable",
        arguments: [
            "", "[]", "{}", "\"x\"", "{\"reference\":null}", "{\"reference\":[]}", "{\"reference\":\" \"}", "{\"reference\":1.5}",
            "{\"reference\":\"a b\"}", "{\"reference\":\"a\\u0000b\"}", "{\"reference\":\"é\"}",
            "{\"a\":\"\u{0}\"}",
        ])
    func unreadable(_ body: String) async throws {
        let error = await providerError { try feexPay().parse(body: Array(body.utf8), contentType: "") }
        #expect(error?.kind == .unreadable)
    }

    @Test("deep and large bodies are read within bounds")
    func hostile() throws {
        let deep = String(repeating: "[", count: 60) + String(repeating: "]", count: 60)
        let provider = try feexPay()
        #expect(try provider.parse(body: Array("{\"reference\":\"r\",\"callback_info\":\(deep)}".utf8), contentType: "").references.count == 1)
        let wide = (0..<5000).map { "\"k\($0)\":\"v\($0)\"" }.joined(separator: ",")
        #expect(try provider.parse(body: Array("{\"reference\":\"r\",\"callback_info\":{\(wide)}}".utf8), contentType: "").references.count == 9)
        let odd = #"{"reference":7,"status":{},"amount":"x","callback_info":"{broken","phoneNumber":2290166000000,"date":"yesterday"}"#
        let notice = try provider.parse(body: Array(odd.utf8), contentType: "")
        #expect(notice.claim == .unknown)
        #expect(notice.references == [ProviderReference("reference", "7")])
    }
}
