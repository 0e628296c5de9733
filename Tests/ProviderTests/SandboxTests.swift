import CinetPay
import Formats
import HTTPClient
import Money
import PaymentBackend
import ProviderPort
import SandboxService
import StandardWebhooks
import TestSupport
import Testing

@Suite("Sandbox: CinetPay, over HTTP")
struct SandboxCinetPayTests {
    private func order(_ stage: SandboxStage, attempt: String = "ATT1", amount: Int64 = 5000) -> PaymentOrder {
        .example(attempt: attempt, amount: Money(amount, .xof), notifyURL: "\(stage.merchant.url)/hook", returnURL: "\(stage.merchant.url)/return")
    }

    private func claims(_ notices: [IncomingWebhook]) -> [String] {
        notices.map { notice in
            let fields = (try? FormURLEncoded.parse(notice.body)) ?? []
            return fields.first { $0.name == "cpm_error_message" }?.value ?? "?"
        }
    }

    @Test("a payment is started, paid, told with a good token after a ping, and found accepted")
    func wholeLife() async throws {
        try await SandboxStage.with { stage in
            let initiation = try await stage.cinetPay.initiate(order(stage), over: stage.transport)
            #expect(initiation.paymentURL.hasPrefix("\(stage.url)/cinetpay/pay/"))
            #expect(try await stage.cinetPay.status(of: .about(.ours("ATT1")), over: stage.transport).claim == .processing)
            let paid = try await stage.post("/sandbox/pay", ["reference": "ATT1"])
            #expect(paid.status == 200)
            #expect(paid.json["state"]?.string == "paid")
            try await eventually("the notification") { stage.merchant.notices.count == 1 }
            #expect(stage.merchant.received.first?.method == "GET")
            let notice = try #require(stage.merchant.notices.first)
            let accepted = try #require(stage.cinetPay.verifyWebhook(notice, nowMs: WallClock.nowMs).accepted)
            #expect(accepted.trust == .signed)
            #expect(try stage.cinetPay.parse(body: notice.body, contentType: notice.contentType).references == [.ours("ATT1")])
            for reference in initiation.references {
                let status = try await stage.cinetPay.status(of: .about(reference), over: stage.transport)
                #expect(status.claim == .captured)
                #expect(status.amount == Money(5000, .xof))
                #expect(status.transaction?.isEmpty == false)
            }
            #expect(try await stage.post("/sandbox/pay", ["reference": "ATT1"]).status == 409)
        }
    }

    @Test(
        "the customer pays, refuses or cancels on the hosted page and is sent back",
        arguments: [
            ("pay", ProviderClaim.captured), ("refuse", .failed), ("cancel", .cancelled),
        ])
    func payPage(_ action: String, _ claim: ProviderClaim) async throws {
        try await SandboxStage.with { stage in
            let initiation = try await stage.cinetPay.initiate(order(stage), over: stage.transport)
            let page = try await stage.client.send(HTTPClient.Request(url: initiation.paymentURL))
            #expect(page.status == 200)
            #expect(String(decoding: page.body, as: UTF8.self).contains("value=\"\(action)\""))
            let done = try await stage.client.send(
                HTTPClient.Request(
                    method: "POST", url: initiation.paymentURL, headers: ["content-type": "application/x-www-form-urlencoded"],
                    body: Array("action=\(action)".utf8)))
            let text = String(decoding: done.body, as: UTF8.self)
            #expect(text.contains("action=\"\(stage.merchant.url)/return\""))
            #expect(text.contains("name=\"transaction_id\" value=\"ATT1\""))
            #expect(try await stage.cinetPay.status(of: .about(.ours("ATT1")), over: stage.transport).claim == claim)
        }
    }

    static let scenarios: [(steps: JSON, messages: [String])] = [
        ([], ["SUCCES"]), (["duplicate"], ["SUCCES", "SUCCES"]), (["early_waiting"], ["WAITING_CUSTOMER_TO_VALIDATE", "SUCCES"]),
        (["reordered"], ["SUCCES", "WAITING_CUSTOMER_TO_VALIDATE"]), (["delayed:50"], ["SUCCES"]), ([["delayed": 50]], ["SUCCES"]),
        (["early_waiting", "duplicate"], ["WAITING_CUSTOMER_TO_VALIDATE", "WAITING_CUSTOMER_TO_VALIDATE", "SUCCES", "SUCCES"]),
    ]

