import Database
import ProviderPort

/// References of attempts that lead nowhere until the provider's answer ties them to one.
public enum UnverifiedReferences {
    /// What is kept for one attempt: a customer tries again a few times, a forger any number.
    static let perAttemptMax: Int64 = 20
    /// What one question asks by.
    static let perQuestionMax = 5

    /// Keeps a reference to ask by. One that its sender proved takes the place of one that nobody did; one that nobody proved only the place of
    /// one that the provider did not tie to the attempt.
    /// - Parameter isProven: whether whoever told it proved where it comes from.
    /// - Returns: whether it was taken; not when all places are better taken.
    @discardableResult
    public static func add(
        _ reference: ProviderReference, attempt: PaymentAttempt, isProven: Bool = false, nowMs: Int64, in connection: Connection
    ) throws -> Bool {
        let known = try connection.execute(
            "UPDATE payments_unverified SET proven = MAX(proven, $3) WHERE attempt = $1 AND value = $2",
            [.text(attempt.id), .text(reference.value), .bool(isProven)])
        if known == 1 { return true }
        let count = try connection.first("SELECT COUNT(*) AS n FROM payments_unverified WHERE attempt = $1", [.text(attempt.id)])?.int("n") ?? 0
        guard try count < perAttemptMax || giveWay(to: isProven, attempt: attempt.id, in: connection) else { return false }
        try connection.execute(
            """
            INSERT INTO payments_unverified (provider, value, kind, attempt, created_at, proven) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT DO NOTHING
            """,
            [
                .text(attempt.provider), .text(reference.value), .text(reference.kind), .text(attempt.id), .integer(nowMs), .bool(isProven),
            ])
        return true
    }

    /// The worst goes: of those that nobody proved the one that was asked about most often, and of these the oldest.
    private static func giveWay(to isProven: Bool, attempt: String, in connection: Connection) throws -> Bool {
        try connection.execute(
            """
            DELETE FROM payments_unverified WHERE attempt = $1 AND value = (SELECT value FROM payments_unverified
              WHERE attempt = $1 AND (asked > 0 OR $2 = 1) AND (proven = 0 OR asked > 0 AND $2 = 1) ORDER BY proven, asked DESC, created_at LIMIT 1)
            """, [.text(attempt), .bool(isProven)]) == 1
    }

    /// The references of an attempt that the provider was not found to know as another's: those proved and those not asked about yet first, of
    /// these the newest.
    public static func of(attempt: String, in connection: Connection) throws -> [ProviderReference] {
        try connection.query(
            """
            SELECT u.kind, u.value FROM payments_unverified u
            LEFT JOIN payments_references r ON r.provider = u.provider AND r.value = u.value
            WHERE u.attempt = $1 AND r.value IS NULL ORDER BY u.asked > 0, u.proven DESC, u.asked, u.created_at DESC, u.value
            """, [.text(attempt)]
        ).map { ProviderReference(try $0.text("kind"), try $0.text("value")) }
    }

    /// Notes that the provider was asked by these.
    static func markAsked(_ references: [ProviderReference], attempt: String, in connection: Connection) throws {
        for reference in references {
            try connection.execute(
                "UPDATE payments_unverified SET asked = asked + 1 WHERE attempt = $1 AND value = $2", [.text(attempt), .text(reference.value)])
        }
    }
}

extension StatusQuestion {
    /// The question about an attempt as it stands.
    public init(_ attempt: PaymentAttempt, in connection: Connection) throws {
        self.init(
            payment: attempt.payment, attempt: attempt.id, amount: attempt.asked(of: try PaymentStore.require(attempt.payment, in: connection)),
            references: try PaymentStore.references(of: attempt.id, in: connection),
            unverified: Array(try UnverifiedReferences.of(attempt: attempt.id, in: connection).prefix(UnverifiedReferences.perQuestionMax)),
            createdAtMs: attempt.createdAtMs)
    }
}
