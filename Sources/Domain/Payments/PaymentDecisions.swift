import Database
import Money
import ProviderPort

extension PaymentFacts {
    /// Takes what came in for a conflicted payment as payment of what is owed: it becomes paid, its work starts, and its money leaves
    /// suspense. Holds for exactly this sum and these contradictions: what comes later is a new conflict.
    /// - Throws: ``PaymentError/notAllowed(_:)`` when the payment is not conflicted, or no money of its currency came in.
    @discardableResult
    public func accept(_ payment: Payment, reason: String, actor: String, nowMs: Int64, in connection: Connection) throws -> PaymentState {
        guard payment.state == .conflicted else {
            throw PaymentError.notAllowed("payment \(payment.id) is \(payment.state.rawValue): there is no conflict to decide")
        }
        let standing = try standing(of: payment, in: connection)
        guard let paying = standing.captures.first(where: { $0.kept > 0 }) else {
            throw PaymentError.notAllowed("no money in \(payment.amount.currency) is in hand for payment \(payment.id)")
        }
        let attempt = try PaymentStore.requireAttempt(paying.attempt, in: connection)
        let sum = Money(standing.captured, payment.amount.currency)
        let source = Source(actor: actor, reference: String(reason.prefix(500)))
        let about = standing.conflicts.joined(separator: "\n")
        try PaymentAudit.note(payment, actor: actor, source: "accept", detail: "accepted \(sum): \(reason)", nowMs: nowMs, in: connection)
        return try decide(
            .accepted, amount: sum, about: about, kept: standing.kept, attempt: attempt, source: source, nowMs: nowMs, in: connection)
    }

    /// Notes that a new attempt takes the place of those that still wait: money that comes by one of them nevertheless is a conflict.
    public func replaceOpenAttempts(of payment: Payment, by attempt: PaymentAttempt, actor: String, nowMs: Int64, in connection: Connection) throws {
        for older in try PaymentStore.attempts(of: payment.id, in: connection) where older.isOpen && older.id != attempt.id {
            let source = Source(actor: actor, reference: "attempt \(attempt.id)")
            try decide(.replaced, attempt: older, source: source, nowMs: nowMs, in: connection)
        }
    }

    /// Enters money that a person has seen come in, with the reference of the transfer, the cheque or the receipt.
    @discardableResult
    public func recordReceived(
        _ amount: Money, attempt: PaymentAttempt, reference: String, actor: String, nowMs: Int64, in connection: Connection
    ) throws -> PaymentState {
        let notice = ProviderNotice(
            references: [ProviderReference("receipt", reference)], claim: .captured, amount: amount, transaction: reference, occurredAtMs: nowMs)
        return try record(notice, attempt: attempt, source: Source(actor: actor, reference: reference), nowMs: nowMs, in: connection)
    }
}
