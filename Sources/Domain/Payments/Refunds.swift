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
    /// What the provider has told of it before is not given back twice: the record then explains what was told.
    /// - Throws: ``PaymentError``: `invalid` for the amount or the missing reference, `notAllowed` where nothing came in, or the reference
    ///   was recorded before.
    public func request(_ new: Refund.New, nowMs: Int64, in connection: Connection) throws -> Refund {
        let payment = try PaymentStore.require(new.payment, in: connection)
        guard payment.captured > 0 else { throw PaymentError.notAllowed("payment \(payment.id) has brought no money that could be given back") }
        guard new.amount.currency == payment.amount.currency else {
            throw PaymentError.invalid(field: "currency", rule: "must be \(payment.amount.currency)")
        }
        let known = try Refund.of(payment: payment.id, in: connection).filter { $0.state != .failed }
        if let reference = new.providerReference {
            if let same = known.first(where: { $0.providerReference == reference }) {
                throw PaymentError.notAllowed("refund \(same.id) of \(same.amount) has the reference '\(reference.prefix(80))' already")
            }
            if !new.isFurther, let told = try explaining(new, payment, known, nowMs: nowMs, in: connection) { return told }
        }
        let left = try Self.refundable(payment, in: connection)
        guard new.amount.isPositive, new.amount.minorUnits <= left else {
            throw PaymentError.invalid(field: "amount", rule: "must be positive and at most \(Money(left, payment.amount.currency).decimalText)")
        }
        let capture = try capture(giving: new.amount.minorUnits, of: payment, in: connection)
        if new.providerReference == nil { try checkCall(new, capture, in: connection) }
        let refund = try Refund.insert(
            new, way: new.providerReference == nil ? .call : .staff, attempt: capture.attempt, toldBefore: Self.unexplained(capture, known),
            nowMs: nowMs, in: connection)
        if refund.way == .call {
            try facts.outbox.add(try RefundPayment.request(refund), nowMs: nowMs, in: connection)
        } else {
            try settle(refund, nowMs: nowMs, in: connection)
        }
        return try Refund.find(refund.id, in: connection) ?? refund
    }

    /// What the provider has told to have gone back of an attempt, and no refund here accounts for.
    private static func unexplained(_ capture: AttemptCapture, _ known: [Refund]) -> Int64 {
        max(0, known.filter { $0.attempt == capture.attempt }.reduce(capture.refunded) { $0 - $1.amount.minorUnits })
    }

    /// Records a refund that the provider has told of: its money has gone back in the books already.
    /// - Returns: nil where nothing was told that no refund accounts for.
    private func explaining(
        _ new: Refund.New, _ payment: Payment, _ known: [Refund], nowMs: Int64, in connection: Connection
    ) throws -> Refund? {
        let told = try Self.captures(of: payment, in: connection).map { ($0, Self.unexplained($0, known)) }.filter { $0.1 > 0 }
        guard !told.isEmpty, new.amount.isPositive else { return nil }
        let units = new.amount.minorUnits
        guard let (capture, before) = told.last(where: { $0.1 == units }) ?? told.last(where: { $0.1 >= units }) else {
            let sums = told.map { Money($0.1, payment.amount.currency).decimalText }.joined(separator: " and ")
            throw PaymentError.invalid(
                field: "amount",
                rule: "is more than the \(sums) that the provider has told to have gone back and no refund here accounts for: record that much "
                    + "first, or say \"further\": true when this money went back besides it")
        }
        // What this one accounts for, the older ones need not set aside any more.
        try connection.execute(
            "UPDATE payments_refunds SET told_before = MAX(0, told_before - $2) WHERE attempt = $1", [.text(capture.attempt), .integer(units)])
        let refund = try Refund.insert(new, way: .staff, attempt: capture.attempt, toldBefore: before - units, nowMs: nowMs, in: connection)
        try Refund.move(refund.id, to: .done, detail: "the provider had told of it", nowMs: nowMs, in: connection)
        let detail = "refund \(refund.id) of \(new.amount) accounts for what \(capture.attempt)'s provider has told: \(new.reason)"
        try PaymentAudit.note(payment, actor: new.actor, source: refund.id, detail: detail, nowMs: nowMs, in: connection)
        return try Refund.find(refund.id, in: connection)
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
        /// Whether the customer's bank has taken the money back: then nothing of it may go out by another door.
        let isChargedBack: Bool
        /// Minor units that the attempt brought, and what was given back of them without this refund.
        let captured: Int64
        let refunded: Int64
    }

    /// Where a refund's money comes from as things stand now. What the provider tells of it meanwhile may be this very refund: counted is
    /// what others had given back before, and what we know to have done.
    func source(of refund: Refund, in connection: Connection) throws -> Source {
        let payment = try PaymentStore.require(refund.payment, in: connection)
        let capture = try Self.captures(of: payment, in: connection).first { $0.attempt == refund.attempt }
        let siblings = try Refund.of(payment: refund.payment, in: connection).filter { $0.attempt == refund.attempt }
        let done = siblings.filter { $0.state == .done && $0.id != refund.id }.reduce(0) { $0 + $1.amount.minorUnits }
        return Source(
            attempt: try PaymentStore.requireAttempt(refund.attempt, in: connection), isChargedBack: capture?.isChargedBack ?? false,
            captured: capture?.minorUnits ?? 0,
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
