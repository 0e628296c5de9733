import Formats
import HTTPClient
import KKiaPay
import Money
import ProviderPort
import TestSupport
import Testing

extension SandboxStage {
    fileprivate var kkiapay: KKiaPayProvider {
        get throws {
            try KKiaPayProvider(
                publicKey: "pk", privateKey: "sk", secret: "s", webhookSecrets: ["kkiapay-secret", "older-secret"], apiURL: "\(url)/kkiapay")
        }
    }

    /// What our page opens the widget with.
    fileprivate func widgetFields(attempt: String, amount: Int64, phone: String?, method: String?) async throws -> [String: String] {
        let order = PaymentOrder.example(
            attempt: attempt, amount: Money(amount, .xof), customer: Customer(name: "Awa Kone", email: nil, phone: phone, language: "fr"),
            returnURL: "\(merchant.url)/return?order=1", method: method)
        return try await kkiapay.initiate(order, over: transport).step.fields
    }

    /// The customer opens the widget and decides there. - Returns: the transaction's number.
    @discardableResult
    fileprivate func decide(
        _ action: String = "pay", attempt: String = "ATT1", amount: Int64 = 5000, phone: String? = nil, method: String? = nil
    ) async throws -> String {
        let fields = try await widgetFields(attempt: attempt, amount: amount, phone: phone, method: method)
        var json = JSONObject(fields.sorted { $0.key < $1.key }.map { ($0.key, JSON.string($0.value)) })
        json["action"] = .string(action)
        return try await post("/kkiapay/widget", .object(json)).json["transactionId"]?.string ?? ""
    }

    fileprivate func ask(_ transactions: String..., attempt: String = "ATT1") async throws -> ProviderNotice {
        let question = StatusQuestion.about(.ours(attempt), unverified: transactions.map { ProviderReference("transaction", $0) })
        return try await kkiapay.status(of: question, over: transport)
    }
}

@Suite("Sandbox: KKiaPay, over HTTP")
struct SandboxKKiaPayTests {
    @Test("a payment is made in the widget, told with the secret, and found by the number that the notification names")
    func wholeLife() async throws {
        try await SandboxStage.with { stage in
            let number = try await stage.decide()
            try await eventually("the notification") { stage.merchant.notices.count == 1 }
            let post = try #require(stage.merchant.notices.first)
            let provider = try stage.kkiapay
            let accepted = try #require(provider.verifyWebhook(post, nowMs: WallClock.nowMs).accepted)
            #expect(accepted.trust == .sharedSecret)
            let notice = try provider.parse(body: post.body, contentType: post.contentType)
            #expect(notice.references == [.ours("ATT1"), ProviderReference("transaction", number)])
            let status = try await stage.ask(number)
            #expect(status.claim == .captured)
            #expect(status.amount == Money(5000, .xof))
            #expect(status.references == [ProviderReference("transaction", number)])
            #expect(status.occurredAtMs != nil)
            let foreign = try await stage.ask(number, attempt: "ATT2")
            #expect(foreign.claim == .unknown)
            #expect(foreign.errorCode == "foreign_reference")
            #expect(await providerError { try await stage.ask("nobody123") }?.kind == .notFound)
            let stranger = try KKiaPayProvider(publicKey: "other", privateKey: "sk", secret: "s", webhookSecrets: [], apiURL: "\(stage.url)/kkiapay")
            let question = StatusQuestion.about(ProviderReference("transaction", number))
            #expect(await providerError { try await stranger.status(of: question, over: stage.transport) }?.kind == .misconfigured)
        }
    }

    static let endings: [(action: String, phone: String?, claim: ProviderClaim?, code: String?)] = [
        ("pay", nil, .captured, nil), ("refuse", nil, .failed, "payment_declined"), ("poor", nil, .failed, "insufficient_fund"),
        ("pay", "+22997000000", .captured, nil), ("pay", "+2290197000000", .captured, nil), ("pay", "+22997000001", .failed, "insufficient_fund"),
        ("pay", "+22997000002", .failed, "payment_declined"), ("pay", "+22997000003", .processing, nil),
    ]

