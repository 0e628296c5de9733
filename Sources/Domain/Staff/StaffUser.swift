import Cryptography
import Database

/// What somebody may do; each may all that those before may.
public enum StaffRole: String, Sendable, CaseIterable, Comparable {
    /// Looks, and changes nothing.
    case viewer
    /// Works on customers' documents.
    case staff
    /// Decides about money and keeps the queues going.
    case `operator`
    /// Says who may do what.
    case admin

    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    public static func < (left: StaffRole, right: StaffRole) -> Bool { left.rank < right.rank }
}

/// Somebody who may sign in to the console.
public struct StaffUser: Sendable {
    /// `usr_` + ULID.
    public let id: String
    public let name: String
    public let role: StaffRole
    public let language: String
    /// Whether the password is to be changed before anything else.
    public let mustChangePassword: Bool
    /// Whether one-time codes are asked of them.
    public let hasCodes: Bool
    public let createdAtMs: Int64
    public let signedInAtMs: Int64?
    public let disabledAtMs: Int64?
    let password: PasswordHash
    let sealedKey: [UInt8]?

    /// Who acts, in audit rows of every room.
    public var actor: String { "staff:\(name)" }
    public var isEnabled: Bool { disabledAtMs == nil }

    init(_ row: Row) throws {
        id = try row.text("id")
        name = try row.text("name")
        guard let role = StaffRole(rawValue: try row.text("role")) else { throw StaffError.damagedRow(try row.text("id")) }
        self.role = role
        language = try row.text("language")
        let (n, r, p) = (Int(try row.int("password_n")), Int(try row.int("password_r")), Int(try row.int("password_p")))
        guard n > 1, n & (n - 1) == 0, n <= 1 << 20, (1...32).contains(r), (1...16).contains(p) else { throw StaffError.damagedRow(id) }
        password = PasswordHash(
            cost: PasswordHash.Cost(n: n, r: r, p: p), salt: try row.blob("password_salt"), bytes: try row.blob("password"))
        mustChangePassword = try row.int("must_change") == 1
        sealedKey = try row.blobOrNil("code_key")
        hasCodes = sealedKey != nil
        createdAtMs = try row.int("created_at")
        signedInAtMs = try row.intOrNil("signed_in_at")
        disabledAtMs = try row.intOrNil("disabled_at")
    }
}

/// What goes wrong in this room itself.
public enum StaffError: Error, Equatable, CustomStringConvertible {
    case notFound(String)
    case damagedRow(String)
    case invalid(field: String, rule: String)
    /// A rule forbids it as things stand.
    case notAllowed(String)
    /// Name, password or code are wrong; which of them is nobody's business.
    case refused
    /// Too many attempts: the next is looked at after this time.
    case locked(untilMs: Int64)
    /// More sign-ins at once than are worked at.
    case busy

    public var description: String {
        switch self {
        case .notFound(let what): "there is no \(what)"
        case .damagedRow(let id): "the row of \(id) is damaged"
        case .invalid(let field, let rule): "\(field) \(rule)"
        case .notAllowed(let why): why
        case .refused: "the sign-in is refused"
        case .locked: "there were too many attempts"
        case .busy: "too many sign in at once"
        }
    }
}

/// What a password must be like.
public enum PasswordRule {
    public static let shortest = 12
    public static let longest = 200

    /// - Throws: ``StaffError/invalid(field:rule:)``.
    public static func check(_ password: String, name: String) throws(StaffError) {
        guard (shortest...longest).contains(password.count), password.utf8.count <= longest * 4, !password.utf8.contains(0) else {
            throw .invalid(field: "password", rule: "must have \(shortest) to \(longest) characters")
        }
        guard !password.lowercased().contains(name), Set(password).count >= 5 else {
            throw .invalid(field: "password", rule: "must not hold the name, and more than a few different characters")
        }
    }
}
