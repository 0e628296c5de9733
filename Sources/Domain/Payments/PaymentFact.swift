import Money
import ProviderPort

/// What can be held for true of an attempt: what its provider claims, and decisions of ours.
public enum FactClaim: String, Sendable, CaseIterable {
    case pending, processing, captured, failed, cancelled, expired, refunded
    case chargedBack = "charged_back"
    /// Ours: another attempt took this one's place.
    case replaced
    /// Ours: a person has looked at what came in and takes it as payment of what is owed. Holds for exactly the sum that had come in then.
    case accepted

    /// Nil where the provider claims nothing.
    public init?(_ claim: ProviderClaim) {
        guard let known = FactClaim(rawValue: claim.rawValue) else { return nil }
        self = known
    }
}

/// One thing held for true of a payment: a claim of its provider that was proved or fetched, or a decision of ours.
public struct PaymentFact: Sendable, Equatable {
    public let attempt: String
    public let claim: FactClaim
    public let amount: Money?
    /// Why the provider's amount is no amount of ours, where it is not.
    public let amountProblem: String?

    public init(attempt: String, claim: FactClaim, amount: Money?, amountProblem: String? = nil) {
        self.attempt = attempt
        self.claim = claim
        self.amount = amount
        self.amountProblem = amountProblem
    }
}
