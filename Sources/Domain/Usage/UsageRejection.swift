import Database

/// Samples that were not counted, and why.
public struct UsageRejection: Sendable, Equatable {
    public let source: String
    /// The unit that they came in.
    public let batch: String
    /// `too_old`, `in_future`, or `conflict`: the unit's name was used for other samples before.
    public let reason: String
    public let samples: Int64
    public let bytes: Int64
    public let rejectedAtMs: Int64

    /// The latest first.
    public static func list(limit: Int, in connection: Connection) throws -> [UsageRejection] {
        try connection.query("SELECT * FROM usage_rejections ORDER BY rejected_at DESC, id DESC LIMIT $1", [.int(limit)]).map { row in
            UsageRejection(
                source: try row.text("source"), batch: try row.text("batch"), reason: try row.text("reason"), samples: try row.int("samples"),
                bytes: try row.int("bytes"), rejectedAtMs: try row.int("rejected_at"))
        }
    }
}
