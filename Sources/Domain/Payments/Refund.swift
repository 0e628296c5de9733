import Database
import Formats
import Money
import ProviderPort

/// Money that is given back to a customer.
public struct Refund: Sendable {
    public enum State: String, Sendable {
        /// Its job has not told the provider yet.
        case requested
        /// The provider is at it.
        case sent
        case done
        /// The provider refused; nothing was given back.
        case failed

        var isOver: Bool { self == .done || self == .failed }
    }

    /// How it is carried out.
    public enum Way: String, Sendable {
        /// By the provider's API.
        case call
        /// By a person, at the provider or by hand.
        case staff
    }

    /// `ref_` + ULID.
    public let id: String
    public let payment: String
    /// The attempt that had brought the money.
    public let attempt: String
    public let amount: Money
    public let reason: String
    public let way: Way
    public let state: State
    /// What the provider, the bank or the receipt calls it.
    public let providerReference: String?
    public let requestedBy: String
    /// Why it failed.
    public let detail: String?
    public let createdAtMs: Int64
    public let settledAtMs: Int64?
    /// What had gone back of the attempt by other hands than ours when this was asked for, in minor units.
    let toldBefore: Int64

    private init(_ row: Row) throws {
        id = try row.text("id")
        payment = try row.text("payment")
        attempt = try row.text("attempt")
        amount = Money(try row.int("amount"), try Currency(code: try row.text("currency")))
        reason = try row.text("reason")
        guard let way = Way(rawValue: try row.text("way")), let state = State(rawValue: try row.text("state")) else {
            throw PaymentError.damagedRow(try row.text("payment"))
        }
        self.way = way
        self.state = state
        providerReference = try row.textOrNil("provider_reference")
        requestedBy = try row.text("requested_by")
        detail = try row.textOrNil("detail")
        createdAtMs = try row.int("created_at")
        settledAtMs = try row.intOrNil("settled_at")
        toldBefore = try row.int("told_before")
    }

    public static func find(_ id: String, in connection: Connection) throws -> Refund? {
        try connection.first("SELECT * FROM payments_refunds WHERE id = $1", [.text(id)]).map(Refund.init)
    }

    /// The refunds of a payment, oldest first.
    public static func of(payment: String, in connection: Connection) throws -> [Refund] {
        try connection.query("SELECT * FROM payments_refunds WHERE payment = $1 ORDER BY id", [.text(payment)]).map(Refund.init)
    }

    static func insert(_ new: New, way: Way, attempt: String, toldBefore: Int64, nowMs: Int64, in connection: Connection) throws -> Refund {
        let id = "ref_" + ULID.make(nowMs: nowMs)
        try connection.execute(
            """
            INSERT INTO payments_refunds (id, payment, attempt, amount, currency, reason, way, state, provider_reference, requested_by, created_at,
              told_before)
            VALUES ($1, $2, $3, $4, $5, $6, $7, 'requested', $8, $9, $10, $11)
            """,
            [
                .text(id), .text(new.payment), .text(attempt), .integer(new.amount.minorUnits), .text(new.amount.currency.code), .text(new.reason),
                .text(way.rawValue), .optional(new.providerReference), .text(new.actor), .integer(nowMs),
                .integer(toldBefore),
            ])
        guard let made = try find(id, in: connection) else { throw PaymentError.notFound(id) }
        return made
    }

    /// One that is over stays as it is.
    static func move(
        _ id: String, to state: State, reference: String? = nil, detail: String? = nil, nowMs: Int64, in connection: Connection
    ) throws {
        try connection.execute(
            """
            UPDATE payments_refunds SET state = $2, provider_reference = COALESCE($3, provider_reference), detail = $4,
              settled_at = CASE WHEN $5 = 1 THEN $6 END WHERE id = $1 AND state IN ('requested', 'sent')
            """,
            [
                .text(id), .text(state.rawValue), .optional(reference), .optional(detail.map { String($0.prefix(500)) }),
                .integer(state.isOver ? 1 : 0), .integer(nowMs),
            ])
    }

    /// Those that have held their money since before `cutoffMs`, oldest first.
    static func underWay(since cutoffMs: Int64, limit: Int, in connection: Connection) throws -> [Refund] {
        try connection.query(
            "SELECT * FROM payments_refunds WHERE state IN ('requested', 'sent') AND created_at < $1 ORDER BY created_at LIMIT $2",
            [.integer(cutoffMs), .integer(Int64(limit))]
        ).map(Refund.init)
    }

    /// An earlier refund of the same attempt whose call is not over: the provider tells one sum of all, so one is carried out after the other.
    func isBehindAnother(in connection: Connection) throws -> Bool {
        try Refund.of(payment: payment, in: connection).contains { $0.attempt == attempt && $0.way == .call && !$0.state.isOver && $0.id < id }
    }

    /// A refund that is asked for.
    public struct New: Sendable {
        public let payment: String
        public let amount: Money
        public let reason: String
        /// Where a person has given the money back already: what it is called there.
        public let providerReference: String?
        /// With a reference: that it was given back besides what the provider has told already.
        public let isFurther: Bool
        public let actor: String

        public init(payment: String, amount: Money, reason: String, providerReference: String? = nil, isFurther: Bool = false, actor: String) {
            self.payment = payment
            self.amount = amount
            self.reason = reason
            self.providerReference = providerReference
            self.isFurther = isFurther
            self.actor = actor
        }
    }
}
