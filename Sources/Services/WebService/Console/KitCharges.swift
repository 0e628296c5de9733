import Database
import Drafts
import Settings

/// What the texts of a kit's drafts have cost, version by version, and what is left of the day's budget.
struct KitCharges: Sendable {
    private let charges: [DraftCharge]
    private let spentToday: Int64
    private let terms: DraftSettings

    init(of inquiry: String, terms: DraftSettings, nowMs: Int64, in connection: Connection) throws {
        charges = try DraftCharge.of(inquiry: inquiry, in: connection)
        spentToday = try DraftCharge.sum(on: DraftCharge.day(of: nowMs), currency: terms.currency, in: connection)
        self.terms = terms
    }

    func markup(_ words: Words) -> Markup {
        let versions = Set(charges.map(\.version)).sorted(by: >)
        let rows: [[Markup]] = versions.map { version in row(version, charges.filter { $0.version == version }, words) }
        let table = ConsoleParts.table(
            words("Par version du brouillon, chaque réponse reçue comptée", "By version of the draft, every answer counted that was received"),
            [
                "#\(words("Version", "Version"))", words("Modèle de l’IA", "The AI’s model"), words("Réponses", "Answers"),
                "#\(words("Jetons lus", "Tokens read"))", "#\(words("Jetons écrits", "Tokens written"))", "#\(words("Coût", "Cost"))",
            ], rows, none: words("Rien n’a encore été écrit par l’IA.", "The AI has written nothing yet."))
        return "\(table)\n<p>\(budget(words))</p>"
    }

    private func row(_ version: Int64, _ charges: [DraftCharge], _ words: Words) -> [Markup] {
        let sums = Dictionary(grouping: charges, by: \.currency).sorted { $0.key < $1.key }.map { currency, charges in
            Self.amount(charges.reduce(0) { $0 + $1.micros }, currency, words)
        }
        let estimate = charges.contains(where: \.isEstimate) ? words(" (comptés ici)", " (counted here)") : ""
        let outcomes = Dictionary(grouping: charges, by: { $0.outcome }).map { (Self.word($0.key, words), $0.value.count) }
        let answers = outcomes.sorted { $0.0 < $1.0 }.map { "\($0.1) \($0.0)" }.joined(separator: ", ")
        return [
            "\(String(version))", "\(Set(charges.map(\.model)).sorted().joined(separator: ", "))", "\(answers)",
            "\(String(charges.reduce(0) { $0 + $1.promptTokens }))\(estimate)", "\(String(charges.reduce(0) { $0 + $1.completionTokens }))",
            "\(sums.joined(separator: ", "))",
        ]
    }

    private static func word(_ outcome: DraftCharge.Outcome?, _ words: Words) -> String {
        switch outcome {
        case .kept: words("gardée", "kept")
        case .surplus: words("en trop", "surplus")
        case .refused: words("inutilisable", "of no use")
        case nil: words("autre", "other")
        }
    }

    private func budget(_ words: Words) -> String {
        let spent = Self.amount(spentToday, terms.currency, words)
        guard let budget = terms.dailyBudgetMicros else {
            return words("Dépensé aujourd’hui : \(spent), sans limite.", "Spent today: \(spent), without a limit.")
        }
        let (left, whole) = (Self.amount(max(0, budget - spentToday), terms.currency, words), Self.amount(budget, terms.currency, words))
        return words(
            "Dépensé aujourd’hui : \(spent) ; il reste \(left) sur \(whole).", "Spent today: \(spent); \(left) of \(whole) is left.")
    }

    /// Millionths of a currency's unit, without the zeros behind the cents: `0.0123 USD`.
    static func amount(_ micros: Int64, _ currency: String, _ words: Words) -> String {
        var digits = String(micros % 1_000_000)
        digits = String(repeating: "0", count: 6 - digits.count) + digits
        while digits.count > 2, digits.hasSuffix("0") { digits.removeLast() }
        return "\(micros / 1_000_000)\(words(",", "."))\(digits) \(currency)"
    }
}
