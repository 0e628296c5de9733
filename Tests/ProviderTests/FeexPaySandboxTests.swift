import FeexPay
import Formats
import HTTPClient
import Money
import ProviderPort
import TestSupport
import Testing

/// Carries a call out and loses its answer.
private struct DeafTransport: ProviderTransport {
    let transport: HTTPTransport

    func send(_ call: ProviderCall) async throws(ProviderError) -> ProviderAnswer {
        _ = try await transport.send(call)
        throw ProviderError(.unavailable, "no answer within the time")
    }
}

@Suite("Sandbox: FeexPay, over HTTP")
struct SandboxFeexPayTests {
    private func order(
        _ network: FeexPayCase, attempt: String = "ATT1", amount: Int64 = 5000, phone: String? = nil, _ stage: SandboxStage
    ) -> PaymentOrder {
        feexOrder(
            network.slug, phone: phone ?? network.phone, attempt: attempt, amount: Money(amount, network.currency),
            otp: network.flow == "otp" ? "123456" : nil, returnURL: "\(stage.merchant.url)/return")
    }

    private func question(_ order: PaymentOrder, _ references: [ProviderReference], unverified: [ProviderReference] = []) -> StatusQuestion {
        StatusQuestion(
            payment: order.payment, attempt: order.attempt, amount: order.amount, references: references, unverified: unverified,
            createdAtMs: WallClock.nowMs - 1000)
    }

    private func press(_ action: String, on page: String, _ stage: SandboxStage) async throws -> HTTPClient.Response {
        try await stage.client.send(
            HTTPClient.Request(
                method: "POST", url: page, headers: ["content-type": "application/x-www-form-urlencoded"], body: Array("action=\(action)".utf8)))
    }

    @Test("every network from the start to the money: approved, with a code or on its page", arguments: FeexPayCase.all)
    func everyNetwork(_ network: FeexPayCase) async throws {
        try await SandboxStage.with { stage in
            let order = order(network, stage)
            let initiation = try await stage.feexPay.initiate(order, over: stage.transport)
            let reference = try #require(initiation.references.first)
            #expect(reference.kind == "reference")
            #expect(try await stage.feexPay.status(of: question(order, initiation.references), over: stage.transport).claim == .processing)
            switch network.flow {
            case "hosted":
                #expect(initiation.step == .redirect)
                let page = try await stage.client.send(HTTPClient.Request(url: initiation.paymentURL))
                #expect(page.status == 200)
                #expect(try await press("pay", on: initiation.paymentURL, stage).headers["location"] == "\(stage.merchant.url)/return")
            default:
                #expect(initiation.step.kind == .approve)
                #expect(initiation.paymentURL == order.pageURL)
                #expect(try await stage.post("/sandbox/pay", ["reference": .string(reference.value)]).status == 200)
            }
            try await eventually("the webhook") { stage.merchant.notices.count == 1 }
            let webhook = try #require(stage.merchant.notices.first)
            #expect(stage.feexPay.verifyWebhook(webhook, nowMs: 0).accepted?.trust == .sharedSecret)
            let told = try stage.feexPay.parse(body: webhook.body, contentType: webhook.contentType)
            #expect(told.claim == .captured)
            #expect(told.references == [reference, .ours("ATT1")])
            let status = try await stage.feexPay.status(of: question(order, initiation.references), over: stage.transport)
            #expect(status.claim == .captured)
            #expect(status.amount == Money(5000, network.currency))
            #expect(status.transaction?.isEmpty == false)
            let byWebhook = question(order, [.ours("ATT1")], unverified: [reference])
            #expect(try await stage.feexPay.status(of: byWebhook, over: stage.transport) == status)
        }
    }

    @Test("a test number answers by itself on every network", arguments: FeexPayCase.all)
    func testNumbers(_ network: FeexPayCase) async throws {
        try await SandboxStage.with { stage in
            let endings: [(String, ProviderClaim)] = [("000000", .captured), ("000001", .failed), ("000002", .cancelled), ("000003", .processing)]
            for (ending, claim) in endings {
                let order = order(network, attempt: "ATT\(ending)", phone: network.testNumber(ending), stage)
                let initiation = try await stage.feexPay.initiate(order, over: stage.transport)
                let status = try await stage.feexPay.status(of: question(order, initiation.references), over: stage.transport)
                #expect(status.claim == claim, "\(ending)")
                #expect(status.amount == Money(5000, network.currency))
                #expect((initiation.notice?.claim == .failed) == (network.slug == "moov" && claim == .failed))
            }
            try await eventually("three webhooks") { stage.merchant.notices.count == 3 }
        }
    }

