import Database
import Formats

/// A private file as it is handed out.
public struct DownloadFile: Sendable, Equatable {
    /// In the object storage.
    public let key: String
    public let size: Int64
    /// 64 lower-case hexadecimal digits.
    public let sha256: String
    /// What the receiver's machine is told to call it.
    public let name: String
    /// Its media type.
    public let type: String

    public init(key: String, size: Int64, sha256: String, name: String, type: String) {
        self.key = key
        self.size = size
        self.sha256 = sha256
        self.name = name
        self.type = type
    }
}

/// How long and how often a file may be downloaded.
public struct DownloadTerms: Sendable, Equatable {
    public static let lifeMaxMs: Int64 = 90 * 86_400_000
    public static let usesMax: Int64 = 100

    public let lifeMs: Int64
    public let uses: Int64

    public init(lifeMs: Int64, uses: Int64) {
        self.lifeMs = lifeMs
        self.uses = uses
    }

    public init(minutes: Int, uses: Int) { self.init(lifeMs: Int64(minutes) * 60_000, uses: Int64(uses)) }

    /// 45 minutes, once.
    public static let standard = DownloadTerms(minutes: 45, uses: 1)
}

/// A download that is to be allowed.
public struct NewDownload: Sendable, Equatable {
    /// What the file belongs to, such as an inquiry's id.
    public let subject: String
    /// What must be paid, now and whenever the file is downloaded.
    public let payment: String
    public let file: DownloadFile
    public let terms: DownloadTerms

    public init(subject: String, payment: String, file: DownloadFile, terms: DownloadTerms) {
        self.subject = subject
        self.payment = payment
        self.file = file
        self.terms = terms
    }
}

/// The right to download one file, as its row has it.
public struct DownloadGrant: Sendable, Equatable {
    public enum Standing: String, Sendable, CaseIterable {
        case open
        case used
        case expired
        case revoked
    }

    /// `dl_` and 26 letters and digits, from 128 random bits. No secret: only who holds the installation's key makes a link of it.
    public let id: String
    public let subject: String
    public let payment: String
    public let file: DownloadFile
    public let usesMax: Int64
    public let usedCount: Int64
    public let issuedAtMs: Int64
    /// In whole seconds, as the link says it.
    public let expiresAtMs: Int64
    public let revokedAtMs: Int64?
    /// The grant issued in its place.
    public let replacedBy: String?

    /// Where it stands by itself; that its payment is still paid is asked when it is used.
    public func standing(nowMs: Int64) -> Standing {
        if revokedAtMs != nil { return .revoked }
        if usedCount >= usesMax { return .used }
        return nowMs < expiresAtMs ? .open : .expired
    }

    init(_ row: Row) throws {
        id = try row.text("id")
        subject = try row.text("subject")
        payment = try row.text("payment")
        file = DownloadFile(
            key: try row.text("object_key"), size: try row.int("size"), sha256: try row.text("sha256"), name: try row.text("file_name"),
            type: try row.text("content_type"))
        usesMax = try row.int("max_uses")
        usedCount = try row.int("used_count")
        issuedAtMs = try row.int("issued_at")
        expiresAtMs = try row.int("expires_at")
        revokedAtMs = try row.intOrNil("revoked_at")
        replacedBy = try row.textOrNil("replaced_by")
    }
}

/// One line of a download's audit trail.
public struct DownloadStep: Sendable, Equatable {
    public enum Kind: String, Sendable, CaseIterable {
        case issued, reissued, revoked, used, resumed
    }
    public let kind: Kind
    public let actor: String
    public let reason: String
    public let atMs: Int64
}

/// Why a download cannot be issued, reissued or revoked. The same call never helps.
public enum DownloadError: Error, Sendable, Equatable, CustomStringConvertible {
    case notFound(String)
    /// The payment is in another state than paid.
    case notPaid(payment: String, state: String)
    /// It is revoked already.
    case revoked(String)
    case invalid(field: String, rule: String)
    case damagedRow(String)

    public var description: String {
        switch self {
        case .notFound(let id): "there is no download \(id)"
        case .notPaid(let payment, let state): "payment \(payment) is \(state): nothing of it may be downloaded"
        case .revoked(let id): "download \(id) is revoked already"
        case .invalid(let field, let rule): "\(field): \(rule)"
        case .damagedRow(let id): "the row of download \(id) is damaged"
        }
    }
}

/// Why a link does not open. The holder is told none of it.
public enum DownloadRefusal: String, Error, Sendable, Equatable {
    /// Not signed by us for this use, or there is no such row.
    case unknown
    case expired
    case revoked
    case used
    case notPaid = "not_paid"
    /// The time in which a broken download may be gone on with is over, or it is not this caller's, or more is asked than the rest.
    case noUse = "no_use"
}
