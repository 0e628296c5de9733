import Formats
import HTTPClient
import Money
import OrangeMoney
import ProviderPort
import TestSupport
import Testing

@Suite("Sandbox: Orange Money, over HTTP")
struct SandboxOrangeMoneyTests {
    private static let attempt = "01JD6ZK8T3R5W7Y9A1C3E5G7"

    private func provider(
        _ stage: SandboxStage, clientSecret: String = "om-secret", merchantKey: String = "a86b2087", path: String = "",
        nowMs: @escaping @Sendable () -> Int64 = { WallClock.nowMs }
    ) throws -> OrangeMoneyProvider {
        try OrangeMoneyProvider(
            clientID: "om-id", clientSecret: clientSecret, merchantKey: merchantKey, secrets: ["om-webhook-secret"],
            apiURL: "\(stage.url)/orange-money\(path)", nowMs: nowMs)
    }

    private func order(_ stage: SandboxStage, _ provider: OrangeMoneyProvider, attempt: String = attempt, amount: Int64 = 15_000) -> PaymentOrder {
        let capability = provider.addressSigner?.capability(provider: "orange-money", payment: "pay_01", attemptNumber: 1) ?? ""
        return PaymentOrder(
            payment: "pay_01", attempt: attempt, amount: Money(amount, .xof), description: "Kit",
            customer: Customer(name: "Awa", email: nil, phone: nil, language: "fr"),
            notifyURL: "\(stage.merchant.url)/webhooks/orange-money/pay_01/\(capability)", returnURL: "\(stage.merchant.url)/return",
            cancelURL: "\(stage.merchant.url)/cancel", method: nil, metadata: [:])
    }

    private func question(_ initiation: Initiation, attempt: String = attempt, amount: Int64 = 15_000, createdAtMs: Int64 = 0) -> StatusQuestion {
        StatusQuestion(
            payment: "pay_01", attempt: attempt, amount: Money(amount, .xof), references: initiation.references, createdAtMs: createdAtMs)
    }

    private func proven(_ webhook: IncomingWebhook) -> IncomingWebhook {
        IncomingWebhook(method: webhook.method, headers: webhook.headers, body: webhook.body, cameByCapability: true)
    }

    @Test("a payment is started, paid, told to the address made for it, matched by its token, and found successful")
    func wholeLife() async throws {
        try await SandboxStage.with { stage in
            let orange = try provider(stage)
            let initiation = try await orange.initiate(order(stage, orange), over: stage.transport)
            #expect(initiation.paymentURL.hasPrefix("\(stage.url)/orange-money/pay/"))
            #expect(initiation.references.map(\.kind) == ["ours", "pay_token", "notif_token"])
            #expect(try await orange.status(of: question(initiation), over: stage.transport).claim == .pending)
            // By our payment's id, which stands in the address.
            #expect(try await stage.post("/sandbox/pay", ["reference": "pay_01"]).status == 200)
            try await eventually("the notification") { stage.merchant.notices.count == 1 }
            let notice = try #require(stage.merchant.notices.first)
            #expect(orange.verifyWebhook(proven(notice), nowMs: WallClock.nowMs).accepted?.trust == .sharedSecret)
            let read = try orange.parse(body: notice.body, contentType: notice.contentType)
            #expect(read.claim == .captured)
            #expect(initiation.references.contains(try #require(read.references.first)))
            let status = try await orange.status(of: question(initiation), over: stage.transport)
            #expect(status.claim == .captured)
            #expect(status.amount == Money(15_000, .xof))
            #expect(status.transaction == read.transaction)
            #expect(status.transaction?.hasPrefix("MP") == true)
            let calls = try await stage.get("/sandbox/calls?path=/orange-money")["calls"]
            #expect(calls?.array?.count { $0["path"]?.string?.hasSuffix("/token") == true } == 1)
            #expect(calls?.text.contains("a86b2087") == false)
            #expect(calls?.text.contains("om-secret") == false)
        }
    }

    @Test(
        "the customer pays, fails or leaves on the hosted page, and is sent back; who cancels is told of by nobody",
        arguments: [("pay", ProviderClaim.captured, "return", 1), ("refuse", .failed, "return", 1), ("cancel", .pending, "cancel", 0)])
    func payPage(_ action: String, _ claim: ProviderClaim, _ page: String, _ notices: Int) async throws {
        try await SandboxStage.with { stage in
            let orange = try provider(stage)
            let initiation = try await orange.initiate(order(stage, orange), over: stage.transport)
            let done = try await stage.client.send(
                HTTPClient.Request(
                    method: "POST", url: initiation.paymentURL, headers: ["content-type": "application/x-www-form-urlencoded"],
                    body: Array("action=\(action)".utf8)))
            #expect(done.status == 303)
            #expect(done.headers["location"] == "\(stage.merchant.url)/\(page)")
            try await eventually("the notifications") { stage.merchant.notices.count == notices }
            #expect(try await orange.status(of: question(initiation), over: stage.transport).claim == claim)
        }
    }

