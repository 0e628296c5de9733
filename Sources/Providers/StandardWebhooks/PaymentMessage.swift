import Formats
import Money
import ProviderPort

/// The recommended message: `type`, `timestamp` and `data`, here about a payment.
///
/// ```
/// {"type":"payment.succeeded","timestamp":"…","data":{"id":"…","order_id":"…","amount":"15000","currency":"XOF",
///  "status":"completed","provider_reference":"…"}}
/// ```
///
/// References, best first: `ours` and `order` (both `order_id`: what the sender was given by us), `payment` (`data.id`),
/// `transaction` (`provider_reference`).
enum PaymentMessage {
    /// The message types that are used, and what they claim. All others are read as ``ProviderClaim/unknown`` without references.
    static let claims: [String: ProviderClaim] = [
        "payment.created": .pending, "payment.pending": .pending, "payment.processing": .processing,
        "payment.succeeded": .captured, "payment.completed": .captured, "payment.captured": .captured, "payment.paid": .captured,
        "payment.failed": .failed, "payment.cancelled": .cancelled, "payment.canceled": .cancelled, "payment.expired": .expired,
        "payment.refunded": .refunded, partialRefund: .refunded,
        "payment.charged_back": .chargedBack, "payment.chargeback": .chargedBack,
    ]

    /// Tells that a part went back: which part must be said, for the fold takes a refund without an amount for the whole.
    private static let partialRefund = "payment.partially_refunded"

    /// Statuses in `data` that contradict a success.
    private static let unfinished: Set<String> = ["pending", "processing", "failed", "cancelled", "canceled", "expired", "refused", "declined"]

    static func notice(of body: [UInt8]) throws(ProviderError) -> ProviderNotice {
        let message: JSON
        do { message = try JSON(parsing: body) } catch { throw ProviderError(.unreadable, "the body is not JSON: \(error)") }
        guard let type = message["type"]?.string, !type.isEmpty else { throw ProviderError(.unreadable, "field 'type' is missing or not a text") }
        guard let claim = claims[type] else {
            return ProviderNotice(references: [], claim: .unknown, errorText: "messages of type '\(type.prefix(80))' are not used")
        }
        guard let data = message["data"], data.object != nil else { throw ProviderError(.unreadable, "field 'data' is missing or not an object") }
        if claim == .captured, let status = data["status"]?.string, unfinished.contains(status) {
            throw ProviderError(.unreadable, "type '\(type)' contradicts data.status '\(status)'")
        }
        let references = references(in: data)
        guard !references.isEmpty else { throw ProviderError(.unreadable, "none of data.order_id, data.id, data.provider_reference is a text") }
        let money = amount(in: data, of: claim)
        if type == partialRefund, money.amount == nil || isMissing(data["refunded_amount"]) {
            let why = money.problem.map { ": \($0)" } ?? ""
            throw ProviderError(.unreadable, "type '\(type)' does not say in data.refunded_amount what has gone back\(why)")
        }
        return ProviderNotice(
            references: references, claim: claim, amount: money.amount, amountProblem: money.problem,
            transaction: text(data["id"]) ?? text(data["provider_reference"]),
            occurredAtMs: message["timestamp"]?.string.flatMap { Timestamp.parse($0) },
            errorCode: data["failure"]?["code"]?.string, errorText: data["failure"]?["message"]?.string)
    }

    private static func references(in data: JSON) -> [ProviderReference] {
        var references: [ProviderReference] = []
        if let order = text(data["order_id"]) { references += [.ours(order), ProviderReference("order", order)] }
        if let id = text(data["id"]) { references.append(ProviderReference("payment", id)) }
        if let number = text(data["provider_reference"]) { references.append(ProviderReference("transaction", number)) }
        return references
    }

    private static func isMissing(_ value: JSON?) -> Bool { value?.isNull ?? true }

    /// A refund states what went back so far, in all, in `refunded_amount`; everything else what is owed or paid in `amount`.
    private static func amount(in data: JSON, of claim: ProviderClaim) -> (amount: Money?, problem: String?) {
        let refunded = claim == .refunded && !isMissing(data["refunded_amount"]) ? data["refunded_amount"] : nil
        guard let stated = refunded ?? data["amount"], !stated.isNull else { return (nil, nil) }
        guard let digits = stated.string ?? stated.numberText else { return (nil, "amount is neither a text nor a number") }
        guard let code = data["currency"]?.string else { return (nil, "an amount without a currency") }
        do throws(MoneyError) {
            return (try Money(parsing: digits, currency: try Currency(code: code)), nil)
        } catch {
            return (nil, error.description)
        }
    }

    /// A reference is a text or a whole number; JSON's other values are none.
    private static func text(_ value: JSON?) -> String? {
        guard let text = value?.string ?? value?.int.map({ String($0) }), !text.isEmpty, text.utf8.count <= 256 else { return nil }
        return text
    }
}
