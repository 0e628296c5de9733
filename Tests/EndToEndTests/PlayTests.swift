import Database
import Formats
import TestSupport
import Testing

@Suite("A whole order, from the customer's click to the last mail", .timeLimit(.minutes(4)))
struct PlayTests {
    private static let programs = [
        "ingest", "web", "sandbox", "scheduler", "worker-payments", "worker-drafts", "worker-plans", "worker-invoices", "worker-notifications",
    ]

    @Test("a Kit through CinetPay, a plan through the payment back end, and a wrong amount")
    func play() async throws {
        try await Stage.run(Self.programs, Instance.Configuration(hasMail: true, hasTemplate: true)) { stage in
            let shop = try await Shop(stage)
            try await kit(shop)
            try await plan(shop)
            try await wrongMoney(shop, step: "wrong_amount")
            try await wrongMoney(shop, step: "wrong_currency")
            requireNoSecrets(shop)
        }
    }

    /// Early waiting notice, every notice twice: one draft, one invoice, mails.
    private func kit(_ shop: Shop) async throws {
        let stage = shop.stage
        let payment = try await shop.inquiry(email: "aicha.kone@example.org")
        try await stage.sandbox("POST", "/sandbox/scenario", ["next": true, "steps": ["early_waiting", "duplicate"]])
        let initiated = try await shop.call("POST", "/api/v1/payments/cinetpay/initiate/", ["payment": .string(payment)])
        #expect(initiated["payment_url"]?.string?.hasPrefix("http://127.0.0.1:\(stage.instance.sandboxPort)/cinetpay/pay/") == true)
        try await stage.sandbox("POST", "/sandbox/pay", ["reference": .string(payment)])
        try await eventually(within: .seconds(30), "the API says paid") {
            try await shop.call("GET", "/api/v1/payments/cinetpay/\(payment)/status/")["status"]?.string == "paid"
        }
        try await stage.awaitJobs(within: .seconds(60))
        let bad = try await stage.texts("SELECT kind || ' ' || outcome FROM outbox_jobs WHERE outcome <> 'done'")
        #expect(bad.isEmpty, "\(bad)")
        // Early, final and final again are at most three questions to CinetPay, and one move to paid.
        #expect(try await stage.count("SELECT COUNT(*) FROM payments_audit WHERE payment = $1 AND to_state = 'paid'", [.text(payment)]) == 1)
        #expect(try await stage.count("SELECT COUNT(*) FROM ledger_entries WHERE payment = $1", [.text(payment)]) == 1)

        let draft = try await stage.texts("SELECT path FROM drafts_generated WHERE payment = $1", [.text(payment)])
        try #require(draft.count == 1)
        #expect(stage.instance.folder.read("private/" + draft[0])?.starts(with: Array("PK".utf8)) == true)
        let invoice = try await stage.texts("SELECT label || ' ' || pdf_path FROM invoicing_invoices WHERE payment = $1", [.text(payment)])
        try #require(invoice.count == 1)
        let parts = invoice[0].split(separator: " ").map(String.init)
        #expect(parts[0].hasSuffix("-000001"))
        let pdf = try #require(stage.instance.folder.read("private/" + parts[1]))
        #expect(pdf.starts(with: Array("%PDF".utf8)))

        try await trace(payment, shop)
        let mail = try #require(stage.instance.mail)
        try await mail.waitForMessages(3)
        let toCustomer = try mail.received().filter { $0.to == ["aicha.kone@example.org"] }
        #expect(toCustomer.count == 2)
        let attached = toCustomer.flatMap(\.attachments)
        #expect(attached.count == 1 && attached[0].bytes == pdf && attached[0].name == parts[0] + ".pdf")
        for message in try mail.received() { #expect(message.defects.isEmpty && message.text != nil && message.html != nil) }
    }

    /// The whole life of the payment, as an operator sees it.
    private func trace(_ payment: String, _ shop: Shop) async throws {
        let told = try await shop.stage.instance.quittance("trace", payment, "--json")
        #expect(told.code == 0, "\(told.errors)")
        let life = try JSON(parsing: told.output)
        #expect(life["payment"]?["state"]?.string == "paid")
        let audit = (life["audit"]?.array ?? []).compactMap { $0["to"]?.string }
        #expect(audit.first == "created" && audit.last == "paid", "\(audit)")
        let events = life["events"]?.array ?? []
        // The early notice and the final one, each told twice.
        #expect(events.count == 2 && events.allSatisfy { $0["deliveries"]?.int == 2 }, "\(events.map(\.text))")
        let jobs = Set((life["jobs"]?.array ?? []).compactMap { job in job["kind"]?.string.map { "\($0) \(job["outcome"]?.string ?? "")" } })
        #expect(jobs == ["payment.verify done", "draft.generate done", "invoice.create done", "notification.send done"])
        #expect(Set((life["documents"]?.array ?? []).compactMap { $0["kind"]?.string }) == ["draft", "invoice"])
        #expect((life["mails"]?.array ?? []).count == 3)
        #expect(!told.output.contains("+2250707123456"))
    }

    /// No program wrote a key, a secret, a telephone number or a customer's address into its log.
    private func requireNoSecrets(_ shop: Shop) {
        let instance = shop.stage.instance
        let said = instance.transcript(linesMax: .max)
        #expect(said.contains("\"started\""))
        let names = [
            "CINETPAY_API_KEY", "CINETPAY_WEBHOOK_SECRET", "PAYMENT_API_KEY", "PAYMENT_WEBHOOK_SECRET", "STANDARD_WEBHOOKS_SECRET", "SECRET_KEY",
            "OPENAI_API_KEY",
        ]
        for name in names { #expect(!said.contains(instance.environment[name] ?? "?"), "\(name) is in a log") }
        for text in [shop.key, "2250707123456", "aicha.kone@example.org"] { #expect(!said.contains(text), "\(text) is in a log") }
    }

    private func plan(_ shop: Shop) async throws {
        let stage = shop.stage
        let metadata: JSON = ["plan_upgrade": true, "new_plan": "pro"]
        let initiated = try await shop.call(
            "POST", "/api/payments/team-baobab/initiate", ["payment_method": "mobile_money", "metadata": metadata])
        let payment = try #require(initiated["id"]?.string)
        try await stage.sandbox("POST", "/sandbox/pay", ["reference": .string(payment)])
        try await eventually(within: .seconds(30), "the plan is active") {
            try await stage.texts("SELECT plan || ' ' || status FROM plans_subscriptions WHERE team = 'team-baobab'") == ["pay_as_you_go active"]
        }
        try await stage.awaitJobs()
        #expect(try await stage.count("SELECT COUNT(*) FROM plans_activations") == 1)
        #expect(
            try await stage.texts("SELECT label FROM invoicing_invoices WHERE payment = $1", [.text(payment)]).first?.hasSuffix("-000002") == true)
    }

    private func wrongMoney(_ shop: Shop, step: String) async throws {
        let stage = shop.stage
        let payment = try await shop.inquiry(email: "autre@example.org")
        try await stage.sandbox("POST", "/sandbox/scenario", ["next": true, "steps": [.string(step)]])
        try await shop.call("POST", "/api/v1/payments/cinetpay/initiate/", ["payment": .string(payment)])
        try await stage.sandbox("POST", "/sandbox/pay", ["reference": .string(payment)])
        try await eventually(within: .seconds(30), "\(step): the payment is conflicted") {
            try await shop.call("GET", "/api/v1/payments/cinetpay/\(payment)/status/")["status"]?.string == "conflicted"
        }
        try await stage.awaitJobs()
        let kinds = Set(try await stage.texts("SELECT kind FROM outbox_jobs WHERE payment = $1", [.text(payment)]))
        #expect(kinds == ["payment.verify"], "\(step)")
        #expect(try await stage.count("SELECT COUNT(*) FROM payments_tasks WHERE payment = $1 AND closed_at IS NULL", [.text(payment)]) > 0)
        #expect(try await stage.count("SELECT COUNT(*) FROM invoicing_invoices WHERE payment = $1", [.text(payment)]) == 0)
    }
}