    @Test("an attempt that the customer left is over by the first question after a quarter of an hour")
    func left() async throws {
        try await SandboxStage.with { stage in
            let later = try provider(stage, nowMs: { WallClock.nowMs + 900_000 })
            let initiation = try await later.initiate(order(stage, later), over: stage.transport)
            _ = try await stage.post("/sandbox/cancel", ["reference": .string(Self.attempt)])
            let asked = question(initiation, createdAtMs: WallClock.nowMs)
            #expect(try await later.status(of: asked, over: stage.transport).claim == .expired)
        }
    }

    static let scenarios: [(steps: JSON, words: [String])] = [
        ([], ["SUCCESS"]), (["duplicate"], ["SUCCESS", "SUCCESS"]), (["early_waiting"], ["SUCCESS"]), (["reordered"], ["SUCCESS"]),
        (["delayed:50"], ["SUCCESS"]),
    ]

    @Test("only what is final is told, however often", arguments: scenarios)
    func notices(_ scenario: (steps: JSON, words: [String])) async throws {
        try await SandboxStage.with { stage in
            let orange = try provider(stage)
            _ = try await stage.post("/sandbox/scenario", ["next": true, "steps": scenario.steps])
            _ = try await orange.initiate(order(stage, orange), over: stage.transport)
            _ = try await stage.post("/sandbox/pay", ["reference": .string(Self.attempt)])
            try await eventually("the notices") { stage.merchant.notices.count >= scenario.words.count }
            #expect(stage.merchant.notices.compactMap { (try? JSON(parsing: $0.body))?["status"]?.string } == scenario.words)
            let identities = Set(stage.merchant.notices.compactMap { orange.verifyWebhook(proven($0), nowMs: 0).accepted?.deliveryID })
            #expect(identities.count == 1)
        }
    }

    @Test("a dropped notice is found by asking, another amount is no transaction of ours, an ill call recovers")
    func otherScenarios() async throws {
        try await SandboxStage.with { stage in
            let orange = try provider(stage)
            var started: [String: Initiation] = [:]
            for (attempt, steps) in [("DROP", "dropped"), ("AMT", "wrong_amount"), ("ILL", "status_unavailable:1")] {
                started[attempt] = try await orange.initiate(order(stage, orange, attempt: attempt), over: stage.transport)
                _ = try await stage.post("/sandbox/scenario", ["reference": .string(attempt), "steps": [.string(steps)]])
                _ = try await stage.post("/sandbox/pay", ["reference": .string(attempt)])
            }
            let dropped = question(try #require(started["DROP"]), attempt: "DROP")
            #expect(try await orange.status(of: dropped, over: stage.transport).claim == .captured)
            let other = question(try #require(started["AMT"]), attempt: "AMT")
            #expect(await providerError { try await orange.status(of: other, over: stage.transport) }?.kind == .rejected)
            let ill = question(try #require(started["ILL"]), attempt: "ILL")
            #expect(await providerError { try await orange.status(of: ill, over: stage.transport) }?.kind == .unavailable)
            #expect(try await orange.status(of: ill, over: stage.transport).claim == .captured)
            try await eventually("the two notices") { stage.merchant.notices.count == 2 }
        }
    }

    @Test("wrong keys, a token of another payment, an order used twice and a currency of elsewhere are refused")
    func faults() async throws {
        try await SandboxStage.with { stage in
            let stranger = try provider(stage, clientSecret: "other")
            #expect(await providerError { try await stranger.initiate(order(stage, stranger), over: stage.transport) }?.kind == .misconfigured)
            let other = try provider(stage, merchantKey: "other")
            #expect(await providerError { try await other.initiate(order(stage, other), over: stage.transport) }?.code == "50")
            let orange = try provider(stage)
            let first = try await orange.initiate(order(stage, orange), over: stage.transport)
            #expect(await providerError { try await orange.initiate(order(stage, orange), over: stage.transport) }?.kind == .rejected)
            let second = try await orange.initiate(order(stage, orange, attempt: "SECOND"), over: stage.transport)
            let crossed = StatusQuestion(
                payment: "pay_01", attempt: "SECOND", amount: Money(15_000, .xof), references: first.references)
            #expect(await providerError { try await orange.status(of: crossed, over: stage.transport) }?.kind == .notFound)
            #expect(try await orange.status(of: question(second, attempt: "SECOND"), over: stage.transport).claim == .pending)
            let country = try provider(stage, path: "/orange-money-webpay/ci/v1")
            let abroad = try await country.initiate(order(stage, country, attempt: "CI"), over: stage.transport)
            #expect(abroad.paymentURL.hasPrefix(stage.url))
            #expect(try await stage.get("/sandbox/payments").text.contains(#""currency":"XOF""#))
            let bare = try await stage.post("/orange-money/orange-money-webpay/dev/v1/webpayment", [:])
            #expect(bare.status == 401)
            #expect(bare.json["code"]?.int == 40)
        }
    }
}