    @Test("a scenario decides which notices come in which order", arguments: scenarios)
    func notices(_ scenario: (steps: JSON, messages: [String])) async throws {
        try await SandboxStage.with { stage in
            #expect(try await stage.post("/sandbox/scenario", ["next": true, "steps": scenario.steps]).status == 200)
            _ = try await stage.cinetPay.initiate(order(stage), over: stage.transport)
            _ = try await stage.post("/sandbox/pay", ["reference": "ATT1"])
            try await eventually("the notices") { stage.merchant.notices.count >= scenario.messages.count }
            #expect(claims(stage.merchant.notices) == scenario.messages)
            for notice in stage.merchant.notices { #expect(stage.cinetPay.verifyWebhook(notice, nowMs: 0).accepted?.trust == .signed) }
            let identities = Set(stage.merchant.notices.compactMap { stage.cinetPay.verifyWebhook($0, nowMs: 0).accepted?.deliveryID })
            #expect(identities.count == Set(scenario.messages).count)
        }
    }

    @Test("early waiting is seen as waiting by who asks at once")
    func earlyWaiting() async throws {
        try await SandboxStage.with { stage in
            _ = try await stage.cinetPay.initiate(order(stage), over: stage.transport)
            _ = try await stage.post("/sandbox/scenario", ["reference": "ATT1", "steps": ["early_waiting"]])
            async let paid = stage.post("/sandbox/pay", ["reference": "ATT1"])
            try await eventually("the early notice") { stage.merchant.notices.count == 1 }
            #expect(try await stage.cinetPay.status(of: .about(.ours("ATT1")), over: stage.transport).claim == .processing)
            #expect(try await paid.json["state"]?.string == "paid")
            #expect(try await stage.cinetPay.status(of: .about(.ours("ATT1")), over: stage.transport).claim == .captured)
        }
    }

    @Test("a dropped notice never comes, a wrong amount and currency are stated, an ill status call recovers")
    func otherScenarios() async throws {
        try await SandboxStage.with { stage in
            for (attempt, steps) in [("DROP", "dropped"), ("AMT", "wrong_amount"), ("CUR", "wrong_currency"), ("ILL", "status_unavailable:2")] {
                _ = try await stage.cinetPay.initiate(order(stage, attempt: attempt), over: stage.transport)
                _ = try await stage.post("/sandbox/scenario", ["reference": .string(attempt), "steps": [.string(steps)]])
                _ = try await stage.post("/sandbox/pay", ["reference": .string(attempt)])
            }
            try await eventually("three notices") { stage.merchant.notices.count == 3 }
            #expect(!stage.merchant.notices.contains { String(decoding: $0.body, as: UTF8.self).contains("DROP") })
            #expect(try await stage.cinetPay.status(of: .about(.ours("DROP")), over: stage.transport).claim == .captured)
            #expect(try await stage.cinetPay.status(of: .about(.ours("AMT")), over: stage.transport).amount == Money(4995, .xof))
            #expect(try await stage.cinetPay.status(of: .about(.ours("CUR")), over: stage.transport).amount == Money(5000, .xaf))
            for _ in 0..<2 {
                let ill = await providerError { try await stage.cinetPay.status(of: .about(.ours("ILL")), over: stage.transport) }
                #expect(ill?.kind == .unavailable)
            }
            #expect(try await stage.cinetPay.status(of: .about(.ours("ILL")), over: stage.transport).claim == .captured)
        }
    }

    @Test("an amount can carry its scenario")
    func amounts() async throws {
        try await SandboxStage.with { stage in
            _ = try await stage.cinetPay.initiate(order(stage, amount: 2905), over: stage.transport)
            _ = try await stage.post("/sandbox/pay", ["reference": "pay_01"])
            #expect(try await stage.cinetPay.status(of: .about(.ours("ATT1")), over: stage.transport).amount == Money(2900, .xof))
        }
    }

    @Test("a notice that is not taken is posted again")
    func retries() async throws {
        try await SandboxStage.with { stage in
            stage.merchant.refuse([503, 503])
            _ = try await stage.cinetPay.initiate(order(stage), over: stage.transport)
            _ = try await stage.post("/sandbox/pay", ["reference": "ATT1"])
            try await eventually("three tries") { stage.merchant.notices.count == 3 }
            try await eventually("the record of them") {
                let statuses = try await stage.get("/sandbox/deliveries")["deliveries"]?.array?.compactMap { $0["status"]?.int } ?? []
                return statuses == [200, 503, 503, 200]
            }
        }
    }

    @Test("a product that is out of reach does not hold the customer up")
    func outOfReach() async throws {
        try await SandboxStage.with { stage in
            let nowhere = PaymentOrder.example(attempt: "ATT1", notifyURL: "http://127.0.0.1:1/hook", returnURL: stage.merchant.url)
            _ = try await stage.cinetPay.initiate(nowhere, over: stage.transport)
            let started = ContinuousClock.now
            _ = try await stage.post("/sandbox/pay", ["reference": "ATT1"])
            #expect(ContinuousClock.now - started < (.seconds(5) as Duration).stretched)
            #expect(try await stage.cinetPay.status(of: .about(.ours("ATT1")), over: stage.transport).claim == .captured)
        }
    }

    @Test("wrong keys, broken rules and repeats are answered as CinetPay does, and calls are listed without keys")
    func faults() async throws {
        try await SandboxStage.with { stage in
            let stranger = CinetPayProvider(apiKey: "other", siteID: "900417", secrets: [], apiURL: "\(stage.url)/cinetpay")
            #expect(await providerError { try await stranger.initiate(order(stage), over: stage.transport) }?.code == "609")
            let otherSite = CinetPayProvider(apiKey: "key", siteID: "1", secrets: [], apiURL: "\(stage.url)/cinetpay")
            #expect(await providerError { try await otherSite.status(of: .about(.ours("x")), over: stage.transport) }?.kind == .misconfigured)
            #expect(try await stage.cinetPay.status(of: .about(.ours("nobody")), over: stage.transport).claim == .unknown)
            let first = try await stage.cinetPay.initiate(order(stage), over: stage.transport)
            #expect(try await stage.cinetPay.initiate(order(stage), over: stage.transport) == first)
            let incomplete = try await stage.post("/v2/payment", ["apikey": "key", "site_id": "900417"])
            #expect(incomplete.json["code"]?.string == "608")
            let calls = try await stage.get("/sandbox/calls?path=/cinetpay")["calls"]
            #expect(calls?.array?.count == 5)
            #expect(calls?.text.contains("[redacted]") == true)
            #expect(calls?.text.contains("\\\"key\\\"") == false)
        }
    }
}

@Suite("Sandbox: payment back end, over HTTP")
struct SandboxPaymentBackendTests {
    private func order(_ stage: SandboxStage, metadata: [String: String] = [:]) -> PaymentOrder {
        .example(
            attempt: "ATT1", amount: Money(300, .eur), notifyURL: "\(stage.merchant.url)/callback", returnURL: "\(stage.merchant.url)/return",
            metadata: metadata)
    }

