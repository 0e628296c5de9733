import Formats
import HTTPClient
import Money
import ProviderPort
import SandboxService
import TestSupport
import Testing
import Wave

extension SandboxStage {
    fileprivate var wave: WaveProvider { WaveProvider(apiKey: "wave_sn_key", secrets: Self.wave.secrets, apiURL: "\(url)/wave") }

    fileprivate func start(_ attempt: String = "ATT1", amount: Int64 = 5000, phone: String? = nil) async throws -> Initiation {
        let order = PaymentOrder(
            payment: "pay_01", attempt: attempt, amount: Money(amount, .xof), description: "Commande",
            customer: Customer(name: "Awa", email: nil, phone: nil, language: "fr"), notifyURL: "", returnURL: "\(merchant.url)/return",
            cancelURL: "\(merchant.url)/cancel", method: nil, metadata: phone.map { ["restrict_payer_mobile": $0] } ?? [:])
        return try await wave.initiate(order, over: transport)
    }

    fileprivate func ask(_ initiation: Initiation) async throws -> ProviderNotice {
        let question = StatusQuestion(
            payment: "pay_01", attempt: initiation.references.last?.value ?? "", amount: Money(5000, .xof), references: initiation.references)
        return try await wave.status(of: question, over: transport)
    }

    fileprivate func press(_ action: String, _ initiation: Initiation) async throws -> HTTPClient.Response {
        try await client.send(
            HTTPClient.Request(
                method: "POST", url: initiation.paymentURL, headers: ["content-type": "application/x-www-form-urlencoded"],
                body: Array("action=\(action)".utf8)))
    }

    /// What the events say, each proved.
    fileprivate func said() throws -> [ProviderNotice] {
        try merchant.notices.map { post in
            #expect(wave.verifyWebhook(post, nowMs: WallClock.nowMs).accepted?.trust == .signed)
            return try wave.parse(body: post.body, contentType: post.contentType)
        }
    }
}

@Suite("Sandbox: Wave, over HTTP")
struct SandboxWaveTests {
    @Test("a session is opened, paid on its page, told with a signature, and found complete by id and by our reference")
    func wholeLife() async throws {
        try await SandboxStage.with { stage in
            let initiation = try await stage.start()
            #expect(try await stage.ask(initiation).claim == .pending)
            let page = try await stage.client.send(HTTPClient.Request(url: initiation.paymentURL))
            #expect(String(decoding: page.body, as: UTF8.self).contains("value=\"fail\""))
            let done = try await stage.press("pay", initiation)
            #expect(done.status == 303 && done.headers["location"] == "\(stage.merchant.url)/return")
            try await eventually("the event") { stage.merchant.notices.count == 1 }
            let notice = try #require(try stage.said().first)
            #expect(notice.claim == .captured)
            #expect(notice.amount == Money(5000, .xof))
            #expect(notice.references.contains(.ours("ATT1")))
            #expect(try await stage.ask(initiation) == notice)
            #expect(try await stage.wave.status(of: .about(.ours("ATT1")), over: stage.transport) == notice)
        }
    }

    @Test("a failed try is told and leaves the session open: the second one pays")
    func secondTry() async throws {
        try await SandboxStage.with { stage in
            let initiation = try await stage.start()
            for count in 1...2 {
                #expect(try await stage.press("fail", initiation).headers["location"] == "\(stage.merchant.url)/cancel")
                try await eventually("the event") { stage.merchant.notices.count == count }
                let status = try await stage.ask(initiation)
                #expect(status.claim == .pending)
                #expect(status.errorCode == "insufficient-funds")
            }
            _ = try await stage.press("pay", initiation)
            try await eventually("three events") { stage.merchant.notices.count == 3 }
            #expect(try stage.said().map(\.claim) == [.pending, .pending, .captured])
            let identities = stage.merchant.notices.compactMap { stage.wave.verifyWebhook($0, nowMs: WallClock.nowMs).accepted?.deliveryID }
            #expect(Set(identities).count == 3)
            #expect(try await stage.ask(initiation).claim == .captured)
        }
    }

    static let endings: [(call: String, body: JSON, claim: ProviderClaim, code: String?, notices: Int)] = [
        ("/sandbox/pay", ["reference": "ATT1"], .captured, nil, 1), ("/sandbox/refuse", ["reference": "ATT1"], .expired, "payment-failure", 1),
        ("/sandbox/refuse", ["reference": "ATT1", "reason": "insufficient_funds"], .expired, "insufficient-funds", 1),
        ("/sandbox/refuse", ["reference": "ATT1", "reason": "expired"], .expired, nil, 0),
        ("/sandbox/cancel", ["reference": "ATT1"], .cancelled, nil, 0),
    ]