    @Test("customers decide by the button, and those of the test numbers always alike", arguments: endings)
    func ending(_ row: (action: String, phone: String?, claim: ProviderClaim?, code: String?)) async throws {
        try await SandboxStage.with { stage in
            let number = try await stage.decide(row.action, phone: row.phone)
            let status = try await stage.ask(number)
            #expect(status.claim == row.claim)
            #expect(status.errorCode == row.code)
            guard row.claim != .processing else { return #expect(stage.merchant.notices.isEmpty) }
            try await eventually("the notification") { stage.merchant.notices.count == 1 }
            let body = try JSON(parsing: try #require(stage.merchant.notices.first).body)
            #expect(body["event"]?.string == (row.claim == .captured ? "transaction.success" : "transaction.failed"))
            #expect(body["failureCode"]?.string == row.code)
        }
    }

    @Test("who failed tries again in the widget: a new transaction of the same attempt, and the attempt is paid")
    func again() async throws {
        try await SandboxStage.with { stage in
            let first = try await stage.decide("refuse")
            let second = try await stage.decide("pay")
            #expect(first != second)
            let status = try await stage.ask(first, second)
            #expect(status.claim == .captured)
            #expect(status.transaction == second)
            #expect(try await stage.ask(try await stage.decide("pay"), second).errorCode == "paid_twice")
        }
    }

    @Test("a push to a phone waits until its customer decides")
    func push() async throws {
        try await SandboxStage.with { stage in
            let body: JSON = ["phoneNumber": "22961123456", "amount": 3000, "stateData": #"{"attempt":"ATT1"}"#, "partnerId": "ATT1"]
            let made = try await stage.post("/kkiapay/api/v1/payments/request", body, headers: ["x-api-key": "pk"])
            let number = try #require(made.json["transactionId"]?.string)
            #expect(try await stage.ask(number).claim == .processing)
            #expect(try await stage.post("/sandbox/refuse", ["reference": "ATT1", "reason": "insufficient_funds"]).status == 200)
            let status = try await stage.ask(number)
            #expect(status.claim == .failed)
            #expect(status.errorCode == "insufficient_fund")
            #expect(try await stage.post("/kkiapay/api/v1/payments/request", body).status == 401)
        }
    }

    @Test("a refund gives the whole back once, of mobile money only")
    func refund() async throws {
        try await SandboxStage.with { stage in
            let provider = try stage.kkiapay
            func order(_ number: String, _ attempt: String) -> RefundOrder {
                RefundOrder(
                    question: .about(.ours(attempt), ProviderReference("transaction", number)), amount: Money(5000, .xof), captured: 5000,
                    refundedBefore: 0, key: "r1", reason: "")
            }
            let number = try await stage.decide()
            let back = try await provider.refund(order(number, "ATT1"), over: stage.transport)
            #expect(back.claim == .refunded)
            #expect(back.amount == Money(5000, .xof))
            #expect(try await stage.ask(number).claim == .refunded)
            #expect(try await provider.refund(order(number, "ATT1"), over: stage.transport).claim == .refunded)
            let reverts = try await stage.get("/sandbox/calls?path=/kkiapay/api/v1/transactions/revert")["calls"]?.array
            #expect(reverts?.count == 1)
            let card = try await stage.decide(attempt: "ATT2", method: "credit_card")
            #expect(await providerError { try await provider.refund(order(card, "ATT2"), over: stage.transport) }?.code == "INVALID_TRANSACTION_TYPE")
        }
    }

    @Test("scenarios come by the amount: a wrong amount, no notification, two, an ill status call")
    func scenarios() async throws {
        try await SandboxStage.with { stage in
            let wrong = try await stage.decide(attempt: "AMT", amount: 2905)
            #expect(try await stage.ask(wrong, attempt: "AMT").amount == Money(2900, .xof))
            let dropped = try await stage.decide(attempt: "DROP", amount: 2925)
            #expect(try await stage.ask(dropped, attempt: "DROP").claim == .captured)
            let ill = try await stage.decide(attempt: "ILL", amount: 2940)
            for _ in 0..<2 { #expect(await providerError { try await stage.ask(ill, attempt: "ILL") }?.kind == .unavailable) }
            #expect(try await stage.ask(ill, attempt: "ILL").claim == .captured)
            try await stage.decide(attempt: "TWICE", amount: 2910)
            try await eventually("four notices") { stage.merchant.notices.count == 4 }
            let bodies = stage.merchant.notices.map { String(decoding: $0.body, as: UTF8.self) }
            #expect(!bodies.contains { $0.contains("DROP") })
            let twice = bodies.filter { $0.contains("TWICE") }
            #expect(twice.count == 2 && Set(twice).count == 1)
        }
    }

    @Test("whatever is not 2xx counts as not received, and it is over after five tries")
    func retries() async throws {
        try await SandboxStage.with { stage in
            stage.merchant.refuse([301, 401, 503, 404, 500, 200])
            try await stage.decide()
            try await eventually("five tries") {
                let statuses = try await stage.get("/sandbox/deliveries")["deliveries"]?.array?.compactMap { $0["status"]?.int } ?? []
                return statuses == [301, 401, 503, 404, 500]
            }
            #expect(Set(stage.merchant.notices.map(\.body)).count == 1)
        }
    }

    @Test("the widget's page works without its script, and leads back with the transaction's number")
    func page() async throws {
        try await SandboxStage.with { stage in
            let fields = try await stage.widgetFields(attempt: "ATT1", amount: 5000, phone: nil, method: nil)
            let form = FormURLEncoded.encode(fields.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
            let page = try await stage.client.send(HTTPClient.Request(url: "\(stage.url)/kkiapay/widget?\(form)"))
            let html = String(decoding: page.body, as: UTF8.self)
            #expect(html.contains("name=\"data\" value=\"{&quot;attempt&quot;:&quot;ATT1&quot;"))
            #expect(html.contains("value=\"pay\"") && html.contains("value=\"cancel\""))
            func press(_ action: String, frame: Bool = false) async throws -> HTTPClient.Response {
                try await stage.client.send(
                    HTTPClient.Request(
                        method: "POST", url: "\(stage.url)/kkiapay/widget", headers: ["content-type": "application/x-www-form-urlencoded"],
                        body: Array("\(form)&action=\(action)\(frame ? "&frame=1" : "")".utf8)))
            }
            let done = try await press("pay")
            #expect(done.status == 303)
            let location = try #require(done.headers["location"])
            #expect(location.hasPrefix("\(stage.merchant.url)/return?order=1&transaction_id="))
            let number = String(try #require(location.split(separator: "=").last))
            #expect(try await stage.ask(number).claim == .captured)
            #expect(try await press("cancel").headers["location"] == "\(stage.merchant.url)/return?order=1")
            let framed = String(decoding: try await press("pay", frame: true).body, as: UTF8.self)
            #expect(framed.contains(#"parent.postMessage({"kkiapay":"success","transactionId":""#))
            let failed = String(decoding: try await press("poor", frame: true).body, as: UTF8.self)
            #expect(failed.contains(#""kkiapay":"failed""#) && failed.contains("try again") && failed.contains("value=\"pay\""))
            #expect(try await press("explode").status == 400)
        }
    }

    @Test("the script opens the page in a frame and hands the number over")
    func script() async throws {
        try await SandboxStage.with { stage in
            let fields = try await stage.widgetFields(attempt: "ATT1", amount: 5000, phone: nil, method: nil)
            let script = try await stage.client.send(HTTPClient.Request(url: try #require(fields["script"])))
            #expect(script.status == 200)
            #expect(script.headers["content-type"]?.hasPrefix("text/javascript") == true)
            let text = String(decoding: script.body, as: UTF8.self)
            for word in ["openKkiapayWidget", "addSuccessListener", "addKkiapayListener", "addFailedListener", "/widget?", "transaction_id="] {
                #expect(text.contains(word))
            }
            #expect(!text.contains("\\("))
        }
    }
}

@Suite("KKiaPay's own kit for servers, against the sandbox")
struct KKiaPayKitTests {
    private func kit(_ stage: SandboxStage, _ verb: String, _ number: String, key: String = "pk") async throws -> JSON {
        let script = "\(repositoryRoot)/Tests/Fixtures/kkiapay/drive.py"
        let process = try await ProcessFixture.start(try Fixture.python(), [script, "\(stage.url)/kkiapay", key, "sk", "s", verb, number])
        #expect(try await process.waitForExit() == .exited(0), "\(process.transcript)")
        return try JSON(parsing: try #require(process.output.last))
    }

    @Test("it verifies and refunds, unchanged but for its base URL")
    func verifyAndRefund() async throws {
        try await SandboxStage.with { stage in
            let number = try await stage.decide()
            let verified = try await kit(stage, "verify", number)
            #expect(verified["status"]?.string == "SUCCESS")
            #expect(verified["type"]?.string == "DEBIT")
            #expect(verified["amount"]?.int == 5000)
            #expect(verified["transactionId"]?.string == number)
            let sample = try JSON(parsing: try Fixture.bytes("kkiapay/api/status_success.json"))
            let balances: Set = ["before_balance", "after_balance"]
            for member in try #require(sample.object) where !balances.contains(member.key) { #expect(verified[member.key] != nil, "\(member.key)") }
            let refunded = try await kit(stage, "refund", number)
            #expect(refunded == ["code": "SUCCESS", "description": "REVERTED", "transactionId": .string(number)])
            #expect(try await kit(stage, "verify", number)["status"]?.string == "REVERTED")
            #expect(try await kit(stage, "refund", number)["code"]?.string == "TRANSACTION_NOT_ELIGIBLE")
            #expect(try await stage.ask(number).claim == .refunded)
        }
    }

    @Test("it is told of keys and numbers that nobody knows")
    func unknown() async throws {
        try await SandboxStage.with { stage in
            let unknown = try await kit(stage, "verify", "nobody123")
            #expect(unknown["status"]?.int == 4003)
            let stranger = try await kit(stage, "verify", "nobody123", key: "other")
            #expect(stranger["status"]?.string == "INVALID_API_KEY")
        }
    }
}
