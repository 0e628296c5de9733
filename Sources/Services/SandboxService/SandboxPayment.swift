import Formats

/// A payment as the played provider knows it.
struct SandboxPayment: Sendable {
    enum House: String, Sendable, CaseIterable {
        case cinetPay = "cinetpay"
        case paymentBackend = "payment-backend"
        case kkiapay
        case orangeMoney = "orange-money"
        case feexPay = "feexpay"
        case wave
        case iCount = "icount"
    }

    enum State: String, Sendable {
        case created, waiting, paid, refused, cancelled
        var isFinal: Bool { self == .paid || self == .refused || self == .cancelled }
    }

    /// Why a payment is refused, where it is more than that.
    enum Fault: String, Sendable {
        case insufficientFunds = "insufficient_funds"
        case expired
    }

    let house: House
    /// CinetPay's `transaction_id`, the back end's `external_payment_id`.
    let reference: String
    /// Names the payment in the pay page's address.
    let token: String
    let amount: String
    let currency: String
    let description: String
    let metadata: JSON
    let method: String?
    let notifyURL: String
    let returnURL: String?
    let createdAtMs: Int64
    /// Never listed.
    var phone: String?
    var state = State.created
    var settledAtMs: Int64?
    var fault: Fault?
    /// What only its house knows of it.
    var details: [String: JSON] = [:]
    /// When it was given back, whole.
    var refundedAtMs: Int64?
    var scenario = Scenario()
    var statusCalls = 0

    /// Everything that a control call may name the payment by.
    var aliases: [String] {
        var aliases = [reference, token]
        if let text = metadata.string { aliases.append(text) }
        for key in ["payment", "attempt"] { if let text = metadata[key]?.string { aliases.append(text) } }
        return aliases
    }

    /// What the provider says was paid.
    var statedAmount: String {
        guard scenario.wrongAmount else { return amount }
        let parts = amount.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = parts.first.flatMap({ Int64($0) }) else { return amount }
        let other = whole > 5 ? whole - 5 : whole + 5
        return parts.count == 2 ? "\(other).\(parts[1])" : "\(other)"
    }

    var statedCurrency: String {
        guard scenario.wrongCurrency else { return currency }
        return switch currency {
        case "XOF": "XAF"
        case "USD": "EUR"
        case "EUR": "USD"
        case "ILS": "EUR"
        default: "XOF"
        }
    }

    var json: JSON {
        [
            "provider": .string(house.rawValue), "reference": .string(reference), "state": .string(state.rawValue), "amount": .string(amount),
            "currency": .string(currency), "metadata": metadata, "notify_url": .string(notifyURL), "status_calls": .int(Int64(statusCalls)),
            "fault": .optional(fault?.rawValue), "refunded_at": .optional(refundedAtMs.map { Timestamp.rfc3339($0) }),
            "steps": .array(scenario.steps.map { .string($0) }), "created_at": .string(Timestamp.rfc3339(createdAtMs)),
        ]
    }
}
