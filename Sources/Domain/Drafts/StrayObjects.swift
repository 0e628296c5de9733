import Database

/// Objects that no row leads to, in SQL, in the caller's transaction.
///
/// One is found before it is released, and released before it is taken away: released, it is in the audit trail, and what a process did not
/// come to is found here by the next.
enum StrayObjects {
    /// Of `keys`, those that the row of a file leads to.
    static func known(among keys: [String], in connection: Connection) throws -> Set<String> {
        guard !keys.isEmpty else { return [] }
        let places = keys.indices.map { "$\($0 + 1)" }.joined(separator: ", ")
        let rows = try connection.query("SELECT path FROM drafts_attachments WHERE path IN (\(places))", keys.map { .text($0) })
        return Set(try rows.map { try $0.text("path") })
    }

    /// Whether any inquiry was ever taken here.
    static func hasInquiry(in connection: Connection) throws -> Bool {
        try connection.first("SELECT 1 AS one FROM drafts_inquiries LIMIT 1") != nil
    }

    // MARK: Found

    /// Enters what was found; what was found before keeps its time.
    static func see(_ keys: ArraySlice<String>, nowMs: Int64, in connection: Connection) throws {
        for key in keys {
            try connection.execute(
                """
                INSERT INTO drafts_strays (path, first_seen, last_seen, is_released) VALUES ($1, $2, $2, 0)
                ON CONFLICT (path) DO UPDATE SET last_seen = MAX(last_seen, excluded.last_seen)
                """, [.text(key), .integer(nowMs)])
        }
    }

    /// Forgets what was found before and is not any more: it has a row, or is gone. Found once more, its time begins anew.
    static func forgetUnseen(since nowMs: Int64, in connection: Connection) throws {
        try connection.execute("DELETE FROM drafts_strays WHERE is_released = 0 AND last_seen < $1", [.integer(nowMs)])
    }

    /// What was found again and again since `cutoffMs`, by path.
    static func due(firstSeenBy cutoffMs: Int64, lastSeenFrom nowMs: Int64, limit: Int, in connection: Connection) throws -> [String] {
        try connection.query(
            """
            SELECT path FROM drafts_strays s WHERE is_released = 0 AND first_seen <= $1 AND last_seen >= $2
              AND NOT EXISTS (SELECT 1 FROM drafts_attachments a WHERE a.path = s.path) ORDER BY path LIMIT $3
            """, [.integer(cutoffMs), .integer(nowMs), .int(limit)]
        ).map { try $0.text("path") }
    }

    // MARK: Released

    /// Notes that objects are to be taken away.
    static func release(_ keys: [String], nowMs: Int64, in connection: Connection) throws {
        for key in keys {
            try connection.execute(
                """
                INSERT INTO drafts_strays (path, first_seen, last_seen, is_released) VALUES ($1, $2, $2, 1)
                ON CONFLICT (path) DO UPDATE SET is_released = 1
                """, [.text(key), .integer(nowMs)])
        }
    }

    /// What is to be taken away and was not yet, by path.
    static func released(after path: String, limit: Int, in connection: Connection) throws -> [String] {
        try connection.query(
            "SELECT path FROM drafts_strays WHERE is_released = 1 AND path > $1 ORDER BY path LIMIT $2", [.text(path), .int(limit)]
        ).map { try $0.text("path") }
    }

    /// Forgets what is gone.
    static func forget(_ keys: [String], in connection: Connection) throws {
        for key in keys { try connection.execute("DELETE FROM drafts_strays WHERE path = $1", [.text(key)]) }
    }
}