    @Test(
        "a payment is started once per key, paid, called back with a signature, and found completed",
        arguments: [
            SandboxStage.signedSecret, "not base64!",
        ])
    func wholeLife(_ secret: String) async throws {
        try await SandboxStage.with(backendSecret: secret) { stage in
            let initiation = try await stage.backend.initiate(order(stage), over: stage.transport)
            #expect(try await stage.backend.initiate(order(stage), over: stage.transport) == initiation)
            let external = try #require(initiation.references.first)
            #expect(try await stage.backend.status(of: .about(external), over: stage.transport).claim == .pending)
            let page = try await stage.client.send(
                HTTPClient.Request(
                    method: "POST", url: initiation.paymentURL, headers: ["content-type": "application/x-www-form-urlencoded"],
                    body: Array("action=pay".utf8)))
            #expect(page.status == 303)
            #expect(page.headers["location"] == "\(stage.merchant.url)/return")
            try await eventually("the callback") { stage.merchant.notices.count == 1 }
            let callback = try #require(stage.merchant.notices.first)
            #expect(stage.backend.verifyWebhook(callback, nowMs: WallClock.nowMs).accepted?.trust == .signed)
            let notice = try stage.backend.parse(body: callback.body, contentType: callback.contentType)
            #expect(notice.claim == .captured)
            #expect(notice.amount == Money(300, .eur))
            #expect(notice.references == [external, .ours("ATT1")])
            #expect(try await stage.backend.status(of: .about(external), over: stage.transport) == notice)
        }
    }

