import Cryptography
import Database
import Formats

/// Somebody's session, found by the id that only their browser has.
public struct StaffSession: Sendable {
    public enum Stage: String, Sendable {
        /// The password was right, the one-time code is awaited.
        case code
        /// The password was right, and there is no key for codes yet.
        case enrol
        /// Signed in.
        case open
    }

    /// How long sessions last.
    public struct Limits: Sendable, Equatable {
        /// Without a request.
        public var idleMs: Int64 = 30 * 60_000
        /// Whatever happens.
        public var longestMs: Int64 = 12 * 60 * 60_000

        public init() {}
    }

    /// From the password to the code.
    static let stageMs: Int64 = 10 * 60_000
    /// That a session is in use is noted this often, so that not every request writes.
    static let useResolutionMs: Int64 = 60_000

    public let number: Int64
    public let user: StaffUser
    public let stage: Stage
    public let address: String
    public let agent: String
    public let createdAtMs: Int64
    public let usedAtMs: Int64
    public let expiresAtMs: Int64
    let pendingKey: [UInt8]?

    private init(_ row: Row, in connection: Connection) throws {
        number = try row.int("number")
        user = try StaffStore.require(try row.text("user"), in: connection)
        guard let stage = Stage(rawValue: try row.text("stage")) else { throw StaffError.damagedRow("session \(number)") }
        self.stage = stage
        address = try row.text("address")
        agent = try row.text("agent")
        createdAtMs = try row.int("created_at")
        usedAtMs = try row.int("used_at")
        expiresAtMs = try row.int("expires_at")
        pendingKey = try row.blobOrNil("pending_key")
    }

    // MARK: Ids

    /// What the browser keeps: 256 random bits.
    static func makeID() -> String { SecureRandom.token() }
    static let idLength = 43
    private static func digest(_ id: String) -> [UInt8] { Digest.sha256(Array(id.utf8)) }

    /// What forms of a session carry, so that no other site's page can post them: it follows from the id, which no page can read.
    public static func formToken(of id: String) -> String { SecureToken.derive(id, use: "quittance form 1") }

    public static func isFormToken(_ text: String, of id: String) -> Bool { ConstantTime.equal(formToken(of: id), text) }

    // MARK: Life

    /// Begins a session under a new id.
    static func begin(
        of user: String, stage: Stage, address: String, agent: String, lifeMs: Int64, nowMs: Int64, in connection: Connection
    ) throws -> String {
        try connection.execute(
            "DELETE FROM staff_sessions WHERE number IN (SELECT number FROM staff_sessions WHERE expires_at < $1 ORDER BY expires_at LIMIT 200)",
            [.integer(nowMs)])
        let id = makeID()
        try connection.execute(
            """
            INSERT INTO staff_sessions (digest, user, stage, address, agent, created_at, used_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $6, $7)
            """,
            [
                .blob(digest(id)), .text(user), .text(stage.rawValue), .text(String(address.prefix(60))), .text(String(agent.prefix(200))),
                .integer(nowMs), .integer(nowMs + lifeMs),
            ])
        return id
    }

    /// The session of an id; nil for one that is over, or whose user may not sign in any more.
    public static func find(_ id: String, limits: Limits, nowMs: Int64, in connection: Connection) throws -> StaffSession? {
        guard id.utf8.count == idLength else { return nil }
        guard let row = try connection.first("SELECT * FROM staff_sessions WHERE digest = $1", [.blob(digest(id))]) else { return nil }
        let session = try StaffSession(row, in: connection)
        let idle = session.stage == .open ? limits.idleMs : stageMs
        guard session.expiresAtMs > nowMs, session.usedAtMs + idle > nowMs, session.user.isEnabled else { return nil }
        return session
    }

    /// Whether its use is to be noted.
    public func needsUseNoted(nowMs: Int64) -> Bool { nowMs - usedAtMs >= Self.useResolutionMs }

    public func noteUse(nowMs: Int64, in connection: Connection) throws {
        try connection.execute(
            "UPDATE staff_sessions SET used_at = $2 WHERE number = $1 AND used_at < $2", [.integer(number), .integer(nowMs)])
    }

    /// Somebody's sessions that are not over, the newest first.
    public static func list(of user: String, limits: Limits, nowMs: Int64, in connection: Connection) throws -> [StaffSession] {
        try connection.query(
            "SELECT * FROM staff_sessions WHERE user = $1 AND stage = 'open' AND expires_at > $2 AND used_at > $3 ORDER BY number DESC LIMIT 100",
            [.text(user), .integer(nowMs), .integer(nowMs - limits.idleMs)]
        ).map { try StaffSession($0, in: connection) }
    }

    /// - Returns: false when there was none such.
    @discardableResult
    public static func end(_ number: Int64, of user: String, in connection: Connection) throws -> Bool {
        try connection.execute("DELETE FROM staff_sessions WHERE number = $1 AND user = $2", [.integer(number), .text(user)]) == 1
    }

    public static func endAll(of user: String, but kept: Int64? = nil, in connection: Connection) throws {
        try connection.execute("DELETE FROM staff_sessions WHERE user = $1 AND number <> $2", [.text(user), .integer(kept ?? -1)])
    }
}

/// Tokens that follow from a secret and tell nothing of it.
enum SecureToken {
    static func derive(_ secret: String, use: String) -> String { Hex.encode(HMACSHA256(key: secret).authenticate(Array(use.utf8))) }
}
