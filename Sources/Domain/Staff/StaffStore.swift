import Cryptography
import Database
import Formats

/// Users in SQL, in the caller's transaction. Whoever changes one says who did it: it is a row of the audit.
public enum StaffStore {
    public static let migrations = MigrationSet(
        room: "staff",
        migrations: [Migration(number: 1, name: "staff", sqlite: String(decoding: PackageResources._001_staff_sqlite_sql, as: UTF8.self))])

    /// A name as it is kept; nil for one that cannot be taken.
    public static func name(_ text: String) -> String? {
        let name = text.lowercased()
        let isTaken =
            (2...40).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    || ".-_@+".utf8.contains(byte)
            }
        return isTaken ? name : nil
    }

    /// - Parameter mustChange: where somebody else has chosen the password.
    /// - Throws: ``StaffError/invalid(field:rule:)``.
    @discardableResult
    public static func add(
        _ text: String, role: StaffRole, password: PasswordHash, mustChange: Bool, language: String = "fr", actor: String, nowMs: Int64,
        in connection: Connection
    ) throws -> StaffUser {
        guard let name = name(text) else {
            throw StaffError.invalid(field: "name", rule: "must have 2 to 40 letters, digits or . - _ @ +")
        }
        let id = "usr_" + ULID.make(nowMs: nowMs)
        let added = try connection.execute(
            """
            INSERT INTO staff_users (id, name, role, language, password, password_salt, password_n, password_r, password_p, must_change,
              created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (name) DO NOTHING
            """,
            [.text(id), .text(name), .text(role.rawValue), .text(language == "en" ? "en" : "fr")] + bindings(password) + [
                .bool(mustChange), .integer(nowMs),
            ])
        guard added == 1 else { throw StaffError.invalid(field: "name", rule: "is taken: '\(name)' is a user already") }
        try StaffAudit.record("user.add", of: name, detail: role.rawValue, actor: actor, nowMs: nowMs, in: connection)
        return try require(id, in: connection)
    }

    private static func bindings(_ password: PasswordHash) -> [SQLValue] {
        [.blob(password.bytes), .blob(password.salt), .int(password.cost.n), .int(password.cost.r), .int(password.cost.p)]
    }

    /// By name: all, or at most so many of those behind a name.
    public static func list(after name: String = "", limit: Int? = nil, in connection: Connection) throws -> [StaffUser] {
        try connection.query(
            "SELECT * FROM staff_users WHERE name > $1 ORDER BY name LIMIT $2", [.text(name), .integer(limit.map { Int64($0) } ?? .max)]
        ).map(StaffUser.init)
    }

    public static func find(name: String, in connection: Connection) throws -> StaffUser? {
        try connection.first("SELECT * FROM staff_users WHERE name = $1", [.text(name)]).map(StaffUser.init)
    }

    /// By id, or by name.
    /// - Throws: ``StaffError/notFound(_:)``.
    public static func require(_ word: String, in connection: Connection) throws -> StaffUser {
        let row = try connection.first("SELECT * FROM staff_users WHERE id = $1 OR name = $1", [.text(word)])
        guard let row else { throw StaffError.notFound("user \(word.prefix(60))") }
        return try StaffUser(row)
    }

    /// Ends what somebody may do at once: the sessions go too. Enabled again, the password and the codes are as before.
    /// - Returns: false where it was so already.
    @discardableResult
    public static func setEnabled(_ isEnabled: Bool, _ word: String, actor: String, nowMs: Int64, in connection: Connection) throws -> Bool {
        let user = try require(word, in: connection)
        guard user.isEnabled != isEnabled else { return false }
        if !isEnabled { try refuseLastAdmin(user, in: connection) }
        try connection.execute(
            "UPDATE staff_users SET disabled_at = $2 WHERE id = $1", [.text(user.id), .optional(isEnabled ? nil : nowMs)])
        if !isEnabled { try StaffSession.endAll(of: user.id, in: connection) }
        try StaffAudit.record(isEnabled ? "user.enable" : "user.disable", of: user.name, actor: actor, nowMs: nowMs, in: connection)
        return true
    }

    /// - Returns: false where it was so already.
    @discardableResult
    public static func setRole(_ role: StaffRole, _ word: String, actor: String, nowMs: Int64, in connection: Connection) throws -> Bool {
        let user = try require(word, in: connection)
        guard user.role != role else { return false }
        if user.role == .admin { try refuseLastAdmin(user, in: connection) }
        try connection.execute("UPDATE staff_users SET role = $2 WHERE id = $1", [.text(user.id), .text(role.rawValue)])
        try StaffAudit.record(
            "user.role", of: user.name, detail: "\(user.role.rawValue) → \(role.rawValue)", actor: actor, nowMs: nowMs, in: connection)
        return true
    }

    /// Somebody must be left who can say who may do what.
    private static func refuseLastAdmin(_ user: StaffUser, in connection: Connection) throws {
        guard user.role == .admin, user.isEnabled else { return }
        let others = try connection.first(
            "SELECT 1 AS found FROM staff_users WHERE role = 'admin' AND disabled_at IS NULL AND id <> $1", [.text(user.id)])
        if others == nil { throw StaffError.notAllowed("\(user.name) is the only admin: make another one first") }
    }

    /// Gives somebody a new password; all sessions end but the one in which they did it themselves.
    /// - Parameters:
    ///   - mustChange: where somebody else has chosen it.
    ///   - dropsCodes: for whoever has lost the telephone and the recovery codes: codes are enrolled anew.
    public static func setPassword(
        _ password: PasswordHash, of word: String, mustChange: Bool, dropsCodes: Bool, keeping session: Int64? = nil, actor: String, nowMs: Int64,
        in connection: Connection
    ) throws {
        let user = try require(word, in: connection)
        try connection.execute(
            """
            UPDATE staff_users SET password = $2, password_salt = $3, password_n = $4, password_r = $5, password_p = $6, must_change = $7
            WHERE id = $1
            """, [.text(user.id)] + bindings(password) + [.bool(mustChange)])
        if dropsCodes {
            try connection.execute("UPDATE staff_users SET code_key = NULL WHERE id = $1", [.text(user.id)])
            try connection.execute("DELETE FROM staff_recovery_codes WHERE user = $1", [.text(user.id)])
        }
        try StaffSession.endAll(of: user.id, but: session, in: connection)
        try SignInGuard.forget(name: user.name, in: connection)
        try StaffAudit.record(
            "user.password", of: user.name, detail: dropsCodes ? "codes are enrolled anew" : nil, actor: actor, nowMs: nowMs, in: connection)
    }

    /// Keeps the same password at new costs, unless it was changed meanwhile.
    static func rehash(_ password: PasswordHash, of user: StaffUser, in connection: Connection) throws {
        try connection.execute(
            """
            UPDATE staff_users SET password = $2, password_salt = $3, password_n = $4, password_r = $5, password_p = $6
            WHERE id = $1 AND password = $7
            """, [.text(user.id)] + bindings(password) + [.blob(user.password.bytes)])
    }

    public static func setLanguage(_ language: String, of user: String, in connection: Connection) throws {
        try connection.execute(
            "UPDATE staff_users SET language = $2 WHERE id = $1", [.text(user), .text(language == "en" ? "en" : "fr")])
    }
}
