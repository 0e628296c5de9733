import Database
import Formats

/// Teams, members and projects in SQL, in the caller's transaction.
public enum TeamStore {
    public static let migrations = MigrationSet(
        room: "teams", migrations: [Migration(number: 1, name: "teams", sqlite: PackageResources._001_teams_sqlite_sql)])

    static let textLimit = 200

    // MARK: Teams

    /// Enters a team or changes it; its `createdAtMs` counts when it is new.
    /// - Returns: whether it is new.
    /// - Throws: ``TeamError/invalid(field:rule:)``.
    @discardableResult
    public static func put(_ team: Team, in connection: Connection) throws -> Bool {
        try check(slug: team.id, "team", most: Team.idLengthMax)
        try check(text: team.name, "name")
        try check(text: team.owner, "owner")
        try check(language: team.language)
        let isNew = try find(team.id, in: connection) == nil
        try connection.execute(
            """
            INSERT INTO teams_teams (id, name, owner, language, created_at) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (id) DO UPDATE SET name = $2, owner = $3, language = $4
            """, [.text(team.id), .text(team.name), .text(team.owner), .text(team.language), .integer(team.createdAtMs)])
        return isNew
    }

    public static func find(_ id: String, in connection: Connection) throws -> Team? {
        try connection.first("SELECT * FROM teams_teams WHERE id = $1", [.text(id)]).map(Team.init)
    }

    /// Teams in the order of their ids.
    /// - Parameter after: the last id of the page before; nil begins.
    public static func list(after: String? = nil, limit: Int, in connection: Connection) throws -> [Team] {
        try connection.query("SELECT * FROM teams_teams WHERE id > $1 ORDER BY id LIMIT $2", [.text(after ?? ""), .int(limit)]).map(Team.init)
    }

    /// Every team, in the order of their ids.
    public static func everyTeam(in connection: Connection) throws -> [Team] {
        try connection.query("SELECT * FROM teams_teams ORDER BY id").map(Team.init)
    }

    /// Removes a team with its members and projects. What they used stays on record.
    /// - Returns: false when there was none.
    @discardableResult
    public static func remove(_ id: String, in connection: Connection) throws -> Bool {
        try connection.execute("DELETE FROM teams_teams WHERE id = $1", [.text(id)]) == 1
    }

    // MARK: Members

