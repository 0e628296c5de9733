import ProviderPort

/// KKiaPay's words for where a transaction stands, from its kits; `docs/providers/kkiapay.md` shows the table with its uncertainties.
enum TransactionStatus {
    enum Meaning: Sendable, Equatable {
        /// `SUCCESS`: captured, if type, reference and amount agree.
        case success
        case claim(ProviderClaim)
        /// KKiaPay does not know the transaction, or not on this host.
        case notFound
        /// The keys are not taken.
        case misconfigured
        /// Says nothing of the payment.
        case noChange
    }

    static func meaning(of status: String) -> Meaning {
        switch status {
        case "SUCCESS": .success
        case "PENDING": .claim(.processing)
        case "INIT": .claim(.pending)
        case "FAILED", "INSUFFICIENT_FUND": .claim(.failed)
        case "REVERTED": .claim(.refunded)
        // 4003 is what the tests of an official kit look for.
        case "TRANSACTION_NOT_FOUND", "4003": .notFound
        case "INVALID_API_KEY": .misconfigured
        // INVALID_TRANSACTION is of another merchant; the others answer `revert`, or stand in the list of one kit only.
        case "INVALID_TRANSACTION", "INVALID_TRANSACTION_TYPE", "TRANSACTION_NOT_ELIGIBLE", "INVALID_PHONE_NUMBER", "UNKNOWN": .noChange
        default: .noChange
        }
    }
}
