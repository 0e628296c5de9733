import CinetPay
import FeexPay
import Formats
import HTTPClient
import Money
import PaymentBackend
import ProviderPort
import TestSupport
import Testing

@Suite("Sandbox: calls that go wrong, over HTTP")
struct SandboxTroubleTests {
    private func order(_ stage: SandboxStage, _ attempt: String = "ATT1", amount: Int64 = 5000, phone: String = "+22997123456") -> PaymentOrder {
        .example(
            attempt: attempt, amount: Money(amount, .xof),
            customer: Customer(name: "Awa Kone", email: "awa@example.com", phone: phone, language: "fr"),
            notifyURL: "\(stage.merchant.url)/hook", returnURL: "\(stage.merchant.url)/return")
    }

    private func press(_ path: String, _ fields: [(String, String)], _ stage: SandboxStage) async throws -> HTTPClient.Response {
        try await stage.client.send(
            HTTPClient.Request(
                method: "POST", url: path.hasPrefix("http") ? path : stage.url + path, headers: ["content-type": "application/x-www-form-urlencoded"],
                body: Array(FormURLEncoded.encode(fields).utf8)))
    }

    private func asking(_ stage: SandboxStage, _ attempt: String) async -> ProviderError? {
        await providerError { try await stage.cinetPay.status(of: .about(.ours(attempt)), over: stage.transport) }
    }

    private func startFails(_ stage: SandboxStage, _ order: PaymentOrder) async -> ProviderError.Kind? {
        await providerError { try await stage.cinetPay.initiate(order, over: stage.transport) }?.kind
    }

    private func payments(_ stage: SandboxStage) async throws -> [JSON] { try await stage.get("/sandbox/payments")["payments"]?.array ?? [] }

    @Test("so many of the next starts fail, wherever, and what else was set is for the first that does not")
    func nextStarts() async throws {
        try await SandboxStage.with { stage in
            let steps: JSON = ["initiate_error:2", "wrong_amount"]
            #expect(try await stage.post("/sandbox/scenario", ["next": true, "steps": steps]).json["steps"] == ["wrong_amount", "initiate_error:2"])
            #expect(await startFails(stage, order(stage)) == .unavailable)
            #expect(await providerError { try await stage.backend.initiate(order(stage), over: stage.transport) }?.kind == .unavailable)
            #expect(try await payments(stage).isEmpty)
            _ = try await stage.cinetPay.initiate(order(stage), over: stage.transport)
            #expect(try await payments(stage).first?["steps"] == ["wrong_amount"])
            // One that held nothing else leaves the next payment what its amount says.
            _ = try await stage.post("/sandbox/scenario", ["next": true, "steps": ["initiate_error"]])
            #expect(await startFails(stage, order(stage, "ATT2", amount: 2905)) == .unavailable)
            _ = try await stage.cinetPay.initiate(order(stage, "ATT2", amount: 2905), over: stage.transport)
            #expect(try await stage.post("/sandbox/pay", ["reference": "ATT2"]).json["steps"] == ["wrong_amount"])
        }
    }

    @Test("a provider's calls fail, whichever they are, until all were counted; another's do not")
    func provider() async throws {
        try await SandboxStage.with { stage in
            _ = try await stage.cinetPay.initiate(order(stage), over: stage.transport)
            let set = try await stage.post("/sandbox/scenario", ["provider": "cinetpay", "steps": ["error_500:2", "initiate_error:1"]])
            #expect(set.status == 200 && set.json["steps"] == ["initiate_error:1", "error_500:2"])
            _ = try await stage.backend.initiate(order(stage), over: stage.transport)
            for _ in 0..<2 {
                let ill = await asking(stage, "ATT1")
                #expect(ill?.kind == .unavailable && ill?.message.contains("500") == true)
            }
            #expect(try await stage.cinetPay.status(of: .about(.ours("ATT1")), over: stage.transport).claim != .captured)
            #expect(await startFails(stage, order(stage, "ATT2")) == .unavailable)
            _ = try await stage.cinetPay.initiate(order(stage, "ATT2"), over: stage.transport)
            let statuses = try await stage.get("/sandbox/calls?path=/cinetpay")["calls"]?.array?.compactMap { $0["status"]?.int }
            #expect(statuses == [200, 500, 500, 200, 500, 200])
        }
    }

    @Test("calls about one payment fail; those about another do not")
    func payment() async throws {
        try await SandboxStage.with { stage in
            for attempt in ["ATT1", "ATT2"] { _ = try await stage.cinetPay.initiate(order(stage, attempt), over: stage.transport) }
            _ = try await stage.post("/sandbox/scenario", ["reference": "ATT1", "steps": ["error_500:1"]])
            #expect(try await stage.cinetPay.status(of: .about(.ours("ATT2")), over: stage.transport).claim == .processing)
            #expect(await asking(stage, "ATT1")?.kind == .unavailable)
            #expect(try await stage.cinetPay.status(of: .about(.ours("ATT1")), over: stage.transport).claim == .processing)
        }
    }

