import Database
import Money
import ProviderPort

/// Money that came in and can be no part of what is owed as it stands: of another currency, beyond counting, or unreadable. It lies in
/// suspense, where it can be named, until a person has decided.
public struct HeldMoney: Sendable {
    public let id: Int64
    public let payment: String
    public let attempt: String
    /// Nil where nobody knows how much it is.
    public let amount: Money?
    /// Why it cannot be counted.
    public let problem: String?
    public let recordedAtMs: Int64
    let factKey: String

    /// What a person decides.
    public enum Decision: Sendable {
        /// It went back to whom it came from; the reference is what the provider or the bank calls that.
        case returned(reference: String)
        /// It counts as this much of what is owed.
        case accepted(Money)
    }

    /// What lies there of a payment, undecided, oldest first.
    public static func of(_ payment: Payment, in connection: Connection) throws -> [HeldMoney] {
        let facts = try PaymentFacts.facts(of: payment.id, in: connection)
        let decided = Set(facts.filter { $0.claim == .returned || $0.claim == .valued }.compactMap(\.about))
        return try connection.query(
            "SELECT id, attempt, amount, currency, problem, recorded_at, fact_key FROM payments_facts WHERE payment = $1 AND claim = $2 ORDER BY id",
            [.text(payment.id), .text(FactClaim.captured.rawValue)]
        ).compactMap { row in
            let currency = try row.textOrNil("currency").map { try Currency(code: $0) }
            let units = try row.intOrNil("amount")
            let amount: Money? = if let units, let currency { Money(units, currency) } else { nil }
            let id = try row.int("id")
            guard amount.map({ !PaymentFold.counts($0, owed: payment.amount) }) ?? true, !decided.contains(id) else { return nil }
            return HeldMoney(
                id: id, payment: payment.id, attempt: try row.text("attempt"), amount: amount,
                problem: try row.textOrNil("problem"), recordedAtMs: try row.int("recorded_at"), factKey: try row.text("fact_key"))
        }
    }

    /// Whether what a decision values came in an amount that is known: then it left suspense for the exchange.
    static func wasForeign(_ decision: PaymentFact, among facts: [PaymentFact]) -> Bool {
        facts.contains { decision.decides($0) && $0.amount?.isPositive == true }
    }
}

extension PaymentFacts {
    /// Enters what a person decided about money that could not be counted: balanced entries, an audit row, and where the payment then stands.
    /// - Throws: ``PaymentError``: `notFound` for money that is not held (any more), `invalid` for an amount that cannot be of what is owed,
    ///   `notAllowed` where the attempt has brought countable money too.
    @discardableResult
    public func decide(
        _ decision: HeldMoney.Decision, held id: Int64, of payment: Payment, reason: String, actor: String, nowMs: Int64, in connection: Connection
    ) throws -> PaymentState {
        guard let held = try HeldMoney.of(payment, in: connection).first(where: { $0.id == id }) else {
            throw PaymentError.notFound("held money \(id)")
        }
        let attempt = try PaymentStore.requireAttempt(held.attempt, in: connection)
        let books = PaymentBooks(payment: payment, attempts: [attempt], nowMs: nowMs, connection: connection)
        let source = Source(actor: actor, reference: String(reason.prefix(500)))
        let what = held.amount.map { "\($0)" } ?? "money of an unknown amount"
        switch decision {
        case .returned(let reference):
            let detail = "\(what) given back as \(reference): \(reason)"
            try PaymentAudit.note(payment, actor: actor, source: "held \(id)", detail: detail, nowMs: nowMs, in: connection)
            if let amount = held.amount { try books.release(amount, attempt: attempt, valued: false, factKey: held.factKey) }
            return try decide(.returned, aboutFact: id, attempt: attempt, source: source, nowMs: nowMs, in: connection)
        case .accepted(let value):
            guard PaymentFold.counts(value, owed: payment.amount) else {
                throw PaymentError.invalid(field: "amount", rule: "must be a positive amount in \(payment.amount.currency)")
            }
            let others = try standing(of: payment, in: connection).captures.first { $0.attempt == attempt.id }
            guard others == nil else {
                throw PaymentError.notAllowed("attempt \(attempt.id) has brought money that counts as well: give this back instead")
            }
            let detail = "\(what) taken as \(value): \(reason)"
            try PaymentAudit.note(payment, actor: actor, source: "held \(id)", detail: detail, nowMs: nowMs, in: connection)
            if let amount = held.amount { try books.release(amount, attempt: attempt, valued: true, factKey: held.factKey) }
            return try decide(.valued, amount: value, aboutFact: id, attempt: attempt, source: source, nowMs: nowMs, in: connection)
        }
    }
}
