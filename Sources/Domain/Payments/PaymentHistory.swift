import Database

extension PaymentStore {
    /// The payments of one subject, newest first: at most `limit` of those before `before` (a payment id).
    public static func history(
        purpose: String, subject: String, before: String? = nil, limit: Int, in connection: Connection
    ) throws -> [Payment] {
        try connection.query(
            """
            SELECT * FROM payments_payments WHERE purpose = $1 AND subject = $2 AND ($3 IS NULL OR id < $3) ORDER BY id DESC LIMIT $4
            """, [.text(purpose), .text(subject), .optional(before), .integer(Int64(limit))]
        ).map(Payment.init)
    }
}
