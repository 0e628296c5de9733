import Database
import Formats

/// What an answer costs. Prices are per million tokens, amounts are millionths of the currency's unit: cents are too coarse for a text.
public struct TextPrice: Sendable, Equatable {
    /// Millionths of the unit per million tokens.
    public let promptMicros: Int64
    public let completionMicros: Int64
    /// Of the bill, as the AI's seller writes it; has nothing to do with what is sold here.
    public let currency: String
    /// Millionths of the unit that a UTC day may cost; nil for any amount.
    public let dailyBudgetMicros: Int64?

    public init(promptMicros: Int64 = 0, completionMicros: Int64 = 0, currency: String = "USD", dailyBudgetMicros: Int64? = nil) {
        self.promptMicros = promptMicros
        self.completionMicros = completionMicros
        self.currency = currency
        self.dailyBudgetMicros = dailyBudgetMicros
    }

    /// Rounded up: a budget is never passed by fractions.
    func micros(promptTokens: Int64, completionTokens: Int64) -> Int64 {
        Self.share(promptTokens, promptMicros) + Self.share(completionTokens, completionMicros)
    }

    private static func share(_ tokens: Int64, _ price: Int64) -> Int64 {
        let (product, overflow) = max(0, tokens).multipliedReportingOverflow(by: price)
        return overflow ? Int64.max / 4 : (product + 999_999) / 1_000_000
    }
}

/// How many tokens an answer took.
package struct TextUsage: Sendable, Equatable {
    package let promptTokens: Int64
    package let completionTokens: Int64
    /// Counted by us: the answer does not say.
    package let isEstimate: Bool

    package init(promptTokens: Int64, completionTokens: Int64, isEstimate: Bool = false) {
        self.promptTokens = promptTokens
        self.completionTokens = completionTokens
        self.isEstimate = isEstimate
    }

    /// Three bytes a token: more than any tokenizer makes of French or English.
    package init(estimating prompt: String, answer: String) {
        self.init(promptTokens: Int64(prompt.utf8.count / 3 + 1), completionTokens: Int64(answer.utf8.count / 3 + 1), isEstimate: true)
    }
}

/// An answer that was received and so paid for: also a second one, and one that is of no use.
public struct DraftCharge: Sendable, Equatable {
    public enum Outcome: String, Sendable, CaseIterable {
        /// The draft is made of it.
        case kept
        /// Another one was kept before.
        case surplus
        /// It was cut off, or a refusal.
        case refused
    }

    public let inquiry: String
    public let version: Int64
    /// UTC, as 2026-01-31.
    public let day: String
    public let model: String
    public let promptTokens: Int64
    public let completionTokens: Int64
    public let isEstimate: Bool
    public let micros: Int64
    public let currency: String
    public let outcome: Outcome?
    public let createdAtMs: Int64

    private init(_ row: Row) throws {
        inquiry = try row.text("inquiry")
        version = try row.int("version")
        day = try row.text("day")
        model = try row.text("model")
        promptTokens = try row.int("prompt_tokens")
        completionTokens = try row.int("completion_tokens")
        isEstimate = try row.bool("is_estimate")
        micros = try row.int("micros")
        currency = try row.text("currency")
        outcome = Outcome(rawValue: try row.text("outcome"))
        createdAtMs = try row.int("created_at")
    }

    /// The charges of one inquiry, oldest first.
    public static func of(inquiry: String, in connection: Connection) throws -> [DraftCharge] {
        try connection.query("SELECT * FROM drafts_charges WHERE inquiry = $1 ORDER BY id", [.text(inquiry)]).map(DraftCharge.init)
    }

    /// What a UTC day has cost so far, in millionths.
    public static func sum(on day: String, currency: String, in connection: Connection) throws -> Int64 {
        try connection.first(
            "SELECT COALESCE(SUM(micros), 0) AS sum FROM drafts_charges WHERE day = $1 AND currency = $2", [.text(day), .text(currency)]
        )?.int("sum") ?? 0
    }

    package static func record(
        _ usage: TextUsage, model: String, outcome: Outcome, price: TextPrice, inquiry: String, version: Int64, nowMs: Int64,
        in connection: Connection
    ) throws {
        try connection.execute(
            """
            INSERT INTO drafts_charges (inquiry, version, day, model, prompt_tokens, completion_tokens, is_estimate, micros, currency, outcome,
              created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            """,
            [
                .text(inquiry), .integer(version), .text(day(of: nowMs)), .text(String(model.prefix(200))), .integer(max(0, usage.promptTokens)),
                .integer(max(0, usage.completionTokens)), .bool(usage.isEstimate),
                .integer(price.micros(promptTokens: usage.promptTokens, completionTokens: usage.completionTokens)), .text(price.currency),
                .text(outcome.rawValue), .integer(nowMs),
            ])
    }

    public static func day(of ms: Int64) -> String { String(Timestamp.rfc3339(ms).prefix(10)) }

    /// Until the next UTC day begins.
    package static func restOfDay(from ms: Int64) -> Duration { .milliseconds(dayMs - ((ms % dayMs) + dayMs) % dayMs) }

    private static let dayMs: Int64 = 86_400_000
}