    @Test("metadata can carry the scenario; a duplicate keeps its id")
    func duplicate() async throws {
        try await SandboxStage.with { stage in
            _ = try await stage.backend.initiate(order(stage, metadata: ["sandbox": "duplicate,wrong_amount,wrong_currency"]), over: stage.transport)
            _ = try await stage.post("/sandbox/pay", ["reference": "ATT1"])
            try await eventually("two callbacks") { stage.merchant.notices.count == 2 }
            let identities = stage.merchant.notices.map { stage.backend.verifyWebhook($0, nowMs: WallClock.nowMs).accepted?.deliveryID }
            #expect(identities[0] != nil)
            #expect(identities[0] == identities[1])
            let notice = try stage.backend.parse(body: stage.merchant.notices[0].body, contentType: "")
            #expect(notice.amount == Money(800, .usd))
        }
    }

    @Test("a payment can be cancelled until it is settled")
    func cancel() async throws {
        try await SandboxStage.with { stage in
            let external = try #require(try await stage.backend.initiate(order(stage), over: stage.transport).references.first)
            let path = "/payment-backend/api/v1/payments/\(external.value)/cancel"
            let bearer: HTTPHeaders = ["authorization": "Bearer bearer"]
            #expect(try await stage.post(path, [:], headers: bearer).json["status"]?.string == "cancelled")
            #expect(try await stage.post(path, [:], headers: bearer).status == 409)
            #expect(try await stage.post(path, [:]).status == 401)
            #expect(try await stage.backend.status(of: .about(external), over: stage.transport).claim == .cancelled)
            let none = StatusQuestion.about(ProviderReference("external", "none"))
            let unknown = await providerError { try await stage.backend.status(of: none, over: stage.transport) }
            #expect(unknown?.kind == .notFound)
        }
    }
}

@Suite("Sandbox: text and control, over HTTP")
struct SandboxOtherTests {
    private let bearer: HTTPHeaders = ["authorization": "Bearer sk-test"]

    private func prompt(_ model: String = "sandbox-writer") -> JSON {
        [
            "model": .string(model),
            "messages": [
                ["role": "system", "content": "Tu rédiges en français."],
                ["role": "user", "content": "<inquiry>\norganization_name: ONG Été\nsector: santé\n</inquiry>"],
            ],
        ]
    }

    @Test("the same prompt gives the same text")
    func text() async throws {
        try await SandboxStage.with { stage in
            let first = try await stage.post("/openai/v1/chat/completions", prompt(), headers: bearer)
            let second = try await stage.post("/v1/chat/completions", prompt(), headers: bearer)
            let content = try #require(first.json["choices"]?[0]?["message"]?["content"]?.string)
            #expect(content.contains("préparé pour ONG Été"))
            #expect(content.contains("sector : santé"))
            #expect(second.json["choices"]?[0]?["message"]?["content"]?.string == content)
            #expect(first.json["choices"]?[0]?["finish_reason"]?.string == "stop")
            #expect((first.json["usage"]?["total_tokens"]?.int ?? 0) > 0)
            #expect(try await stage.post("/v1/chat/completions", prompt(), headers: [:]).status == 401)
            #expect(try await stage.get("/openai/v1/models")["data"]?[0]?["id"]?.string == "sandbox-writer")
        }
    }

