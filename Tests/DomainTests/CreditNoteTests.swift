import Cryptography
import Database
import Formats
import Invoicing
import JobQueue
import Money
import Outbox
import Payments
import PrivateFiles
import ProviderPort
import Telemetry
import TestSupport
import Testing

@Suite("Money that goes back of an invoiced payment has a credit note")
struct CreditNoteTests {
    private static let price = Money(12_500, .xof)

    private struct Room {
        let room: InvoicingFixture
        let payment: String

        /// Real PDFs take their time: only tests that read them draw them.
        let draws: Bool

        /// An invoiced payment.
        init(_ price: Money = price, language: String = "fr", email: String? = "awa@example.org", draws: Bool = false) async throws {
            room = try await InvoicingFixture(issuers: [try .example()])
            self.draws = draws
            let (payment, job) = try await room.paid(price, language: language, email: email)
            self.payment = payment
            #expect(try await Self.undrawn(room).deliver(job) == .done)
        }

        private static func undrawn(_ room: InvoicingFixture) -> InvoiceCreation { room.creation { Array("%PDF-1.7 \($0.label)".utf8) } }

        private var facts: PaymentFacts { PaymentFacts(purposes: DomainFixture.purposes, outbox: Outbox(slot: "test.0")) }

        /// Staff gives a part back.
        func giveBack(_ units: Int64, reason: String = "article manquant", reference: String, nowMs: Int64 = DomainFixture.nowMs) async throws {
            _ = try await room.domain.database.write { [facts, payment] connection in
                let currency = try PaymentStore.require(payment, in: connection).amount.currency
                let new = Refund.New(
                    payment: payment, amount: Money(units, currency), reason: reason, providerReference: reference, actor: "staff:ana")
                return try Refunds(facts: facts, providers: ProviderRegistry([])).request(new, nowMs: nowMs, in: connection)
            }
        }

        /// The provider tells what has gone back in all.
        func told(_ units: Int64) async throws {
            try await room.domain.database.write { [facts, payment] connection in
                let attempt = try #require(try PaymentStore.attempts(of: payment, in: connection).last)
                let currency = try PaymentStore.require(payment, in: connection).amount.currency
                _ = try facts.record(
                    ProviderNotice(references: [], claim: .refunded, amount: Money(units, currency)), attempt: attempt,
                    source: .init(actor: "provider:played", reference: "e"), nowMs: DomainFixture.nowMs, in: connection)
            }
        }

        /// The credit notes' jobs that are not done, in the order they were asked for.
        func jobs() async throws -> [JobEnvelope] {
            try await room.domain.database.read { connection in
                try connection.query(
                    "SELECT id, queue, args FROM outbox_jobs WHERE kind = $1 AND finished_at IS NULL ORDER BY sequence",
                    [.text(CreateCreditNote.kind)]
                ).map {
                    JobEnvelope(
                        id: try $0.text("id"), kind: CreateCreditNote.kind, queue: try $0.text("queue"), args: try JSON(parsing: $0.text("args")),
                        payment: nil, enqueuedAtMs: 0)
                }
            }
        }

        @discardableResult
        func deliver(_ job: JobEnvelope, _ creation: InvoiceCreation? = nil, nowMs: Int64 = DomainFixture.nowMs) async throws -> JobOutcome {
            let usual = draws ? room.creation() : Self.undrawn(room)
            return try await (creation ?? usual).run(try job.parameters(as: CreateCreditNote.self), job: job, log: Log()) { nowMs }
        }

        func notes() async throws -> [Invoice] {
            try await room.domain.database.read { [payment] in try InvoiceStore.all(of: payment, in: $0) }.filter { $0.kind == "credit_note" }
        }

        func mails() async throws -> [JSON] {
            try await room.domain.database.read { connection in
                try connection.query("SELECT args FROM outbox_jobs WHERE kind = 'notification.send' ORDER BY sequence", []).map {
                    try JSON(parsing: $0.text("args"))
                }
            }.filter { $0["template"]?.string == "credit_note" }
        }
    }

