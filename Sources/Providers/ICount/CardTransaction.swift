import Formats
import Money
import ProviderPort

/// One entry of `cc/transactions`: what the card was charged. Its numbers are texts.
///
/// It names no order of ours: that it belongs to an attempt is known by the confirmation code that came to the attempt's own address.
struct CardTransaction: Sendable {
    /// iCount writes days without a zone: an entry may bear the day before the attempt's.
    static let graceMs: Int64 = 2 * 86_400_000

    let confirmation: String
    let amount: Money?
    let amountProblem: String?
    let isRefunded: Bool
    let isChargedBack: Bool
    let document: ICountDocument?
    /// iCount's number of the charge.
    let number: String?
    private let day: String?

    init?(_ entry: JSON) {
        guard let code = FieldText.of(entry["confirmation_code"]) else { return nil }
        confirmation = code
        (amount, amountProblem) = FieldText.money(entry["cctotal"], currency: entry["currency_code"])
        isRefunded = Self.isSet(entry["refunded"])
        isChargedBack = Self.isSet(entry["is_chargeback"])
        document = ICountDocument(type: entry["doctype"], number: entry["docnumber"] ?? entry["docnum"])
        number = FieldText.of(entry["cc_bill_log_id"])
        day = FieldText.of(entry["cc_charge_date"]).map { String($0.prefix(10)) }
    }

    /// The entries with this code; an object of entries is taken like a list of them.
    static func all(in answer: JSON, confirmation: String) -> [CardTransaction] {
        let list = answer["results_list"]
        let entries = list?.array ?? list?.object?.map(\.value) ?? []
        return entries.compactMap { CardTransaction($0) }.filter { $0.confirmation == confirmation }
    }

    /// What is said of the attempt. Acquirers use their codes again: an old charge is left aside, and of several that could be meant none is.
    static func notice(of answer: JSON, confirmation: String, to question: StatusQuestion) throws(ProviderError) -> ProviderNotice {
        let young = all(in: answer, confirmation: confirmation).filter { !$0.isOlder(than: question.createdAtMs) }
        guard let only = young.count > 1 ? one(of: young, amount: question.amount) : young.first else {
            guard young.isEmpty else {
                return ProviderNotice(
                    references: [], claim: .unknown, errorCode: "ambiguous_confirmation",
                    errorText: "\(young.count) charges have the confirmation code of this attempt")
            }
            throw ProviderError(.notFound, "iCount lists no charge with this confirmation code", code: "no_results_found")
        }
        return only.notice
    }

    private static func one(of several: [CardTransaction], amount: Money) -> CardTransaction? {
        let fitting = several.filter { $0.amount == amount }
        return fitting.count == 1 ? fitting[0] : nil
    }

    private func isOlder(than createdAtMs: Int64) -> Bool {
        guard createdAtMs > 0, let day, let start = Timestamp.parse("\(day)T00:00:00Z") else { return false }
        return start < createdAtMs - Self.graceMs
    }

    var references: [ProviderReference] { [ICountReference.confirmation(confirmation)] + [document?.reference].compactMap { $0 } }

    private var notice: ProviderNotice {
        // iCount gives back whole charges only.
        let claim: ProviderClaim = isChargedBack ? .chargedBack : isRefunded ? .refunded : .captured
        return ProviderNotice(
            references: references, claim: claim, amount: amount, amountProblem: amountProblem, transaction: number ?? confirmation,
            errorCode: isChargedBack ? "chargeback" : nil)
    }

    /// Flags are texts too: `"1"`, `"0"`, an amount, a date, or nothing.
    private static func isSet(_ flag: JSON?) -> Bool {
        guard let flag, !flag.isNull else { return false }
        if let bool = flag.bool { return bool }
        guard let text = FieldText.of(flag) else { return false }
        return text.lowercased() != "false" && text.lowercased() != "no" && !text.allSatisfy { "0.-: ".contains($0) }
    }
}
