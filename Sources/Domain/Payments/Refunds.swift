import Database
import JobQueue
import Money
import Outbox
import ProviderPort

/// Gives money back: by the provider's call where it has one, else by a person, who records it here. Never more than came in.
public struct Refunds: Sendable {
    private let facts: PaymentFacts
    private let providers: ProviderRegistry

    public init(facts: PaymentFacts, providers: ProviderRegistry) {
        self.facts = facts
        self.providers = providers
    }

    /// What of a payment can still be given back, in minor units: refunds under way count as given.
    public static func refundable(_ payment: Payment, in connection: Connection) throws -> Int64 {
        let underWay = try Refund.of(payment: payment.id, in: connection).filter { !$0.state.isOver }.reduce(0) { $0 + $1.amount.minorUnits }
        return payment.captured - payment.refunded - underWay
    }

    /// Asks for a refund. With a provider's reference it has been made already and is recorded; without one the provider is called by a job.
    /// - Throws: ``PaymentError``: `invalid` for the amount or the missing reference, `notAllowed` where nothing came in.
    public func request(_ new: Refund.New, nowMs: Int64, in connection: Connection) throws -> Refund {
        let payment = try PaymentStore.require(new.payment, in: connection)
        let left = try Self.refundable(payment, in: connection)
        guard payment.captured > 0 else { throw PaymentError.notAllowed("payment \(payment.id) has brought no money that could be given back") }
        guard new.amount.currency == payment.amount.currency else {
            throw PaymentError.invalid(field: "currency", rule: "must be \(payment.amount.currency)")
        }
        guard new.amount.isPositive, new.amount.minorUnits <= left else {
            throw PaymentError.invalid(field: "amount", rule: "must be positive and at most \(Money(left, payment.amount.currency).decimalText)")
        }
        let source = try attempt(giving: new.amount.minorUnits, of: payment, in: connection)
        guard new.providerReference == nil else {
            let refund = try Refund.insert(new, way: .staff, attempt: source.attempt.id, nowMs: nowMs, in: connection)
            try settle(refund, source, nowMs: nowMs, in: connection)
            return try Refund.find(refund.id, in: connection) ?? refund
        }
        try checkCall(new, source)
        let refund = try Refund.insert(new, way: .call, attempt: source.attempt.id, nowMs: nowMs, in: connection)
        try facts.outbox.add(try RefundPayment.request(refund), nowMs: nowMs, in: connection)
        return refund
    }

    /// Where the money comes from.
    struct Source {
        let attempt: PaymentAttempt
        /// Minor units that the attempt brought, and what was given back of them.
        let captured: Int64
        let refunded: Int64
    }

    /// The newest attempt that has brought enough: of money paid twice the second sum goes back.
    private func attempt(giving units: Int64, of payment: Payment, in connection: Connection) throws -> Source {
        let underWay = try Refund.of(payment: payment.id, in: connection).filter { !$0.state.isOver }
        for capture in try facts.standing(of: payment, in: connection).captures.reversed() {
            let refunded = try Self.refunded(attempt: capture.attempt, payment: payment, in: connection)
            let held = underWay.filter { $0.attempt == capture.attempt }.reduce(0) { $0 + $1.amount.minorUnits }
            guard capture.minorUnits - refunded - held >= units else { continue }
            let attempt = try PaymentStore.requireAttempt(capture.attempt, in: connection)
            return Source(attempt: attempt, captured: capture.minorUnits, refunded: refunded)
        }
        throw PaymentError.invalid(field: "amount", rule: "no single attempt brought that much: refund what each brought by itself")
    }

    /// What an attempt has given back: providers state the sum so far, the largest is the latest.
    static func refunded(attempt: String, payment: Payment, in connection: Connection) throws -> Int64 {
        try PaymentFacts.facts(of: payment.id, in: connection)
            .filter { $0.attempt == attempt && $0.claim == .refunded && $0.amount?.currency == payment.amount.currency }
            .compactMap { $0.amount?.minorUnits }.max() ?? 0
    }

    private func checkCall(_ new: Refund.New, _ source: Source) throws {
        let name = source.attempt.provider
        guard let refunds = providers.known(name)?.capabilities.refunds, refunds != .none else {
            throw PaymentError.invalid(
                field: "provider_reference",
                rule: "is required: \(name) has no call that gives money back; refund there and tell its reference")
        }
        let isWhole = source.refunded == 0 && new.amount.minorUnits == source.captured
        guard refunds == .partial || isWhole else {
            throw PaymentError.invalid(
                field: "amount", rule: "\(name) gives back whole payments only: refund a part there and tell its reference")
        }
    }

    /// Records that the money went back.
    func settle(_ refund: Refund, _ source: Source, reference: String? = nil, nowMs: Int64, in connection: Connection) throws {
        try Refund.move(refund.id, to: .done, reference: reference, nowMs: nowMs, in: connection)
        let sum = Money(source.refunded + refund.amount.minorUnits, refund.amount.currency)
        let notice = ProviderNotice(references: [], claim: .refunded, amount: sum, transaction: reference ?? refund.providerReference)
        let origin = PaymentFacts.Source(actor: refund.requestedBy, reference: refund.id)
        try facts.record(notice, attempt: source.attempt, source: origin, nowMs: nowMs, in: connection)
    }

    /// Where a refund's money comes from as things stand now.
    func source(of refund: Refund, in connection: Connection) throws -> Source {
        let payment = try PaymentStore.require(refund.payment, in: connection)
        let captured = try facts.standing(of: payment, in: connection).captures.first { $0.attempt == refund.attempt }?.minorUnits ?? 0
        return Source(
            attempt: try PaymentStore.requireAttempt(refund.attempt, in: connection), captured: captured,
            refunded: try Self.refunded(attempt: refund.attempt, payment: payment, in: connection))
    }
}