    @Test("a full refund: one credit note of the whole invoice, numbered, filed and mailed once, however often its job comes")
    func full() async throws {
        let room = try await Room(draws: true)
        try await room.giveBack(12_500, reference: "R-1")
        let job = try #require(try await room.jobs().first)
        for _ in 0..<3 { try await room.deliver(job) }
        let note = try #require(try await room.notes().first)
        #expect(try await room.notes().count == 1)
        #expect(note.label == "EX-CN-2026-000001" && note.invoiceLabel == "EX-2026-000001" && note.reason == "article manquant")
        #expect(note.gross == Self.price && note.net.minorUnits == 10_593 && note.vat.minorUnits == 1907)
        let bytes = try await room.room.files.read("invoices/2026/EX-CN-2026-000001.pdf")
        #expect(Digest.sha256Hex(bytes) == note.pdfSHA256)
        let text = try await room.room.text(of: note)
        for words in ["Avoir N° EX-CN-2026-000001", "Facture d’origine : EX-2026-000001", "Motif : article manquant", "12 500"] {
            #expect(text.contains(words), "\(words) is not in \(text)")
        }
        let mail = try #require(try await room.mails().first)
        #expect(try await room.mails().count == 1)
        #expect(mail["attachments"]?[0]?["path"]?.string == note.pdfPath && mail["values"]?["invoice"]?.string == "EX-2026-000001")
        #expect(try await room.room.faults().isEmpty)
    }

