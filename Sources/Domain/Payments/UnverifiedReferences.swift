import Database
import ProviderPort

/// References of attempts that nothing proves yet.
public enum UnverifiedReferences {
    /// What somebody may hand in for one attempt: a customer tries again a few times, a forger any number.
    static let perAttemptMax: Int64 = 20

    /// Keeps a reference to ask by.
    /// - Returns: whether it was taken; not when there are too many already.
    @discardableResult
    public static func add(
        _ reference: ProviderReference, attempt: PaymentAttempt, nowMs: Int64, in connection: Connection
    ) throws -> Bool {
        let row = try connection.first(
            "SELECT COUNT(*) AS n, SUM(value = $2) AS known FROM payments_unverified WHERE attempt = $1", [.text(attempt.id), .text(reference.value)])
        if try row?.intOrNil("known") ?? 0 > 0 { return true }
        guard try row?.int("n") ?? 0 < perAttemptMax else { return false }
        try connection.execute(
            "INSERT INTO payments_unverified (provider, value, kind, attempt, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            [.text(attempt.provider), .text(reference.value), .text(reference.kind), .text(attempt.id), .integer(nowMs)])
        return true
    }

    /// The references of an attempt that the provider was not found to know as another's, newest first.
    public static func of(attempt: String, in connection: Connection) throws -> [ProviderReference] {
        try connection.query(
            """
            SELECT u.kind, u.value FROM payments_unverified u
            LEFT JOIN payments_references r ON r.provider = u.provider AND r.value = u.value
            WHERE u.attempt = $1 AND r.value IS NULL ORDER BY u.created_at DESC, u.value
            """, [.text(attempt)]
        ).map { ProviderReference(try $0.text("kind"), try $0.text("value")) }
    }
}

extension StatusQuestion {
    /// The question about an attempt as it stands.
    public init(_ attempt: PaymentAttempt, in connection: Connection) throws {
        self.init(
            payment: attempt.payment, attempt: attempt.id, amount: attempt.asked(of: try PaymentStore.require(attempt.payment, in: connection)),
            references: try PaymentStore.references(of: attempt.id, in: connection),
            unverified: try UnverifiedReferences.of(attempt: attempt.id, in: connection), createdAtMs: attempt.createdAtMs)
    }
}
