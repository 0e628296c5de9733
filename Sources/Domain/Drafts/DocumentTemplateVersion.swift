import Database
import Formats

/// A template of the document that was checked and tried. Versions stay; one is active, or none: then the file at ``standardPath`` is used.
public struct DocumentTemplateVersion: Sendable, Equatable {
    /// Below the private media root; the first template, which needs no row.
    public static let standardPath = "templates/kit_complet_template.docx"

    public let version: Int64
    /// Below the private media root.
    public let path: String
    public let sha256: String
    public let size: Int64
    /// The variables that it has.
    public let found: [String]
    /// Those of the kit that it leaves out: allowed, and told.
    public let missing: [String]
    public let isActive: Bool
    public let actor: String
    public let createdAtMs: Int64

    private init(_ row: Row) throws {
        version = try row.int("version")
        path = try row.text("path")
        sha256 = try row.text("sha256")
        size = try row.int("size")
        found = Self.names(try row.text("found"))
        missing = Self.names(try row.text("missing"))
        isActive = try row.bool("is_active")
        actor = try row.text("actor")
        createdAtMs = try row.int("created_at")
    }

    private static func names(_ text: String) -> [String] { ((try? JSON(parsing: text))?.array ?? []).compactMap(\.string) }

    /// Every version, newest first.
    public static func all(in connection: Connection) throws -> [DocumentTemplateVersion] {
        try connection.query("SELECT * FROM drafts_templates ORDER BY version DESC").map(DocumentTemplateVersion.init)
    }

    public static func find(_ version: Int64, in connection: Connection) throws -> DocumentTemplateVersion? {
        try connection.first("SELECT * FROM drafts_templates WHERE version = $1", [.integer(version)]).map(DocumentTemplateVersion.init)
    }

    /// The active one; nil while the file at ``standardPath`` is used.
    public static func active(in connection: Connection) throws -> DocumentTemplateVersion? {
        try connection.first("SELECT * FROM drafts_templates WHERE is_active = 1").map(DocumentTemplateVersion.init)
    }

    /// Enters a template whose file is there and was tried.
    package static func add(
        path: String, sha256: String, size: Int64, found: [String], missing: [String], actor: String, reason: String, nowMs: Int64,
        in connection: Connection
    ) throws -> Int64 {
        let row = try connection.first("SELECT COALESCE(MAX(version), 0) + 1 AS version FROM drafts_templates")
        let version = try row?.int("version") ?? 1
        try connection.execute(
            """
            INSERT INTO drafts_templates (version, path, sha256, size, found, missing, is_active, actor, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8)
            """,
            [
                .integer(version), .text(path), .text(sha256), .integer(size), .text(JSON.array(found.map(JSON.string)).text),
                .text(JSON.array(missing.map(JSON.string)).text), .text(actor), .integer(nowMs),
            ])
        try InquiryAudit.record(
            .templateInstalled, inquiry: nil, actor: actor, reason: reason, detail: "\(version): \(sha256)", nowMs: nowMs, in: connection)
        return version
    }

    /// Has drafts made with a version from now on; with 0, with the file at ``standardPath``.
    public static func activate(_ version: Int64, actor: String, reason: String, nowMs: Int64, in connection: Connection) throws {
        try connection.execute("UPDATE drafts_templates SET is_active = 0 WHERE is_active = 1")
        if version != 0 {
            let changed = try connection.execute("UPDATE drafts_templates SET is_active = 1 WHERE version = $1", [.integer(version)])
            guard changed == 1 else { throw KitActionError.notFound("template \(version)") }
        }
        try InquiryAudit.record(
            .templateActivated, inquiry: nil, actor: actor, reason: reason, detail: "\(version)", nowMs: nowMs, in: connection)
    }
}
