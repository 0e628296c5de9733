import Formats
import Money
import ProviderPort

/// The payment as the back end writes it, the same in callbacks and in status answers.
///
/// A `completed` without amount and currency gives a captured claim without amount: the worker then asks the status call.
enum PaymentRecord {
    private typealias Shape = PaymentBackendShape

    static func notice(of record: JSON) throws(ProviderError) -> ProviderNotice {
        guard record.object != nil else { throw ProviderError(.unreadable, "the payment is not an object") }
        let references = references(in: record)
        guard !references.isEmpty else { throw ProviderError(.unreadable, "field '\(Shape.externalID)' is missing or not a text") }
        guard let status = record["status"]?.string else { throw ProviderError(.unreadable, "field 'status' is missing or not a text") }
        guard let claim = Shape.claim(of: status) else {
            throw ProviderError(.unreadable, "status '\(status.prefix(40))' is not one of pending, processing, completed, failed, cancelled")
        }
        let money = amount(in: record)
        return ProviderNotice(
            references: references, claim: claim, amount: money.amount, amountProblem: money.problem,
            transaction: text(record[Shape.transaction]) ?? text(record["metadata"]?[Shape.transaction]) ?? text(record[Shape.externalID]),
            occurredAtMs: Shape.times.lazy.compactMap { record[$0]?.string.flatMap { Timestamp.parse($0) } }.first,
            errorCode: text(record[Shape.errorCode]), errorText: text(record[Shape.errorMessage]))
    }

    private static func references(in record: JSON) -> [ProviderReference] {
        var references: [ProviderReference] = []
        if let external = text(record[Shape.externalID]) { references.append(ProviderReference("external", external)) }
        if let attempt = text(record["metadata"]?[Shape.attempt]) { references.append(.ours(attempt)) }
        return references
    }

    private static func amount(in record: JSON) -> (amount: Money?, problem: String?) {
        guard let stated = record["amount"], !stated.isNull, let currency = record["currency"], !currency.isNull else { return (nil, nil) }
        guard let digits = stated.string ?? stated.numberText else { return (nil, "amount is neither a text nor a number") }
        guard let code = currency.string else { return (nil, "currency is not a text") }
        do throws(MoneyError) {
            return (try Money(parsing: digits, currency: try Currency(code: code)), nil)
        } catch {
            return (nil, error.description)
        }
    }

    private static func text(_ value: JSON?) -> String? {
        guard let text = value?.string ?? value?.int.map({ String($0) }), !text.isEmpty, text.utf8.count <= 256 else { return nil }
        return text
    }
}