    @Test("partial refunds: one each, and the last takes what rounding has left, so that all together are the invoice")
    func partial() async throws {
        let room = try await Room()
        for (number, units) in [4167, 4167, 4166].enumerated() { try await room.giveBack(Int64(units), reference: "R-\(number)") }
        for job in try await room.jobs() { #expect(try await room.deliver(job) == .done) }
        let notes = try await room.notes()
        #expect(notes.map(\.number) == [1, 2, 3])
        #expect(notes.map(\.gross.minorUnits) == [4167, 4167, 4166])
        #expect(notes.reduce(0) { $0 + $1.vat.minorUnits } == 1907 && notes.reduce(0) { $0 + $1.net.minorUnits } == 10_593)
        #expect(try await room.room.faults().isEmpty)
    }

    @Test("jobs that come in disorder credit what went back once")
    func disorder() async throws {
        let room = try await Room()
        try await room.giveBack(2500, reference: "R-1")
        try await room.giveBack(5000, reference: "R-2")
        let jobs = try await room.jobs()
        #expect(try await room.deliver(jobs[1]) == .done)
        guard case .skipped = try await room.deliver(jobs[0]) else {
            Issue.record("credited twice")
            return
        }
        #expect(try await room.notes().map(\.gross.minorUnits) == [7500])
    }

    @Test("what the provider tells to have gone back is credited too, in English where the customer reads English")
    func told() async throws {
        let room = try await Room(language: "en", draws: true)
        try await room.told(3000)
        for job in try await room.jobs() { #expect(try await room.deliver(job) == .done) }
        let note = try #require(try await room.notes().first)
        let text = try await room.room.text(of: note)
        for words in ["Credit note No. EX-CN-2026-000001", "Original invoice : EX-2026-000001", "Reason : refund"] {
            #expect(text.contains(words), "\(words) is not in \(text)")
        }
    }

    @Test("without an invoice, or for money that was no part of it, there is none")
    func nothingToCredit() async throws {
        let room = try await Room()
        // The customer paid twice, and the second sum goes back.
        try await room.room.domain.database.write { [payment = room.payment] connection in
            let facts = PaymentFacts(purposes: DomainFixture.purposes, outbox: Outbox(slot: "test.0"))
            let attempt = try #require(try PaymentStore.attempts(of: payment, in: connection).last)
            try connection.execute(
                """
                INSERT INTO payments_attempts (id, payment, number, provider, mode, created_at) VALUES ('second', $1, 2, 'played', 'sandbox', $2)
                """, [.text(payment), .integer(attempt.createdAtMs)])
            let second = try PaymentStore.requireAttempt("second", in: connection)
            _ = try facts.record(
                ProviderNotice(references: [], claim: .captured, amount: Self.price), attempt: second,
                source: .init(actor: "provider:played", reference: "e"), nowMs: DomainFixture.nowMs, in: connection)
        }
        try await room.giveBack(12_500, reference: "R-1")
        for job in try await room.jobs() {
            guard case .skipped = try await room.deliver(job) else {
                Issue.record("a surplus was credited")
                return
            }
        }
        #expect(try await room.notes().isEmpty)
        #expect(try await room.mails().isEmpty)
    }

    @Test("a crash between number and file loses neither: the next attempt files the same credit note")
    func crash() async throws {
        let room = try await Room(email: nil)
        try await room.giveBack(12_500, reference: "R-1")
        let job = try #require(try await room.jobs().first)
        await #expect(throws: FixtureError.self) { try await room.deliver(job, room.room.creation { _ in throw FixtureError("no font") }) }
        let numbered = try #require(try await room.notes().first)
        #expect(numbered.pdfPath == nil)
        #expect(try await room.deliver(job, nowMs: DomainFixture.nowMs + 1000) == .done)
        let note = try #require(try await room.notes().first)
        #expect(note.id == numbered.id && note.pdfSHA256 != nil && note.issuedAtMs == numbered.issuedAtMs)
        #expect(try await room.mails().isEmpty)
        #expect(try await room.room.faults().isEmpty)
    }

    @Test("verify finds a gap, and more credited than invoiced")
    func faults() async throws {
        let room = try await Room()
        try await room.giveBack(2500, reference: "R-1")
        for job in try await room.jobs() { try await room.deliver(job) }
        try await room.room.domain.database.write { [payment = room.payment] connection in
            try connection.execute(
                """
                INSERT INTO invoicing_invoices (id, payment, kind, issuer, issuer_snapshot, year, number, label, mode, language, customer_name,
                  description, net, vat, gross, currency, issued_at, invoice_label, refunded)
                VALUES ('inv_x', $1, 'credit_note', (SELECT issuer FROM invoicing_invoices LIMIT 1), '{}', 2026, 3, 'EX-CN-2026-000003',
                  'sandbox', 'fr', 'Awa', 'd', 11000, 0, 11000, 'XOF', 1, 'EX-2026-000001', 13500)
                """, [.text(payment)])
        }
        let faults = try await room.room.faults()
        #expect(faults.contains { $0.contains("credit_note 2026: 2 invoices are numbered 1 to 3") }, "\(faults)")
        #expect(faults.contains("EX-2026-000001: 13500 credited of 12500 invoiced"), "\(faults)")
    }

    @Test("invoices from before there were credit notes stay as they were, and final")
    func older() async throws {
        let folder = try TemporaryFolder("older")
        let database = try Database.open(.sqlite(path: folder.path + "/older.db"))
        let before = MigrationSet(room: InvoiceStore.migrations.room, migrations: Array(InvoiceStore.migrations.migrations.prefix(1)))
        _ = try database.migrate([before])
        try await database.write { connection in
            try connection.execute(
                """
                INSERT INTO invoicing_invoices (id, payment, kind, issuer, issuer_snapshot, year, number, label, mode, language, customer_name,
                  description, net, vat, gross, currency, issued_at, pdf_path, pdf_sha256, pdf_size)
                VALUES ('inv_1', 'pay_1', 'invoice', 'main', '{}', 2026, 1, 'EX-2026-000001', 'live', 'fr', 'Awa', 'd', 100, 18, 118, 'XOF', 1,
                  'a.pdf', 'x', 1)
                """, [])
        }
        _ = try database.migrate([InvoiceStore.migrations])
        let kept = try await database.read { try InvoiceStore.of(payment: "pay_1", in: $0) }
        #expect(kept?.label == "EX-2026-000001" && kept?.gross.minorUnits == 118 && kept?.pdfPath == "a.pdf")
        await #expect(throws: DatabaseError.self) {
            try await database.write { _ = try $0.execute("UPDATE invoicing_invoices SET gross = 119, vat = 19", []) }
        }
        await #expect(throws: DatabaseError.self) { try await database.write { _ = try $0.execute("DELETE FROM invoicing_invoices", []) } }
    }
}
