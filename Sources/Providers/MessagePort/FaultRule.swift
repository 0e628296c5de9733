import Formats
import ProviderPort

/// What one code of a carrier means: a line of its table.
public struct FaultRule: Sendable {
    public enum Kind: Sendable, Equatable { case permanent, retryable, channelDown }

    public let kind: Kind
    public let meaning: String
    let after: Duration?
    let retriesMax: Int?
    let isOptOut: Bool
    let anotherMayHelp: Bool
    let stop: CarrierFault.Stop?
    let isIllness: Bool

    private init(
        _ kind: Kind, _ meaning: String, after: Duration? = nil, retriesMax: Int? = nil, isOptOut: Bool = false, anotherMayHelp: Bool = true,
        stop: CarrierFault.Stop? = nil, isIllness: Bool = false
    ) {
        self.kind = kind
        self.meaning = meaning
        self.after = after
        self.retriesMax = retriesMax
        self.isOptOut = isOptOut
        self.anotherMayHelp = anotherMayHelp
        self.stop = stop
        self.isIllness = isIllness
    }

    /// No retry helps.
    /// - Parameter anotherMayHelp: false where the address itself is at fault.
    public static func permanent(_ meaning: String, anotherMayHelp: Bool = true) -> FaultRule {
        FaultRule(.permanent, meaning, anotherMayHelp: anotherMayHelp)
    }
    /// The person has said no: a state to be kept, not an error.
    public static func optOut(_ meaning: String) -> FaultRule { FaultRule(.permanent, meaning, isOptOut: true, anotherMayHelp: false) }
    /// The template is at fault: nothing more goes out by it for a while.
    public static func templatePaused(_ meaning: String) -> FaultRule { FaultRule(.permanent, meaning, stop: .template(templateRest)) }
    /// - Parameters:
    ///   - after: the least to wait.
    ///   - retriesMax: then it is as good as permanent.
    ///   - isIllness: whether the carrier itself is ill.
    public static func retryable(
        _ meaning: String, after: Duration? = nil, retriesMax: Int? = nil, isIllness: Bool = true
    ) -> FaultRule {
        FaultRule(.retryable, meaning, after: after, retriesMax: retriesMax, isIllness: isIllness)
    }
    /// - Parameter rest: how long nothing is tried.
    public static func channelDown(_ meaning: String, rest: Duration = carrierRest) -> FaultRule {
        FaultRule(.channelDown, meaning, stop: .carrier(rest))
    }

    /// Keys and accounts are put right by people: one message finds out every quarter of an hour.
    public static let carrierRest = Duration.seconds(15 * 60)
    public static let templateRest = Duration.seconds(6 * 3600)

    /// What the rule comes to.
    /// - Parameters:
    ///   - text: the carrier's words; the rule's own where it has none.
    ///   - asked: `Retry-After`, which wins when larger.
    public func outcome(code: String, text: String = "", asked: Duration? = nil) -> CarrierOutcome {
        let words = ProviderWords.safe(text.isEmpty ? meaning : "\(meaning): \(text)")
        let fault = CarrierFault(
            code: code, text: words, retriesMax: retriesMax, isOptOut: isOptOut, anotherMayHelp: anotherMayHelp, stop: stop, isIllness: isIllness)
        switch kind {
        case .permanent: return .permanent(fault)
        case .channelDown: return .channelDown(fault)
        case .retryable:
            guard let after, let asked else { return .retryable(fault, after: asked ?? after) }
            return .retryable(fault, after: max(after, asked))
        }
    }

    /// What an HTTP status means where the body says nothing that is known.
    public static func ofStatus(_ status: Int) -> FaultRule {
        switch status {
        case 401, 403: .channelDown("the keys or the account are refused")
        case 408, 425, 429: .retryable("too many calls, or too slow", isIllness: status == 408)
        case 500...: .retryable("the provider is out of order")
        // Redirections are none of ours: the address is wrong.
        case 300..<400: .channelDown("the address leads elsewhere")
        default: .permanent("the provider refuses the call")
        }
    }
}

extension ProviderAnswer {
    /// What its status comes to, where its body says nothing that is known.
    public func outcomeOfStatus(_ text: String = "") -> CarrierOutcome {
        FaultRule.ofStatus(status).outcome(code: "http-\(status)", text: text, asked: askedToWait)
    }

    public var askedToWait: Duration? { retryAfterSeconds().map { .seconds($0) } }
}

extension CarrierOutcome {
    /// What a call without an answer comes to: not sent, or sent and unanswered.
    /// - Parameter wasSent: false for a call that had no effect by nature, such as asking for a token.
    public static func unanswered(_ error: ProviderError, wasSent: Bool = true) -> CarrierOutcome {
        let fault = CarrierFault(code: error.code ?? error.kind.rawValue, text: ProviderWords.safe(error.message), isIllness: true)
        switch error.kind {
        case .held: return .retryable(fault, after: error.retryAfterSeconds.map { .seconds($0) })
        case .misconfigured, .notOffered: return .channelDown(CarrierFault(code: fault.code, text: fault.text, stop: .carrier(FaultRule.carrierRest)))
        default: return wasSent ? .unknown(fault) : .retryable(fault)
        }
    }
}
