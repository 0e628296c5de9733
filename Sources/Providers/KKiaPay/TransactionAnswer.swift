import Formats
import Money
import ProviderPort

/// What KKiaPay answers of one transaction: the only thing that moves money state.
struct TransactionAnswer: Sendable, Equatable {
    /// KKiaPay's number of the transaction; upper and lower case differ.
    let transaction: String
    let claim: ProviderClaim
    let amount: Money?
    let amountProblem: String?
    let occurredAtMs: Int64?
    let errorCode: String?
    let errorText: String?
    /// Whether it names the attempt that was asked about. One that does not says nothing of it.
    let isOurs: Bool
    /// The attempt that it names.
    let named: String?

    static let foreignCode = "foreign_reference"
    static let namelessCode = "no_reference"

    /// - Throws: ``ProviderError`` `notFound`, `misconfigured`; `unavailable` for an answer without a status.
    init(_ json: JSON, transaction: String, attempt: String) throws(ProviderError) {
        self.transaction = transaction
        guard let status = json["status"]?.string ?? json["status"]?.numberText else {
            throw ProviderError(.unavailable, "the answer to status has no status")
        }
        let meaning = TransactionStatus.meaning(of: status)
        if meaning == .notFound { throw ProviderError(.notFound, "KKiaPay does not know the transaction", code: String(status.prefix(40))) }
        if meaning == .misconfigured { throw ProviderError(.misconfigured, "KKiaPay refuses the keys", code: String(status.prefix(40))) }
        named = MerchantReference.attempt(state: json["state"], partnerID: json["partnerId"])
        let another = json["transactionId"]?.string.map { $0 != transaction } ?? false
        isOurs = named == attempt && !another
        let money = Self.amount(json["amount"])
        (amount, amountProblem) = (money.amount, money.problem)
        occurredAtMs = Self.time(json)
        let told = Self.claim(meaning, json, hasMoney: money.amount != nil || money.problem != nil)
        claim = isOurs ? told.claim : .unknown
        let isFailure = claim == .failed || claim == .unknown
        if !isOurs {
            errorCode = named == nil && !another ? Self.namelessCode : Self.foreignCode
            errorText = named == nil && !another ? "the transaction names no order" : "the transaction is of another order"
        } else {
            errorCode = isFailure ? told.problem ?? Self.text(json["failureCode"]) ?? String(status.prefix(60)) : nil
            errorText = isFailure ? Self.text(json["failureMessage"]).map { ProviderWords.safe($0) } : nil
        }
    }

    /// As it is handed to the rest of Quittance. One that names another attempt brings no reference with it.
    var notice: ProviderNotice {
        guard isOurs else { return ProviderNotice(references: [], claim: .unknown, errorCode: errorCode, errorText: errorText) }
        return ProviderNotice(
            references: [ProviderReference("transaction", transaction)], claim: claim, amount: amount, amountProblem: amountProblem,
            transaction: transaction, occurredAtMs: occurredAtMs, errorCode: errorCode, errorText: errorText)
    }

    /// Which answer of several about one attempt decides: a customer may try again in the widget, each time as a new transaction.
    var rank: Int {
        switch claim {
        case .captured: 6
        case .refunded, .chargedBack: 5
        case .processing: 4
        case .pending: 3
        case .failed, .cancelled, .expired: 2
        case .unknown: isOurs ? 1 : 0
        }
    }

    // MARK: Reading

    private static func claim(_ meaning: TransactionStatus.Meaning, _ json: JSON, hasMoney: Bool) -> (claim: ProviderClaim, problem: String?) {
        let isDebit = json["type"]?.string == "DEBIT"
        switch meaning {
        case .success:
            guard isDebit else { return (.unknown, "not_a_debit") }
            return hasMoney ? (.captured, nil) : (.unknown, "no_amount")
        case .claim(.refunded): return isDebit ? (.refunded, nil) : (.unknown, "not_a_debit")
        case .claim(let claim): return (claim, nil)
        case .notFound, .misconfigured, .noChange: return (.unknown, nil)
        }
    }

    /// The amount is what was asked of the customer, in XOF: no other currency is known of KKiaPay, and its answers name none. Whether it
    /// holds the fees where the customer bears them is not established; then it differs from the order, and a person looks.
    private static func amount(_ value: JSON?) -> (amount: Money?, problem: String?) {
        guard let digits = value?.numberText ?? text(value) else { return (nil, nil) }
        do throws(MoneyError) {
            let money = try Money(parsing: digits, currency: .xof)
            return money.isPositive ? (money, nil) : (nil, "amount \(money.decimalText) is not positive")
        } catch {
            return (nil, error.description)
        }
    }

    private static func time(_ json: JSON) -> Int64? {
        for member in ["performed_at", "performedAt"] { if let ms = json[member]?.string.flatMap({ Timestamp.parse($0) }) { return ms } }
        return json["received_at"]?.int.flatMap { (0...253_402_300_799_999).contains($0) ? $0 : nil }
    }

    private static func text(_ value: JSON?) -> String? {
        value?.string.flatMap { $0.isEmpty ? nil : String($0.prefix(200)) }
    }
}
