import Formats
import Money
import ProviderPort

/// Reads the answer of `/v2/payment/check`: the only thing that moves money state.
enum CheckAnswer {
    static func notice(of envelope: CheckoutEnvelope, asked: ProviderReference) throws(ProviderError) -> ProviderNotice {
        let meaning = CheckoutCode.meaning(of: envelope.code)
        try throwFault(meaning, envelope)
        let status = envelope.data?["status"]?.string
        let money = amount(in: envelope.data)
        let hasMoney = money.amount != nil || money.problem != nil
        let claim = claim(meaning, status: status, hasMoney: hasMoney)
        let isFailure = [.failed, .cancelled, .expired].contains(claim)
        // payment_date names no zone, and its countries have several: it is not taken for a time.
        return ProviderNotice(
            references: [asked], claim: claim, amount: money.amount, amountProblem: money.problem,
            transaction: trimmed(envelope.data?["operator_id"]),
            errorCode: isFailure || claim == .unknown ? envelope.code : nil, errorText: isFailure || claim == .unknown ? envelope.message : nil)
    }

    /// - Parameter hasMoney: whether an amount is stated. The answers of 2021 had none: nothing to compare, nothing to complete.
    static func claim(_ meaning: CheckoutCode.Meaning, status: String?, hasMoney: Bool) -> ProviderClaim {
        guard let status else { return .unknown }
        if status == "ACCEPTED" {
            // A refund is of an accepted payment; for every other code the two contradict each other.
            if meaning == .claim(.refunded) { return .refunded }
            return meaning == .success && hasMoney ? .captured : .unknown
        }
        switch meaning {
        case .claim(let claim): return claim
        case .whenRefused(let claim, let otherwise): return status == "REFUSED" ? claim : otherwise
        case .followStatus: return followed(status)
        case .success, .unavailable, .misconfigured, .rejected, .noChange: return .unknown
        }
    }

    private static func followed(_ status: String) -> ProviderClaim {
        switch status {
        case "REFUSED": .failed
        case "CANCELLED": .cancelled
        case "PENDING", "WAITING_FOR_CUSTOMER": .processing
        default: .unknown
        }
    }

    private static func throwFault(_ meaning: CheckoutCode.Meaning, _ envelope: CheckoutEnvelope) throws(ProviderError) {
        let words = envelope.words.prefix(200)
        switch meaning {
        case .unavailable: throw ProviderError(.unavailable, "CinetPay or the operator is unavailable: \(words)", code: envelope.code)
        case .misconfigured: throw ProviderError(.misconfigured, "CinetPay refuses the keys or the site: \(words)", code: envelope.code)
        case .rejected: throw ProviderError(.rejected, "CinetPay refuses the check: \(words)", code: envelope.code)
        case .success, .claim, .whenRefused, .followStatus, .noChange: return
        }
    }

    private static func amount(in data: JSON?) -> (amount: Money?, problem: String?) {
        guard let digits = trimmed(data?["amount"]) ?? data?["amount"]?.numberText else { return (nil, nil) }
        guard let code = trimmed(data?["currency"]) else { return (nil, "an amount without a currency") }
        do throws(MoneyError) {
            return (try Money(parsing: digits, currency: try Currency(code: code)), nil)
        } catch {
            return (nil, error.description)
        }
    }

    /// A text without blanks around it; nil when nothing is left. CinetPay sends one blank for "none".
    private static func trimmed(_ value: JSON?) -> String? {
        guard let words = value?.string?.split(separator: " ", omittingEmptySubsequences: true), !words.isEmpty else { return nil }
        return words.joined(separator: " ")
    }
}
