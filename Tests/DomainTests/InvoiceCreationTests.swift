import Cryptography
import Database
import Formats
import Invoicing
import JobQueue
import Money
import Outbox
import PrivateFiles
import ProviderPort
import TestSupport
import Testing

@Suite("From a paid payment to a final invoice and its file")
struct InvoiceCreationTests {
    private static let price = Money(12_500, .xof)

    @Test("an invoice is numbered, filed with its hash and mailed, once, however often its job comes")
    func once() async throws {
        let room = try await InvoicingFixture(issuers: [try .example()])
        let (payment, job) = try await room.paid(Self.price)
        for _ in 0..<3 { #expect(try await room.creation().deliver(job) == .done) }
        let invoice = try #require(try await room.invoice(of: payment))
        #expect(invoice.label == "EX-2026-000001" && invoice.net.minorUnits == 10_593 && invoice.vat.minorUnits == 1907)
        #expect(invoice.pdfPath == "invoices/2026/EX-2026-000001.pdf")
        let bytes = try await room.files.read("invoices/2026/EX-2026-000001.pdf")
        #expect(bytes.starts(with: Array("%PDF-".utf8)) && Digest.sha256Hex(bytes) == invoice.pdfSHA256)
        let jobs = try await room.domain.database.read { try JobRecord.of(payment: payment, in: $0) }
        #expect(jobs.map(\.kind) == ["invoice.create", "notification.send", "notification.send"])
        let mail = try await room.domain.database.read {
            try $0.first("SELECT args FROM outbox_jobs ORDER BY sequence DESC LIMIT 1").map { try JSON(parsing: try $0.text("args")) }
        }
        #expect(mail?["template"]?.string == "invoice" && mail?["recipient"]?.string == "awa@example.org")
        #expect(mail?["attachments"]?[0]?["path"]?.string == invoice.pdfPath && mail?["values"]?["invoice"]?.string == invoice.label)
        #expect(try await room.faults().isEmpty)
    }

    @Test("a customer without an address gets an invoice and no mail")
    func noAddress() async throws {
        let room = try await InvoicingFixture(issuers: [try .example()])
        let (payment, job) = try await room.paid(Self.price, email: nil)
        #expect(try await room.creation().deliver(job) == .done)
        #expect(try await room.domain.database.read { try JobRecord.of(payment: payment, in: $0) }.map(\.kind) == ["invoice.create"])
    }

    @Test("a crash between number and file loses neither: the next attempt files the same invoice under the same number")
    func crashBeforeFile() async throws {
        let room = try await InvoicingFixture(issuers: [try .example()])
        let (payment, job) = try await room.paid(Self.price)
        let (_, next) = try await room.paid(Self.price)
        // Where the folder should be stands a file: nothing can be stored.
        try room.domain.folder.write("", to: "full")
        let full = room.creation(files: PrivateFiles(root: room.domain.folder.file("full"), pool: DomainFixture.pool))
        await #expect(throws: PrivateFilesError.self) { try await full.deliver(job) }
        // And a drawing that fails.
        await #expect(throws: FixtureError.self) { try await room.creation { _ in throw FixtureError("no font") }.deliver(job) }
        let numbered = try #require(try await room.invoice(of: payment))
        #expect(numbered.number == 1 && numbered.pdfPath == nil && numbered.pdfSHA256 == nil)
        #expect(try await room.domain.record(of: job)?.finishedAtMs == nil)
        // Others go on meanwhile.
        #expect(try await room.creation().deliver(next) == .done)
        #expect(try await room.creation().deliver(job, nowMs: DomainFixture.nowMs + 86_400_000) == .done)
        let invoice = try #require(try await room.invoice(of: payment))
        #expect(invoice.id == numbered.id && invoice.label == "EX-2026-000001" && invoice.issuedAtMs == numbered.issuedAtMs)
        #expect(Digest.sha256Hex(try await room.files.read(invoice.pdfPath ?? "")) == invoice.pdfSHA256)
        #expect(try await room.faults().isEmpty)
    }

    @Test("a payment that is refunded after its number was taken keeps its filed invoice; nobody is written to")
    func refundedMeanwhile() async throws {
        let room = try await InvoicingFixture(issuers: [try .example()])
        let (payment, job) = try await room.paid(Self.price)
        let creation = room.creation { [database = room.domain] invoice in
            // The drawing takes its time, and the money goes back meanwhile.
            let told = Milestone()
            Task {
                _ = try? await database.tell(.refunded, of: invoice.payment)
                told.reach()
            }
            told.wait()
            return Array("%PDF-".utf8)
        }
        #expect(try await creation.deliver(job) == .skipped(reason: "payment is refunded"))
        let invoice = try #require(try await room.invoice(of: payment))
        #expect(Digest.sha256Hex(try await room.files.read(invoice.pdfPath ?? "")) == invoice.pdfSHA256)
        #expect(try await room.domain.record(of: job)?.outcome == .skipped)
        #expect(try await room.domain.database.read { try JobRecord.of(payment: payment, in: $0) }.count { $0.kind == "notification.send" } == 1)
    }

    @Test("numbers begin anew each year, of the moment in UTC, and each issuer has its own")
    func series() async throws {
        let live = try Issuer(
            id: "main", name: "Atelier", address: "Abidjan", taxIDs: "NCC 1", tax: .rate(1800), series: "QT", email: nil, mode: "live")
        let room = try await InvoicingFixture(issuers: [try .example(), live])
        let newYear = Timestamp.ms(year: 2027, month: 1, day: 1)
        var labels: [String] = []
        for (nowMs, mode) in [
            (newYear - 2, "sandbox"), (newYear - 1, "live"), (newYear - 1, "sandbox"), (newYear, "sandbox"), (newYear + 1, "live"),
            (newYear + 2, "live"),
        ] {
            let (payment, job) = try await room.paid(Self.price, mode: mode, nowMs: nowMs)
            #expect(try await room.creation().deliver(job, nowMs: nowMs) == .done)
            labels.append(try #require(try await room.invoice(of: payment)).label)
        }
        #expect(labels == ["EX-2026-000001", "QT-2026-000001", "EX-2026-000002", "EX-2027-000001", "QT-2027-000001", "QT-2027-000002"])
        #expect(try await room.faults().isEmpty)
    }

    @Test("an issuer that changes changes no invoice that is numbered, and its numbers go on")
    func issuerChanges() async throws {
        let room = try await InvoicingFixture(issuers: [try .example()])
        let (before, first) = try await room.paid(Self.price)
        #expect(try await room.creation().deliver(first) == .done)
        let changed = try Issuer(
            id: "example", name: "Atelier & Fils", address: "Lomé", taxIDs: "NIF 2", tax: .exempt("Exonéré"), series: "AF", email: nil,
            mode: "sandbox")
        try await room.domain.database.write { try changed.save(nowMs: 2, in: $0) }
        let (after, second) = try await room.paid(Self.price)
        #expect(try await room.creation().deliver(second) == .done)
        let old = try #require(try await room.invoice(of: before))
        let new = try #require(try await room.invoice(of: after))
        #expect(old.issuerName == "Exemple SARL" && old.vatRate == 1800 && old.label == "EX-2026-000001")
        #expect(new.issuerName == "Atelier & Fils" && new.exemption == "Exonéré" && new.vat.minorUnits == 0 && new.label == "AF-2026-000002")
        #expect(try await room.faults().isEmpty)
    }
}

@Suite("A final invoice")
struct FinalInvoiceTests {
    private static let changes = [
        "id = 'inv_x'", "payment = 'pay_x'", "kind = 'credit_note'", "issuer = 'x'", "issuer_snapshot = '{}'", "year = 2025", "number = 9",
        "label = 'EX-2026-000009'", "mode = 'live'", "language = 'en'", "customer_name = 'x'", "customer_email = NULL",
        "customer_email = 'x@example.org'",
        "description = 'x'", "net = net - 1, vat = vat + 1", "currency = 'XAF'", "vat_rate = NULL", "vat_rate = 1", "exemption = 'x'",
        "issued_at = 1",
        "paid_at = NULL", "paid_at = 1", "pdf_path = 'x'", "pdf_size = 1",
    ]

    @Test("cannot be changed in any column, before it has its file and after, nor deleted nor replaced")
    func unchangeable() async throws {
        let room = try await InvoicingFixture(issuers: [try .example()])
        let (payment, job) = try await room.paid(Money(12_500, .xof))
        await #expect(throws: FixtureError.self) { try await room.creation { _ in throw FixtureError("no file") }.deliver(job) }
        for _ in 0..<2 {
            for change in Self.changes { await refused("UPDATE invoicing_invoices SET \(change)", room, change) }
            await refused("DELETE FROM invoicing_invoices", room)
            await refused("INSERT OR REPLACE INTO invoicing_invoices SELECT * FROM invoicing_invoices", room)
            // The file may be entered once, whole.
            _ = try await room.creation().deliver(job)
        }
        await refused("UPDATE invoicing_invoices SET pdf_sha256 = 'x', pdf_path = 'x', pdf_size = 1", room)
        #expect(try await room.invoice(of: payment)?.pdfSHA256 != nil)
    }

    private func refused(_ sql: String, _ room: InvoicingFixture, _ what: String = "") async {
        let error = await #expect(throws: DatabaseError.self, "\(what)") { _ = try await room.domain.database.write { try $0.execute(sql) } }
        #expect(error?.isConstraint == true, "\(error?.description ?? what)")
    }

    @Test("amounts that do not add up are not entered")
    func amounts() async throws {
        let room = try await InvoicingFixture(issuers: [try .example()])
        let (_, job) = try await room.paid(Money(12_500, .xof))
        _ = try await room.creation().deliver(job)
        await refused(Self.copy(label: "EX-2026-000002", number: 2, net: "net + 1"), room)
    }

    @Test("verification finds a gap, a counter that is off, and numbers that were taken for nothing")
    func verification() async throws {
        let room = try await InvoicingFixture(issuers: [try .example()])
        for _ in 0..<2 {
            let (_, job) = try await room.paid(Money(12_500, .xof))
            #expect(try await room.creation().deliver(job) == .done)
        }
        #expect(try await room.faults().isEmpty)
        try await room.domain.database.write { try $0.execute("UPDATE invoicing_series SET next_number = 7") }
        #expect(try await room.faults() == ["example invoice 2026: the counter does not follow 2"])
        try await room.domain.database.write { connection in
            try connection.execute(Self.copy(label: "EX-2026-000004", number: 4))
            try connection.execute("UPDATE invoicing_series SET next_number = 5")
        }
        #expect(try await room.faults() == ["example invoice 2026: 3 invoices are numbered 1 to 4"])
        try await room.domain.database.write { try $0.execute("INSERT INTO invoicing_series VALUES ('example', 'invoice', 2025, 3)") }
        #expect(try await room.faults().last == "example invoice 2025: numbers up to 2 were taken, but there is no invoice")
    }

    /// A copy of the first invoice under another number, as somebody with a SQL prompt would make it.
    private static func copy(label: String, number: Int, net: String = "net") -> String {
        """
        INSERT INTO invoicing_invoices (id, payment, kind, issuer, issuer_snapshot, year, number, label, mode, language, customer_name, description,
          net, vat, gross, currency, vat_rate, issued_at)
        SELECT 'inv_\(number)', 'pay_\(number)', kind, issuer, issuer_snapshot, year, \(number), '\(label)', mode, language, customer_name,
          description, \(net), vat, gross, currency, vat_rate, issued_at FROM invoicing_invoices WHERE number = 1
        """
    }
}
