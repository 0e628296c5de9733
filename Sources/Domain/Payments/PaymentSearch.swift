import Database
import Formats

/// Which payments are meant; nil for any.
public struct PaymentFilter: Sendable {
    /// One that an attempt was made at.
    public let provider: String?
    public let state: PaymentState?
    public let currency: String?
    public let method: String?
    /// Created from this time on, and before that one.
    public let fromMs: Int64?
    public let toMs: Int64?

    public init(
        provider: String? = nil, state: PaymentState? = nil, currency: String? = nil, method: String? = nil, fromMs: Int64? = nil, toMs: Int64? = nil
    ) {
        self.provider = provider
        self.state = state
        self.currency = currency
        self.method = method
        self.fromMs = fromMs
        self.toMs = toMs
    }
}

extension PaymentStore {
    /// Payments, newest first: at most `limit` of those before `before` (a payment id).
    /// - Parameter purpose: of payments that are left out.
    public static func search(
        _ filter: PaymentFilter, leavingOut purpose: String? = nil, before: String?, limit: Int, in connection: Connection
    ) throws -> [Payment] {
        let choice = try PaymentChoice(filter, leavingOut: purpose, before: before, limit: limit, in: connection)
        return try connection.query("SELECT p.* \(choice.text)", choice.bindings).map(Payment.init)
    }
}

/// The part of a query that says which payments, from its FROM on.
struct PaymentChoice {
    private(set) var text = ""
    private(set) var bindings: [SQLValue] = []
    private var conditions: [String] = []

    init(_ filter: PaymentFilter, leavingOut purpose: String? = nil, before: String?, limit: Int, in connection: Connection) throws {
        // A provider's are read from its attempts, which lie in the payments' order, so that the first page costs no more than its rows. Where
        // few payments are in the state that is asked for, these are looked through instead.
        let isTried = filter.provider != nil || filter.method != nil
        let goesByState = try isTried && Self.isStateRarer(filter, in: connection)
        let id = isTried && !goesByState ? "a.payment" : "p.id"
        narrow("a.provider =", filter.provider.map(SQLValue.text))
        narrow("a.method =", filter.method.map(SQLValue.text))
        let tries = conditions
        if goesByState { conditions = [] }
        narrow("p.state =", (filter.state?.rawValue).map(SQLValue.text))
        narrow("p.purpose <>", purpose.map(SQLValue.text))
        narrow("p.currency =", filter.currency.map(SQLValue.text))
        narrow("p.created_at >=", filter.fromMs.map(SQLValue.integer))
        // An id is never older than its payment.
        narrow("\(id) >=", filter.fromMs.map { .text("pay_" + ULID.lowest(atMs: $0)) })
        narrow("p.created_at <", filter.toMs.map(SQLValue.integer))
        narrow("\(id) <", before.map(SQLValue.text))
        if goesByState {
            conditions.append("EXISTS (SELECT 1 FROM payments_attempts a WHERE a.payment = p.id AND \(tries.joined(separator: " AND ")))")
        }
        let joins = isTried && !goesByState
        bindings.append(.integer(Int64(limit)))
        text = """
            FROM \(joins ? "payments_attempts a CROSS JOIN payments_payments p ON p.id = a.payment" : "payments_payments p")
            \(conditions.isEmpty ? "" : "WHERE \(conditions.joined(separator: " AND "))")
            \(joins ? "GROUP BY a.payment" : "") ORDER BY \(id) DESC LIMIT $\(bindings.count)
            """
    }

    private mutating func narrow(_ condition: String, _ value: SQLValue?) {
        guard let value else { return }
        bindings.append(value)
        conditions.append("\(condition) $\(bindings.count)")
    }

    private static func isStateRarer(_ filter: PaymentFilter, in connection: Connection) throws -> Bool {
        guard let state = filter.state, let provider = filter.provider else { return false }
        let row = try connection.first(
            """
            SELECT COALESCE(SUM(CASE WHEN state = $1 THEN count END), 0) AS in_state,
              COALESCE(SUM(CASE WHEN provider = $2 THEN count END), 0) AS at_provider FROM payments_standings
            """, [.text(state.rawValue), .text(provider)])
        return try row.map { try $0.int("in_state") < $0.int("at_provider") } ?? false
    }
}

/// How a provider has been doing.
public struct ProviderStanding: Sendable {
    public let lastEventMs: Int64?
    public let lastAttemptMs: Int64?
    /// Attempts begun in the time looked at, by where they stand.
    public let attempts: Int64
    public let waiting: Int64
    public let captured: Int64
    public let failed: Int64

    /// Most of several attempts failed.
    public var isAiling: Bool { captured + failed >= 5 && failed > captured * 2 }

    public static func read(_ provider: String, sinceMs: Int64, in connection: Connection) throws -> ProviderStanding {
        let event = try connection.first(
            "SELECT MAX(received_at) AS last FROM payments_events WHERE provider = $1 AND received_at >= $2", [.text(provider), .integer(sinceMs)])
        let row = try connection.first(
            """
            SELECT COUNT(*) AS n, MAX(a.created_at) AS last, COALESCE(SUM(a.open), 0) AS waiting,
              COALESCE(SUM(EXISTS (SELECT 1 FROM payments_facts f WHERE f.payment = a.payment AND f.attempt = a.id AND f.claim = 'captured')), 0) AS captured,
              COALESCE(SUM(EXISTS (SELECT 1 FROM payments_facts f WHERE f.payment = a.payment AND f.attempt = a.id AND f.claim = 'failed')), 0) AS failed
            FROM payments_attempts a WHERE a.provider = $1 AND a.created_at >= $2
            """, [.text(provider), .integer(sinceMs)])
        return ProviderStanding(
            lastEventMs: try event?.intOrNil("last"), lastAttemptMs: try row?.intOrNil("last"), attempts: try row?.int("n") ?? 0,
            waiting: try row?.int("waiting") ?? 0, captured: try row?.int("captured") ?? 0, failed: try row?.int("failed") ?? 0)
    }
}
