import Formats
import Money

/// What a provider says of one payment, in our words.
public struct ProviderNotice: Sendable, Equatable {
    /// Everything in the message that may lead to the payment, best first.
    public let references: [ProviderReference]
    public let claim: ProviderClaim
    /// Amount and currency as the provider states them; nil where it does not.
    public let amount: Money?
    /// Set where what the provider states can be no payment of ours: an unknown currency, money going the other way. A captured claim
    /// with it never pays anything; a person looks.
    public let amountProblem: String?
    /// The provider's own transaction number, where it is known.
    public let transaction: String?
    /// When it happened by the provider's clock, if it says so.
    public let occurredAtMs: Int64?
    /// The provider's code and text of a failure.
    public let errorCode: String?
    public let errorText: String?

    public init(
        references: [ProviderReference], claim: ProviderClaim, amount: Money? = nil, amountProblem: String? = nil, transaction: String? = nil,
        occurredAtMs: Int64? = nil, errorCode: String? = nil, errorText: String? = nil
    ) {
        self.references = references
        self.claim = claim
        self.amount = amount
        self.amountProblem = amountProblem
        self.transaction = transaction
        self.occurredAtMs = occurredAtMs
        self.errorCode = errorCode
        self.errorText = errorText
    }
}

extension ProviderNotice {
    /// The error code of a capture that came more than once under one attempt: a person must give the surplus back.
    public static let paidTwice = "paid_twice"
}

/// What is claimed of a payment.
public enum ProviderClaim: String, Sendable, CaseIterable {
    case pending, processing, captured, failed, cancelled, expired, refunded
    case chargedBack = "charged_back"
    /// The message carries no status: it only says that there is something to ask for.
    case unknown
}

/// A reference given by us or by the provider: `kind` tells which of them.
public struct ProviderReference: Sendable, Hashable {
    public let kind: String
    public let value: String
    public init(_ kind: String, _ value: String) {
        self.kind = kind
        self.value = value
    }
    /// The reference that we gave: the attempt's id at the provider.
    public static func ours(_ value: String) -> ProviderReference { ProviderReference("ours", value) }
}