    /// Enters a member or changes one. - Returns: whether it is new.
    /// - Throws: ``TeamError``.
    @discardableResult
    public static func put(_ member: TeamMember, in connection: Connection) throws -> Bool {
        try check(text: member.name, "name")
        try check(language: member.language)
        let sides = member.email.split(separator: "@", omittingEmptySubsequences: false)
        let isPlain = member.email.utf8.allSatisfy {
            $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "<") && $0 != UInt8(ascii: ">") && $0 != UInt8(ascii: ",")
        }
        guard sides.count == 2, sides.allSatisfy({ !$0.isEmpty }), isPlain, member.email.utf8.count <= 254 else {
            throw TeamError.invalid(field: "email", rule: "must be a mail address")
        }
        guard try find(member.team, in: connection) != nil else { throw TeamError.notFound("team \(member.team)") }
        let isNew =
            try connection.first("SELECT 1 AS found FROM teams_members WHERE team = $1 AND email = $2", [.text(member.team), .text(member.email)])
            == nil
        try connection.execute(
            """
            INSERT INTO teams_members (team, email, name, language, role, gets_alerts, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (team, email) DO UPDATE SET name = $3, language = $4, role = $5, gets_alerts = $6
            """,
            [
                .text(member.team), .text(member.email), .text(member.name), .text(member.language), .text(member.role.rawValue),
                .bool(member.getsAlerts), .integer(member.createdAtMs),
            ])
        return isNew
    }

    /// In the order in which they came.
    public static func members(of team: String, in connection: Connection) throws -> [TeamMember] {
        try connection.query("SELECT * FROM teams_members WHERE team = $1 ORDER BY created_at, email", [.text(team)]).map(TeamMember.init)
    }

    @discardableResult
    public static func removeMember(_ email: String, of team: String, in connection: Connection) throws -> Bool {
        try connection.execute("DELETE FROM teams_members WHERE team = $1 AND email = $2", [.text(team), .text(email)]) == 1
    }

    // MARK: Projects

    /// Enters a project or changes it. - Returns: whether it is new.
    /// - Throws: ``TeamError``.
    @discardableResult
    public static func put(_ project: Project, in connection: Connection) throws -> Bool {
        try check(slug: project.id, "project", most: Project.idLengthMax)
        try check(text: project.name, "name")
        for (field, value) in [("cpu", project.cpuMilli), ("memory_mb", project.memoryMB), ("custom_domains", project.customDomains)]
        where !(0...1_000_000_000).contains(value) { throw TeamError.invalid(field: field, rule: "must be from 0 to a milliard") }
        guard try find(project.team, in: connection) != nil else { throw TeamError.notFound("team \(project.team)") }
        let current = try self.project(project.id, in: connection)
        if let current, current.team != project.team { throw TeamError.belongsToAnotherTeam(project: project.id) }
        // One that was removed may come back, to any team; it brings its past along.
        try connection.execute(
            """
            INSERT INTO teams_projects (id, team, name, cpu_milli, memory_mb, custom_domains, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (id) DO UPDATE SET team = $2, name = $3, cpu_milli = $4, memory_mb = $5, custom_domains = $6, removed_at = NULL
            """,
            [
                .text(project.id), .text(project.team), .text(project.name), .integer(project.cpuMilli), .integer(project.memoryMB),
                .integer(project.customDomains), .integer(project.createdAtMs),
            ])
        return current == nil
    }

    public static func project(_ id: String, in connection: Connection) throws -> Project? {
        try connection.first("SELECT * FROM teams_projects WHERE id = $1 AND removed_at IS NULL", [.text(id)]).map(Project.init)
    }

    /// In the order of their ids.
    /// - Parameter removedSinceMs: with those that were removed at or after this moment; nil leaves all removed ones out.
    public static func projects(of team: String, removedSinceMs: Int64? = nil, in connection: Connection) throws -> [Project] {
        try connection.query(
            "SELECT * FROM teams_projects WHERE team = $1 AND (removed_at IS NULL OR removed_at >= $2) ORDER BY id",
            [.text(team), .integer(removedSinceMs ?? .max)]
        ).map(Project.init)
    }

    /// Takes a project off. What it used counts for the team to the end of the month.
    /// - Returns: false when the team has no such project.
    @discardableResult
    public static func removeProject(_ id: String, of team: String, nowMs: Int64, in connection: Connection) throws -> Bool {
        try connection.execute(
            "UPDATE teams_projects SET removed_at = $3 WHERE id = $1 AND team = $2 AND removed_at IS NULL",
            [.text(id), .text(team), .integer(nowMs)]) == 1
    }

    /// Which team each project belongs to, for work over all of them; with those removed at or after a moment.
    public static func teamsByProject(removedSinceMs: Int64, in connection: Connection) throws -> [String: String] {
        var teams: [String: String] = [:]
        let rows = try connection.query(
            "SELECT id, team FROM teams_projects WHERE removed_at IS NULL OR removed_at >= $1", [.integer(removedSinceMs)])
        for row in rows { teams[try row.text("id")] = try row.text("team") }
        return teams
    }

    // MARK: Counts

    /// What a team has; nil when there is no such team.
    public static func counts(of team: String, in connection: Connection) throws -> TeamCounts? {
        let sql = """
            SELECT (SELECT COUNT(*) FROM teams_members WHERE team = $1) AS members, COUNT(p.id) AS projects,
              COALESCE(SUM(p.cpu_milli), 0) AS cpu_milli, COALESCE(SUM(p.memory_mb), 0) AS memory_mb,
              COALESCE(SUM(p.custom_domains), 0) AS custom_domains,
              (SELECT COUNT(*) FROM teams_teams o WHERE o.owner = t.owner) AS teams
            FROM teams_teams t LEFT JOIN teams_projects p ON p.team = t.id AND p.removed_at IS NULL WHERE t.id = $1 GROUP BY t.id
            """
        return try connection.first(sql, [.text(team)]).map { row in
            TeamCounts(
                members: try row.int("members"), projects: try row.int("projects"), cpuMilli: try row.int("cpu_milli"),
                memoryMB: try row.int("memory_mb"), customDomains: try row.int("custom_domains"), teamsOfOwner: try row.int("teams"))
        }
    }

    // MARK: Rules

    private static func check(slug: String, _ field: String, most: Int) throws(TeamError) {
        guard Slug.isValid(slug, most: most) else { throw .invalid(field: field, rule: Slug.rule(most: most)) }
    }

    private static func check(text: String, _ field: String) throws(TeamError) {
        guard (1...textLimit).contains(text.count), !text.unicodeScalars.contains(where: { $0.value < 32 || $0.value == 127 }) else {
            throw .invalid(field: field, rule: "must have 1 to \(textLimit) characters, none of them a control character")
        }
    }

    private static func check(language: String) throws(TeamError) {
        guard ["fr", "en"].contains(language) else { throw .invalid(field: "language", rule: "must be fr or en") }
    }
}
