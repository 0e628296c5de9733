import Database

/// One move of a payment from state to state, as whoever follows payments is told of it. Moves are numbered in the order of their commits:
/// SQLite has one writer.
public struct PaymentMove: Sendable, Equatable {
    public let number: Int64
    public let payment: String
    public let state: PaymentState
    public let atMs: Int64

    init(_ row: Row) throws {
        number = try row.int("id")
        payment = try row.text("payment")
        guard let known = PaymentState(rawValue: try row.text("to_state")) else { throw PaymentError.damagedRow(payment) }
        state = known
        atMs = try row.int("at")
    }

    /// The moves of all payments after that number, in their order.
    public static func after(_ number: Int64, limit: Int, in connection: Connection) throws -> [PaymentMove] {
        try connection.query(
            "SELECT id, payment, to_state, at FROM payments_audit WHERE id > $1 ORDER BY id LIMIT $2", [.integer(number), .integer(Int64(limit))]
        ).map(PaymentMove.init)
    }

    /// The last move of one payment; nil when there is no such payment.
    public static func last(of payment: String, in connection: Connection) throws -> PaymentMove? {
        try connection.first("SELECT id, payment, to_state, at FROM payments_audit WHERE payment = $1 ORDER BY id DESC LIMIT 1", [.text(payment)])
            .map(PaymentMove.init)
    }

    /// The number of the last move of all; 0 before the first.
    public static func lastNumber(in connection: Connection) throws -> Int64 {
        try connection.first("SELECT COALESCE(MAX(id), 0) AS n FROM payments_audit")?.int("n") ?? 0
    }
}

extension PaymentState {
    /// Whether nothing more is to come that a paying customer would wait for: whoever watches may go.
    public var endsWatching: Bool {
        switch self {
        case .created, .pending, .processing, .authorised, .partiallyPaid: false
        case .paid, .failed, .cancelled, .expired, .conflicted, .partiallyRefunded, .refunded, .chargedBack: true
        }
    }
}
