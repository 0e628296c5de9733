import Cryptography
import Formats
import KKiaPay
import Money
import ProviderPort
import Testing

private let secret = "demo-webhook-secret-4b1f"

private func kkiapay(secrets: [String] = [secret]) throws -> KKiaPayProvider {
    try KKiaPayProvider(publicKey: "pk", privateKey: "sk", secret: "s", webhookSecrets: secrets, apiURL: "https://api-sandbox.kkiapay.me")
}

private func post(_ body: [UInt8], _ headers: (String, String)...) -> IncomingWebhook {
    IncomingWebhook(method: "POST", headers: HTTPHeaders(headers + [("content-type", "application/json")]), body: body)
}

@Suite("KKiaPay: the proof of a notification")
struct KKiaPayProofTests {
    private func sample() throws -> [UInt8] { try Fixture.bytes("kkiapay/success_statedata_object.json") }

    @Test("the configured secret passes as it is, whatever the case of the header's name", arguments: ["x-kkiapay-secret", "X-KKiaPay-Secret"])
    func passes(_ name: String) throws {
        let accepted = try #require(try kkiapay().verifyWebhook(post(try sample(), (name, secret)), nowMs: 0).accepted)
        #expect(accepted.trust == .sharedSecret)
        #expect(accepted.matchedKey == 0)
        #expect(accepted.type == "payment.notification")
    }

    @Test("while rotating every secret passes, and it is told which", arguments: [("new", 0), ("old", 1)])
    func rotation(_ sent: String, _ number: Int) throws {
        let verdict = try kkiapay(secrets: ["new", "old"]).verifyWebhook(post(try sample(), ("x-kkiapay-secret", sent)), nowMs: 0)
        #expect(verdict.accepted?.matchedKey == number)
    }

    static let wrong = [
        "demo-webhook-secret-4b1F", "demo-webhook-secret-4b1", "demo-webhook-secret-4b1f0", " demo-webhook-secret-4b1f", "x", "é",
        "demo-webhook-secret-4b1f,demo-webhook-secret-4b1f",
    ]

    @Test("anything else is refused, and no secret is told with the refusal", arguments: wrong)
    func refused(_ sent: String) throws {
        let reason = try #require(try kkiapay().verifyWebhook(post(try sample(), ("x-kkiapay-secret", sent)), nowMs: 0).refusal)
        #expect(reason.contains("does not match"))
        #expect(reason.contains("no HMAC"))
        #expect(!reason.contains(secret) && !reason.contains("4b1"))
    }

    @Test("a code over the body is refused, and the reason says what it is")
    func codes() throws {
        let body = try sample()
        let hex = "659180b91f17690fc07eaf5943130c61f9d92c00d74fc9a584dc4c65131a927d"
        let bytes = HMACSHA256(key: secret).authenticate(body)
        #expect(Hex.encode(bytes) == hex)
        for (sent, word) in [(hex, "hex"), (hex.uppercased(), "hex"), (Base64.encode(bytes), "base64")] {
            let reason = try kkiapay(secrets: ["other", secret]).verifyWebhook(post(body, ("x-kkiapay-secret", sent)), nowMs: 0).refusal
            #expect(reason?.contains("is the HMAC-SHA256 of the body in \(word)") == true, "\(reason ?? "accepted")")
        }
        let other = try kkiapay().verifyWebhook(post(body + [0x20], ("x-kkiapay-secret", hex)), nowMs: 0).refusal
        #expect(other?.contains("no HMAC") == true)
        let guessed = try kkiapay().verifyWebhook(post(body, ("x-kkiapay-signature", hex)), nowMs: 0).refusal
        #expect(
            guessed
                == "x-kkiapay-secret is missing; x-kkiapay-signature is there, but is the HMAC-SHA256 of the body in hex: has KKiaPay changed its scheme?"
        )
    }

    @Test("a missing, empty or doubled header is refused, and so is everything while no secret is set")
    func missing() throws {
        let body = try sample()
        #expect(try kkiapay().verifyWebhook(post(body), nowMs: 0).refusal == "x-kkiapay-secret is missing")
        #expect(try kkiapay().verifyWebhook(post(body, ("x-kkiapay-secret", "")), nowMs: 0).refusal == "x-kkiapay-secret is missing")
        let twice = post(body, ("x-kkiapay-secret", "wrong"), ("x-kkiapay-secret", secret))
        #expect(try kkiapay().verifyWebhook(twice, nowMs: 0).refusal == "x-kkiapay-secret is there twice")
        for secrets in [[], [""]] {
            for sent in ["", secret, "null"] {
                let verdict = try kkiapay(secrets: secrets).verifyWebhook(post(body, ("x-kkiapay-secret", sent)), nowMs: 0)
                #expect(verdict.refusal == "no secret is set for this source")
            }
        }
    }

    @Test("the same bytes are the same delivery; a forgery of the same transaction is another one")
    func identity() throws {
        let body = try sample()
        let provider = try kkiapay()
        func identity(_ body: [UInt8], nowMs: Int64) -> String? {
            provider.verifyWebhook(post(body, ("x-kkiapay-secret", secret)), nowMs: nowMs).accepted?.deliveryID
        }
        #expect(identity(body, nowMs: 0) == identity(body, nowMs: 900_000))
        let forged = Array(String(decoding: body, as: UTF8.self).replacing("INV-2026-000481", with: "INV-2026-000999").utf8)
        #expect(identity(forged, nowMs: 0) != identity(body, nowMs: 0))
    }
}

