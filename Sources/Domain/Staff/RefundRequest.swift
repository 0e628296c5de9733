import Database
import Money
import Payments
import ProviderPort

/// A refund above the limit: one person asks for it, another one lets it go out.
public struct RefundRequest: Sendable {
    public enum State: String, Sendable { case waiting, approved, refused }

    public let id: Int64
    public let payment: String
    public let amount: Money
    public let reason: String
    public let providerReference: String?
    /// Names of users.
    public let requestedBy: String
    public let requestedAtMs: Int64
    public let state: State
    public let decidedBy: String?
    public let decidedAtMs: Int64?
    /// The refund that came of it.
    public let refund: String?

    private init(_ row: Row) throws {
        id = try row.int("id")
        payment = try row.text("payment")
        amount = Money(try row.int("amount"), try Currency(code: try row.text("currency")))
        reason = try row.text("reason")
        providerReference = try row.textOrNil("provider_reference")
        requestedBy = try row.text("requester")
        requestedAtMs = try row.int("requested_at")
        guard let state = State(rawValue: try row.text("state")) else { throw StaffError.damagedRow("refund request \(id)") }
        self.state = state
        decidedBy = try row.textOrNil("decider")
        decidedAtMs = try row.intOrNil("decided_at")
        refund = try row.textOrNil("refund")
    }

    private static let selection = """
        SELECT r.*, u.name AS requester, d.name AS decider FROM staff_refund_requests r
        JOIN staff_users u ON u.id = r.requested_by LEFT JOIN staff_users d ON d.id = r.decided_by
        """

    public static func of(payment: String, in connection: Connection) throws -> [RefundRequest] {
        try connection.query("\(selection) WHERE r.payment = $1 ORDER BY r.id", [.text(payment)]).map(RefundRequest.init)
    }

    /// Those that wait, the oldest first.
    public static func waiting(limit: Int, in connection: Connection) throws -> [RefundRequest] {
        try connection.query("\(selection) WHERE r.state = 'waiting' ORDER BY r.id LIMIT $1", [.integer(Int64(limit))]).map(RefundRequest.init)
    }

    /// - Throws: ``StaffError/notFound(_:)``.
    public static func require(_ id: Int64, in connection: Connection) throws -> RefundRequest {
        guard let row = try connection.first("\(selection) WHERE r.id = $1", [.integer(id)]) else {
            throw StaffError.notFound("refund request \(id)")
        }
        return try RefundRequest(row)
    }
}

/// Refunds as staff ask for them: at once up to a limit, above it when a second person agrees.
public struct StaffRefunds: Sendable {
    private let refunds: Refunds
    /// The largest refund of a currency that needs one person only; every refund of a currency that is not here needs two.
    private let limits: [Money]

    public init(refunds: Refunds, limits: [Money]) {
        self.refunds = refunds
        self.limits = limits
    }

    public enum Outcome: Sendable {
        case made(Refund)
        case waits(RefundRequest)
    }

    public func needsSecondPerson(_ amount: Money) -> Bool {
        guard let limit = limits.first(where: { $0.currency == amount.currency }) else { return true }
        return amount.minorUnits > limit.minorUnits
    }

    /// Refunds of a payment and requests for some, whatever became of them: it only grows.
    public static func count(of payment: String, in connection: Connection) throws -> Int {
        try Refund.of(payment: payment, in: connection).count + RefundRequest.of(payment: payment, in: connection).count
    }

