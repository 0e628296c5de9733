import Access
import Database
import Drafts
import Formats
import OperatorCommands
import Payments
import ProviderPort
import TestSupport
import Testing

@Suite("A person's data is told from everybody else's")
struct CommandCustomerOthersTests {
    private static let email = "john@gmail.com"
    private static let phone = "+2250707123456"

    /// A kit that somebody ordered and nobody paid.
    private func order(_ name: String, _ email: String, _ phone: String, _ stage: CommandStage) async throws -> Payment {
        let now = stage.nowMs
        return try await stage.write { connection in
            let form = try InquiryForm(fields: [
                "organization_name": "Shop of \(name)", "contact_name": name, "email": email, "phone": phone, "language": "fr",
            ])
            return try InquiryStore.create(form, actor: "test", nowMs: now, in: connection).2
        }
    }

    private func cancel(_ payment: Payment, _ stage: CommandStage) async throws {
        try await stage.write { try $0.execute("UPDATE payments_payments SET state = 'cancelled' WHERE id = $1", [.text(payment.id)]) }
    }

    /// The answers to some questions, as one text.
    private func rows(_ questions: [String], _ stage: CommandStage) async throws -> String {
        try await stage.write { connection in
            try questions.map { question in try connection.query(question).map { "\($0.values)" }.joined(separator: "\n") }.joined(separator: "\n\n")
        }
    }

    /// Enters remarks on a payment that is nobody's.
    private func remark(_ remarks: [String], _ stage: CommandStage) async throws {
        try await stage.write { connection in
            for remark in remarks {
                try connection.execute(
                    "INSERT INTO payments_audit (payment, at, to_state, actor, source, detail) VALUES ('pay_nobodys', 1, 'paid', 'x', 'x', $1)",
                    [.text(remark)])
            }
        }
    }

    private func remarks(_ stage: CommandStage) async throws -> [String] {
        try await stage.write { connection in
            try connection.query("SELECT detail FROM payments_audit WHERE payment = 'pay_nobodys' ORDER BY id").map { try $0.text("detail") }
        }
    }

    // MARK: Longer addresses and numbers

    /// Traces of an address wherever one can leave them.
    private func leaveTraces(of email: String, called name: String, payment: Payment, _ stage: CommandStage) async throws {
        let escaped = email.replacing("@", with: "%40").replacing("+", with: "%2B")
        try await stage.write { connection in
            try connection.execute("UPDATE payments_payments SET description = 'for ' || $2 WHERE id = $1", [.text(payment.id), .text(email)])
            try connection.execute("INSERT INTO teams_members VALUES ('t', $1, $1, 'fr', 'member', 1, 1)", [.text(email)])
            try connection.execute(
                """
                INSERT INTO notifications_messages (key, message_id, channel, template, language, recipient, subject, payment, job, state, created_at)
                VALUES ('invoice:x:' || $1, '<' || $1 || '>', 'email', 'invoice', 'fr', $1, 'To ' || $1, $2, 'job_1', 'sent', 1)
                """, [.text(email), .text(payment.id)])
            for (id, owner, body) in [
                ("matched", SQLValue.text(payment.id), "{\"email\":\"\(email)\"}"), ("unmatched", .null, "email=\(escaped)&name=x"),
            ] {
                try connection.execute(
                    """
                    INSERT INTO payments_events (id, provider, mode, trust, type, received_at, content_type, body, headers, payment, outcome)
                    VALUES ($1, 'cinetpay', 'sandbox', 'unproven', 'x', 1, 'text/plain', $2, '', $3, 'unmatched')
                    """, [.text("\(id)-\(name)"), .blob(Array(body.utf8)), owner])
            }
        }
    }

