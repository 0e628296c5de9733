import Database

/// What somebody of the staff did: rows that are added and never changed.
public struct StaffAudit: Sendable {
    public let id: Int64
    public let atMs: Int64
    public let actor: String
    /// `refund.ask`, `user.add`, …
    public let action: String
    /// What it was done to: a payment, a user, a job.
    public let subject: String
    public let detail: String?
    public let address: String?

    public static let detailMax = 1000
    /// The action of a sign-in that succeeded: by these rows networks are known.
    static let signIn = "sign-in"

    /// Enters a row, in the transaction of the deed where that is one of SQL.
    public static func record(
        _ action: String, of subject: String, detail: String? = nil, actor: String, address: String? = nil, nowMs: Int64,
        in connection: Connection
    ) throws {
        try connection.execute(
            "INSERT INTO staff_audit (at, actor, action, subject, detail, address) VALUES ($1, $2, $3, $4, $5, $6)",
            [
                .integer(nowMs), .text(actor), .text(action), .text(String(subject.prefix(200))),
                .optional(detail.map { String($0.prefix(detailMax)) }), .optional(address),
            ])
    }

    /// The newest rows, at most `limit` of those before `before`; of one actor or of all.
    public static func list(actor: String? = nil, before: Int64? = nil, limit: Int, in connection: Connection) throws -> [StaffAudit] {
        try connection.query(
            "SELECT * FROM staff_audit WHERE \(actor == nil ? "$1 IS NULL" : "actor = $1") AND id < $2 ORDER BY id DESC LIMIT $3",
            [.optional(actor), .integer(before ?? .max), .integer(Int64(limit))]
        ).map { row in
            StaffAudit(
                id: try row.int("id"), atMs: try row.int("at"), actor: try row.text("actor"), action: try row.text("action"),
                subject: try row.text("subject"), detail: try row.textOrNil("detail"), address: try row.textOrNil("address"))
        }
    }
}
