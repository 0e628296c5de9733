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

        let mail = try #require(stage.instance.mail)
        try await mail.waitForMessages(3)
        let toCustomer = try mail.received().filter { $0.to == ["aicha.kone@example.org"] }
        #expect(toCustomer.count == 2)
        let attached = toCustomer.flatMap(\.attachments)
        #expect(attached.count == 1 && attached[0].bytes == pdf && attached[0].name == parts[0] + ".pdf")
        for message in try mail.received() { #expect(message.defects.isEmpty && message.text != nil && message.html != nil) }
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

    /// A merchant's back end with its key.
    private struct Shop: Sendable {
        let stage: Stage
        let key: String

        init(_ stage: Stage) async throws {
            self.stage = stage
            let made = try await stage.instance.quittance("apikey", "create", "--name", "end-to-end", "--json")
            key = try #require(try JSON(parsing: made.output)["key"]?.string, "\(made.output) \(made.errors)")
        }

        @discardableResult
        func call(_ method: String, _ path: String, _ body: JSON? = nil) async throws -> JSON {
            var headers = [("authorization", "Bearer \(key)"), ("content-type", "application/json")]
            if body != nil { headers.append(("idempotency-key", ULID.make())) }
            let answer = try await HTTPLine.once(port: stage.instance.webPort, method, path, headers: headers, body: body?.bytes)
            guard (200...201).contains(answer.status) else { throw FixtureError("\(method) \(path) answered \(answer.status): \(answer.text)") }
            return try JSON(parsing: answer.body)
        }

        /// - Returns: the payment's id.
        func inquiry(email: String) async throws -> String {
            let form: JSON = [
                "organization_name": "Association Sève & Racines", "contact_name": "Aïcha Koné", "email": .string(email),
                "phone": "+2250707123456", "language": "fr", "statut_juridique": "Association loi 1960", "location": "Bouaké, Côte d’Ivoire",
                "sector": "Agriculture vivrière", "mission_text": "Accompagner les productrices.\nFormer aux comptes.", "documents_count": "4",
            ]
            let answer = try await call("POST", "/api/v1/kit/inquiries/", form)
            return try #require(answer["payment"]?.string)
        }
    }
}
