import Database

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
    public static func search(_ filter: PaymentFilter, before: String?, limit: Int, in connection: Connection) throws -> [Payment] {
        // A provider is searched from its attempts, which lie in the payments' order.
        let isTried = filter.provider != nil || filter.method != nil
        let tried =
            isTried
            ? "JOIN (SELECT DISTINCT payment FROM payments_attempts WHERE ($1 IS NULL OR provider = $1) "
                + "AND ($4 IS NULL OR method = $4) AND ($7 IS NULL OR payment < $7)) a ON a.payment = p.id" : ""
        return try connection.query(
            """
            SELECT p.* FROM payments_payments p \(tried)
            WHERE ($2 IS NULL OR p.state = $2) AND ($3 IS NULL OR p.currency = $3) AND ($5 IS NULL OR p.created_at >= $5)
              AND ($6 IS NULL OR p.created_at < $6) AND ($7 IS NULL OR p.id < $7) AND ($1 IS NULL OR 1) AND ($4 IS NULL OR 1)
            ORDER BY p.id DESC LIMIT $8
            """,
            [
                .optional(filter.provider), .optional(filter.state?.rawValue), .optional(filter.currency), .optional(filter.method),
                .optional(filter.fromMs), .optional(filter.toMs), .optional(before), .integer(Int64(limit)),
            ]
        ).map(Payment.init)
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
