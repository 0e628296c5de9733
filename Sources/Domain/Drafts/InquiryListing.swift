import Database

/// Which inquiries are looked for.
public struct InquiryFilter: Sendable {
    public var state: ProcessingState?
    /// `CREATED`, `PENDING` or `PAID`: what the inquiry itself remembers. Whether it is paid now is the payment's to say.
    public var paymentStatus: String?
    /// A part of the organisation, of the contact or of the e-mail address, or a whole id of an inquiry, an order or a payment.
    public var text: String?
    /// Whether addresses are looked through: not for those who may not see them, who would find out one letter by letter.
    public var looksIntoAddresses: Bool
    /// Older than the inquiry of this id.
    public var before: String?
    public var limit: Int

    public init(
        state: ProcessingState? = nil, paymentStatus: String? = nil, text: String? = nil, looksIntoAddresses: Bool = true, before: String? = nil,
        limit: Int = 50
    ) {
        self.state = state
        self.paymentStatus = paymentStatus
        self.text = text
        self.looksIntoAddresses = looksIntoAddresses
        self.before = before
        self.limit = limit
    }
}

extension InquiryStore {
    /// Inquiries, newest first.
    public static func list(_ filter: InquiryFilter, in connection: Connection) throws -> [Inquiry] {
        let text = filter.text.map { $0.trimmingWhitespace() }.flatMap { $0.isEmpty ? nil : $0 }
        let spellings = text.map(spellings) ?? []
        let columns = ["organization_name", "contact_name"] + (filter.looksIntoAddresses ? ["email"] : [])
        let named = spellings.indices.flatMap { spelling in
            columns.map { " OR instr(lower(\($0)), $\(spelling + 6)) > 0" }
        }
        return try connection.query(
            """
            SELECT * FROM drafts_inquiries AS i
            WHERE \(filter.state == nil ? "$1 IS NULL" : "processing_state = $1") AND ($2 IS NULL OR payment_status = $2)
              AND ($3 IS NULL OR id = $3 OR order_id = $3 OR EXISTS (SELECT 1 FROM drafts_orders WHERE inquiry = i.id AND payment = $3)
                \(named.joined()))
              AND id < COALESCE($4, '~') ORDER BY id DESC LIMIT $5
            """,
            [
                .optional(filter.state?.rawValue), .optional(filter.paymentStatus), .optional(text), .optional(filter.before), .int(filter.limit),
            ] + spellings.map { .text($0) }
        ).map(Inquiry.init)
    }

    /// A text as it is looked for. SQLite's `lower` knows the letters of ASCII only: one with an accent is found as it was typed, small, in
    /// capitals, and at the beginning of words.
    private static func spellings(_ text: String) -> [String] {
        let words = text.split(separator: " ", omittingEmptySubsequences: false).map { $0.prefix(1).uppercased() + $0.dropFirst().lowercased() }
        let all = [text, text.lowercased(), text.uppercased(), words.joined(separator: " ")].map { spelling in
            String(decoding: spelling.utf8.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
        }
        return Array(Set(all)).sorted()
    }

    /// How many inquiries stand where; states without any are left out.
    public static func counts(in connection: Connection) throws -> [(state: ProcessingState, count: Int64)] {
        try connection.query("SELECT processing_state, COUNT(*) AS n FROM drafts_inquiries GROUP BY processing_state ORDER BY 1").compactMap { row in
            guard let state = ProcessingState(rawValue: try row.text("processing_state")) else { return nil }
            return (state, try row.int("n"))
        }
    }

    /// The inquiry that a payment is for.
    public static func inquiry(ofPayment payment: String, in connection: Connection) throws -> Inquiry? {
        try connection.first(
            "SELECT i.* FROM drafts_inquiries AS i JOIN drafts_orders AS o ON o.inquiry = i.id WHERE o.payment = $1", [.text(payment)]
        ).map(Inquiry.init)
    }
}
