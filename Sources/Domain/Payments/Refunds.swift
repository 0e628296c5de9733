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

    /// What of a payment can still be given back, in minor units: refunds under way count as given, and what was charged back is gone.
    public static func refundable(_ payment: Payment, in connection: Connection) throws -> Int64 {
        let underWay = try Refund.of(payment: payment.id, in: connection).filter { !$0.state.isOver }.reduce(0) { $0 + $1.amount.minorUnits }
        return max(0, try captures(of: payment, in: connection).reduce(0) { $0 + $1.kept } - underWay)
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
        let capture = try capture(giving: new.amount.minorUnits, of: payment, in: connection)
        if new.providerReference == nil { try checkCall(new, capture, in: connection) }
        let told = try Refund.of(payment: payment.id, in: connection).filter { $0.attempt == capture.attempt && $0.state != .failed }
            .reduce(capture.refunded) { $0 - $1.amount.minorUnits }
        let refund = try Refund.insert(
            new, way: new.providerReference == nil ? .call : .staff, attempt: capture.attempt, toldBefore: max(0, told), nowMs: nowMs,
            in: connection)
        if refund.way == .call {
            try facts.outbox.add(try RefundPayment.request(refund), nowMs: nowMs, in: connection)
        } else {
            try settle(refund, nowMs: nowMs, in: connection)
        }
        return try Refund.find(refund.id, in: connection) ?? refund
    }

    /// The newest attempt that has brought enough: of money paid twice the second sum goes back.
    private func capture(giving units: Int64, of payment: Payment, in connection: Connection) throws -> AttemptCapture {
        let underWay = try Refund.of(payment: payment.id, in: connection).filter { !$0.state.isOver }
        for capture in try Self.captures(of: payment, in: connection).reversed() {
            let held = underWay.filter { $0.attempt == capture.attempt }.reduce(0) { $0 + $1.amount.minorUnits }
            if capture.kept - held >= units { return capture }
        }
        throw PaymentError.invalid(field: "amount", rule: "no single attempt brought that much: refund what each brought by itself")
    }

    private func checkCall(_ new: Refund.New, _ capture: AttemptCapture, in connection: Connection) throws {
        let name = try PaymentStore.requireAttempt(capture.attempt, in: connection).provider
        guard let refunds = providers.known(name)?.capabilities.refunds, refunds != .none else {
            throw PaymentError.invalid(
                field: "provider_reference",
                rule: "is required: \(name) has no call that gives money back; refund there and tell its reference")
        }
        let isWhole = capture.refunded == 0 && new.amount.minorUnits == capture.minorUnits
        guard refunds == .partial || isWhole else {
            throw PaymentError.invalid(
                field: "amount", rule: "\(name) gives back whole payments only: refund a part there and tell its reference")
        }
    }

    /// Records that the money went back. One that is over stays as it is.
    func settle(_ refund: Refund, reference: String? = nil, nowMs: Int64, in connection: Connection) throws {
        guard let now = try Refund.find(refund.id, in: connection), !now.state.isOver else { return }
        let source = try source(of: refund, in: connection)
        try Refund.move(refund.id, to: .done, reference: reference, nowMs: nowMs, in: connection)
        let sum = Money(source.refunded + refund.amount.minorUnits, refund.amount.currency)
        let notice = ProviderNotice(references: [], claim: .refunded, amount: sum, transaction: reference ?? refund.providerReference)
        let origin = PaymentFacts.Source(actor: refund.requestedBy, reference: refund.id)
        try facts.record(notice, attempt: source.attempt, source: origin, nowMs: nowMs, in: connection)
    }

    /// Where the money of a refund comes from.
    struct Source {
        let attempt: PaymentAttempt
        /// Minor units that the attempt brought, and what was given back of them without this refund.
        let captured: Int64
        let refunded: Int64
    }

    /// Where a refund's money comes from as things stand now. What the provider tells of it meanwhile may be this very refund: counted is
    /// what others had given back before, and what we know to have done.
    func source(of refund: Refund, in connection: Connection) throws -> Source {
        let payment = try PaymentStore.require(refund.payment, in: connection)
        let captured = try Self.captures(of: payment, in: connection).first { $0.attempt == refund.attempt }?.minorUnits ?? 0
        let siblings = try Refund.of(payment: refund.payment, in: connection).filter { $0.attempt == refund.attempt }
        let done = siblings.filter { $0.state == .done && $0.id != refund.id }.reduce(0) { $0 + $1.amount.minorUnits }
        return Source(
            attempt: try PaymentStore.requireAttempt(refund.attempt, in: connection), captured: captured,
            refunded: (siblings.map(\.toldBefore).max() ?? 0) + done)
    }

    /// What each attempt brought and gave back; whether a part is a conflict makes no difference to it.
    private static func captures(of payment: Payment, in connection: Connection) throws -> [AttemptCapture] {
        PaymentFold.standing(
            of: try PaymentFacts.facts(of: payment.id, in: connection), owed: payment.amount, allowsDeposits: true,
            attempts: try PaymentStore.attempts(of: payment.id, in: connection).map(\.id)
        ).captures
    }
}
