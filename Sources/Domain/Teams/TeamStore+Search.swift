import Database

extension TeamStore {
    /// Teams whose id, name or owner holds a word, large and small letters of ASCII alike, in the order of their ids.
    /// - Parameters:
    ///   - word: empty for all teams.
    ///   - after: the last id of the page before; nil begins.
    public static func search(_ word: String, after: String? = nil, limit: Int, in connection: Connection) throws -> [Team] {
        guard !word.isEmpty else { return try list(after: after, limit: limit, in: connection) }
        return try connection.query(
            """
            SELECT * FROM teams_teams WHERE id > $1 AND INSTR(LOWER(id || char(10) || name || char(10) || owner), LOWER($2)) > 0
            ORDER BY id LIMIT $3
            """, [.text(after ?? ""), .text(word), .int(limit)]
        ).map(Team.init)
    }
}
