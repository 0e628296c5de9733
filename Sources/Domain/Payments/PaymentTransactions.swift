import Database

/// What is told of payments besides where they stand.
public enum PaymentTransactions {
    /// The number that the provider gave to the transaction that paid, the newest one's; nil before.
    public static func number(of payment: String, in connection: Connection) throws -> String? {
        try connection.first(
            """
            SELECT provider_transaction FROM payments_facts
            WHERE payment = $1 AND claim = 'captured' AND provider_transaction IS NOT NULL ORDER BY id DESC LIMIT 1
            """, [.text(payment)])?.text("provider_transaction")
    }

    /// A number pair that is another one as soon as something about a subject's payments or their attempts is.
    public static func mark(purpose: String, subject: String, nowMs: Int64, in connection: Connection) throws -> (move: Int64, attempts: Int64) {
        let values: [SQLValue] = [.text(purpose), .text(subject)]
        let move = try connection.first(
            """
            SELECT COALESCE(MAX(a.id), 0) AS n FROM payments_payments p JOIN payments_audit a ON a.payment = p.id
            WHERE p.purpose = $1 AND p.subject = $2
            """, values)
        // One more counts, and so does one that is closed, has got its address, or can be paid no longer.
        let attempts = try connection.first(
            """
            SELECT COALESCE(SUM(8 + 4 * t.open + 2 * (t.payment_url IS NOT NULL) + (t.expires_at IS NOT NULL AND t.expires_at <= $3)), 0) AS n
            FROM payments_payments p JOIN payments_attempts t ON t.payment = p.id WHERE p.purpose = $1 AND p.subject = $2
            """, values + [.integer(nowMs)])
        return (try move?.int("n") ?? 0, try attempts?.int("n") ?? 0)
    }
}