    /// - Throws: ``PaymentError`` for what the rules of refunds forbid; they are looked at when it is asked for and when it goes out.
    public func ask(_ new: Refund.New, by user: StaffUser, nowMs: Int64, in connection: Connection) throws -> Outcome {
        let requests = try RefundRequest.of(payment: new.payment, in: connection)
        let alone = try Self.decidedAlone(new.payment, requests, in: connection)
        guard needsSecondPerson(Money(new.amount.minorUnits.addingReportingOverflow(alone).partialValue, new.amount.currency)) else {
            return .made(try refunds.request(new, nowMs: nowMs, in: connection))
        }
        let payment = try PaymentStore.require(new.payment, in: connection)
        let waiting = requests.filter { $0.state == .waiting }.reduce(0) { $0 + $1.amount.minorUnits }
        let left = try Refunds.refundable(payment, in: connection) - waiting
        guard new.amount.currency == payment.amount.currency, new.amount.isPositive, new.amount.minorUnits <= left else {
            throw PaymentError.invalid(
                field: "amount", rule: "must be positive and at most \(Money(max(0, left), payment.amount.currency).decimalText)")
        }
        let row = try connection.first(
            """
            INSERT INTO staff_refund_requests (payment, amount, currency, reason, provider_reference, requested_by, requested_at, state)
            VALUES ($1, $2, $3, $4, $5, $6, $7, 'waiting') RETURNING id
            """,
            [
                .text(payment.id), .integer(new.amount.minorUnits), .text(new.amount.currency.code), .text(String(new.reason.prefix(500))),
                .optional(new.providerReference), .text(user.id), .integer(nowMs),
            ])
        guard let id = try row?.int("id") else { throw StaffError.notFound("refund request") }
        return .waits(try RefundRequest.require(id, in: connection))
    }

    /// What went back of a payment, or is on its way, without that a second person agreed: parts count together, or a large refund would be
    /// many small ones.
    private static func decidedAlone(_ payment: String, _ requests: [RefundRequest], in connection: Connection) throws -> Int64 {
        // By the refund, not by its sum: one that was approved and failed must not make room for others.
        let approved = Set(requests.filter { $0.state == .approved }.compactMap(\.refund))
        return try Refund.of(payment: payment, in: connection)
            .filter { refund in
                guard !approved.contains(refund.id) else { return false }
                // That it has failed is one person's word where the provider did not say it: the same money must not go out again by that alone.
                return try refund.state != .failed || Refunds.isSaidToHaveFailed(refund, in: connection)
            }
            .reduce(0) { $0 + $1.amount.minorUnits }
    }

    /// What the staff's audit calls it when somebody ends a refund by what they found out.
    public static let settled = "refund.settle"

    /// What that row says besides.
    public static func settlement(of refund: String, failed: Bool) -> String { "\(refund) \(failed ? "failed" : "done")" }

    /// Lets a refund go out, or refuses it. Whoever asked may take it back, and not approve it.
    /// - Throws: ``StaffError/notAllowed(_:)``; ``PaymentError`` where it cannot go out any more.
    public func decide(
        _ id: Int64, approves: Bool, by user: StaffUser, nowMs: Int64, in connection: Connection
    ) throws -> RefundRequest {
        let request = try RefundRequest.require(id, in: connection)
        guard request.state == .waiting else { throw StaffError.notAllowed("refund request \(id) is \(request.state.rawValue) already") }
        guard !approves || request.requestedBy != user.name else {
            throw StaffError.notAllowed("a refund of \(request.amount) needs a second person: \(user.name) has asked for it")
        }
        var made: Refund?
        if approves {
            let new = Refund.New(
                payment: request.payment, amount: request.amount, reason: request.reason, providerReference: request.providerReference,
                actor: "staff:\(request.requestedBy)+\(user.name)")
            made = try refunds.request(new, nowMs: nowMs, in: connection)
        }
        try connection.execute(
            """
            UPDATE staff_refund_requests SET state = $2, decided_by = $3, decided_at = $4, refund = $5 WHERE id = $1 AND state = 'waiting'
            """,
            [
                .integer(id), .text((approves ? RefundRequest.State.approved : .refused).rawValue), .text(user.id), .integer(nowMs),
                .optional(made?.id),
            ])
        return try RefundRequest.require(id, in: connection)
    }
}