    @Test(
        "ill behaviour is had by the model's name, by header and by the control call",
        arguments: [("429", 429), ("quota", 429), ("500", 500), ("503", 503), ("refusal", 200), ("length", 200), ("empty", 200)])
    func textScenarios(_ scenario: String, _ status: Int) async throws {
        try await SandboxStage.with { stage in
            let path = "/openai/v1/chat/completions"
            var headers = bearer
            headers["x-sandbox-scenario"] = scenario
            let byName = try await stage.post(path, prompt("sandbox-\(scenario)"), headers: bearer)
            let byHeader = try await stage.post(path, prompt(), headers: headers)
            #expect(try await stage.post("/sandbox/openai", ["steps": [.string(scenario)]]).status == 200)
            let byCall = try await stage.post(path, prompt(), headers: bearer)
            for answer in [byName, byHeader, byCall] { #expect(answer.status == status) }
            let message = byCall.json["choices"]?[0]?["message"]
            switch scenario {
            case "quota": #expect(byCall.json["error"]?["code"]?.string == "insufficient_quota")
            case "refusal": #expect(message?["refusal"]?.string != nil)
            case "length": #expect(byCall.json["choices"]?[0]?["finish_reason"]?.string == "length")
            case "empty": #expect(message?["content"]?.string == "")
            default: break
            }
            #expect(try await stage.post(path, prompt(), headers: bearer).status == 200)
        }
    }

    @Test("a Standard Webhooks message is signed and posted to ingest")
    func standardWebhooks() async throws {
        try await SandboxStage.with { stage in
            let sent = try await stage.post(
                "/sandbox/standard-webhooks", ["order_id": "ORD-1", "amount": "15000", "currency": "XOF", "type": "payment.succeeded"])
            #expect(sent.json["status"]?.int == 200)
            let notice = try #require(stage.merchant.notices.first)
            let provider = try StandardWebhooksProvider(secrets: [SandboxStage.signedSecret])
            #expect(provider.verifyWebhook(notice, nowMs: WallClock.nowMs).accepted?.deliveryID == sent.json["webhook_id"]?.string)
            let read = try provider.parse(body: notice.body, contentType: notice.contentType)
            #expect(read.claim == .captured)
            #expect(read.amount == Money(15_000, .xof))
            #expect(read.references.first == .ours("ORD-1"))
        }
    }

    @Test("a control call that cannot be carried out says why")
    func controlFaults() async throws {
        try await SandboxStage.with { stage in
            let wrong: [(String, JSON, Int, String)] = [
                ("/sandbox/pay", [:], 400, "reference"), ("/sandbox/pay", ["reference": "none"], 404, "none"), ("/sandbox/pay", [], 400, "object"),
                ("/sandbox/scenario", ["next": true], 400, "steps"), ("/sandbox/scenario", ["steps": ["duplicate"]], 400, "next"),
                ("/sandbox/scenario", ["next": true, "steps": ["explode"]], 400, "wrong_amount"),
                ("/sandbox/scenario", ["next": true, "steps": ["delayed:x"]], 400, "number"),
                ("/sandbox/scenario", ["next": true, "steps": ["delayed:900000"]], 400, "milliseconds"),
                ("/sandbox/openai", ["steps": ["explode"]], 400, "quota"), ("/sandbox/standard-webhooks", [:], 400, "order_id"),
                ("/sandbox/nothing", [:], 404, "nobody"),
            ]
            for (path, body, status, word) in wrong {
                let answer = try await stage.post(path, body)
                #expect(answer.status == status)
                #expect(answer.json["detail"]?.string?.contains(word) == true, "\(path): \(answer.json.text)")
            }
        }
    }

    @Test("the control calls list payments and forget everything when asked")
    func listings() async throws {
        try await SandboxStage.with { stage in
            _ = try await stage.cinetPay.initiate(.example(notifyURL: stage.merchant.url, returnURL: stage.merchant.url), over: stage.transport)
            #expect(try await stage.get("/sandbox/payments")["payments"]?[0]?["reference"]?.string == "INV-2026-000481")
            _ = try await stage.post("/sandbox/reset", [:])
            #expect(try await stage.get("/sandbox/payments")["payments"]?.array?.isEmpty == true)
            #expect(try await stage.get("/sandbox/calls")["calls"]?.array?.isEmpty == true)
        }
    }
}