@Suite("KKiaPay: reading a notification")
struct KKiaPayMessageTests {
    static let samples: [(file: String, ours: String?, transaction: String, code: String?)] = [
        ("success_statedata_object", "INV-2026-000481", "3iH6wjHJ3", nil), ("success_statedata_json_string", "INV-2026-000482", "k7Qd2mXz1", nil),
        ("success_statedata_plain_string", "INV-2026-000483", "Zt91bVw0c", nil), ("success_without_reference", nil, "pL4sYh8Ne", nil),
        ("success_card", "INV-2026-000487", "cX2rTn6Ua", nil), ("failed_processing_error", "INV-2026-000484", "erjEU5P9o", "processing_error"),
        ("failed_insufficient_fund", "INV-2026-000485", "vB5gKq3Lf", "insufficient_fund"),
    ]

    @Test("every sample says where to ask, and claims nothing", arguments: samples)
    func readSample(_ sample: (file: String, ours: String?, transaction: String, code: String?)) throws {
        let notice = try kkiapay().parse(body: try Fixture.bytes("kkiapay/\(sample.file).json"), contentType: "application/json")
        let references = (sample.ours.map { [ProviderReference.ours($0)] } ?? []) + [ProviderReference("transaction", sample.transaction)]
        #expect(notice == ProviderNotice(references: references, claim: .unknown, errorCode: sample.code))
    }

    static let states: [(data: JSON, partner: JSON, ours: String?)] = [
        (["attempt": "A1", "payment": "p"], "", "A1"), (["order_id": "A1"], "A1", "A1"), (["order_id": "B", "attempt": "A1"], "", "A1"),
        (#"{"attempt":"A1"}"#, "", "A1"), (#""{\"attempt\":\"A1\"}""#, "", "A1"), (#""A1""#, "", "A1"), ("A1", "", "A1"), ("17", "", "17"),
        (["order_id": 17], "", "17"), (["attempt": "A1"], "B2", "A1"), ("A1", "B2", "A1"), (nil, "B2", "B2"), ("", "B2", "B2"), ([:], "B2", "B2"),
        (["attempt": nil], "B2", "B2"), (["attempt": ["x"]], "B2", "B2"), ([], "B2", "B2"), (true, "B2", "B2"), (nil, nil, nil), ("", "", nil),
        (#"{"attempt":"#, "", #"{"attempt":"#), (nil, ["attempt": "A1"], nil), (["attempt": "é"], "", nil),
        // A third layer is nobody's habit: it is left as it is, and is no reference of ours.
        (#""\"\\\"A1\\\"\"""#, "", #""A1""#), (.string(String(repeating: "a", count: 65)), "", nil),
    ]

    @Test("our reference is found in whatever the shop's data became", arguments: states)
    func readState(_ row: (data: JSON, partner: JSON, ours: String?)) throws {
        let body: JSON = ["transactionId": "3iH6wjHJ3", "stateData": row.data, "partnerId": row.partner]
        let references = try kkiapay().parse(body: body.bytes, contentType: "").references
        #expect(references.first { $0.kind == "ours" }?.value == row.ours)
    }

    @Test("what is no object of a payment is quarantined or leads nowhere, and never crashes")
    func hostile() throws {
        for body in ["", "[]", "null", "{", "\u{0}", "transactionId=1", "{\"transactionId\":NaN}"] {
            #expect(throws: ProviderError.self) { try kkiapay().parse(body: Array(body.utf8), contentType: "") }
        }
        for number in ["", "../../status", "a b", "\u{202e}x", String(repeating: "9", count: 65), "x\n"] {
            let notice = try kkiapay().parse(body: JSON.object(["transactionId": .string(number)]).bytes, contentType: "")
            #expect(notice == ProviderNotice(references: [], claim: .unknown))
        }
        let nested = #"{"transactionId":"3iH6wjHJ3","stateData":"# + String(repeating: "[", count: 40) + String(repeating: "]", count: 40) + "}"
        #expect(try kkiapay().parse(body: Array(nested.utf8), contentType: "").references == [ProviderReference("transaction", "3iH6wjHJ3")])
        let long = JSON.object(["transactionId": 7, "stateData": .string("\"" + String(repeating: "x", count: 200_000) + "\"")])
        #expect(try kkiapay().parse(body: long.bytes, contentType: "").references.isEmpty)
    }
}
