import Access
import Database
import Downloads
import Drafts
import EventLoop
import Formats
import Invoicing
import JobQueue
import Ledger
import Money
import Notifications
import Outbox
import Payments
import Plans
import ProviderPort
import Scheduling
import Teams
import TestSupport

/// All rooms on a database of its own; payments stand where a test wants them.
struct DomainFixture: Sendable {
    let folder: TemporaryFolder
    let database: Database

    /// 31 January 2026, 10:00 UTC.
    static let nowMs = Timestamp.ms(year: 2026, month: 1, day: 31, hour: 10, minute: 0, second: 0)

    static let migrations: [MigrationSet] = [
        Outbox.migrations, Ledger.migrations, APIKeys.migrations, TeamStore.migrations, PaymentStore.migrations, Downloads.migrations,
        NotificationRecord.migrations, InquiryStore.migrations, PlanPurpose.migrations, InvoiceStore.migrations, CronTable.migrations,
    ]

    init() throws {
        folder = try TemporaryFolder("quittance-domain")
        database = try Database.open(.sqlite(path: folder.path + "/domain.db"))
        _ = try database.migrate(Self.migrations)
    }

    /// Threads for calls that block, shared by all tests and never closed.
    static let pool = BlockingPool(name: "domain-tests", threads: 8)

    /// What payments can buy, wired as the product does.
    static let purposes = PurposeRegistry(
        [KitPurpose { try CreateInvoice.request(for: $0, mode: $1) }, PlanPurpose { try CreateInvoice.request(for: $0, mode: $1) }, OrderPurpose()],
        refunded: { payment, refund in [try CreateCreditNote.request(for: payment, refund: refund)] })

    /// The same file opened once more, as another process would.
    func another() throws -> Database { try Database.open(.sqlite(path: folder.path + "/domain.db")) }

    func payment(
        _ purpose: String, subject: String, amount: Money, state: PaymentState = .paid, metadata: [String: String] = [:],
        nowMs: Int64 = DomainFixture.nowMs
    ) async throws -> Payment {
        try await database.write { connection in
            let payment = try PaymentStore.create(
                NewPayment(
                    purpose: purpose, subject: subject, description: "A thing", amount: amount,
                    customer: Customer(name: "Awa", email: "awa@example.org", phone: nil, language: "fr"), metadata: metadata), actor: "test",
                nowMs: nowMs, in: connection)
            try connection.execute(
                "UPDATE payments_payments SET state = $2, paid_at = $3, captured = $4 WHERE id = $1",
                [
                    .text(payment.id), .text(state.rawValue), .optional(state == .created ? nil : nowMs),
                    .integer(state == .created ? 0 : amount.minorUnits),
                ])
            return try PaymentStore.require(payment.id, in: connection)
        }
    }

    /// Enters what a provider proved about a payment, in the amount owed, as worker-payments does: state, ledger and jobs follow.
    @discardableResult
    func tell(_ claim: ProviderClaim, of payment: String, mode: String = "sandbox", nowMs: Int64 = DomainFixture.nowMs) async throws -> PaymentState {
        let facts = PaymentFacts(purposes: Self.purposes, outbox: Outbox(slot: "test.0"))
        return try await database.write { connection in
            let known = try PaymentStore.require(payment, in: connection)
            let started = try PaymentStore.attempts(of: payment, in: connection).last
            let attempt =
                try started
                ?? PaymentStore.startAttempt(of: known, provider: "played", mode: mode, method: nil, nowMs: nowMs, in: connection)
            return try facts.record(
                ProviderNotice(references: [], claim: claim, amount: known.amount), attempt: attempt,
                source: PaymentFacts.Source(actor: "provider:played", reference: "test"), nowMs: nowMs, in: connection)
        }
    }

    /// The job of a kind that the outbox holds for a payment, as its queue delivers it.
    func delivered(_ kind: String, of payment: String) async throws -> JobEnvelope {
        try await database.read { connection in
            let found = try connection.first(
                "SELECT id, queue, args FROM outbox_jobs WHERE payment = $1 AND kind = $2 ORDER BY sequence", [.text(payment), .text(kind)])
            guard let row = found else { throw FixtureError("there is no \(kind) of \(payment)") }
            return JobEnvelope(
                id: try row.text("id"), kind: kind, queue: try row.text("queue"), args: try JSON(parsing: try row.text("args")), payment: payment,
                enqueuedAtMs: Self.nowMs)
        }
    }

    func record(of job: JobEnvelope) async throws -> JobRecord? { try await database.read { try JobRecord.find(job.id, in: $0) } }

    static func job(_ kind: String, queue: String, payment: String?, id: String = "job_" + ULID.make()) -> JobEnvelope {
        JobEnvelope(id: id, kind: kind, queue: queue, args: [:], payment: payment, enqueuedAtMs: nowMs)
    }
}
