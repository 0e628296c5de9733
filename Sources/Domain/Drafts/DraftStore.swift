import Database
import Formats
import Payments

/// A draft of an inquiry: of each version one, whatever happens.
public struct GeneratedDraft: Sendable, Equatable {
    public let inquiry: String
    /// From 1 on.
    public let version: Int64
    public let payment: String
    /// Below the private media root.
    public let path: String
    public let sha256: String
    public let size: Int64
    /// The version of the document's template; 0 is the file that stands there unless one was installed.
    public let template: Int64
    public let createdAtMs: Int64

    package init(
        inquiry: String, version: Int64 = 1, payment: String, path: String, sha256: String, size: Int64, template: Int64 = 0, createdAtMs: Int64
    ) {
        self.inquiry = inquiry
        self.version = version
        self.payment = payment
        self.path = path
        self.sha256 = sha256
        self.size = size
        self.template = template
        self.createdAtMs = createdAtMs
    }

    private init(_ row: Row) throws {
        self.init(
            inquiry: try row.text("inquiry"), version: try row.int("version"), payment: try row.text("payment"), path: try row.text("path"),
            sha256: try row.text("sha256"), size: try row.int("size"), template: try row.int("template"), createdAtMs: try row.int("created_at"))
    }

    /// The newest version there is.
    public static func of(inquiry: String, in connection: Connection) throws -> GeneratedDraft? {
        try connection.first("SELECT * FROM drafts_generated WHERE inquiry = $1 ORDER BY version DESC LIMIT 1", [.text(inquiry)])
            .map(GeneratedDraft.init)
    }

    public static func of(inquiry: String, version: Int64, in connection: Connection) throws -> GeneratedDraft? {
        try connection.first("SELECT * FROM drafts_generated WHERE inquiry = $1 AND version = $2", [.text(inquiry), .integer(version)])
            .map(GeneratedDraft.init)
    }

    /// Every version, newest first.
    public static func all(of inquiry: String, in connection: Connection) throws -> [GeneratedDraft] {
        try connection.query("SELECT * FROM drafts_generated WHERE inquiry = $1 ORDER BY version DESC", [.text(inquiry)]).map(GeneratedDraft.init)
    }

    package func save(in connection: Connection) throws {
        try connection.execute(
            """
            INSERT INTO drafts_generated (inquiry, version, payment, path, sha256, size, template, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            """,
            [
                .text(inquiry), .integer(version), .text(payment), .text(path), .text(sha256), .integer(size), .integer(template),
                .integer(createdAtMs),
            ])
    }
}

/// The AI's answer to a version of an inquiry's draft.
package struct DraftAnswer: Codable, Sendable, Equatable {
    package let model: String
    package let content: String
    package let promptTokens: Int64?
    package let completionTokens: Int64?

    package init(model: String, content: String, promptTokens: Int64?, completionTokens: Int64?) {
        self.model = model
        self.content = content
        self.promptTokens = promptTokens
        self.completionTokens = completionTokens
    }

    package static func of(inquiry: String, version: Int64, in connection: Connection) throws -> DraftAnswer? {
        try connection.first("SELECT * FROM drafts_answers WHERE inquiry = $1 AND version = $2", [.text(inquiry), .integer(version)]).map { row in
            DraftAnswer(
                model: try row.text("model"), content: try row.text("content"), promptTokens: try row.intOrNil("prompt_tokens"),
                completionTokens: try row.intOrNil("completion_tokens"))
        }
    }

    /// Keeps the answer, unless one is kept already: whoever was first has said what the document says.
    /// - Returns: whether this one is kept.
    package func save(inquiry: String, version: Int64, prompt: Int64?, nowMs: Int64, in connection: Connection) throws -> Bool {
        try connection.execute(
            """
            INSERT INTO drafts_answers (inquiry, version, model, content, prompt, prompt_tokens, completion_tokens, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (inquiry, version) DO NOTHING
            """,
            [
                .text(inquiry), .integer(version), .text(model), .text(content), .optional(prompt), .optional(promptTokens),
                .optional(completionTokens), .integer(nowMs),
            ]) == 1
    }

    /// Takes the answer of the newest version that has one over into a new version.
    static func copyLast(inquiry: String, to version: Int64, nowMs: Int64, in connection: Connection) throws -> Bool {
        try connection.execute(
            """
            INSERT INTO drafts_answers (inquiry, version, model, content, prompt, prompt_tokens, completion_tokens, created_at)
            SELECT inquiry, $2, model, content, prompt, prompt_tokens, completion_tokens, $3 FROM drafts_answers
            WHERE inquiry = $1 AND version < $2 ORDER BY version DESC LIMIT 1
            """, [.text(inquiry), .integer(version), .integer(nowMs)]) == 1
    }
}
