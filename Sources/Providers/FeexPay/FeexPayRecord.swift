import Formats
import Money
import ProviderPort

/// A transaction as FeexPay writes it: in webhooks, in answers of V2, in answers of V1's shape and in rows of the history. Types differ between
/// them for the same name, so all are read leniently.
struct FeexPayRecord: Sendable {
    let reference: String?
    let status: String?
    /// What `callback_info` holds: our attempt, or whatever another of the shop's programs put there.
    let callbacks: [String]
    let customID: String?
    private let amountText: String?
    private let currencyText: String?
    private let networkLabel: String?
    private let type: String?
    let transaction: String?
    let occurredAtMs: Int64?
    private let json: JSON

    /// nil when it is no object.
    init?(_ json: JSON) {
        guard json.object != nil else { return nil }
        self.json = json
        reference = Self.text(json["reference"]).flatMap { $0.utf8.allSatisfy { (0x21...0x7E).contains($0) } ? $0 : nil }
        status = Self.text(json["status"])
        callbacks = Self.words(in: json["callback_info"], depth: 0)
        customID = Self.text(json["custom_id"])
        amountText = json["amount"]?.numberText ?? Self.text(json["amount"])
        currencyText = Self.text(json["currency"])
        networkLabel = Self.text(json["reseau"])
        type = Self.text(json["type"])
        transaction =
            ["operator_id", "ref_operator", "financial_transaction_id", "financialTransactionId", "transref"].lazy
            .compactMap { Self.text(json[$0]) }.first
        occurredAtMs = json["date"]?.string.flatMap { Timestamp.parse($0) }
    }

    var claim: ProviderClaim { FeexPayStatus.claim(of: status) }
    /// Money that went to somebody: no payment of a customer.
    var isPayout: Bool { type?.uppercased().hasPrefix("PAYOUT") == true }
    /// The announcement of a history that was asked for.
    var isHistoryResult: Bool { type?.uppercased() == "PAYMENT_HISTORY" }

    // MARK: Whose it is

    enum Tie: Sendable, Equatable { case ours, silent, another }

    /// Whether FeexPay ties the transaction to an attempt. `custom_id` may be FeexPay's own, so it can say yes, but never no.
    func tie(to attempt: String) -> Tie {
        if callbacks.contains(attempt) || customID == attempt { return .ours }
        return callbacks.isEmpty ? .silent : .another
    }

    /// What may be attempts of ours among what it carries: texts as we send them, a few.
    var namedAttempts: [String] {
        let named = (callbacks + (customID.map { [$0] } ?? [])).filter { Slug.isValid($0, most: 64) }
        return Array(named.enumerated().filter { named.firstIndex(of: $0.element) == $0.offset }.map(\.element).prefix(8))
    }

    // MARK: What it says

    /// What is said of an attempt.
    /// - Parameters:
    ///   - currency: of the attempt; FeexPay's V2 names none.
    ///   - references: best first.
    func notice(references: [ProviderReference], currency: Currency) -> ProviderNotice {
        let money = money(currency)
        let claim = claim
        if claim == .captured && money.amount == nil && money.problem == nil {
            return ProviderNotice(
                references: references, claim: .unknown, transaction: transaction, occurredAtMs: occurredAtMs, errorCode: "no_amount",
                errorText: "successful, but without an amount")
        }
        let failure = claim == .failed || claim == .cancelled
        return ProviderNotice(
            references: references, claim: claim, amount: money.amount, amountProblem: claim == .captured ? money.problem : nil,
            transaction: transaction, occurredAtMs: occurredAtMs, errorCode: failure ? failureCode : nil, errorText: failure ? failureText : nil)
    }

    /// The amount, compared later as a whole number: V2 sends a number, V1 a text.
    private func money(_ fallback: Currency) -> (amount: Money?, problem: String?) {
        guard let amountText else { return (nil, nil) }
        do throws(MoneyError) {
            let amount = try Money(parsing: amountText, currency: try currency(fallback))
            return amount.isPositive ? (amount, nil) : (nil, "amount '\(amount.decimalText)' is not positive")
        } catch {
            return (nil, error.description)
        }
    }

    /// As stated; else that of the network it names; else the one that was asked about.
    private func currency(_ fallback: Currency) throws(MoneyError) -> Currency {
        guard let currencyText else { return networkLabel.flatMap(FeexPayNetwork.labelled)?.currency ?? fallback }
        // A label of two currencies is no statement about either.
        if ["FCFA", "CFA", "F CFA"].contains(currencyText.uppercased()) { return fallback }
        return try Currency(code: currencyText.uppercased())
    }

    private var failureCode: String? {
        if let code = operatorCode { return code }
        let plain = ["reason", "responsecode"].lazy.compactMap { Self.text(json[$0]) }.first
        return plain.map { String($0.prefix(64)) }
    }

    private var failureText: String? {
        let said = FeexPayWords.list(json["response_operator"]?["description"]).first ?? Self.text(json["response_operator"])
        let known = operatorCode.flatMap { FeexPayShape.operatorCodes[$0] }
        let words = said ?? known ?? ["reason", "responsemsg", "comment", "message"].lazy.compactMap { Self.text(json[$0]) }.first
        return words.map(FeexPayWords.plain)
    }

    /// The operator's code: Moov's answer at once wraps it in a list.
    private var operatorCode: String? {
        let wrapped = FeexPayWords.list(json["response_operator"]?["status"]).first
        return (wrapped ?? Self.text(json["statusCode"]) ?? json["statusCode"]?.numberText).flatMap { $0.count <= 8 ? $0 : nil }
    }

    // MARK: Lenient reading

    static let textLengthMax = 256

    /// A text without blanks around it, of 1 to 256 bytes.
    private static func text(_ value: JSON?) -> String? {
        guard let text = value?.string ?? value?.int.map({ String($0) }) else { return nil }
        let words = text.split(whereSeparator: \.isWhitespace)
        guard !words.isEmpty, text.utf8.count <= textLengthMax else { return nil }
        return words.joined(separator: " ")
    }

    /// The texts in `callback_info`: a text (V2), an object (V1), or JSON in a text.
    private static func words(in value: JSON?, depth: Int) -> [String] {
        guard let value, depth < 4 else { return [] }
        if let object = value.object { return Array(object.prefix(32).flatMap { words(in: $0.value, depth: depth + 1) }.prefix(64)) }
        if let array = value.array { return Array(array.prefix(32).flatMap { words(in: $0, depth: depth + 1) }.prefix(64)) }
        guard let text = text(value) else { return [] }
        guard let first = text.first, "{[\"".contains(first), let inner = try? JSON(parsing: text, depthLimit: 4, sizeLimit: textLengthMax) else {
            return [text]
        }
        return words(in: inner, depth: depth + 1)
    }
}

/// What FeexPay and operators say in words.
enum FeexPayWords {
    static let lengthMax = 200

    /// Without tags (Celtiis answers XML), without phone numbers, short.
    static func plain(_ text: String) -> String {
        var words = ""
        var isTag = false
        for character in text.prefix(4000) {
            switch character {
            case "<": isTag = true
            case ">" where isTag:
                isTag = false
                words.append(" ")
            default: if !isTag { words.append(character.isNewline ? " " : character) }
            }
        }
        return String(MaskedPhone.inText(words.split(separator: " ").joined(separator: " ")).prefix(lengthMax))
    }

    /// The texts of a list, or the one text.
    static func list(_ value: JSON?) -> [String] {
        (value?.array ?? value.map { [$0] } ?? []).compactMap { $0.string ?? $0.numberText }.filter { !$0.isEmpty }
    }
}
