import Access
import Database
import Drafts
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
import TestSupport

/// All rooms on a database of its own; payments stand where a test wants them.
struct DomainFixture: Sendable {
    let folder: TemporaryFolder
    let database: Database

    /// 31 January 2026, 10:00 UTC.
    static let nowMs = Timestamp.ms(year: 2026, month: 1, day: 31, hour: 10, minute: 0, second: 0)

    static let migrations: [MigrationSet] = [
        Outbox.migrations, Ledger.migrations, APIKeys.migrations, PaymentStore.migrations, NotificationRecord.migrations, InquiryStore.migrations,
        PlanPurpose.migrations, InvoiceStore.migrations, CronTable.migrations,
    ]

    init() throws {
        folder = try TemporaryFolder("quittance-domain")
        database = try Database.open(.sqlite(path: folder.path + "/domain.db"))
        _ = try database.migrate(Self.migrations)
    }

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
                "UPDATE payments_payments SET state = $2, paid_at = $3 WHERE id = $1",
                [.text(payment.id), .text(state.rawValue), .integer(nowMs)])
            return try PaymentStore.require(payment.id, in: connection)
        }
    }

    static func job(_ kind: String, queue: String, payment: String?, id: String = "job_" + ULID.make()) -> JobEnvelope {
        JobEnvelope(id: id, kind: kind, queue: queue, args: [:], payment: payment, enqueuedAtMs: nowMs)
    }
}
