import Database
import Formats

/// The document that the customer gets. Each upload is a version; the newest counts.
public struct FinalAsset: Sendable, Equatable {
    /// Bytes that a final may have.
    public static let sizeMax: Int64 = 20 << 20
    public static let kinds: Set<FileKind> = [.docx, .pdf]

    public let inquiry: String
    public let version: Int64
    /// Its key where private objects are kept.
    public let path: String
    public let kind: FileKind
    public let fileName: String
    public let sha256: String
    public let size: Int64
    public let actor: String
    public let createdAtMs: Int64

    private init(_ row: Row) throws {
        inquiry = try row.text("inquiry")
        version = try row.int("version")
        path = try row.text("path")
        guard let known = FileKind(rawValue: try row.text("kind")) else { throw KitActionError.invalid("a final of an unknown kind") }
        kind = known
        fileName = try row.text("file_name")
        sha256 = try row.text("sha256")
        size = try row.int("size")
        actor = try row.text("actor")
        createdAtMs = try row.int("created_at")
    }

    /// The one that counts.
    public static func of(inquiry: String, in connection: Connection) throws -> FinalAsset? {
        try connection.first("SELECT * FROM drafts_finals WHERE inquiry = $1 ORDER BY version DESC LIMIT 1", [.text(inquiry)]).map(FinalAsset.init)
    }

    /// Every version, newest first.
    public static func all(of inquiry: String, in connection: Connection) throws -> [FinalAsset] {
        try connection.query("SELECT * FROM drafts_finals WHERE inquiry = $1 ORDER BY version DESC", [.text(inquiry)]).map(FinalAsset.init)
    }

    /// Enters a file that is stored already, as the next version.
    package static func add(
        _ file: CheckedFile, to inquiry: String, actor: String, nowMs: Int64, in connection: Connection
    ) throws -> FinalAsset {
        guard kinds.contains(file.kind) else { throw KitActionError.invalid("a final is a Word or PDF document") }
        guard (1...sizeMax).contains(file.size) else { throw KitActionError.invalid("a final has at most \(sizeMax >> 20) MB") }
        try connection.execute(
            """
            INSERT INTO drafts_finals (inquiry, version, path, kind, file_name, sha256, size, actor, created_at)
            VALUES ($1, (SELECT COALESCE(MAX(version), 0) + 1 FROM drafts_finals WHERE inquiry = $1), $2, $3, $4, $5, $6, $7, $8)
            """,
            [
                .text(inquiry), .text(file.path), .text(file.kind.rawValue), .text(file.name.text), .text(file.sha256), .integer(file.size),
                .text(actor), .integer(nowMs),
            ])
        guard let added = try of(inquiry: inquiry, in: connection) else { throw KitActionError.noFinal }
        return added
    }
}

/// A file that was taken from somebody, looked into and stored, and belongs to nobody yet.
public struct CheckedFile: Sendable, Equatable {
    /// Its key where private objects are kept.
    public let path: String
    public let kind: FileKind
    public let name: FileName
    public let sha256: String
    public let size: Int64

    public init(path: String, kind: FileKind, name: FileName, sha256: String, size: Int64) {
        self.path = path
        self.kind = kind
        self.name = name
        self.sha256 = sha256
        self.size = size
    }
}
