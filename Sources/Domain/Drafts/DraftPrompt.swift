import Database

/// What the AI is told when it writes a draft in one language. Versions stay; one of each language is active.
public struct DraftPrompt: Sendable, Equatable {
    public static let languages = ["fr", "en"]
    public static let limit = 20_000

    public let language: String
    public let version: Int64
    public let instructions: String
    public let isActive: Bool
    public let actor: String
    public let createdAtMs: Int64

    private init(_ row: Row) throws {
        language = try row.text("language")
        version = try row.int("version")
        instructions = try row.text("instructions")
        isActive = try row.bool("is_active")
        actor = try row.text("actor")
        createdAtMs = try row.int("created_at")
    }

    /// Every version, by language, newest first.
    public static func all(in connection: Connection) throws -> [DraftPrompt] {
        try connection.query("SELECT * FROM drafts_prompts ORDER BY language, version DESC").map(DraftPrompt.init)
    }

    public static func find(_ language: String, version: Int64, in connection: Connection) throws -> DraftPrompt? {
        try connection.first("SELECT * FROM drafts_prompts WHERE language = $1 AND version = $2", [.text(language), .integer(version)])
            .map(DraftPrompt.init)
    }

    /// - Throws: ``KitActionError/notFound(_:)``.
    public static func active(_ language: String, in connection: Connection) throws -> DraftPrompt {
        guard let row = try connection.first("SELECT * FROM drafts_prompts WHERE language = $1 AND is_active = 1", [.text(language)]) else {
            throw KitActionError.notFound("active prompt in \(language)")
        }
        return try DraftPrompt(row)
    }

    /// Adds a version and makes it the active one, unless told otherwise.
    @discardableResult
    public static func add(
        _ instructions: String, language: String, activate: Bool = true, actor: String, reason: String, nowMs: Int64, in connection: Connection
    ) throws -> DraftPrompt {
        let text = instructions.trimmingWhitespace()
        guard languages.contains(language) else { throw KitActionError.invalid("a prompt is in \(languages.joined(separator: " or "))") }
        guard !text.isEmpty, text.count <= limit else { throw KitActionError.invalid("a prompt has 1 to \(limit) characters") }
        let row = try connection.first(
            "SELECT COALESCE(MAX(version), 0) + 1 AS version FROM drafts_prompts WHERE language = $1", [.text(language)])
        let version = try row?.int("version") ?? 1
        try connection.execute(
            "INSERT INTO drafts_prompts (language, version, instructions, is_active, actor, created_at) VALUES ($1, $2, $3, 0, $4, $5)",
            [.text(language), .integer(version), .text(text), .text(actor), .integer(nowMs)])
        try InquiryAudit.record(
            .promptAdded, inquiry: nil, actor: actor, reason: reason, detail: "\(language) \(version)", nowMs: nowMs, in: connection)
        if activate { try self.activate(language, version: version, actor: actor, reason: reason, nowMs: nowMs, in: connection) }
        guard let added = try find(language, version: version, in: connection) else { throw KitActionError.notFound("prompt") }
        return added
    }

    /// Makes a version the one that drafts are written by from now on.
    public static func activate(
        _ language: String, version: Int64, actor: String, reason: String, nowMs: Int64, in connection: Connection
    ) throws {
        guard try find(language, version: version, in: connection) != nil else { throw KitActionError.notFound("prompt \(language) \(version)") }
        try connection.execute("UPDATE drafts_prompts SET is_active = 0 WHERE language = $1 AND is_active = 1", [.text(language)])
        try connection.execute(
            "UPDATE drafts_prompts SET is_active = 1 WHERE language = $1 AND version = $2", [.text(language), .integer(version)])
        try InquiryAudit.record(
            .promptActivated, inquiry: nil, actor: actor, reason: reason, detail: "\(language) \(version)", nowMs: nowMs, in: connection)
    }
}
