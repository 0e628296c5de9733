import Cryptography
import Database
import Formats

/// A key that another system's back end calls the API with. Its text, `qk_<id>_<secret>`, is shown once, when it is made.
public struct APIKey: Sendable, Equatable {
    /// 16 hexadecimal digits, not secret: they name the key in listings, audit rows and logs.
    public let id: String
    public let name: String
    public let scopes: [String]
    public let createdAtMs: Int64
    public let revokedAtMs: Int64?
    /// To within ``lastUsedResolutionMs``.
    public let lastUsedAtMs: Int64?

    /// The scope of everything that has to do with payments.
    public static let payments = "payments"
    /// The scope of teams' payments for plans alone, as a page in a user's browser calls them; ``payments`` holds it.
    public static let plans = "plans"
    /// The scope of giving money back and of deciding about payments: for staff.
    public static let refunds = "refunds"
    /// The scope of usage: what teams and projects have used, and whether they may go on.
    public static let usage = "usage"
    /// The scope of teams with their members and projects, and of the links to their pages.
    public static let teams = "teams"
    /// The scope of the scheduled entries, for a scheduler outside.
    public static let cron = "cron"
    /// The use of a key is noted so often at most: every call would be a write otherwise.
    public static let lastUsedResolutionMs: Int64 = 5 * 60_000

    /// Who acted, in audit rows.
    public var actor: String { "api:\(id)" }

    public func allows(_ scope: String) -> Bool { Self.allows(scope, within: scopes) }

    /// Whether who has these scopes may do what asks for that one.
    public static func allows(_ scope: String, within scopes: [String]) -> Bool {
        scopes.contains(scope) || scope == plans && scopes.contains(payments)
    }

    /// Whether its use at this moment is to be noted.
    public func needsUseNoted(nowMs: Int64) -> Bool { lastUsedAtMs.map { nowMs - $0 >= Self.lastUsedResolutionMs } ?? true }

    init(_ row: Row) throws {
        id = try row.text("id")
        name = try row.text("name")
        scopes = try row.text("scopes").split(separator: " ").map(String.init)
        createdAtMs = try row.int("created_at")
        revokedAtMs = try row.intOrNil("revoked_at")
        lastUsedAtMs = try row.intOrNil("last_used_at")
    }
}

/// Why a key cannot be made or changed. A retry never helps.
public enum AccessError: Error, Equatable, CustomStringConvertible {
    case invalid(field: String, rule: String)
    case notFound(String)

    public var description: String {
        switch self {
        case .invalid(let field, let rule): "\(field) \(rule)"
        case .notFound(let id): "there is no API key \(id)"
        }
    }
}

/// API keys in SQL, in the caller's transaction. Only digests are kept; a secret of 256 random bits needs no slow hash.
public enum APIKeys {
    public static let migrations = MigrationSet(
        room: "access",
        migrations: [
            Migration(number: 1, name: "access", sqlite: PackageResources._001_access_sqlite_sql),
            Migration(number: 2, name: "callers", sqlite: PackageResources._002_callers_sqlite_sql),
            Migration(number: 3, name: "erasures", sqlite: PackageResources._003_erasures_sqlite_sql),
            Migration(number: 4, name: "links", sqlite: PackageResources._004_links_sqlite_sql),
        ])

    public static let nameLimit = 100

    /// Makes a key.
    /// - Returns: the key and its text, which nobody can be told again.
    /// - Throws: ``AccessError/invalid(field:rule:)``.
    public static func create(
        name: String, scopes: [String] = [APIKey.payments], nowMs: Int64, in connection: Connection
    ) throws -> (key: APIKey, text: String) {
        guard !name.isEmpty, name.count <= nameLimit, !name.unicodeScalars.contains(where: { $0.value < 32 || $0.value == 127 }) else {
            throw AccessError.invalid(field: "name", rule: "must have 1 to \(nameLimit) characters, none of them a control character")
        }
        guard !scopes.isEmpty, scopes.allSatisfy(isScope) else {
            throw AccessError.invalid(field: "scopes", rule: "must be words of lower-case letters, digits, '-', ':' and '.'")
        }
        let id = Hex.encode(SecureRandom.bytes(8))
        let secret = SecureRandom.token()
        try connection.execute(
            "INSERT INTO access_keys (id, name, secret_digest, scopes, created_at) VALUES ($1, $2, $3, $4, $5)",
            [.text(id), .text(name), .blob(digest(of: secret)), .text(scopes.joined(separator: " ")), .integer(nowMs)])
        return (try require(id, in: connection), "qk_\(id)_\(secret)")
    }

    /// Every key, revoked ones too, oldest first.
    public static func list(in connection: Connection) throws -> [APIKey] {
        try connection.query("SELECT * FROM access_keys ORDER BY created_at, id").map(APIKey.init)
    }

    /// - Throws: ``AccessError/notFound(_:)``.
    public static func require(_ id: String, in connection: Connection) throws -> APIKey {
        guard let row = try connection.first("SELECT * FROM access_keys WHERE id = $1", [.text(id)]) else { throw AccessError.notFound(id) }
        return try APIKey(row)
    }

    /// Ends a key, at once and for good.
    /// - Returns: false when it was revoked before.
    /// - Throws: ``AccessError/notFound(_:)``.
    @discardableResult
    public static func revoke(_ id: String, nowMs: Int64, in connection: Connection) throws -> Bool {
        _ = try require(id, in: connection)
        return try connection.execute(
            "UPDATE access_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL", [.text(id), .integer(nowMs)]) == 1
    }

    /// The key that a text is; nil for one that is unknown, wrong or revoked, which cannot be told apart from outside.
    public static func authenticate(_ text: String, in connection: Connection) throws -> APIKey? {
        let parts = text.split(separator: "_", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3, parts[0] == "qk", parts[1].utf8.count == 16, parts[2].utf8.count == 43 else { return nil }
        let given = digest(of: parts[2])
        guard let row = try connection.first("SELECT * FROM access_keys WHERE id = $1", [.text(parts[1])]) else { return nil }
        guard ConstantTime.equal(given, try row.blob("secret_digest")) else { return nil }
        let key = try APIKey(row)
        return key.revokedAtMs == nil ? key : nil
    }

    /// Notes that a key was used.
    public static func noteUse(of id: String, nowMs: Int64, in connection: Connection) throws {
        try connection.execute(
            "UPDATE access_keys SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $2 - $3)",
            [.text(id), .integer(nowMs), .integer(APIKey.lastUsedResolutionMs)])
    }

    private static func digest(of secret: String) -> [UInt8] { Digest.sha256(Array(secret.utf8)) }

    private static func isScope(_ word: String) -> Bool {
        (1...50).contains(word.utf8.count)
            && word.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    || "-:.".utf8.contains(byte)
            }
    }
}
