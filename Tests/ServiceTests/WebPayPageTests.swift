import Database
import Formats
import HTTPClient
import HTTPServer
import Money
import Payments
import ProviderPort
import SandboxService
import TestSupport
import Testing

@Suite("Our own pages of attempts: widgets, pushes to phones, transfers")
struct WebPayPageTests {
    /// Starts a try from the checkout page. - Returns: where the browser is sent, within the web.
    private func start(_ stage: WebStage, _ provider: String, _ fields: [(String, String)] = []) async throws -> (payment: String, path: String) {
        let (inquiry, payment) = try await stage.inquire()
        let sent = try await stage.form("/kit/checkout/\(inquiry)/pay/\(provider)", fields)
        #expect(sent.status == 303, "\(sent.text)")
        let location = try #require(sent.headers["location"])
        #expect(location.hasPrefix("\(WebStage.baseURL)/payments/\(provider)/pay/?transaction_id="), "\(location)")
        return (payment, String(location.dropFirst(WebStage.baseURL.count)))
    }

    @Test("KKiaPay's widget opens on our page, and the number that the browser brings back is asked about: paid")
    func widget() async throws {
        try await WebStage.with { stage in
            let (payment, path) = try await start(stage, "kkiapay")
            let page = try await stage.send("GET", path)
            #expect(page.status == 200)
            try HTMLCheck.wellFormed(page.text)
            let script = "http://\(stage.sandbox.boundAddress)/kkiapay/k.js"
            #expect(page.text.contains("<script src=\"\(script)\"></script>"))
            let policy = try #require(page.headers["content-security-policy"])
            #expect(policy.contains("script-src 'self' http://\(stage.sandbox.boundAddress)") && policy.contains("default-src 'none'"))
            #expect(try await stage.send("GET", "/assets/widget.js").headers["content-type"] == "text/javascript; charset=utf-8")

            let attempt = try #require(try await stage.attempts(of: payment).first)
            let fields = try #require(attempt.step?.fields)
            let paid = try await pay(stage, fields)
            let callback = try #require(fields["callback"]).replacing(WebStage.baseURL, with: "")
            #expect(callback == "/payments/kkiapay/return/?attempt=\(attempt.id)")
            let back = try await stage.send("GET", "\(callback)&transaction_id=\(paid)")
            #expect(back.status == 200 && back.text.contains("Vérification en cours"))
            try await eventually("the payment is paid") { try await stage.get("/api/v1/payments/\(payment)/").string("status") == "paid" }
            #expect(try await stage.send("GET", path).text.contains("Paiement reçu"))
        }
    }

    /// What a customer does in the widget. - Returns: the transaction's number.
    private func pay(_ stage: WebStage, _ fields: [String: String], amount: String? = nil) async throws -> String {
        var told = fields.merging(["action": "pay", "phone": "22966000000"]) { $1 }
        told["amount"] = amount ?? told["amount"]
        let body = JSON.object(JSONObject(told.sorted { $0.key < $1.key }.map { ($0.key, JSON.string($0.value)) }))
        let answer = try await stage.client.send(
            HTTPClient.Request(
                method: "POST", url: "http://\(stage.sandbox.boundAddress)/kkiapay/widget", headers: ["content-type": "application/json"],
                body: body.bytes))
        let transaction = try JSON(parsing: answer.body)["transactionId"]?.string
        return try #require(transaction)
    }

