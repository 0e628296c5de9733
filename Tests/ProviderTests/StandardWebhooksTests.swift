import Formats
import Money
import ProviderPort
import StandardWebhooks
import TestSupport
import Testing

private let currentSecret = "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
private let previousSecret = "whsec_b2xkLXJvdGF0ZWQtc2VjcmV0LWtleS0wMTIzNDU2Nzg5"
private let pingSignature = "v1,+86jxBtFe6+EjffxjCr42pjsuI6hiKlE9AopDWb7PNM="

private func post(
    id: String = "msg_test_1", timestamp: String = "1700000000", signature: String = pingSignature, body: [UInt8] = Array(#"{"type":"ping"}"#.utf8),
    family: String = "webhook"
) -> IncomingWebhook {
    IncomingWebhook(
        method: "POST", headers: ["\(family)-id": id, "\(family)-timestamp": timestamp, "\(family)-signature": signature], body: body)
}

private func verdict(_ webhook: IncomingWebhook, now: Int64 = 1_700_000_000, secrets: [String] = [currentSecret]) throws -> WebhookVerdict {
    try StandardWebhooksProvider(secrets: secrets).verifyWebhook(webhook, nowMs: now * 1000)
}

@Suite("Standard Webhooks: proof")
struct StandardWebhooksProofTests {
    struct Vector: Sendable, CustomTestStringConvertible {
        var secret = currentSecret
        let id: String
        let timestamp: Int64
        let body: String
        let signature: String
        var testDescription: String { id }
    }

    static let vectors = [
        Vector(id: "msg_test_1", timestamp: 1_700_000_000, body: #"{"type":"ping"}"#, signature: pingSignature),
        Vector(
            id: "msg_test_2", timestamp: 1_700_000_000, body: #"{"nom":"Aïcha","ville":"חיפה"}"#,
            signature: "v1,S3cdkTDKh0gzeMNiP4u4OSZsZ/L9PYEmitJXvDnWn6I="),
        Vector(id: "msg_test_3", timestamp: 1_700_000_000, body: "", signature: "v1,11a+nP1OzOYT4zW4HPPWyW2tiExzFQ4QQ9T3lBeJZ8g="),
        // The scheme's own published example.
        Vector(
            secret: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", id: "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", timestamp: 1_649_367_553,
            body: #"{"email":"test@example.com","username":"test_user"}"#, signature: "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="),
    ]

    @Test("the published vectors verify, and our own signer makes the same", arguments: vectors)
    func publishedVector(_ vector: Vector) throws {
        let webhook = post(id: vector.id, timestamp: "\(vector.timestamp)", signature: vector.signature, body: Array(vector.body.utf8))
        let accepted = try #require(try verdict(webhook, now: vector.timestamp, secrets: [vector.secret]).accepted)
        #expect(accepted == AcceptedWebhook(trust: .signed, deliveryID: vector.id, type: "payment.notification", matchedKey: 0))
        let signer = try StandardWebhooksSigner(secret: vector.secret)
        #expect(signer.signature(id: vector.id, timestamp: vector.timestamp, body: Array(vector.body.utf8)) == vector.signature)
    }

    static let samples: [(file: String, id: String, timestamp: Int64, signature: String)] = [
        ("payment_succeeded.json", "msg_2ZkqT0vRcQ8mJb4sWnY1aX7dPfe", 1_763_712_000, "v1,x8DeYr9vHcENgoFzkAOaVToLlbQVzfUfEN2pwWGQEZ4="),
        ("payment_failed.json", "msg_2ZkqTtN9hX5uLs0eVgB3yC8rKwa", 1_763_712_305, "v1,CwmbPul8Ng1wWV0sxRtMqbG4YRlXb4DzMXg+JUAiPRE="),
        ("payment_pending.json", "msg_2ZkqUb6DfZ1oMi7pQxH4tE2vNjc", 1_763_712_600, "v1,i7Aj+gH9gw8ahQS/D4bdR+X7SH+L+YtKfo4UnWZotFs="),
        ("payment_refunded.json", "msg_2ZkqVgK3jW8rTe5yUbP0sA6mDfh", 1_763_798_400, "v1,hsgzX1udODD1zvBPEKrYJqe22VhgzixqveHrooxJENM="),
    ]

    @Test("the recorded messages verify", arguments: samples)
    func sample(_ sample: (file: String, id: String, timestamp: Int64, signature: String)) throws {
        let body = try Fixture.bytes("standard_webhooks/\(sample.file)")
        let webhook = post(id: sample.id, timestamp: "\(sample.timestamp)", signature: sample.signature, body: body)
        #expect(try verdict(webhook, now: sample.timestamp).accepted?.deliveryID == sample.id)
        let svix = post(id: sample.id, timestamp: "\(sample.timestamp)", signature: sample.signature, body: body, family: "svix")
        #expect(try verdict(svix, now: sample.timestamp).accepted?.deliveryID == sample.id)
        #expect(try verdict(webhook, now: sample.timestamp, secrets: [previousSecret]).refusal == "no signature matches")
        var tampered = body
        tampered[body.count / 2] ^= 1
        let altered = post(id: sample.id, timestamp: "\(sample.timestamp)", signature: sample.signature, body: tampered)
        #expect(try verdict(altered, now: sample.timestamp).refusal == "no signature matches")
    }

    @Test("during a rotation each secret verifies and the one that matched is told")
    func rotation() throws {
        let body = try Fixture.bytes("standard_webhooks/payment_succeeded.json")
        let old = "v1,x17MGqzq0CtKxgK1sZ0om0he20HkNkUmCW8u0ea82V0="
        let list = "\(old) v1a,bm90LWEtcmVhbC1lZDI1NTE5LXNpZ25hdHVyZQ== v1,x8DeYr9vHcENgoFzkAOaVToLlbQVzfUfEN2pwWGQEZ4="
        func matched(_ signature: String, _ secrets: [String]) throws -> Int? {
            let webhook = post(id: "msg_2ZkqT0vRcQ8mJb4sWnY1aX7dPfe", timestamp: "1763712000", signature: signature, body: body)
            return try verdict(webhook, now: 1_763_712_000, secrets: secrets).accepted?.matchedKey
        }
        #expect(try matched(list, [currentSecret]) == 0)
        #expect(try matched(list, [previousSecret]) == 0)
        #expect(try matched(old, [currentSecret, previousSecret]) == 1)
        #expect(try matched(old, [currentSecret]) == nil)
    }

    static let wrongSignatures: [(what: String, signature: String)] = [
        ("the key taken as text with its prefix", "v1,bM1M1lpAd9AklkNfy6CkcKSTVAaI0oWQXjvxGJNG+hg="),
        ("the key taken as base64 text", "v1,i4AOlA3Kt/ZjEPFZOHIy/UJU5E8mFTv0tG2JIQOOs1Y="),
        ("version v2", "v2,+86jxBtFe6+EjffxjCr42pjsuI6hiKlE9AopDWb7PNM="),
        ("version v1a", "v1a,+86jxBtFe6+EjffxjCr42pjsuI6hiKlE9AopDWb7PNM="),
        ("no comma", "v1+86jxBtFe6+EjffxjCr42pjsuI6hiKlE9AopDWb7PNM="),
        ("empty", ""), ("a version alone", "v1,"), ("cut off", "v1,+86jxBtFe6+EjffxjCr42pjsuI6hiKlE9AopDWb7"),
        ("no padding", "v1,+86jxBtFe6+EjffxjCr42pjsuI6hiKlE9AopDWb7PNM"), ("capital V", "V1,+86jxBtFe6+EjffxjCr42pjsuI6hiKlE9AopDWb7PNM="),
    ]

    @Test("a wrong signature is refused", arguments: wrongSignatures)
    func wrongSignature(_ wrong: (what: String, signature: String)) throws {
        #expect(try verdict(post(signature: wrong.signature)).refusal != nil, "\(wrong.what)")
        // The same beside a good one does no harm.
        #expect(try verdict(post(signature: "\(wrong.signature) \(pingSignature)")).accepted != nil, "\(wrong.what)")
    }

    @Test("every signed character counts")
    func signedCharacters() throws {
        #expect(try verdict(post(body: Array(#"{"type": "ping"}"#.utf8))).refusal == "no signature matches")
        #expect(try verdict(post(id: "msg_test_2")).refusal == "no signature matches")
        #expect(try verdict(post(timestamp: "1700000001")).refusal == "no signature matches")
    }

    @Test(
        "the clock may be off by 300 seconds and no more",
        arguments: [(1_700_000_300, true), (1_700_000_301, false), (1_699_999_700, true), (1_699_999_699, false)] as [(Int64, Bool)])
    func window(_ now: Int64, _ passes: Bool) throws {
        #expect((try verdict(post(), now: now).accepted != nil) == passes)
    }

    @Test(
        "a timestamp that is not plain digits is refused before it is used",
        arguments: ["", " 1700000000", "1700000000 ", "+1700000000", "-1", "1700000000abc", "17e8", "1700000000.0", "0x6553f100", "9999999999999"])
    func oddTimestamp(_ timestamp: String) throws {
        #expect(try verdict(post(timestamp: timestamp)).refusal == "webhook-timestamp is not a whole number of seconds")
    }

    @Test("a missing header is refused, and the two families of names are not mixed")
    func missingHeaders() throws {
        let names = ["webhook-id", "webhook-timestamp", "webhook-signature"]
        for name in names {
            var headers = post().headers
            let value = headers[name]
            headers[name] = nil
            let body = post().body
            #expect(try verdict(IncomingWebhook(method: "POST", headers: headers, body: body)).refusal != nil)
            headers[name.replacing("webhook", with: "svix")] = value
            #expect(try verdict(IncomingWebhook(method: "POST", headers: headers, body: body)).refusal != nil)
        }
    }

    @Test("header names are read in any case")
    func headerCase() throws {
        let headers: HTTPHeaders = ["Webhook-ID": "msg_test_1", "WEBHOOK-TIMESTAMP": "1700000000", "Webhook-Signature": pingSignature]
        #expect(try verdict(IncomingWebhook(method: "POST", headers: headers, body: post().body)).accepted != nil)
    }

    @Test("an id that is too long or not printable is refused even when it is signed")
    func oddID() throws {
        let signer = try StandardWebhooksSigner(secret: currentSecret)
        for id in ["", String(repeating: "a", count: 257), "msg test", "msg_é"] {
            let webhook = IncomingWebhook(
                method: "POST", headers: signer.headers(id: id, timestamp: 1_700_000_000, body: post().body), body: post().body)
            #expect(try verdict(webhook).refusal == "webhook-id is empty, too long or not printable ASCII")
        }
    }

    @Test("a secret is read with and without prefix and padding; a useless one is named by its number, not by its text")
    func secrets() async throws {
        for secret in ["AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=", "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA"] {
            #expect(try verdict(post(), secrets: [secret]).accepted != nil)
        }
        for secret in ["whsec_", "whsec_not base64!", ""] {
            let error = await providerError { try StandardWebhooksProvider(secrets: [currentSecret, secret]) }
            #expect(error?.kind == .misconfigured)
            #expect(error?.message.contains("number 2") == true)
        }
        #expect(try verdict(post(), secrets: []).refusal == "no secret is set for this source")
    }

    @Test("the reference sender's posts verify", arguments: [#"{"type":"payment.succeeded","data":{}}"#, #"{"nom":"Été à livrer – שלום"}"#, "{}"])
    func referenceSender(_ body: String) async throws {
        let script = "\(repositoryRoot)/Tests/Fixtures/standard_webhooks/sign.py"
        let process = try await ProcessFixture.start(try Fixture.python(), [script, currentSecret, "msg_from_python", "1763712000", body])
        #expect(try await process.waitForExit() == .exited(0), "\(process.transcript)")
        let signature = try #require(process.output.last)
        let webhook = post(id: "msg_from_python", timestamp: "1763712000", signature: signature, body: Array(body.utf8))
        #expect(try verdict(webhook, now: 1_763_712_000).accepted?.deliveryID == "msg_from_python")
    }
}

@Suite("Standard Webhooks: messages")
struct StandardWebhooksMessageTests {
    private func notice(_ body: String) throws -> ProviderNotice {
        try StandardWebhooksProvider(secrets: []).parse(body: Array(body.utf8), contentType: "application/json")
    }

    @Test("a success is read with its amount, references and time")
    func succeeded() throws {
        let notice = try notice(Fixture.text("standard_webhooks/payment_succeeded.json"))
        #expect(notice.claim == .captured)
        #expect(notice.amount == Money(15_000, .xof))
        #expect(notice.transaction == "pay_01JD6ZK8T3R5W7Y9A1C3E5G7J9")
        #expect(notice.occurredAtMs == 1_763_712_000_000)
        #expect(
            notice.references == [
                .ours("ORD-2025-000184"), ProviderReference("order", "ORD-2025-000184"),
                ProviderReference("payment", "pay_01JD6ZK8T3R5W7Y9A1C3E5G7J9"), ProviderReference("transaction", "TCN4Y4ZC3FM"),
            ])
    }

    @Test("a failure, a pending payment and a refund are read")
    func others() throws {
        let failed = try notice(Fixture.text("standard_webhooks/payment_failed.json"))
        #expect(failed.claim == .failed)
        #expect(failed.amount == Money(8500, .xof))
        #expect(failed.errorCode == "insufficient_funds")
        #expect(failed.errorText == "Solde insuffisant")
        let pending = try notice(Fixture.text("standard_webhooks/payment_pending.json"))
        #expect(pending.claim == .pending)
        #expect(pending.amount == Money(24_990, .ils))
        let refunded = try notice(Fixture.text("standard_webhooks/payment_refunded.json"))
        #expect(refunded.claim == .refunded)
        #expect(refunded.amount == Money(15_000, .xof))
    }

    @Test("a partial refund tells what went back, not what was paid")
    func partialRefund() throws {
        let notice = try notice(
            #"{"type":"payment.refunded","data":{"order_id":"o","amount":"15000","refunded_amount":"4000","currency":"XOF"}}"#)
        #expect(notice.amount == Money(4000, .xof))
    }

    @Test(
        "amounts are exact, whether text or number, and what is no amount of ours is told",
        arguments: [
            (#""249.90","currency":"ILS""#, Money(24_990, .ils)), (#"249.9,"currency":"ILS""#, Money(24_990, .ils)),
            (#"15000,"currency":"XOF""#, Money(15_000, .xof)), (#"3.00,"currency":"EUR""#, Money(300, .eur)),
            (#""15000.5","currency":"XOF""#, nil), (#"1e3,"currency":"XOF""#, nil), (#""15000","currency":"CFA""#, nil), (#""15000""#, nil),
            (#"true,"currency":"XOF""#, nil), (#""99999999999999999999","currency":"XOF""#, nil),
        ] as [(String, Money?)])
    func amounts(_ members: String, _ expected: Money?) throws {
        let notice = try notice(#"{"type":"payment.succeeded","data":{"order_id":"o","amount":\#(members)}}"#)
        #expect(notice.amount == expected)
        #expect((notice.amountProblem == nil) == (expected != nil))
    }

    @Test(
        "a refund states what went back so far; a whole one may leave that to the amount, a part must say it",
        arguments: [
            ("refunded", #""amount":"5000","refunded_amount":"2000""#, 2000), ("refunded", #""amount":"5000""#, 5000),
            ("refunded", #""amount":"5000","refunded_amount":null"#, 5000), ("partially_refunded", #""amount":"5000","refunded_amount":2000"#, 2000),
            ("partially_refunded", #""amount":"5000""#, nil), ("partially_refunded", #""amount":"5000","refunded_amount":null"#, nil),
            ("partially_refunded", #""amount":"5000","refunded_amount":"a part""#, nil), ("partially_refunded", #""refunded_amount":true"#, nil),
        ] as [(String, String, Int64?)])
    func refunds(_ word: String, _ members: String, _ units: Int64?) async throws {
        let body = #"{"type":"payment.\#(word)","data":{"order_id":"o","currency":"XOF",\#(members)}}"#
        guard let units else {
            let error = await providerError { try notice(body) }
            #expect(error?.kind == .unreadable && error?.message.contains("refunded_amount") == true, "\(error?.message ?? "no error")")
            return
        }
        let told = try notice(body)
        #expect(told.claim == .refunded && told.amount == Money(units, .xof) && told.amountProblem == nil)
    }

    @Test("an order may be paid weeks after it was reported: it is not given up like a checkout")
    func patience() throws {
        let capabilities = try StandardWebhooksProvider(secrets: []).capabilities
        #expect(!capabilities.hasStatus && capabilities.giveUpAfterMs == 60 * 86_400_000)
    }

    @Test("a success without an amount has none")
    func noAmount() throws {
        let notice = try notice(#"{"type":"payment.succeeded","data":{"order_id":"o"}}"#)
        #expect(notice.claim == .captured)
        #expect(notice.amount == nil)
        #expect(notice.amountProblem == nil)
    }

    @Test("a type that is not used leads to no payment", arguments: ["ping", "invoice.paid", "payment.method_attached"])
    func unusedType(_ type: String) throws {
        let notice = try notice(#"{"type":"\#(type)","data":{"order_id":"o"}}"#)
        #expect(notice.claim == .unknown)
        #expect(notice.references.isEmpty)
        #expect(notice.errorText?.contains(type) == true)
    }

    @Test(
        "a message without the shape is unreadable, and says what is missing",
        arguments: [
            ("", "JSON"), ("[]", "type"), (#"{"type":7,"data":{}}"#, "type"), (#"{"type":"payment.succeeded"}"#, "data"),
            (#"{"type":"payment.succeeded","data":[]}"#, "data"), (#"{"type":"payment.succeeded","data":{}}"#, "order_id"),
            (#"{"type":"payment.succeeded","data":{"order_id":"o","status":"failed"}}"#, "contradicts"), ("{\"type\":\"a\",\"type\":\"b\"}", "JSON"),
        ])
    func unreadable(_ body: String, _ word: String) async {
        let error = await providerError { try notice(body) }
        #expect(error?.kind == .unreadable)
        #expect(error?.message.contains(word) == true, "\(error?.message ?? "no error")")
        #expect(error?.retryHelps == false)
    }
}
