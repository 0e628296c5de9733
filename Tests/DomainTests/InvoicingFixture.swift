import Database
import Formats
import InvoiceDocuments
import Invoicing
import JobQueue
import Money
import Outbox
import Payments
import PrivateFiles
import ProviderPort
import Subprocess
import Telemetry
import TestSupport

/// The invoicing room with real PDFs in private files, read back by poppler.
struct InvoicingFixture: Sendable {
    let domain: DomainFixture
    let files: PrivateFiles

    init(issuers: [Issuer]) async throws {
        domain = try DomainFixture()
        files = PrivateFiles(root: domain.folder.file("private"), pool: DomainFixture.pool)
        try await domain.database.write { connection in for issuer in issuers { try issuer.save(nowMs: 1, in: connection) } }
    }

    /// A payment of another system's order, paid at `nowMs`, with its job.
    func paid(
        _ amount: Money, language: String = "fr", email: String? = "awa@example.org", name: String = "Awa Koné",
        description: String = "Commande 17", mode: String = "sandbox", nowMs: Int64 = DomainFixture.nowMs
    ) async throws -> (payment: String, job: JobEnvelope) {
        let id = try await domain.database.write { connection in
            try PaymentStore.create(
                NewPayment(
                    purpose: OrderPurpose.name, subject: "order-17", description: description, amount: amount,
                    customer: Customer(name: name, email: email, phone: nil, language: language)), actor: "test", nowMs: nowMs, in: connection
            ).id
        }
        try await domain.tell(.captured, of: id, mode: mode, nowMs: nowMs)
        return (id, try await domain.delivered(CreateInvoice.kind, of: id))
    }

    func creation(
        files: PrivateFiles? = nil, render: @escaping @Sendable (Invoice) throws -> [UInt8] = { try InvoiceDocument($0).pdf() }
    ) -> InvoiceCreation {
        InvoiceCreation(
            database: domain.database, outbox: Outbox(slot: "worker-invoices.0"), files: files ?? self.files, pool: DomainFixture.pool, render: render
        )
    }

    func invoice(of payment: String) async throws -> Invoice? { try await domain.database.read { try InvoiceStore.of(payment: payment, in: $0) } }

    func faults() async throws -> [String] { try await domain.database.read { try InvoiceStore.verify(in: $0) } }

    /// What poppler reads in the PDF, with ordinary blanks.
    func text(of invoice: Invoice) async throws -> String {
        guard let path = invoice.pdfPath else { throw FixtureError("\(invoice.label) has no file") }
        let bytes = try await files.read(path)
        let read = try await Subprocess.run(
            executable: try programOnPath("pdftotext"), arguments: ["-layout", "-", "-"], environment: ["LANG": "C.UTF-8"], input: bytes,
            pool: DomainFixture.pool)
        guard read.status == .exited(0) else { throw FixtureError("pdftotext: \(read.errorText)") }
        return String(String(decoding: read.output, as: UTF8.self).map { $0 == "\u{00A0}" || $0 == "\u{202F}" ? " " : $0 })
    }
}

extension InvoiceCreation {
    /// One delivery of the job.
    func deliver(_ job: JobEnvelope, nowMs: Int64 = DomainFixture.nowMs) async throws -> JobOutcome {
        try await run(try job.parameters(as: CreateInvoice.self), job: job, log: Log()) { nowMs }
    }
}
