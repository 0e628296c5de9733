import Database

/// Somebody who is signed in elsewhere, as teams may know them.
public struct Person: Sendable, Equatable {
    /// What the product that signs them in calls them: an owner's name, or a member's mail address.
    public let subject: String
    /// Their mail address, where it is proved.
    public let email: String?

    public init(subject: String, email: String? = nil) {
        self.subject = subject
        self.email = email
    }

    fileprivate var values: [SQLValue] { [.text(subject), .text(email ?? subject)] }
}

extension TeamStore {
    private static let isTheirs = """
        (t.owner = $1 OR EXISTS (SELECT 1 FROM teams_members m WHERE m.team = t.id AND m.email IN ($1, $2)))
        """

    /// Whether somebody owns a team or is a member of it.
    public static func has(_ team: String, _ person: Person, in connection: Connection) throws -> Bool {
        try connection.first("SELECT 1 AS found FROM teams_teams t WHERE t.id = $3 AND \(isTheirs)", person.values + [.text(team)]) != nil
    }

    /// The teams that somebody owns or is a member of, in the order of their ids.
    public static func list(of person: Person, after: String? = nil, limit: Int, in connection: Connection) throws -> [Team] {
        try connection.query(
            "SELECT t.* FROM teams_teams t WHERE t.id > $3 AND \(isTheirs) ORDER BY t.id LIMIT $4",
            person.values + [.text(after ?? ""), .int(limit)]
        ).map(Team.init)
    }

    /// Those of some teams that there are, in the order of their ids.
    public static func list(among ids: Set<String>, after: String? = nil, limit: Int, in connection: Connection) throws -> [Team] {
        var teams: [Team] = []
        for id in ids.sorted() where id > after ?? "" {
            guard teams.count < limit else { break }
            if let team = try find(id, in: connection) { teams.append(team) }
        }
        return teams
    }
}
