import Formats
import ICount
import Money
import ProviderPort
import Testing

private let form = "application/x-www-form-urlencoded"
private let iCountSecret = "0A1B2C3D4E5F6071"

private func iCount(secrets: [String] = ["ours", iCountSecret]) throws -> ICountProvider {
    try ICountProvider(apiToken: "t", paypageID: "30512", secrets: secrets)
}

private func webhook(
    _ body: [UInt8], type: String = form, secret: String? = nil, byCapability: Bool = false, method: String = "POST"
) -> IncomingWebhook {
    var headers: HTTPHeaders = ["content-type": type]
    if let secret { headers["X-iCount-Secret"] = secret }
    return IncomingWebhook(method: method, headers: headers, body: body, cameByCapability: byCapability)
}

@Suite("iCount: notifications and documents")
struct ICountWebhookTests {
    private let ours = ProviderReference.ours("01JD703H6M8P0R2T4V6X8Z0B2D")

    @Test("the recorded notification is read alike as form and as JSON", arguments: [("form", form), ("json", "application/json")])
    func pageSuccess(_ ending: String, _ type: String) throws {
        let notice = try iCount().parse(body: try Fixture.bytes("icount/ipn_paypage_success.\(ending)"), contentType: type)
        #expect(notice.claim == .captured)
        #expect(notice.amount == Money(24_990, .ils))
        #expect(notice.references == [ours, ProviderReference("confirmation", "0431877"), ProviderReference("document", "invrec:3006")])
        #expect(notice.transaction == "0431877")
    }

    @Test("instalments without a document are read")
    func instalments() throws {
        let notice = try iCount().parse(body: try Fixture.bytes("icount/ipn_paypage_installments_no_document.form"), contentType: form)
        #expect(notice.amount == Money(120_000, .ils))
        #expect(notice.references == [ours, ProviderReference("confirmation", "0431902")])
    }

    @Test("our attempt is taken from where we put it before any other echo")
    func echo() throws {
        let body = Array("cp=1&sum=1&currency_code=ILS&confirmation_code=7&order_id=theirs&utm_content=ATT1".utf8)
        #expect(try iCount().parse(body: body, contentType: form).references.first == .ours("ATT1"))
        let less = try iCount().parse(body: Array("cp=1&utm_content=ATT1".utf8), contentType: "")
        #expect(less.references == [.ours("ATT1")])
        #expect(less.claim == .unknown)
    }

    @Test(
        "a status, which has been coded for and never seen, is taken for what it says",
        arguments: [
            ("completed", .captured), ("failed", .failed), ("cancelled", .cancelled), ("FAILED", .failed), ("pending", .unknown), ("x", .unknown),
        ] as [(String, ProviderClaim)])
    func statuses(_ word: String, _ claim: ProviderClaim) throws {
        let body = #"{"cp":1,"confirmation_code":"7","sum":1,"currency_code":"ILS","status":"\#(word)"}"#
        #expect(try iCount().parse(body: Array(body.utf8), contentType: "application/json").claim == claim)
    }

    static let documentTable: [(name: String, claim: ProviderClaim, references: [ProviderReference])] = [
        ("invrec", .captured, [ProviderReference("confirmation", "0431877"), ProviderReference("document", "invrec:3006")]),
        ("refund", .refunded, [ProviderReference("confirmation", "0431877")]), ("order_unpaid", .unknown, []),
    ]

