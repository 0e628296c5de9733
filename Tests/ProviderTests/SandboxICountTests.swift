import Formats
import HTTPClient
import ICount
import Money
import ProviderPort
import TestSupport
import Testing

@Suite("Sandbox: iCount, over HTTP")
struct SandboxICountTests {
    private static let attempt = "01JD703H6M8P0R2T4V6X8Z0B"
    private static let secrets = ["icount-ours", "0A1B2C3D4E5F6071"]

    private func provider(_ stage: SandboxStage, bySession: Bool = false, password: String = "icount-pass") throws -> ICountProvider {
        try ICountProvider(
            apiToken: bySession ? nil : "icount-token", company: "demo", user: "api", password: password, paypageID: "30512",
            secrets: Self.secrets, apiURL: "\(stage.url)/icount/api/v3.php")
    }

    private func order(_ stage: SandboxStage, _ provider: ICountProvider, attempt: String = attempt, amount: Int64 = 24_990) -> PaymentOrder {
        let capability = provider.addressSigner?.capability(provider: "icount", payment: "pay_01", attemptNumber: 1) ?? ""
        return PaymentOrder(
            payment: "pay_01", attempt: attempt, amount: Money(amount, .ils), description: "מנוי חודשי",
            customer: Customer(name: "ישראל ישראלי", email: "payer@example.com", phone: nil, language: "en"),
            notifyURL: "\(stage.merchant.url)/webhooks/icount/pay_01/\(capability)", returnURL: "\(stage.merchant.url)/return",
            cancelURL: "\(stage.merchant.url)/cancel", method: nil, metadata: [:])
    }

    /// What is known of the attempt once its notification came to the address made for it.
    private func question(_ references: [ProviderReference], attempt: String = attempt, amount: Int64 = 24_990) -> StatusQuestion {
        StatusQuestion(
            payment: "pay_01", attempt: attempt, amount: Money(amount, .ils), references: references, createdAtMs: WallClock.nowMs)
    }

    private func proven(_ webhook: IncomingWebhook) -> IncomingWebhook {
        IncomingWebhook(method: webhook.method, headers: webhook.headers, body: webhook.body, cameByCapability: true)
    }

