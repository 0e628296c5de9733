import Database

extension PaymentStore {
    /// The ids of a subject's payments that are paid.
    public static func paid(purpose: String, subject: String, in connection: Connection) throws -> [String] {
        try connection.query(
            // By the subject's index: of all payments most are paid.
            "SELECT id FROM payments_payments WHERE purpose = $1 AND subject = $2 AND +state = $3 ORDER BY id",
            [.text(purpose), .text(subject), .text(PaymentState.paid.rawValue)]
        ).map { try $0.text("id") }
    }

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
