/// What an effect's other side answers when it is asked whether it has carried out a call.
public enum EffectAnswer<Value: Sendable>: Sendable {
    /// It has, with this result.
    case happened(Value)
    case didNotHappen
    /// It cannot say (yet): asked again later.
    case unknown
}

/// What is done about an effect whose owner died between intent and result.
public enum EffectPolicy<Value: Codable & Sendable>: Sendable {
    /// Ask the other side by the key; call when it knows nothing.
    case ask(@Sendable (_ key: String) async throws -> EffectAnswer<Value>)
    /// Call again: the other side takes the same key for the same call.
    case sameKeyAgain
    /// Do not call again: the effect becomes doubtful, the job is buried and a person decides.
    case onceThenTask
    /// Call again: a double shows itself as such and does no harm, as a mail under the same Message-ID.
    case againVisibly

    public var rule: EffectRule {
        switch self {
        case .ask: .ask
        case .sameKeyAgain: .sameKeyAgain
        case .onceThenTask: .onceThenTask
        case .againVisibly: .againVisibly
        }
    }
}

/// An error that may know that the call was certainly not carried out: refused, or not even sent.
public protocol EffectErrorClassifying: Error {
    var effectCannotHaveHappened: Bool { get }
}

/// Why an effect has no result.
public enum EffectError: JobErrorClassifying, Equatable, CustomStringConvertible {
    /// Somebody else is at it.
    case busy(EffectIdentity, retryAfter: Duration)
    /// The caller's claim is no longer its own, or another owner was faster.
    case fenced(EffectIdentity)
    /// Nobody knows whether it was carried out; a person decides.
    case doubtful(EffectIdentity)
    /// The other side cannot say yet whether it was carried out.
    case unanswered(EffectIdentity)
    /// The result was kept in another shape than is asked for now.
    case unreadable(EffectIdentity, detail: String)
    /// The program did not say where effects are recorded.
    case noStore

    public var jobDisposition: JobDisposition {
        switch self {
        case .busy(_, let delay): .snooze(delay)
        case .fenced: .snooze(.seconds(1))
        case .doubtful, .unreadable, .noStore: .bury
        case .unanswered: .retry(after: nil)
        }
    }

    public var description: String {
        switch self {
        case .busy(let effect, _): "effect \(effect): somebody else is at it"
        case .fenced(let effect): "effect \(effect): no longer ours"
        case .doubtful(let effect): "effect \(effect): nobody knows whether it was carried out; see `quittance effects list --pending`"
        case .unanswered(let effect): "effect \(effect): the other side cannot say yet whether it was carried out"
        case .unreadable(let effect, let detail): "effect \(effect): its result cannot be read: \(detail)"
        case .noStore: "no store of effects is configured"
        }
    }
}