    @Test("an address that is a piece of a longer one does not reach the longer one's payments, memberships, mails and events")
    func longerAddresses() async throws {
        let stage = try await CommandStage.make()
        try await stage.write { try $0.execute("INSERT INTO teams_teams VALUES ('t', 'Team', 'bigjohn@gmail.com', 'fr', 1)") }
        let john = try await order("John", Self.email, Self.phone, stage)
        try await leaveTraces(of: Self.email, called: "John", payment: john, stage)
        try await cancel(john, stage)
        let others = [
            ("Big", "bigjohn@gmail.com", "+22507071234567"), ("Dot", "big.john@gmail.com", "+12250707123456"),
            ("Tag", "big+john@gmail.com", "+2250707123"), ("Brazil", "john@gmail.com.br", "+22507071234"),
        ]
        for (name, email, phone) in others {
            // Open, all of them: that is their own affair.
            try await leaveTraces(of: email, called: name, payment: try await order(name, email, phone, stage), stage)
        }
        let ofOthers = [
            "SELECT * FROM payments_payments WHERE customer_name NOT IN ('John', '(erased)') ORDER BY id",
            "SELECT * FROM drafts_inquiries WHERE contact_name NOT IN ('John', '(erased)') ORDER BY id",
            "SELECT * FROM teams_teams", "SELECT * FROM teams_members WHERE email <> 'john@gmail.com' ORDER BY email",
            "SELECT * FROM notifications_messages WHERE recipient NOT IN ('john@gmail.com', '(erased)') ORDER BY key",
            "SELECT id, CAST(body AS TEXT) AS body FROM payments_events WHERE id NOT LIKE '%-John' ORDER BY id",
        ]
        let before = try await rows(ofOthers, stage)

        let exported = try await stage.json("customer", "export", Self.email)
        #expect(exported["payments"] == [.string(john.id)])
        #expect(exported["tables"]?["payments_events"]?.array?.count == 2, "\(exported.text)")
        #expect(exported["tables"]?["teams_members"]?.array?.count == 1)
        for (name, email, phone) in others {
            #expect(!exported.text.contains("\"\(email)\"") && !exported.text.contains(phone + "\"") && !exported.text.contains("Shop of \(name)"))
        }

        let erased = await stage.run("customer", "erase", Self.email)
        #expect(erased.code == .ok, "\(erased)")
        let after = try await rows(ofOthers, stage)
        #expect(after == before, "\(after)\n\(before)")
        let left = try await rows(
            [
                "SELECT customer_name, customer_email, customer_phone, description FROM payments_payments WHERE id = '\(john.id)'",
                "SELECT email FROM teams_members ORDER BY email", "SELECT CAST(body AS TEXT) FROM payments_events WHERE id LIKE '%-John'",
                "SELECT key, recipient FROM notifications_messages WHERE payment = '\(john.id)'",
            ], stage)
        for (_, email, _) in others { #expect(left.contains("\"\(email)\""), "\(email) is a member still") }
        #expect(!left.contains("\"john@gmail.com\"") && !left.contains(":john@gmail.com") && !left.contains("john%40"), "\(left)")

        let big = await stage.run("customer", "erase", "bigjohn@gmail.com")
        #expect(big.code == .failed && big.err.contains("is created"), "\(big)")
    }

    @Test("in texts an address and a number are found in every spelling, and no piece of another is")
    func spellings() async throws {
        let stage = try await CommandStage.make()
        try await cancel(try await order("John", Self.email, Self.phone, stage), stage)
        let spellings: [(text: String, left: String?)] = [
            ("he wrote: john@gmail.com.", "he wrote: (erased)."), ("<John@Gmail.com>, 'john@gmail.com'", "<(erased)>, '(erased)'"),
            ("john@gmail.com_1 é\u{A0}john@gmail.com", "(erased)_1 é\u{A0}(erased)"), ("m=john%40gmail.com&n=1", "m=(erased)&n=1"),
            ("%22john%40gmail.com%22", "%22(erased)%22"), ("note=by+john%40gmail.com+today", "note=by+(erased)+today"),
            (#"{"a":"one\njohn@gmail.com","b":"john\u0040gmail.com"}"#, #"{"a":"one\n(erased)","b":"(erased)"}"#),
            (#""{\"a\":\"x\\njohn@gmail.com\"}""#, #""{\"a\":\"x\\n(erased)\"}""#), ("bigjohn@gmail.com", nil), ("big.john@gmail.com", nil),
            ("big_john@gmail.com", nil), ("big-john@gmail.com", nil), ("big+john@gmail.com", nil), ("100%john@gmail.com", nil),
            ("john@gmail.com.br", nil), ("john@gmail.community", nil), ("john@gmail.com-shop.example", nil), ("john@gmail.com--shop.example", nil),
            ("m=bigjohn%40gmail.com", nil), ("m=big%2Bjohn%40gmail.com", nil), ("m=big%2ejohn%40gmail.com", nil),
            ("m=john%40gmail.com%2Ebr", nil), ("john at gmail.com", nil),
            ("tel 2250707123456, +2250707123456.", "tel (erased), +(erased)."), ("tel=%2B2250707123456&x", "tel=%2B(erased)&x"),
            ("%202250707123456", "%20(erased)"), ("002250707123456", "00(erased)"), ("+225 07 07 12 34 56 et moi", "+(erased) et moi"),
            ("(+225) 07-07.12\u{A0}34 56", "(+(erased)"), ("tel=%2B225+07+07+12+34+56", "tel=%2B(erased)"), ("22507071234567", nil),
            ("12250707123456", nil), ("+12250707123456", nil), ("10002250707123456", nil), ("+225 07 07 12 34 56 7", nil),
            ("+225 07 07 12 34 5", nil),
            ("the 225 of 07-07, at 12:34:56", nil),
        ]
        try await remark(spellings.map(\.0), stage)
        #expect(await stage.run("customer", "erase", Self.email).code == .ok)
        for (left, (text, wanted)) in zip(try await remarks(stage), spellings) { #expect(left == wanted ?? text, "\(text)") }
    }

    @Test("a plus is part of an address, escaped or not")
    func plus() async throws {
        let stage = try await CommandStage.make()
        try await cancel(try await order("Ann", "ann+kit@gmail.com", "+2250101010101", stage), stage)
        try await cancel(try await order("Kit", "kit@gmail.com", "+2250202020202", stage), stage)
        let texts = ["ann+kit@gmail.com", "m=ann%2Bkit%40gmail.com", "m=ann%2bkit@gmail.com", "m=kit%40gmail.com"]
        try await remark(texts, stage)
        #expect(await stage.run("customer", "erase", "ann+kit@gmail.com").code == .ok)
        #expect(try await remarks(stage) == ["(erased)", "m=(erased)", "m=(erased)", "m=kit%40gmail.com"])
        #expect(await stage.run("customer", "erase", "kit@gmail.com").code == .ok)
        #expect(try await remarks(stage) == ["(erased)", "m=(erased)", "m=(erased)", "m=(erased)"])
    }

    @Test("what another's payment only mentions is taken out of it, and the rest of its event stays")
    func mentions() async throws {
        let stage = try await CommandStage.make()
        try await cancel(try await order("John", Self.email, Self.phone, stage), stage)
        let other = try await order("Big", "bigjohn@gmail.com", "+22507071234567", stage)
        try await stage.write { connection in
            try connection.execute("UPDATE payments_payments SET description = 'a gift of john@gmail.com' WHERE id = $1", [.text(other.id)])
            try connection.execute("INSERT INTO teams_teams VALUES ('t', 'Team', 'x', 'fr', 1)")
            try connection.execute("INSERT INTO teams_members VALUES ('t', 'bigjohn@gmail.com', 'Brother of john@gmail.com', 'fr', 'member', 1, 1)")
            try connection.execute(
                """
                INSERT INTO payments_events (id, provider, mode, trust, type, received_at, content_type, body, headers, payment, outcome)
                VALUES ('e', 'wave', 'sandbox', 'unproven', 'x', 1, 'text/plain', $1, '', $2, 'applied')
                """, [.blob(Array("from=john@gmail.com;to=bigjohn@gmail.com".utf8)), .text(other.id)])
        }
        #expect(await stage.run("customer", "erase", Self.email).code == .ok)
        let left = try await rows(
            [
                "SELECT description, state FROM payments_payments WHERE id = '\(other.id)'", "SELECT email, name FROM teams_members",
                "SELECT CAST(body AS TEXT) FROM payments_events WHERE id = 'e'",
            ], stage)
        for text in [
            "\"a gift of (erased)\"", "\"created\"", "\"bigjohn@gmail.com\"", "\"Brother of (erased)\"", "\"from=(erased);to=bigjohn@gmail.com\"",
        ] {
            #expect(left.contains(text), "\(text) in \(left)")
        }
    }

    // MARK: Who is meant

    @Test("who is meant is a whole address or number")
    func whole() async throws {
        let stage = try await CommandStage.make()
        let john = try await order("John", Self.email, Self.phone, stage)
        try await cancel(john, stage)
        for who in [
            "@", "@gmail.com", "john@", "john@gmail", "john@gmail.com@x.org", "j ohn@gmail.com", "", " ", "+", "+225", "2250707123456",
            "+0250707123456", "+225070712345678901",
        ] {
            for verb in ["export", "erase"] {
                let result = await stage.run("customer", verb, who)
                #expect(result.code == .usage && result.out == "", "'\(who)': \(result)")
            }
        }
        #expect(try await stage.write { try PaymentStore.require(john.id, in: $0).customer.email } == Self.email)
    }

    @Test("nothing is done for one who has no payment, no inquiry and is in no team, though texts may name them")
    func unknown() async throws {
        let stage = try await CommandStage.make()
        try await remark(["ann@gmail.com rang from +2250909090909"], stage)
        for who in ["ann@gmail.com", "+2250909090909"] {
            let exported = await stage.run("customer", "export", who)
            #expect(exported.code == .notFound && exported.err.contains("no payment, inquiry or member"), "\(exported)")
            let erased = await stage.run("customer", "erase", who)
            #expect(erased.code == .nothingDue && erased.out == "" && erased.err.contains("no payment, inquiry or member"), "\(erased)")
        }
        for verb in ["export", "erase"] { #expect(await stage.run("customer", verb, "pay_nobodys").code == .notFound) }
        #expect(try await remarks(stage) == ["ann@gmail.com rang from +2250909090909"])
        #expect(try await stage.write { try Erasure.list(in: $0).isEmpty })
    }

    @Test("who is only a member of a team is found, and the membership goes")
    func member() async throws {
        let stage = try await CommandStage.make()
        try await stage.write { connection in
            try connection.execute("INSERT INTO teams_teams VALUES ('t', 'Team', 'x', 'fr', 1)")
            for email in ["John@gmail.com", "bigjohn@gmail.com"] {
                try connection.execute("INSERT INTO teams_members VALUES ('t', $1, 'x', 'fr', 'member', 1, 1)", [.text(email)])
            }
        }
        #expect(await stage.run("customer", "erase", Self.email).code == .ok)
        #expect(try await stage.write { try $0.query("SELECT email FROM teams_members").map { try $0.text("email") } } == ["bigjohn@gmail.com"])
    }

    // MARK: Names that are words of the product

    @Test("a name that is a word of the product is taken out of what people wrote, and out of nothing else")
    func productWords() async throws {
        let stage = try await CommandStage.make()
        let kit = try await stage.orderKit()
        try await stage.notify(kit)
        try await stage.write { connection in
            for statement in [
                "UPDATE payments_payments SET customer_name = 'Kit Wave'",
                "UPDATE drafts_inquiries SET organization_name = 'Wave', contact_name = 'Kit'",
                "UPDATE payments_attempts SET provider = 'wave', method = 'wave'", "UPDATE payments_references SET provider = 'wave'",
                "UPDATE payments_events SET provider = 'wave'", "UPDATE outbox_jobs SET finished_at = 1, outcome = 'done'",
                "INSERT INTO payments_tasks (payment, kind, detail, created_at) SELECT payment, 'kit', 'Kit rang, Kitty came by WAVE', 1 "
                    + "FROM drafts_orders",
            ] { try connection.execute(statement) }
            // Three more payments of the same person, who is called otherwise each time; one has an id in which a name stands.
            for (id, name) in [("pay_01JDAWA00000000000000AWA0", "Awa"), ("pay_2", "XOF"), ("pay_3", "Paid")] {
                try connection.execute(
                    """
                    INSERT INTO payments_payments (id, purpose, subject, description, amount, currency, state, captured, customer_name,
                      customer_email, language, metadata, created_at, updated_at)
                    VALUES ($1, 'kit', 'Awa:' || $1, 'Kit', 100, 'XOF', 'paid', 100, $2, 'aicha@example.org', 'fr', '{}', 1, 1)
                    """, [.text(id), .text(name)])
                try connection.execute(
                    """
                    INSERT INTO payments_audit (payment, at, from_state, to_state, actor, source, detail)
                    VALUES ($1, 1, 'created', 'paid', 'kit', 'wave', $2)
                    """, [.text(id), .text("Awa paid XOF for \(id)")])
            }
        }
        let product = [
            "SELECT id, purpose, subject, amount, currency, state, language FROM payments_payments ORDER BY id",
            "SELECT id, payment, number, provider, mode, method, open FROM payments_attempts", "SELECT * FROM payments_references ORDER BY value",
            "SELECT id, provider, mode, trust, type, content_type, attempt, payment, outcome FROM payments_events",
            "SELECT * FROM payments_facts ORDER BY id", "SELECT id, payment, from_state, to_state, actor, source FROM payments_audit ORDER BY id",
            "SELECT * FROM drafts_orders", "SELECT id, payment_status, processing_state, order_id FROM drafts_inquiries",
            "SELECT id, queue, kind, payment, replace(unique_key, 'aicha@example.org', '(erased)'), slot, outcome FROM outbox_jobs ORDER BY id",
            "SELECT payment, kind FROM payments_tasks",
            "SELECT * FROM payments_standings ORDER BY provider, state",
        ]
        let before = try await rows(product, stage)
        let result = await stage.run("customer", "erase", "aicha@example.org")
        #expect(result.code == .ok, "\(result)")
        let after = try await rows(product, stage)
        #expect(after == before, "\(after)\n\(before)")
        let prose = try await rows(["SELECT customer_name FROM payments_payments", "SELECT detail FROM payments_tasks"], stage)
        #expect(!prose.contains("\"Kit Wave\"") && prose.contains("\"(erased) rang, Kitty came by (erased)\""), "\(prose)")
        let details = try await rows(["SELECT detail FROM payments_audit WHERE payment LIKE 'pay_01JDAWA%'"], stage)
        #expect(details.contains("(erased) (erased) (erased) for pay_01JDAWA00000000000000AWA0"), "\(details)")
    }
}