    @Test("a payment is started, paid, told to its own address, found by its code, and given back once", arguments: [false, true])
    func wholeLife(_ bySession: Bool) async throws {
        try await SandboxStage.with { stage in
            let iCount = try provider(stage, bySession: bySession)
            let initiation = try await iCount.initiate(order(stage, iCount), over: stage.transport)
            #expect(initiation.paymentURL.hasPrefix("\(stage.url)/icount/pay/"))
            #expect(await providerError { try await iCount.status(of: question(initiation.references), over: stage.transport) }?.kind == .notFound)
            #expect(try await stage.post("/sandbox/pay", ["reference": "pay_01"]).status == 200)
            try await eventually("the notification") { stage.merchant.notices.count == 1 }
            let notice = try #require(stage.merchant.notices.first)
            #expect(iCount.verifyWebhook(proven(notice), nowMs: WallClock.nowMs).accepted?.trust == .sharedSecret)
            let read = try iCount.parse(body: notice.body, contentType: notice.contentType)
            #expect(read.references.map(\.kind) == ["ours", "confirmation", "document"])
            #expect(read.references.first == .ours(Self.attempt))
            let asked = question(initiation.references + read.references.dropFirst())
            let status = try await iCount.status(of: asked, over: stage.transport)
            #expect(status.claim == .captured)
            #expect(status.amount == Money(24_990, .ils))
            let refund = RefundOrder(
                question: asked, amount: Money(24_990, .ils), captured: 24_990, refundedBefore: 0, key: "r1", reason: "changed mind")
            for _ in 0..<2 { #expect(try await iCount.refund(refund, over: stage.transport).claim == .refunded) }
            #expect(try await iCount.status(of: asked, over: stage.transport).claim == .refunded)
            let calls = try await stage.get("/sandbox/calls?path=/icount")["calls"]
            #expect(calls?.array?.count { $0["path"]?.string?.hasSuffix("doc/cancel") == true } == 1)
            #expect(calls?.array?.count { $0["path"]?.string?.hasSuffix("auth/login") == true } == (bySession ? 1 : 0))
            #expect(calls?.text.contains("icount-pass") == false)
        }
    }

    @Test(
        "the customer pays, fails or gives up on the hosted page; only a charge is told",
        arguments: [("pay", "return", 1), ("refuse", "return", 0), ("cancel", "cancel", 0)])
    func payPage(_ action: String, _ page: String, _ notices: Int) async throws {
        try await SandboxStage.with { stage in
            let iCount = try provider(stage)
            let initiation = try await iCount.initiate(order(stage, iCount), over: stage.transport)
            let done = try await stage.client.send(
                HTTPClient.Request(
                    method: "POST", url: initiation.paymentURL, headers: ["content-type": "application/x-www-form-urlencoded"],
                    body: Array("action=\(action)".utf8)))
            #expect(done.status == 303)
            #expect(done.headers["location"] == "\(stage.merchant.url)/\(page)")
            try await eventually("the notifications") { stage.merchant.notices.count == notices }
        }
    }

    @Test("scenarios: the same notice twice, another sum or currency, a call that is ill, no notice at all")
    func scenarios() async throws {
        try await SandboxStage.with { stage in
            let iCount = try provider(stage)
            var codes: [String: ProviderReference] = [:]
            for (attempt, steps, notices) in [
                ("TWICE", "duplicate", 2), ("AMT", "wrong_amount", 1), ("CUR", "wrong_currency", 1), ("ILL", "status_unavailable:1", 1),
                ("DROP", "dropped", 0),
            ] {
                let before = stage.merchant.notices.count
                _ = try await iCount.initiate(order(stage, iCount, attempt: attempt), over: stage.transport)
                _ = try await stage.post("/sandbox/scenario", ["reference": .string(attempt), "steps": [.string(steps)]])
                _ = try await stage.post("/sandbox/pay", ["reference": .string(attempt)])
                try await eventually("\(notices) notices of \(attempt)") { stage.merchant.notices.count == before + notices }
                let told = Array(stage.merchant.notices.dropFirst(before))
                #expect(Set(told.compactMap { iCount.verifyWebhook(proven($0), nowMs: 0).accepted?.deliveryID }).count == min(notices, 1))
                if let first = told.first {
                    codes[attempt] = try iCount.parse(body: first.body, contentType: first.contentType).references.first { $0.kind == "confirmation" }
                }
            }
            #expect(Set(codes.values).count == 4)
            func ask(_ attempt: String) async throws -> ProviderNotice {
                try await iCount.status(of: question([.ours(attempt), try #require(codes[attempt])], attempt: attempt), over: stage.transport)
            }
            #expect(try await ask("TWICE").amount == Money(24_990, .ils))
            #expect(try await ask("AMT").amount == Money(24_490, .ils))
            #expect(try await ask("CUR").amount?.currency == .eur)
            #expect(await providerError { try await ask("ILL") }?.kind == .unavailable)
            #expect(try await ask("ILL").claim == .captured)
        }
    }

    @Test("the account's webhook tells of the document, with its secret, and leads to the same charge")
    func documents() async throws {
        try await SandboxStage.with { stage in
            let iCount = try provider(stage)
            let bearer: HTTPHeaders = ["authorization": "Bearer icount-token"]
            let url = "\(stage.merchant.url)/api/webhooks/icount"
            let added = try await stage.post("/icount/api/v3.php/webhook/add", ["action": "doc.create", "url": .string(url)], headers: bearer)
            #expect(added.json["status"] == true)
            _ = try await iCount.initiate(order(stage, iCount), over: stage.transport)
            _ = try await stage.post("/sandbox/pay", ["reference": .string(Self.attempt)])
            try await eventually("notification and document") { stage.merchant.notices.count == 2 }
            let document = try #require(stage.merchant.notices.first { $0.headers["x-icount-secret"] != nil })
            let accepted = try #require(iCount.verifyWebhook(document, nowMs: 0).accepted)
            #expect(accepted.trust == .sharedSecret)
            #expect(accepted.matchedKey == 1)
            let read = try iCount.parse(body: document.body, contentType: document.contentType)
            let code = try #require(read.references.first)
            #expect(try await iCount.status(of: question([.ours(Self.attempt), code]), over: stage.transport).references == read.references)
            let found = try await stage.post("/icount/api/v3.php/doc/search", ["doctype": "invrec"], headers: bearer)
            #expect(found.json["results_list"]?[0]?["cc_payments"]?[0]?["cc_shovar"]?.string == code.value)
            let none = try await stage.post("/icount/api/v3.php/doc/search", ["doctype": "offer"], headers: bearer)
            #expect(none.json["reason"]?.string == "no_results_found")
        }
    }

    @Test("wrong keys, another page, unknown documents and methods are refused as iCount does, with HTTP 200")
    func faults() async throws {
        try await SandboxStage.with { stage in
            let stranger = try provider(stage, bySession: true, password: "other")
            #expect(await providerError { try await stranger.initiate(order(stage, stranger), over: stage.transport) }?.kind == .misconfigured)
            let otherPage = try ICountProvider(
                apiToken: "icount-token", paypageID: "1", secrets: [], apiURL: "\(stage.url)/icount/api/v3.php/")
            let error = await providerError { try await otherPage.initiate(order(stage, otherPage), over: stage.transport) }
            #expect(error?.code == "missing_paypage_id")
            let wrongToken = try ICountProvider(
                apiToken: "wrong", paypageID: "30512", secrets: [], apiURL: "\(stage.url)/icount/api/v3.php")
            #expect(await providerError { try await wrongToken.initiate(order(stage, wrongToken), over: stage.transport) }?.kind == .misconfigured)
            let bearer: HTTPHeaders = ["authorization": "Bearer icount-token"]
            for (method, body, reason) in [
                ("doc/cancel", ["doctype": "320"], "bad_doctype"), ("doc/cancel", ["doctype": "invrec", "docnum": 1], "doc_not_found"),
                ("cc/refund", [:], "unknown_method"), ("cc/transactions", [:], "no_results_found"), ("webhook/add", [:], "bad_action"),
                ("paypage/generate_sale", ["paypage_id": "31ff3"], "missing_paypage_id"),
                ("paypage/generate_sale", ["paypage_id": 30512, "items": [["unitprice": 100]]], "missing_items"),
            ] as [(String, JSON, String)] {
                let answer = try await stage.post("/icount/api/v3.php/\(method)", body, headers: bearer)
                #expect(answer.status == 200)
                #expect(answer.json["reason"]?.string == reason, "\(method)")
            }
        }
    }
}
