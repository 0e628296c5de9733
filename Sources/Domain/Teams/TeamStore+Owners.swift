import Database

extension TeamStore {
    /// Every team of one owner, in the order of their ids.
    public static func teams(ofOwner owner: String, in connection: Connection) throws -> [Team] {
        try connection.query("SELECT * FROM teams_teams WHERE owner = $1 ORDER BY id", [.text(owner)]).map(Team.init)
    }
}