    @Test("an amount can carry failing questions")
    func amount() async throws {
        try await SandboxStage.with { stage in
            _ = try await stage.cinetPay.initiate(order(stage, amount: 2945), over: stage.transport)
            for _ in 0..<2 {
                #expect(await asking(stage, "ATT1")?.kind == .unavailable)
            }
            #expect(try await stage.cinetPay.status(of: .about(.ours("ATT1")), over: stage.transport).claim == .processing)
        }
    }

    @Test("a test number has its start fail, each time, where the start names the customer's number")
    func failingNumber() async throws {
        try await SandboxStage.with { stage in
            for _ in 0..<2 { #expect(await startFails(stage, order(stage, phone: "+22997000004")) == .unavailable) }
            let byNetwork = feexOrder("mtn", phone: "+22997000004", attempt: "ATT1")
            #expect(await providerError { try await stage.feexPay.initiate(byNetwork, over: stage.transport) }?.kind == .unavailable)
            #expect(try await payments(stage).isEmpty)
            _ = try await stage.cinetPay.initiate(order(stage), over: stage.transport)
        }
    }

    @Test("a call without an answer is carried out all the same, listed without a status, and nothing else waits for it")
    func unanswered() async throws {
        try await SandboxStage.with { stage in
            let start = JSON.object(
                JSONObject([("shop", "shop-1"), ("amount", 5000), ("phoneNumber", "2290197000005"), ("description", "Commande 481")]))
            let request = HTTPClient.Request(
                method: "POST", url: "\(stage.url)/feexpay/api/transactions/public/requesttopay/mtn",
                headers: ["authorization": "Bearer fp_key", "content-type": "application/json"], body: start.bytes,
                timeout: Duration.milliseconds(500).stretched)
            let silence = await #expect(throws: HTTPClientError.self) { _ = try await stage.client.send(request) }
            #expect(silence?.code == .timeout)
            #expect(try await payments(stage).map { $0["state"] } == ["created"])
            let call = try #require(try await stage.get("/sandbox/calls?path=/feexpay")["calls"]?.array?.first)
            #expect(call["status"]?.isNull == true)
            _ = try await stage.cinetPay.initiate(order(stage), over: stage.transport)
        }
    }

    @Test("the front page has buttons for each provider, and says what is set; pressed once more all is as ever")
    func frontPage() async throws {
        try await SandboxStage.with { stage in
            func front() async throws -> String {
                String(decoding: try await stage.client.send(HTTPClient.Request(url: stage.url + "/")).body, as: UTF8.self)
            }
            let houses = ["cinetpay", "payment-backend", "feexpay", "orange-money", "kkiapay", "wave", "icount"]
            for house in houses { #expect(try await front().contains("name=\"provider\" value=\"\(house)\"")) }
            for steps in ["initiate_error", "error_500", "timeout", "slow", ""] {
                #expect(try await front().contains("name=\"steps\" value=\"\(steps)\""))
            }
            let pressed = try await press("/sandbox/scenario", [("provider", "cinetpay"), ("steps", "initiate_error")], stage)
            #expect(pressed.status == 303 && pressed.headers["location"] == "/")
            #expect(try await front().contains("<strong>initiate_error:1</strong>"))
            _ = try await press("/sandbox/scenario", [("provider", "cinetpay"), ("steps", "")], stage)
            #expect(try await !front().contains("<strong>"))
            _ = try await stage.cinetPay.initiate(order(stage), over: stage.transport)
        }
    }

    @Test("a pay page takes what is to follow with the button", arguments: [("poor", "insufficient_funds"), ("expire", "expired")])
    func payPage(_ action: String, _ fault: String) async throws {
        try await SandboxStage.with { stage in
            let page = try await stage.cinetPay.initiate(order(stage), over: stage.transport).paymentURL
            let text = String(decoding: try await stage.client.send(HTTPClient.Request(url: page)).body, as: UTF8.self)
            #expect(text.contains("value=\"\(action)\"") && text.contains("value=\"duplicate\"") && !text.contains("initiate_error"))
            _ = try await press(page, [("step", "duplicate"), ("step", "error_500"), ("action", action)], stage)
            try await eventually("two notices") { stage.merchant.notices.count == 2 }
            let payment = try #require(try await payments(stage).first)
            #expect(payment["state"] == "refused" && payment["fault"]?.string == fault)
            #expect(payment["steps"] == ["duplicate", "error_500:2"])
        }
    }

    static let refused: [JSON] = [
        ["reference": "ATT1", "steps": ["initiate_error"]], ["provider": "cinetpay", "steps": ["duplicate"]],
        ["provider": "nobody", "steps": ["timeout"]], ["next": true, "steps": ["slow:60001"]], ["next": true, "steps": ["timeout:1001"]],
        ["next": true, "steps": ["initiate_error:-1"]], ["steps": ["timeout"]],
    ]

    @Test("steps that mean nothing there are refused", arguments: refused)
    func refusals(_ body: JSON) async throws {
        try await SandboxStage.with { stage in
            _ = try await stage.cinetPay.initiate(order(stage), over: stage.transport)
            #expect(try await stage.post("/sandbox/scenario", body).status == 400)
        }
    }
}
