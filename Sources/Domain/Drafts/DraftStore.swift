import Database
import Formats
import Payments

/// The draft of an inquiry: one, whatever happens.
public struct GeneratedDraft: Sendable {
    public let inquiry: String
    public let payment: String
    /// Below the private media root.
    public let path: String
    public let sha256: String
    public let size: Int64
    public let createdAtMs: Int64

    package init(inquiry: String, payment: String, path: String, sha256: String, size: Int64, createdAtMs: Int64) {
        self.inquiry = inquiry
        self.payment = payment
        self.path = path
        self.sha256 = sha256
        self.size = size
        self.createdAtMs = createdAtMs
    }

    public static func of(inquiry: String, in connection: Connection) throws -> GeneratedDraft? {
        try connection.first("SELECT * FROM drafts_generated WHERE inquiry = $1", [.text(inquiry)]).map { row in
            GeneratedDraft(
                inquiry: try row.text("inquiry"), payment: try row.text("payment"), path: try row.text("path"), sha256: try row.text("sha256"),
                size: try row.int("size"), createdAtMs: try row.int("created_at"))
        }
    }

    package func save(in connection: Connection) throws {
        try connection.execute(
            """
            INSERT INTO drafts_generated (inquiry, payment, path, sha256, size, created_at)
            VALUES ($1, $2, $3, $4, $5, $6)
            """,
            [.text(inquiry), .text(payment), .text(path), .text(sha256), .integer(size), .integer(createdAtMs)])
    }
}

/// The AI's answer to an inquiry.
package struct DraftAnswer: Codable, Sendable {
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

    package static func of(inquiry: String, in connection: Connection) throws -> DraftAnswer? {
        try connection.first("SELECT * FROM drafts_answers WHERE inquiry = $1", [.text(inquiry)]).map { row in
            DraftAnswer(
                model: try row.text("model"), content: try row.text("content"), promptTokens: try row.intOrNil("prompt_tokens"),
                completionTokens: try row.intOrNil("completion_tokens"))
        }
    }

    package func save(inquiry: String, nowMs: Int64, in connection: Connection) throws {
        try connection.execute(
            """
            INSERT INTO drafts_answers (inquiry, model, content, prompt_tokens, completion_tokens, created_at)
            VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (inquiry) DO NOTHING
            """,
            [.text(inquiry), .text(model), .text(content), .optional(promptTokens), .optional(completionTokens), .integer(nowMs)])
    }
}