    @Test("a transaction of somebody else's pays nothing, whoever brings its number")
    func foreign() async throws {
        try await WebStage.with { stage in
            let (mine, _) = try await start(stage, "kkiapay")
            let (yours, _) = try await start(stage, "kkiapay")
            let first = try #require(try await stage.attempts(of: mine).first)
            let second = try #require(try await stage.attempts(of: yours).first)
            let number = try await pay(stage, try #require(first.step?.fields))
            _ = try await stage.send("GET", "/payments/kkiapay/return/?attempt=\(second.id)&transaction_id=\(number)")
            _ = try await stage.send("GET", "/payments/kkiapay/return/?attempt=\(first.id)&transaction_id=\(number)")
            try await eventually("mine is paid") { try await stage.get("/api/v1/payments/\(mine)/").string("status") == "paid" }
            try await eventually("the other was asked about") { try await stage.callCount(under: "/kkiapay/api/v1/transactions/status") >= 2 }
            #expect(try await stage.get("/api/v1/payments/\(yours)/").string("status") == "pending")
            for _ in 0..<30 {
                let forged = "T\(Int.random(in: 1_000_000..<9_999_999))"
                _ = try await stage.send("GET", "/payments/kkiapay/return/?attempt=\(second.id)&transaction_id=\(forged)")
            }
            let kept = try await stage.database.read { try UnverifiedReferences.of(attempt: second.id, in: $0).count }
            #expect(kept <= 20, "forged numbers cost a bounded number of calls")
        }
    }

    @Test("a push: the page tells what to confirm, shows no whole phone number, and follows the payment")
    func push() async throws {
        try await WebStage.with { stage in
            let fields = [("network", "mtn"), ("phone", "+22997123456"), ("otp", "")]
            let (_, path) = try await start(stage, "feexpay", fields)
            let page = try await stage.send("GET", path)
            #expect(page.status == 200 && page.text.contains("http-equiv=\"refresh\""))
            try HTMLCheck.wellFormed(page.text)
            #expect(!page.text.contains("97123456"))
            let (inquiry, _) = try await stage.inquire()
            let wrong = try await stage.form("/kit/checkout/\(inquiry)/pay/feexpay", [("network", "mtn"), ("phone", "97")])
            #expect(wrong.status == 422)
        }
    }

    @Test("a transfer: account and reference, and nothing is waited for")
    func transfer() async throws {
        try await WebStage.with { stage in
            let (payment, path) = try await start(stage, "manual")
            let page = try await stage.send("GET", path)
            let attempt = try #require(try await stage.attempts(of: payment).first)
            #expect(page.text.contains("IBAN BJ66 0001") && page.text.contains(attempt.id))
            #expect(attempt.method == "bank_transfer")
            #expect(try await stage.send("GET", "/payments/manual/pay/?transaction_id=none").status == 404)
            #expect(try await stage.send("GET", "/payments/kkiapay/pay/?transaction_id=\(attempt.id)").status == 404)
        }
    }

    @Test("the checkout offers what is on and takes the amount, each with the fields that it needs")
    func offered() async throws {
        try await WebStage.with { stage in
            let (inquiry, _) = try await stage.inquire()
            let page = try await stage.send("GET", "/kit/checkout/\(inquiry)/")
            try HTMLCheck.wellFormed(page.text)
            for provider in ["cinetpay", "orange-money", "kkiapay", "feexpay", "manual"] {
                #expect(page.text.contains("pay/\(provider)\""), "\(provider)")
            }
            for provider in ["wave", "icount", "payment-backend", "standard-webhooks"] { #expect(!page.text.contains("pay/\(provider)\"")) }
            #expect(page.text.contains("name=\"network\""))
            // A code is asked for where a network of the country needs one.
            #expect(!page.text.contains("name=\"otp\""))
            #expect(try await stage.send("GET", "/kit/checkout/\(inquiry)/?country=SN").text.contains("name=\"otp\""))
        }
    }

    @Test("Orange Money: told at an address made for the payment, asked with its token, paid")
    func orange() async throws {
        try await WebStage.with { stage in
            let (inquiry, payment) = try await stage.inquire()
            let sent = try await stage.form("/kit/checkout/\(inquiry)/pay/orange-money", [])
            #expect(sent.status == 303, "\(sent.text)")
            #expect(sent.headers["location"]?.hasPrefix("http://\(stage.sandbox.boundAddress)/") == true)
            let started = try #require(try await stage.attempts(of: payment).first)
            #expect(try await stage.play("pay", ["reference": .string(started.id)]) == 200)
            try await eventually("the payment is paid") { try await stage.get("/api/v1/payments/\(payment)/").string("status") == "paid" }
            #expect(try await stage.send("GET", "/payments/om/return/?transaction_id=\(started.id)").text.contains("Paiement reçu"))
        }
    }
}
