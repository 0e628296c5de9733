import Formats

/// What texts cost, and may cost.
public struct DraftSettings: Sendable, Equatable {
    /// Millionths of the currency's unit per million tokens.
    public var promptMicros: Int64 = 0
    public var completionMicros: Int64 = 0
    /// As the seller of texts bills.
    public var currency = "USD"
    /// Millionths of the unit per UTC day; nil for any amount.
    public var dailyBudgetMicros: Int64?

    public init() {}
}

extension SettingsReader {
    mutating func drafts() -> DraftSettings {
        var drafts = DraftSettings()
        drafts.promptMicros = micros("AI_PRICE_PROMPT") ?? 0
        drafts.completionMicros = micros("AI_PRICE_COMPLETION") ?? 0
        drafts.currency = currency("AI_PRICE_CURRENCY")
        drafts.dailyBudgetMicros = raw("AI_DAILY_BUDGET") == nil ? nil : micros("AI_DAILY_BUDGET")
        if drafts.dailyBudgetMicros != nil, drafts.promptMicros == 0, drafts.completionMicros == 0 {
            problem(
                "AI_DAILY_BUDGET", "it is set, and texts cost nothing", "AI_PRICE_PROMPT and AI_PRICE_COMPLETION, by which it is counted",
                "AI_PRICE_PROMPT=0.15")
        }
        return drafts
    }

    /// An amount of at most six places.
    private mutating func micros(_ name: String) -> Int64? {
        let text = value(name) ?? "0"
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let fraction = parts.count == 2 ? parts[1] : "0"
        if (parts[0] + fraction).utf8.allSatisfy({ ASCII.isDigit($0) }), (1...9).contains(parts[0].utf8.count), (1...6).contains(fraction.utf8.count),
            let whole = Int64(parts[0]), let rest = Int64(fraction + String(repeating: "0", count: 6 - fraction.utf8.count))
        {
            return whole * 1_000_000 + rest
        }
        problem(name, "it is not such an amount", "a decimal with at most six places, such as 0.15", "\(name)=0.15")
        return nil
    }

    private mutating func currency(_ name: String) -> String {
        let text = value(name) ?? "USD"
        if text.utf8.count == 3, text.utf8.allSatisfy({ (0x41...0x5A).contains($0) }) { return text }
        problem(name, "it is not the code of a currency", "three capital letters", "\(name)=USD")
        return "USD"
    }
}
