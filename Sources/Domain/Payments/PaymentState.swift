/// Where a payment stands. The words are contract: they appear in answers, listings and audit rows.
public enum PaymentState: String, Sendable, CaseIterable {
    case created, pending, processing, authorised, paid
    case partiallyPaid = "partially_paid"
    case failed, cancelled, expired, conflicted
    case partiallyRefunded = "partially_refunded"
    case refunded
    case chargedBack = "charged_back"

    /// Whether the customer can still be expected to pay without anybody doing anything new.
    public var isOpen: Bool {
        switch self {
        case .created, .pending, .processing, .authorised: true
        default: false
        }
    }

    /// Whether a further attempt may be started: money is still to come, and nobody has to look at the payment first.
    public var takesAttempts: Bool {
        switch self {
        case .created, .pending, .processing, .failed, .cancelled, .expired, .partiallyPaid: true
        default: false
        }
    }

    /// Whether money that had come in is no longer there.
    var isGivenBack: Bool { [.partiallyRefunded, .refunded, .chargedBack].contains(self) }

    /// Whether paid-only work may run: all that is owed is in hand.
    public var allowsPaidWork: Bool { self == .paid }

    /// The one table of allowed moves. A state that the facts give but the table does not allow is never entered.
    public func mayMove(to next: PaymentState) -> Bool { Self.moves[self]?.contains(next) ?? false }

    private static let moves: [PaymentState: Set<PaymentState>] = {
        let anyOutcome: Set<PaymentState> = [
            .authorised, .paid, .partiallyPaid, .failed, .cancelled, .expired, .conflicted, .partiallyRefunded, .refunded, .chargedBack,
        ]
        let retry: Set<PaymentState> = [.pending, .processing]
        return [
            .created: anyOutcome.union(retry),
            .pending: anyOutcome.union([.processing]),
            // A new attempt starts pending while an older one was processing.
            .processing: anyOutcome.union([.pending]),
            .authorised: anyOutcome.subtracting([.authorised]),
            // A failed, cancelled or expired attempt does not close what is owed: a further one may succeed.
            .failed: anyOutcome.union(retry).subtracting([.failed]),
            .cancelled: anyOutcome.union(retry).subtracting([.cancelled]),
            .expired: anyOutcome.union(retry).subtracting([.expired]),
            .partiallyPaid: [.paid, .conflicted, .partiallyRefunded, .refunded, .chargedBack],
            .paid: [.conflicted, .partiallyRefunded, .refunded, .chargedBack],
            .conflicted: [.paid, .partiallyPaid, .partiallyRefunded, .refunded, .chargedBack],
            // Money that comes by another attempt after some went back.
            .partiallyRefunded: [.paid, .conflicted, .refunded, .chargedBack],
            .refunded: [.paid, .partiallyPaid, .partiallyRefunded, .conflicted, .chargedBack],
            .chargedBack: [.conflicted, .paid],
        ]
    }()
}
