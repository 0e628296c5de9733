import Formats
import Money
import ProviderPort

/// A checkout session as Wave tells of it, in answers and in events: one shape.
struct CheckoutSession: Sendable {
    let id: String
    /// What we gave at the start: our attempt.
    let clientReference: String?
    let launchURL: String?
    let expiresAtMs: Int64?
    private let json: JSON

    /// Wave's `client_reference` may have 255 characters; ours have 25.
    static let textMax = 255

    /// - Throws: ``ProviderError`` `unreadable` without an id.
    init(_ json: JSON) throws(ProviderError) {
        guard let id = Self.text(json["id"]) else { throw ProviderError(.unreadable, "field 'id' of the session is missing or not a text") }
        self.id = id
        self.json = json
        clientReference = Self.text(json["client_reference"])
        launchURL = json["wave_launch_url"]?.string
        expiresAtMs = json["when_expires"]?.string.flatMap { Timestamp.parse($0) }
    }

    var references: [ProviderReference] {
        var references = [ProviderReference("session", id)]
        if let clientReference { references.append(.ours(clientReference)) }
        if let transaction { references.append(ProviderReference("transaction", transaction)) }
        return references
    }

    var transaction: String? { Self.text(json["transaction_id"]) }

    /// Which of several sessions with our reference decides.
    var rank: Int {
        switch claim {
        case .captured: 4
        case .processing, .pending: 3
        case .cancelled, .failed, .expired, .refunded, .chargedBack: 2
        case .unknown: 1
        }
    }

    /// What its two words come to.
    var claim: ProviderClaim {
        let checkout = json["checkout_status"]?.string
        switch json["payment_status"]?.string {
        // Only the two together are a payment.
        case "succeeded": return checkout == "complete" && hasMoney ? .captured : .unknown
        case "cancelled": return .cancelled
        // Not in the list of words, but in one copy of the documentation: a try failed, and the session may be open still.
        case "processing", "failed", nil:
            switch checkout {
            case "open": return .pending
            case "expired": return .expired
            default: return .unknown
            }
        default: return .unknown
        }
    }

    /// What it says, with what an event knows better.
    /// - Parameter claim: in place of its own.
    func notice(_ claim: ProviderClaim? = nil) -> ProviderNotice {
        let claim = claim ?? self.claim
        let money = money
        let error = json["last_payment_error"]
        let code = error.flatMap { Self.text($0["code"]) }
        return ProviderNotice(
            references: references, claim: claim, amount: money.amount, amountProblem: money.problem, transaction: transaction ?? id,
            occurredAtMs: json["when_completed"]?.string.flatMap { Timestamp.parse($0) },
            errorCode: claim == .captured ? nil : code ?? (claim == .unknown ? "unexpected_status" : nil),
            errorText: claim == .captured ? nil : error.flatMap { Self.text($0["message"]) }.map { ProviderWords.safe($0) })
    }

    private var hasMoney: Bool { money.amount != nil || money.problem != nil }

    /// Wave writes amounts as texts; numbers are taken as well.
    var money: (amount: Money?, problem: String?) {
        guard let digits = Self.text(json["amount"]) ?? json["amount"]?.numberText else { return (nil, nil) }
        guard let code = Self.text(json["currency"]) else { return (nil, "an amount without a currency") }
        do throws(MoneyError) {
            let money = try Money(parsing: digits, currency: try Currency(code: code))
            return money.isPositive ? (money, nil) : (nil, "amount \(money.decimalText) is not positive")
        } catch {
            return (nil, error.description)
        }
    }

    private static func text(_ value: JSON?) -> String? {
        guard let text = value?.string, !text.isEmpty, text.utf8.count <= textMax else { return nil }
        return text
    }
}
