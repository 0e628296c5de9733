import Money
import ProviderPort

/// Gives the money of one transaction back: whole, and as good as once. KKiaPay takes no key that would make a second call harmless, so
/// what has become of the transaction is looked at before the call and after a lost answer.
struct Reversal: Sendable {
    static let paidTwiceCode = ProviderNotice.paidTwice

    let api: TransactionAPI

    func carryOut(
        _ order: RefundOrder, known answers: [TransactionAnswer], over transport: any ProviderTransport
    ) async throws(ProviderError) -> ProviderNotice {
        guard order.isFull else {
            let whole = Money(order.captured, order.amount.currency)
            throw ProviderError(.rejected, "KKiaPay gives back whole payments only: \(whole.decimalText) \(whole.currency) or nothing")
        }
        let paid = answers.filter { $0.claim == .captured }
        // An answer was lost before, and the money is back already.
        if paid.isEmpty, let done = answers.first(where: { $0.claim == .refunded }) { return done.notice }
        guard let transaction = paid.first else {
            throw ProviderError(.rejected, "KKiaPay has no successful transaction of this attempt", code: "nothing_to_revert")
        }
        guard paid.count == 1 else {
            throw ProviderError(
                .rejected, "the attempt was paid \(paid.count) times: revert what is too much in KKiaPay's dashboard", code: Self.paidTwiceCode)
        }
        guard transaction.amount == order.amount else {
            throw ProviderError(.rejected, "KKiaPay's transaction is not of this amount, and it gives back whole transactions only")
        }
        let outcome: TransactionAPI.Reverted
        do throws(ProviderError) {
            outcome = try await api.revert(transaction.transaction, over: transport)
        } catch {
            guard error.kind == .unavailable else { throw error }
            if let back = try await reverted(transaction, order, over: transport) { return back }
            throw error
        }
        switch outcome {
        case .done: return notice(transaction, order)
        case .refused(let code):
            // Said of one that is reverted already, too.
            if code == "TRANSACTION_NOT_ELIGIBLE", let back = try await reverted(transaction, order, over: transport) { return back }
            throw ProviderError(.rejected, Self.words(code), code: code)
        }
    }

    private func reverted(
        _ transaction: TransactionAnswer, _ order: RefundOrder, over transport: any ProviderTransport
    ) async throws(ProviderError) -> ProviderNotice? {
        let now = try await api.status(of: transaction.transaction, attempt: order.question.attempt, over: transport)
        return now.claim == .refunded ? now.notice : nil
    }

    private func notice(_ transaction: TransactionAnswer, _ order: RefundOrder) -> ProviderNotice {
        ProviderNotice(
            references: [ProviderReference("transaction", transaction.transaction)], claim: .refunded, amount: order.amount,
            transaction: transaction.transaction)
    }

    private static func words(_ code: String) -> String {
        switch code {
        case "INSUFFICIENT_FUND": "the balance at KKiaPay does not cover the refund"
        case "TRANSACTION_NOT_ELIGIBLE": "KKiaPay does not revert this transaction"
        case "INVALID_TRANSACTION_TYPE": "KKiaPay reverts payments by mobile money only"
        case "INVALID_PAYOUT_DESTINATION_ACCOUNT": "the customer's account takes no money"
        default: "KKiaPay does not revert the transaction"
        }
    }
}
