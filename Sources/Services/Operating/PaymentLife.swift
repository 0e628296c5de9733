import Database
import Drafts
import Invoicing
import JobQueue
import Ledger
import Notifications
import Outbox
import Payments
import Plans
import ProviderPort

/// Everything that is known of one payment, read as of one moment.
package struct PaymentLife: Sendable {
    package let payment: Payment
    package let attempts: [(attempt: PaymentAttempt, references: [ProviderReference])]
    package let events: [EventRecord]
    package let audit: [PaymentAudit]
    package let entries: [LedgerEntry]
    package let jobs: [JobRecord]
    package let draft: GeneratedDraft?
    package let invoices: [Invoice]
    /// What it has moved of a team's plan.
    package let planMoves: [PlanMove]
    package let mails: [NotificationRecord]
    package let tasks: [PaymentTask]
    /// Failed attempts of jobs that are not done, by job: Redis keeps them.
    package var histories: [String: [HistoryEntry]] = [:]
    /// Why there are no histories, when Redis was needed and away.
    package var redisProblem: String?

    package init(of payment: Payment, in connection: Connection) throws {
        self.payment = payment
        attempts = try PaymentStore.attempts(of: payment.id, in: connection).map {
            ($0, try PaymentStore.references(of: $0.id, in: connection))
        }
        events = try EventRecord.of(payment: payment.id, in: connection)
        audit = try PaymentAudit.of(payment: payment.id, in: connection)
        entries = try Ledger.entries(of: payment.id, in: connection)
        jobs = try JobRecord.of(payment: payment.id, in: connection)
        draft = payment.purpose == KitPurpose.name ? try GeneratedDraft.of(inquiry: payment.subject, in: connection) : nil
        invoices = try InvoiceStore.all(of: payment.id, in: connection)
        planMoves = payment.purpose == PlanPurpose.name ? try PlanMove.list(payment: payment.id, in: connection) : []
        mails = try NotificationRecord.of(payment: payment.id, in: connection)
        tasks = try PaymentTask.open(of: payment.id, in: connection)
    }

    /// Jobs of which Redis may know failed attempts.
    package var jobsWithHistory: [JobRecord] { jobs.filter { $0.outcome == nil || $0.outcome == .buried } }
}

/// Finds the payment that a word means.
package enum PaymentSearch {
    /// Purposes whose payments can be found by what they are for.
    private static let purposes = [KitPurpose.name, "plan", OrderPurpose.name]

    /// By payment, job, attempt, provider's reference, inquiry, team or order number, in this order.
    package static func find(_ word: String, providers: [String], in connection: Connection) throws -> Payment? {
        if let payment = try PaymentStore.find(word, in: connection) { return payment }
        if let id = try JobRecord.find(word, in: connection)?.payment { return try PaymentStore.find(id, in: connection) }
        for provider in providers {
            // The kind does not matter: a reference is unique with its provider.
            if let attempt = try PaymentStore.attempt(of: [.ours(word)], provider: provider, in: connection) {
                return try PaymentStore.find(attempt.payment, in: connection)
            }
        }
        for purpose in purposes {
            if let payment = try PaymentStore.latest(purpose: purpose, subject: word, in: connection) { return payment }
        }
        return nil
    }
}