    @Test("cards are paid on their page")
    func cards() async throws {
        try await SandboxStage.with { stage in
            for (card, action, claim) in [("visa", "pay", .captured), ("mastercard", "refuse", .failed)] as [(String, String, ProviderClaim)] {
                let order = feexOrder(
                    card, phone: "+33612345678", attempt: "CARD-\(card)", email: "adjoa@example.com", method: "credit_card",
                    returnURL: "\(stage.merchant.url)/return")
                let initiation = try await stage.feexPay.initiate(order, over: stage.transport)
                #expect(try await press(action, on: initiation.paymentURL, stage).status == 303)
                let status = try await stage.feexPay.status(of: question(order, initiation.references), over: stage.transport)
                #expect(status.claim == claim)
                #expect(status.amount == Money(5000, .xof))
            }
        }
    }

    static let scenarios: [(steps: JSON, statuses: [String])] = [
        ([], ["SUCCESSFUL"]), (["duplicate"], ["SUCCESSFUL", "SUCCESSFUL"]), (["early_waiting"], ["IN PENDING STATE", "SUCCESSFUL"]),
        (["reordered"], ["SUCCESSFUL", "IN PENDING STATE"]), (["delayed:50"], ["SUCCESSFUL"]),
    ]

    @Test("a scenario decides which webhooks come in which order", arguments: scenarios)
    func webhooks(_ scenario: (steps: JSON, statuses: [String])) async throws {
        try await SandboxStage.with { stage in
            _ = try await stage.post("/sandbox/scenario", ["next": true, "steps": scenario.steps])
            _ = try await stage.feexPay.initiate(order(FeexPayCase.all[0], stage), over: stage.transport)
            _ = try await stage.post("/sandbox/pay", ["reference": "ATT1"])
            try await eventually("the webhooks") { stage.merchant.notices.count >= scenario.statuses.count }
            let statuses = stage.merchant.notices.map { (try? JSON(parsing: $0.body))?["status"]?.string ?? "?" }
            #expect(statuses == scenario.statuses)
            let identities = Set(stage.merchant.notices.compactMap { stage.feexPay.verifyWebhook($0, nowMs: 0).accepted?.deliveryID })
            #expect(identities.count == Set(statuses).count)
        }
    }

    @Test("a dropped webhook never comes, a wrong amount and currency are stated, an ill status call recovers")
    func otherScenarios() async throws {
        try await SandboxStage.with { stage in
            var initiations: [String: (PaymentOrder, Initiation)] = [:]
            for (attempt, steps) in [("DROP", "dropped"), ("AMT", "wrong_amount"), ("CUR", "wrong_currency"), ("ILL", "status_unavailable:2")] {
                let order = order(FeexPayCase.all[0], attempt: attempt, stage)
                initiations[attempt] = (order, try await stage.feexPay.initiate(order, over: stage.transport))
                _ = try await stage.post("/sandbox/scenario", ["reference": .string(attempt), "steps": [.string(steps)]])
                _ = try await stage.post("/sandbox/pay", ["reference": .string(attempt)])
            }
            func status(_ attempt: String) async throws -> ProviderNotice {
                let (order, initiation) = try #require(initiations[attempt])
                return try await stage.feexPay.status(of: question(order, initiation.references), over: stage.transport)
            }
            try await eventually("three webhooks") { stage.merchant.notices.count == 3 }
            #expect(try await status("DROP").claim == .captured)
            #expect(try await status("AMT").amount == Money(4995, .xof))
            #expect(try await status("CUR").amount == Money(5000, .xaf))
            for _ in 0..<2 { #expect(await providerError { try await status("ILL") }?.kind == .unavailable) }
            #expect(try await status("ILL").claim == .captured)
        }
    }

    @Test("a start whose answer is lost is found in the history by our attempt, and never started twice on the strength of silence")
    func lostAnswer() async throws {
        try await SandboxStage.with { stage in
            let order = order(FeexPayCase.all[0], stage)
            let lost = await providerError { try await stage.feexPay.initiate(order, over: DeafTransport(transport: stage.transport)) }
            #expect(lost?.kind == .unavailable)
            let waiting = try await stage.feexPay.status(of: question(order, [.ours("ATT1")]), over: stage.transport)
            #expect(waiting.claim == .processing)
            #expect(waiting.references.map(\.kind) == ["reference", "ours"])
            _ = try await stage.post("/sandbox/pay", ["reference": "ATT1"])
            let paid = try await stage.feexPay.status(of: question(order, [.ours("ATT1")]), over: stage.transport)
            #expect(paid.claim == .captured)
            #expect(paid.amount == Money(5000, .xof))
            let never = feexOrder(attempt: "ATT2")
            #expect(
                await providerError { try await stage.feexPay.status(of: question(never, [.ours("ATT2")]), over: stage.transport) }?.code
                    == "too_early")
        }
    }

