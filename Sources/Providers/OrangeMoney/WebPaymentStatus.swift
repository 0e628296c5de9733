import Formats
import Money
import ProviderPort

/// What the words of `transactionstatus` and of notifications mean; `docs/providers/orange-money.md` shows the table.
enum WebPaymentStatus {
    /// How long an attempt may stay `INITIATED`: the payment's token lives 10 minutes, and what was confirmed in its last moment is over soon.
    /// Orange itself leaves it `INITIATED` for ever.
    static let confirmedWithinMs: Int64 = 15 * 60_000
    /// The token's own life, by default.
    static let tokenLifeMs: Int64 = 10 * 60_000

    static func claim(of status: String) -> ProviderClaim {
        switch status {
        case "INITIATED": .pending
        case "PENDING": .processing
        case "SUCCESS": .captured
        case "FAILED": .failed
        case "EXPIRED": .expired
        default: .unknown
        }
    }

    /// Reads the answer to a question. Orange returns neither amount nor currency: its word counts for the amount that it was asked with.
    static func notice(of answer: JSON, to question: StatusQuestion, nowMs: Int64) throws(ProviderError) -> ProviderNotice {
        guard let status = answer["status"]?.string else { throw ProviderError(.unavailable, "the answer to transactionstatus has no status") }
        if let named = answer["order_id"]?.string ?? answer["order_id"]?.numberText, named != question.attempt {
            return ProviderNotice(
                references: [], claim: .unknown, errorCode: "foreign_reference", errorText: "the answer is about another order_id than asked for")
        }
        let transaction = transaction(in: answer)
        var references = [ProviderReference.ours(question.attempt)]
        if let transaction { references.append(ProviderReference("txnid", transaction)) }
        let claim = claim(of: status)
        switch claim {
        case .pending where question.createdAtMs > 0 && nowMs - question.createdAtMs >= confirmedWithinMs:
            return ProviderNotice(
                references: references, claim: .expired, errorCode: "not_confirmed", errorText: "the customer has not confirmed in time")
        case .captured: return ProviderNotice(references: references, claim: claim, amount: question.amount, transaction: transaction)
        case .failed, .expired, .unknown:
            return ProviderNotice(references: references, claim: claim, transaction: transaction, errorCode: String(status.prefix(60)))
        default: return ProviderNotice(references: references, claim: claim, transaction: transaction)
        }
    }

    /// Orange's number of the transaction: only a success is sure to have one.
    static func transaction(in message: JSON) -> String? {
        guard let text = message["txnid"]?.string, (1...64).contains(text.utf8.count) else { return nil }
        return text
    }
}