    @Test("the control calls end a session", arguments: endings)
    func ending(_ row: (call: String, body: JSON, claim: ProviderClaim, code: String?, notices: Int)) async throws {
        try await SandboxStage.with { stage in
            let initiation = try await stage.start()
            #expect(try await stage.post(row.call, row.body).status == 200)
            let status = try await stage.ask(initiation)
            #expect(status.claim == row.claim)
            #expect(status.errorCode == row.code)
            try await eventually("the events") { stage.merchant.notices.count == row.notices }
            #expect(try stage.said().map(\.claim) == (row.notices == 0 ? [] : [row.claim == .captured ? .captured : .pending]))
        }
    }

    @Test(
        "customers of the test numbers decide by themselves",
        arguments: [("+221770000000", .captured), ("+221770000001", .pending), ("+221770000002", .cancelled), ("+221770000003", .pending)]
            as [(String, ProviderClaim)])
    func testNumbers(_ phone: String, _ claim: ProviderClaim) async throws {
        try await SandboxStage.with { stage in
            let status = try await stage.ask(try await stage.start(phone: phone))
            #expect(status.claim == claim)
            #expect(status.errorCode == (phone.hasSuffix("1") ? "insufficient-funds" : nil))
        }
    }

    @Test("a session is given back once and called off while it is open")
    func refundAndCancel() async throws {
        try await SandboxStage.with { stage in
            let initiation = try await stage.start()
            let question = StatusQuestion(payment: "pay_01", attempt: "ATT1", amount: Money(5000, .xof), references: initiation.references)
            let order = RefundOrder(question: question, amount: Money(5000, .xof), captured: 5000, refundedBefore: 0, key: "r", reason: "")
            #expect(await providerError { try await stage.wave.refund(order, over: stage.transport) }?.code == "nothing_to_refund")
            _ = try await stage.post("/sandbox/pay", ["reference": "ATT1"])
            #expect(await providerError { try await stage.wave.cancel(question, over: stage.transport) } == nil)
            for _ in 0..<2 { #expect(try await stage.wave.refund(order, over: stage.transport).claim == .refunded) }
            let second = try await stage.start("ATT2")
            let open = StatusQuestion(payment: "pay_01", attempt: "ATT2", amount: Money(5000, .xof), references: second.references)
            #expect(try await stage.wave.cancel(open, over: stage.transport).claim == .cancelled)
            #expect(try await stage.ask(second).claim == .expired)
        }
    }

    @Test("scenarios, faults and repeats are played as Wave has them")
    func scenarios() async throws {
        try await SandboxStage.with { stage in
            stage.merchant.refuse([401, 503])
            let wrong = try await stage.start("AMT", amount: 2905)
            let currency = try await stage.start("CUR", amount: 2920)
            let ill = try await stage.start("ILL", amount: 2940)
            _ = try await stage.post("/sandbox/pay", ["reference": "AMT"])
            try await eventually("three tries") { stage.merchant.notices.count == 3 }
            #expect(try stage.said().map(\.amount) == Array(repeating: Money(2900, .xof), count: 3))
            #expect(try await stage.ask(wrong).amount == Money(2900, .xof))
            _ = try await stage.post("/sandbox/pay", ["reference": "CUR"])
            #expect(try await stage.ask(currency).amount == Money(2920, .xaf))
            for _ in 0..<2 { #expect(await providerError { try await stage.ask(ill) }?.kind == .unavailable) }
            #expect(try await stage.ask(ill).claim == .pending)
            let bearer: HTTPHeaders = ["authorization": "Bearer wave_sn_key"]
            let path = "/wave/v1/checkout/sessions"
            #expect(try await stage.post(path, ["amount": "1"]).json["code"]?.string == "missing-auth-header")
            #expect(try await stage.post(path, ["amount": "1"], headers: ["authorization": "Bearer x"]).status == 401)
            #expect(try await stage.post(path, ["amount": 1], headers: bearer).json["code"]?.string == "invalid-amount")
            #expect(try await stage.post(path, ["amount": "1", "metadata": [:]], headers: bearer).json["code"]?.string == "unknown-field")
        }
    }
}
