/// What the posts of a source are taken for: whether they must bring their proof, and whether a good one is enough.
///
/// A wrong proof is refused under every policy, and a proof is never believed further than it reaches: of a source whose proof does not cover
/// the money the provider is asked in any case.
public enum TrustPolicy: String, Sendable, CaseIterable {
    /// A post must bring its proof, and is believed as far as that reaches.
    case trust
    /// Whatever a post brings, the provider is asked.
    case fetch
    /// A good proof is believed as far as it reaches; a post without one makes the provider be asked.
    case fetchIfUnsigned = "fetch-if-unsigned"

    /// Whether a post without a proof is taken, as a hint to ask.
    public var takesUnproven: Bool { self != .trust }
    /// Whether a proof that covers the money is enough.
    public var believesProofs: Bool { self != .fetch }
}

extension TrustPolicy {
    /// Why a source cannot have this policy; nil when it can.
    public func problem(with capabilities: ProviderCapabilities) -> String? {
        switch self {
        case .trust where capabilities.hasWebhook && !capabilities.hasProof:
            "its posts bring no proof that could be trusted, or no secret is set for it"
        case .fetch, .fetchIfUnsigned: capabilities.hasStatus ? nil : "it cannot be asked"
        default: nil
        }
    }
}

extension IncomingWebhook {
    /// Whether it may lack a proof.
    public func mayLackProof(_ capabilities: ProviderCapabilities) -> Bool { (policy ?? capabilities.standardPolicy).takesUnproven }
}

extension AcceptedWebhook {
    /// A post without a proof. Nothing tells one bare notification from a forged one before it, and the second may be the one that matters:
    /// each minute is a new delivery.
    public static func unproven(_ webhook: IncomingWebhook, provider: String, type: String = "payment.notification", nowMs: Int64, note: String)
        -> Self
    {
        let minute = Array("\(nowMs / 60_000) ".utf8)
        return AcceptedWebhook(
            trust: .unproven, deliveryID: DeliveryIdentity.ofBody(minute + webhook.body, provider: provider), type: type, matchedKey: nil, note: note)
    }
}
