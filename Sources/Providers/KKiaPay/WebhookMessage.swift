import Formats
import ProviderPort

/// Reads what KKiaPay posts. Nothing in it is covered by a proof, so it says where to ask and no more.
enum WebhookMessage {
    /// - Throws: ``ProviderError`` `unreadable` when the body is no JSON object.
    static func notice(of body: [UInt8]) throws(ProviderError) -> ProviderNotice {
        let message: JSON
        do { message = try JSON(parsing: body) } catch { throw ProviderError(.unreadable, "the body is not JSON: \(error)") }
        guard message.object != nil else { throw ProviderError(.unreadable, "the body is JSON but not an object") }
        var references: [ProviderReference] = []
        if let attempt = MerchantReference.attempt(state: message["stateData"], partnerID: message["partnerId"]) { references.append(.ours(attempt)) }
        if let transaction = message["transactionId"]?.string, TransactionAPI.isPlausible(transaction) {
            references.append(ProviderReference("transaction", transaction))
        }
        // `event` and `isPaymentSucces` may contradict each other: neither is believed. Only the code of a failure is kept, for people.
        let code = message["failureCode"]?.string.flatMap { $0.isEmpty ? nil : String($0.prefix(60)) }
        return ProviderNotice(references: references, claim: .unknown, errorCode: references.isEmpty ? nil : code)
    }
}