    @Test("the history lists what was paid")
    func history() async throws {
        try await SandboxStage.with { stage in
            for (network, attempt) in [(FeexPayCase.all[0], "ATT1"), (FeexPayCase.all[13], "ATT2")] {
                _ = try await stage.feexPay.initiate(
                    order(network, attempt: attempt, phone: network.testNumber("000000"), stage), over: stage.transport)
            }
            let now = WallClock.nowMs
            let page = try await stage.feexPay.history(HistoryQuery(fromMs: now - 3_600_000, toMs: now), over: stage.transport)
            #expect(page.next == nil)
            #expect(Set(page.notices.compactMap { $0.references.last?.value }) == ["ATT1", "ATT2"])
            #expect(Set(page.notices.compactMap(\.amount)) == [Money(5000, .xof), Money(5000, .xaf)])
            #expect(page.notices.allSatisfy { $0.claim == .captured })
        }
    }

    @Test("wrong keys, wrong codes and broken rules are answered as FeexPay does, and no phone number is listed")
    func faults() async throws {
        try await SandboxStage.with { stage in
            let stranger = try FeexPayProvider(apiKey: "fp_other", shopID: "shop-1", secrets: [], apiURL: "\(stage.url)/feexpay")
            #expect(await providerError { try await stranger.initiate(feexOrder(), over: stage.transport) }?.code == "UNAUTHORIZED")
            let otherShop = try FeexPayProvider(apiKey: "fp_key", shopID: "shop-2", secrets: [], apiURL: "\(stage.url)/feexpay")
            #expect(await providerError { try await otherShop.initiate(feexOrder(), over: stage.transport) }?.kind == .misconfigured)
            let wrongCode = feexOrder("orange_sn", phone: "+221771234567", otp: "000000")
            #expect(await providerError { try await stage.feexPay.initiate(wrongCode, over: stage.transport) }?.kind == .rejected)
            let bearer: HTTPHeaders = ["authorization": "Bearer fp_key"]
            let path = "/feexpay/api/transactions/public/requesttopay"
            let wrong: [(String, JSON, Int)] = [
                ("\(path)/coris_bj", [:], 404), ("\(path)/mtn", ["shop": "shop-1", "amount": 99, "phoneNumber": "2290166123456"], 400),
                ("\(path)/mtn", ["shop": "shop-1", "amount": 500, "phoneNumber": "22966123456"], 400),
                ("\(path)/mtn", ["shop": "shop-1", "amount": 500, "phoneNumber": 2_290_166_123_456, "description": "a-b"], 400),
                ("\(path)/mtn", ["shop": "shop-1", "amount": 500, "phoneNumber": 2_290_166_123_456, "description": "a b"], 200),
                ("/feexpay/api/transactions/history", ["shop": "shop-1", "start_date": "2026-01-01", "end_date": "2026-02-01"], 400),
                ("/feexpay/api/transactions/history", ["shop": "shop-1"], 400),
            ]
            for (path, body, status) in wrong { #expect(try await stage.post(path, body, headers: bearer).status == status, "\(path) \(body.text)") }
            let none = question(feexOrder(), [ProviderReference("reference", "none")])
            #expect(await providerError { try await stage.feexPay.status(of: none, over: stage.transport) }?.kind == .notFound)
            let listed = try await stage.get("/sandbox/calls").text + stage.get("/sandbox/payments").text
            #expect(!listed.contains("66123456") && !listed.contains("771234567") && !listed.contains("000000\\\""))
        }
    }
}
