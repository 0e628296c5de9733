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
    /// Ours: money that can be no part of what is owed was given back to whom it came from.
    case returned
    /// Ours: money that can be no part of what is owed, as it stands, counts as the sum that a person names.
    case valued

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
    /// Why the provider's amount is no amount of ours, where it is not; of an acceptance, the contradictions that it covers.
    public let amountProblem: String?
    /// Of an acceptance: minor units that were in hand then.
    public let kept: Int64?
    /// Its number where it is entered.
    public let id: Int64?
    /// Of a decision about one capture: the number of that.
    public let about: Int64?

    public init(
        attempt: String, claim: FactClaim, amount: Money?, amountProblem: String? = nil, kept: Int64? = nil, id: Int64? = nil, about: Int64? = nil
    ) {
        self.attempt = attempt
        self.claim = claim
        self.amount = amount
        self.amountProblem = amountProblem
        self.kept = kept
        self.id = id
        self.about = about
    }

    /// Whether this is a decision about that capture.
    func decides(_ capture: PaymentFact) -> Bool { about != nil && about == capture.id && capture.claim == .captured }

    /// A claim with its amount is one fact, however often and by whichever way it is told.
    static func key(_ claim: FactClaim, _ amount: Money?, _ problem: String?, attempt: String) -> String {
        let told = amount.map { "\($0.minorUnits)\($0.currency.code)" } ?? problem.map { "?\($0)" } ?? ""
        return "\(attempt):\(claim.rawValue):\(told)"
    }
}