    @Test("the recorded documents lead to the payment by the charge they tell of; paper leads nowhere", arguments: documentTable)
    func documents(_ row: (name: String, claim: ProviderClaim, references: [ProviderReference])) throws {
        let bytes = try Fixture.bytes("icount/document_webhook_\(row.name).json")
        let provider = try iCount()
        let list = try provider.parse(body: bytes, contentType: "application/json")
        #expect(list.claim == row.claim)
        #expect(list.references == row.references)
        #expect(list.amount == nil)
        let single = try #require(try JSON(parsing: bytes)[0]).bytes
        #expect(try provider.parse(body: single, contentType: "application/json") == list)
        let accepted = try #require(
            provider.verifyWebhook(webhook(bytes, type: "application/json", secret: iCountSecret), nowMs: 0).accepted)
        #expect(accepted.trust == .sharedSecret)
        #expect(accepted.type == "document.created")
        #expect(accepted.matchedKey == 1)
    }

    @Test("several documents are one event, led by the first that tells of money")
    func several() throws {
        func document(_ type: String, _ number: Int, _ code: String) -> JSON {
            ["doctype": .string(type), "docnum": .string(String(number)), "cc_payments": [["cc_shovar": .string(code)]]]
        }
        let body = JSON.array([document("order", 1, "1"), document("receipt", 2, "2"), document("refund", 3, "3")]).bytes
        let notice = try iCount().parse(body: body, contentType: "application/json")
        #expect(notice.claim == .captured)
        #expect(
            notice.references == [
                ProviderReference("confirmation", "2"), ProviderReference("document", "receipt:2"), ProviderReference("confirmation", "3"),
            ])
    }

    @Test("the proof is the address, or the header's secret, any of ours; a wrong header is refused even at the right address")
    func proofs() throws {
        let body = try Fixture.bytes("icount/ipn_paypage_success.form")
        let provider = try iCount()
        func verdict(_ secret: String?, _ byCapability: Bool, _ provider: ICountProvider) -> WebhookVerdict {
            provider.verifyWebhook(webhook(body, secret: secret, byCapability: byCapability), nowMs: 0)
        }
        #expect(verdict(nil, true, provider).accepted?.trust == .sharedSecret)
        #expect(verdict("ours", false, provider).accepted?.matchedKey == 0)
        #expect(verdict(iCountSecret, true, provider).accepted?.trust == .sharedSecret)
        #expect(verdict(nil, false, provider).accepted?.trust == .unproven)
        #expect(verdict("", false, provider).accepted?.trust == .unproven)
        for wrong in ["0a1b2c3d4e5f6071", "0A1B2C3D4E5F607", "0A1B2C3D4E5F60711", "x", "ours \(iCountSecret)"] {
            #expect(verdict(wrong, false, provider).refusal?.contains("x-icount-secret") == true)
            #expect(verdict(wrong, true, provider).refusal != nil)
        }
        let bare = try iCount(secrets: [])
        #expect(bare.addressSigner == nil)
        #expect(!bare.capabilities.hasProof)
        #expect(verdict("anything", false, bare).accepted?.trust == .unproven)
        #expect(try iCount(secrets: [""]).verifyWebhook(webhook(body, secret: ""), nowMs: 0).accepted?.trust == .unproven)
    }

    @Test("the same delivery has one id; a bare one is another in the next minute")
    func identity() throws {
        let body = try Fixture.bytes("icount/ipn_paypage_success.form")
        let provider = try iCount()
        func id(_ byCapability: Bool, _ nowMs: Int64) -> String? {
            provider.verifyWebhook(webhook(body, byCapability: byCapability), nowMs: nowMs).accepted?.deliveryID
        }
        #expect(id(true, 0) == id(true, 3_600_000))
        #expect(id(false, 0) == id(false, 59_999))
        #expect(id(false, 0) != id(false, 60_000))
    }

    static let noMessages: [(body: String, type: String)] = [
        ("", form), ("", "application/json"), ("null", "application/json"), ("[]", "application/json"), ("[1]", "application/json"),
        ("{}", "application/json"),
        ("{", form), ("[[]]", form), (#"{"doctype":"invrec"}"#, form), (#"{"docnum":"0","doctype":"invrec"}"#, form), (#"[{"docnum":5}]"#, form),
        ("sum=&cp=", form), ("a=b", form), ("cp=%zz", form), ("cp=1&cp=2", form), ("cp=%FF", form), (#"{"cp":{"a":1}}"#, form),
        (#"{"cp":1,"cp":2}"#, form), (#"{"cp":NaN}"#, form), (String(repeating: "[", count: 100_000), form),
        ((0..<300).map { "f\($0)=1" }.joined(separator: "&"), form),
        ("[" + Array(repeating: #"{"doctype":"invrec","docnum":"1"}"#, count: 101).joined(separator: ",") + "]", form),
    ]

    @Test("what is neither is refused bare, and put before a person when it was proved", arguments: noMessages)
    func malformed(_ row: (body: String, type: String)) throws {
        let provider = try iCount()
        let bytes = Array(row.body.utf8)
        #expect(provider.verifyWebhook(webhook(bytes, type: row.type), nowMs: 0).refusal != nil)
        #expect(provider.verifyWebhook(webhook(bytes, type: row.type, byCapability: true), nowMs: 0).accepted?.trust == .sharedSecret)
        #expect(throws: ProviderError.self) { try provider.parse(body: bytes, contentType: row.type) }
        #expect(provider.verifyWebhook(webhook(bytes, type: row.type, byCapability: true, method: "GET"), nowMs: 0).refusal != nil)
    }

    @Test(
        "odd values are left out, and an odd amount is told",
        arguments: [
            ("sum=-5&currency_code=ILS", "not positive"), ("sum=NaN&currency_code=ILS", "plain decimal"),
            ("sum=1e9&currency_code=ILS", "plain decimal"),
            ("sum=5", "currency"), ("sum=5&currency_code=5", "currency"), ("sum=5.001&currency_code=ILS", "decimals"),
            ("sum=999999999999999999999999&currency_code=ILS", "range"),
        ])
    func oddAmounts(_ fields: String, _ word: String) throws {
        let long = String(repeating: "9", count: 65)
        let body = "cp=1&confirmation_code=\(long)&doctype=a%3Ab&docnum=5&utm_content=%D7%99&\(fields)"
        let notice = try iCount().parse(body: Array(body.utf8), contentType: form)
        #expect(notice.references.isEmpty)
        #expect(notice.amount == nil)
        #expect(notice.amountProblem?.contains(word) == true)
    }

    @Test("bytes turned at random never crash, and are never proved")
    func mutations() throws {
        var random = HostileInputTests.Seeded(state: 0x0A17)
        let seeds = try ["ipn_paypage_success.form", "ipn_paypage_success.json", "document_webhook_invrec.json"].map {
            try Fixture.bytes("icount/\($0)")
        }
        let provider = try iCount()
        for round in 0..<3000 {
            var body = seeds[round % seeds.count]
            for _ in 0..<Int.random(in: 1...8, using: &random) {
                body[Int.random(in: 0..<body.count, using: &random)] = .random(in: 0...255, using: &random)
            }
            let type = round % 2 == 0 ? form : "application/json"
            let verdict = provider.verifyWebhook(webhook(body, type: type, secret: round % 3 == 0 ? "wrong" : nil), nowMs: 0)
            if let accepted = verdict.accepted { #expect(accepted.trust == .unproven) }
            if let notice = try? provider.parse(body: body, contentType: type) { #expect(notice.amount == nil || notice.amountProblem == nil) }
        }
    }
}
