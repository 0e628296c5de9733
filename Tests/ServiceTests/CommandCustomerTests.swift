import Access
import Database
import Drafts
import Formats
import JobQueue
import OperatorCommands
import Outbox
import Payments
import ProviderPort
import TestSupport
import Testing

@Suite("A person's data is handed out and erased")
struct CommandCustomerTests {
    private static let email = "aicha@example.org"
    private static let phone = "2250707123456"
    private static let words = [email, "aicha%40example.org", phone, "Aïcha Koné", "Awa Sorceress", "a very private mission", "rue des Jardins 7"]

    /// Where any of the words stands in the stage's folder, read as bytes: database, its log, files.
    private func places(_ words: [String], _ stage: CommandStage) async throws -> [String] {
        var arguments = ["-r", "-l", "-a", "-i", "-F"]
        for word in words { arguments += ["-e", word] }
        let process = try await ProcessFixture.start("grep", arguments + [stage.folder.path])
        try await process.waitForExit()
        return process.output
    }

    /// A customer who paid for a kit and has left traces wherever a customer can, beside another one.
    private func live(_ stage: CommandStage) async throws -> OrderedKit {
        let kit = try await stage.orderKit()
        try await stage.notify(kit)
        let now = stage.nowMs
        let other = try await stage.write { connection in
            let form = try InquiryForm(fields: [
                "organization_name": "Baobab", "contact_name": "Bakary", "email": "bakary@example.org", "phone": "+2250101010101", "language": "fr",
            ])
            return try InquiryStore.create(form, actor: "test", nowMs: now, in: connection).2.id
        }
        try stage.folder.makeFolder("var/private")
        try stage.folder.makeFolder("var/private/drafts")
        for name in ["finals", "attachments"] { try stage.folder.makeFolder("var/private/\(name)") }
        for path in ["drafts/\(kit.inquiry).docx", "drafts/\(kit.inquiry)-v2-t0.docx", "finals/f1", "finals/f2", "attachments/a1"] {
            try stage.folder.write("for \(Self.email): a very private mission", to: "var/private/\(path)")
        }
        try await stage.write { connection in
            try connection.execute(
                "UPDATE drafts_inquiries SET mission_text = 'a very private mission', location = 'rue des Jardins 7' WHERE id = $1",
                [.text(kit.inquiry)])
            try connection.execute(
                "UPDATE payments_payments SET metadata = '{\"order_id\":\"o-1\",\"address\":\"rue des Jardins 7\"}' WHERE id = $1",
                [.text(kit.payment)])
            try connection.execute(
                "UPDATE payments_attempts SET last_answer = '{\"payer\":\"Awa Sorceress\"}', error_text = $2, payment_url = 'https://p/?m=aicha%40example.org' WHERE id = $1",
                [.text(kit.attempt), .text("no money on \(Self.phone)")])
            try connection.execute(
                """
                INSERT INTO drafts_answers (inquiry, version, model, content, created_at) VALUES
                  ($1, 1, 'm', 'Aïcha Koné asks for a very private mission', $2), ($1, 2, 'm', 'Aïcha Koné asked for a very private mission', $2)
                """, [.text(kit.inquiry), .integer(now)])
            try connection.execute(
                """
                INSERT INTO drafts_generated (inquiry, version, payment, path, sha256, size, created_at) VALUES
                  ($1, 1, $2, 'drafts/' || $1 || '.docx', 'x', 1, $3), ($1, 2, $2, 'drafts/' || $1 || '-v2-t0.docx', 'x', 1, $3)
                """, [.text(kit.inquiry), .text(kit.payment), .integer(now)])
            try connection.execute(
                """
                INSERT INTO drafts_finals (inquiry, version, path, kind, file_name, sha256, size, actor, created_at) VALUES
                  ($1, 1, 'finals/f1', 'docx', 'Kit Aïcha Koné.docx', 'x', 1, 'staff:b', $2),
                  ($1, 2, 'finals/f2', 'pdf', 'Kit Aïcha Koné.pdf', 'x', 1, 'staff:b', $2)
                """, [.text(kit.inquiry), .integer(now)])
            try connection.execute(
                """
                INSERT INTO drafts_attachments (inquiry, number, path, kind, file_name, sha256, size, created_at)
                VALUES ($1, 1, 'attachments/a1', 'pdf', 'statuts Aïcha Koné.pdf', 'x', 1, $2)
                """, [.text(kit.inquiry), .integer(now)])
            try connection.execute(
                "INSERT INTO drafts_audit (inquiry, at, actor, action, reason) VALUES ($1, $2, 'staff:b', 'text_edited', 'Aïcha Koné rang')",
                [.text(kit.inquiry), .integer(now)])
            try connection.execute(
                """
                INSERT INTO downloads_grants (id, subject, payment, object_key, size, sha256, file_name, content_type, max_uses, used_count,
                  issued_at, expires_at)
                VALUES ('dl_1', $1, $2, 'finals/x.pdf', 1, $3, 'Final de Aïcha Koné.pdf', 'application/pdf', 1, 1, $4, $4 + 1000)
                """, [.text(kit.inquiry), .text(kit.payment), .text(String(repeating: "a", count: 64)), .integer(now)])
            try connection.execute("INSERT INTO downloads_uses VALUES ('use', 'dl_1', 1, $1, x'0102')", [.integer(now)])
            try connection.execute(
                "INSERT INTO downloads_audit (download, step, actor, reason, at) VALUES ('dl_1', 'issued', 'staff', 'Aïcha Koné asked again', $1)",
                [.integer(now)])
            try connection.execute(
                """
                INSERT INTO notifications_messages (key, message_id, channel, template, language, recipient, subject, payment, job, state, created_at,
                  request)
                VALUES ('invoice:x:' || $1, '<1@x>', 'email', 'invoice', 'fr', $1, 'Bonjour Aïcha Koné', $2, 'job_1', 'sent', $3,
                  '{"phone":"+2250707123456","values":{"name":"Aïcha Koné"}}')
                """, [.text("Aicha@Example.org"), .text(kit.payment), .integer(now)])
            try connection.execute(
                """
                INSERT INTO outbox_effects (name, key, state, rule, fence, result, began_at, changed_at)
                VALUES ('payment.initiate', $1, 'done', 'ask', 1, '{"phone":"+2250707123456"}', $2, $2)
                """, [.text(kit.attempt), .integer(now)])
            // What somebody posted and matched nothing, as a form; and a call whose answer is kept.
            try connection.execute(
                """
                INSERT INTO payments_events (id, provider, mode, trust, type, received_at, content_type, body, headers, outcome)
                VALUES ('evt-x', 'cinetpay', 'sandbox', 'unproven', 'x', $1, 'application/x-www-form-urlencoded', $2, '', 'unmatched')
                """, [.integer(now), .blob(Array("cpm_trans_id=1&email=aicha%40example.org&tel=%2B2250707123456&name=Awa+Sorceress".utf8))])
            try connection.execute(
                """
                INSERT INTO access_calls (api_key, idempotency_key, request_digest, state, run, status, content_type, body, started_at, finished_at)
                VALUES ('jwt:shop', 'k', zeroblob(32), 'finished', 1, 201, 'application/json', $1, $2, $2)
                """, [.blob(Array(#"{"id":"\#(kit.payment)","metadata":{"address":"rue des Jardins 7"}}"#.utf8)), .integer(now)])
            try connection.execute(
                "INSERT INTO payments_audit (payment, at, to_state, actor, source, detail) VALUES ($1, $2, 'paid', 'jwt:aicha@example.org', 'x', $3)",
                [.text(kit.payment), .integer(now), .text("Aïcha Koné rang from +2250707123456")])
            // Rows that were longer once leave their old words on their pages.
            try connection.execute("DELETE FROM payments_tasks")
        }
        #expect(try await stage.write { try PaymentStore.require(other, in: $0).customer.email } == "bakary@example.org")
        return kit
    }

    private func finishJobs(_ stage: CommandStage) async throws {
        try await stage.write { try $0.execute("UPDATE outbox_jobs SET finished_at = 1, outcome = 'done' WHERE finished_at IS NULL") }
    }

    /// The books, as one text.
    private func books(_ stage: CommandStage) async throws -> String {
        try await stage.write { connection in
            var text = ""
            for table in ["ledger_entries", "invoicing_invoices", "invoicing_series"] {
                try connection.forEach("SELECT * FROM \(table) ORDER BY 1") { text += "\(table) \($0.values)\n" }
            }
            return text
        }
    }

    @Test("an export names every record that holds something of the person, raw bytes and files too, and nobody else's")
    func export() async throws {
        let stage = try await CommandStage.make()
        let kit = try await live(stage)
        for who in [Self.email, "AICHA@example.org", "+225 07 07 12 34 56", kit.payment, kit.inquiry] {
            let json = try await stage.json("customer", "export", who)
            #expect(json["payments"] == [.string(kit.payment)], "\(who)")
            let files = Set((json["files"]?.array ?? []).compactMap(\.string))
            #expect(
                files == [
                    "drafts/\(kit.inquiry).docx", "drafts/\(kit.inquiry)-v2-t0.docx", "finals/f1", "finals/f2", "attachments/a1",
                ])
            let tables = Set(json["tables"]?.object?.keys ?? [])
            let wanted: Set = [
                "payments_payments", "payments_attempts", "payments_events", "payments_references", "payments_audit", "payments_facts",
                "drafts_inquiries", "drafts_orders", "drafts_answers", "drafts_generated", "drafts_finals", "drafts_attachments", "drafts_audit",
                "notifications_messages", "outbox_jobs", "outbox_effects",
                "access_calls", "ledger_entries",
            ]
            #expect(wanted.isSubset(of: tables), "\(wanted.subtracting(tables))")
            for word in ["Awa Sorceress", "a very private mission", "rue des Jardins 7", "tel=%2B2250707123456"] {
                #expect(json.text.contains(word), "\(who): \(word)")
            }
            #expect(!json.text.contains("bakary"))
        }
        #expect(await stage.run("customer", "export", "nobody@example.org").code == .notFound)
        #expect(await stage.run("customer", "export").code == .usage)
    }

    @Test("an erasure leaves no byte of the person in the database's files and folders, keeps the books, and is recorded once")
    func erase() async throws {
        let stage = try await CommandStage.make()
        _ = try await live(stage)
        try await finishJobs(stage)
        let books = try await books(stage)
        let known = try await stage.write { connection in
            try connection.execute("UPDATE payments_facts SET problem = 'told no amount'")
            return try connection.query("SELECT claim, amount, currency, problem, fact_key FROM payments_facts ORDER BY id").map { "\($0.values)" }
        }
        #expect(try await !places(Self.words, stage).isEmpty)

        let trial = await stage.run("customer", "erase", Self.email, "--dry-run")
        #expect(trial.code == .ok && trial.out.hasPrefix("Would be erased: "), "\(trial)")
        #expect(try await !places(Self.words, stage).isEmpty)

        let result = await stage.run("customer", "erase", Self.email, "--json")
        #expect(result.code == .ok, "\(result)")
        #expect(try await places(Self.words, stage) == [])
        #expect(try await self.books(stage) == books)
        #expect(await stage.run("ledger", "verify").code == .ok)
        let (records, others) = try await stage.write { connection in
            (
                try Erasure.list(in: connection),
                try connection.query("SELECT customer_email, customer_name FROM payments_payments WHERE customer_email IS NOT NULL")
            )
        }
        #expect(records.count == 1)
        #expect(records.first?.payments == 1 && records.first?.files == 5 && records.first?.actor == "cli")
        #expect(others.count == 1)
        #expect(try others.first?.text("customer_name") == "Bakary")
        // What the state is folded from is as it was: an event may come still.
        let facts = try await stage.write { connection in
            try connection.query("SELECT claim, amount, currency, problem, fact_key FROM payments_facts ORDER BY id").map { "\($0.values)" }
        }
        #expect(facts == known && !facts.isEmpty)
        // Nobody can change the record of what happened: the guards are back.
        for statement in ["UPDATE payments_audit SET detail = 'x'", "DELETE FROM access_erasures"] {
            await #expect(throws: DatabaseError.self) { try await stage.write { try $0.execute(statement) } }
        }

        #expect(await stage.run("customer", "erase", Self.email).code == .nothingDue)
        #expect(try await stage.write { try Erasure.list(in: $0).count } == 1)
    }

    @Test("an invoice keeps its name and address, and everything else goes")
    func invoices() async throws {
        let stage = try await CommandStage.make()
        let kit = try await live(stage)
        try await finishJobs(stage)
        try await stage.write { connection in
            try connection.execute(
                """
                INSERT INTO invoicing_invoices (id, payment, kind, issuer, issuer_snapshot, year, number, label, mode, language, customer_name,
                  customer_email, description, net, vat, gross, currency, exemption, issued_at)
                VALUES ('inv_1', $1, 'invoice', 'i', '{}', 2026, 1, 'QT-1', 'sandbox', 'fr', 'Aïcha Koné', 'aicha@example.org', 'Kit', 12500, 0, 12500,
                  'XOF', 'x', 1)
                """, [.text(kit.payment)])
        }
        let result = await stage.run("customer", "erase", "+\(Self.phone)")
        #expect(result.code == .ok, "\(result)")
        #expect(result.out.contains("of ledger and invoices stay"))
        #expect(try await places([Self.phone, "Awa Sorceress", "a very private mission", "rue des Jardins 7"], stage) == [])
        let kept = try await stage.write { try $0.first("SELECT customer_name, customer_email FROM invoicing_invoices")?.values }
        #expect(kept == [.text("Aïcha Koné"), .text("aicha@example.org")])
        #expect(await stage.run("customer", "erase", kit.payment).code == .nothingDue)
    }

    @Test("it is too early while a payment is open or work is under way, and then nothing is changed")
    func tooEarly() async throws {
        let stage = try await CommandStage.make()
        let kit = try await stage.orderKit()
        let open = await stage.run("customer", "erase", Self.email)
        #expect(open.code == .failed)
        #expect(open.err.contains("payment \(kit.payment) is"))
        try await stage.notify(kit)
        let busy = await stage.run("customer", "erase", Self.email)
        #expect(busy.code == .failed && busy.err.contains("is not finished"), "\(busy)")
        #expect(try await stage.write { try PaymentStore.require(kit.payment, in: $0).customer.email } == Self.email)
    }

    @Test("jobs of theirs that were given up go from Redis, too, and nobody else's")
    func dead() async throws {
        let stage = try await CommandStage.make(redis: true)
        let kit = try await live(stage)
        try await finishJobs(stage)
        try await stage.withQueue("notifications") { driver in
            let jobs = [("job_1", kit.payment, Self.email), ("job_2", "pay_other", "bakary@example.org")].map { id, payment, recipient in
                JobEnvelope(
                    id: id, kind: "notification.send", queue: "notifications", args: ["recipient": .string(recipient)], payment: payment,
                    enqueuedAtMs: 1)
            }
            let worker = WorkerIdentity(name: "test", epoch: 1)
            try await driver.register(worker, signal: { _ in })
            try await driver.enqueue(jobs.map { EnqueueItem($0) })
            let claimed = try await driver.step(StepRequest(worker: worker, claimMax: 2)).claimed
            let burials = try claimed.map { claimed in
                let job = try JobEnvelope(decoding: claimed.body)
                let record = DeadRecord(burying: job, body: claimed.body, reason: "no", nowMs: 1, worker: worker)
                let failure = HistoryEntry(job: job.id, attempt: 1, atMs: 1, worker: "w", reason: "refused for \(Self.email)")
                return StepOperation.bury(claimed.token, record: record, history: failure)
            }
            _ = try await driver.step(StepRequest(worker: worker, operations: burials, claimMax: 0))
            await driver.retire(worker)
        }
        #expect(try await stage.json("dead", "list", "--json").array?.count == 2)
        let erased = await stage.run("customer", "erase", Self.email)
        #expect(erased.code == .ok && erased.err == "", "\(erased)")
        #expect(try await stage.json("dead", "list", "--json").array?.compactMap { $0["id"]?.string } == ["job_2"])
    }

    @Test("a number that somebody else's payment names too stays in that one's records")
    func sharedPhone() async throws {
        let stage = try await CommandStage.make()
        _ = try await live(stage)
        try await finishJobs(stage)
        try await stage.write { try $0.execute("UPDATE payments_payments SET customer_phone = '+2250707123456' WHERE customer_name = 'Bakary'") }
        #expect(await stage.run("customer", "erase", Self.email).code == .ok)
        let left = try await stage.write { connection in
            try connection.query("SELECT customer_phone FROM payments_payments WHERE customer_phone IS NOT NULL").map {
                try $0.text("customer_phone")
            }
        }
        #expect(left == ["+2250707123456"])
    }
}
