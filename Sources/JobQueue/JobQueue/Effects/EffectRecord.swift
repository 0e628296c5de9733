import Formats

/// Which effect: a name chosen in code (`mail`, `provider.initiate`) and the key that the other side is told.
public struct EffectIdentity: Sendable, Hashable, CustomStringConvertible {
    public let name: String
    public let key: String

    public init(_ name: String, key: String) {
        self.name = name
        self.key = key
    }

    public var description: String { "\(name) \(key)" }
}

/// Who has an effect in hand: one claim of one job by one worker.
public struct EffectOwner: Sendable, Equatable {
    public let queue: String
    /// The worker's name and epoch, as ``WorkerIdentity`` writes them.
    public let worker: String
    public let token: ClaimToken
    public let job: String

    public init(queue: String, worker: String, token: ClaimToken, job: String) {
        self.queue = queue
        self.worker = worker
        self.token = token
        self.job = job
    }
}

/// What is done when an effect is found begun and its owner is gone: nobody can know whether the call was carried out.
public enum EffectRule: String, Sendable, CaseIterable {
    /// The other side is asked.
    case ask
    /// The other side knows keys: the same call with the same key changes nothing there.
    case sameKeyAgain = "same_key_again"
    /// At most once: a person looks.
    case onceThenTask = "once_then_task"
    /// Again; a double is harmless and can be seen as such.
    case againVisibly = "again_visibly"
}

/// What is known of one effect. A pure value: every change of it is one of the functions below, whatever store keeps it.
public struct EffectRecord: Sendable, Equatable {
    public enum State: String, Sendable, CaseIterable {
        /// Written before the call. Without an owner, nobody is at it and nobody knows whether it happened.
        case pending
        /// The result is known.
        case done
        /// Certainly not carried out: the next one begins anew.
        case withdrawn
        /// Nobody knows whether it was carried out, and it may not be done twice: a person decides.
        case doubtful
    }

    public let identity: EffectIdentity
    public internal(set) var state: State
    public internal(set) var rule: EffectRule
    /// Nil when nobody is at it. Of a doubtful one: whose job found it so.
    public internal(set) var owner: EffectOwner?
    /// Counts the owners. Only the latest may say what has become of the effect.
    public internal(set) var fence: Int64
    public internal(set) var result: JSON?
    /// Why it was withdrawn or is doubtful, or who decided.
    public internal(set) var detail: String?
    public internal(set) var beganAtMs: Int64
    public internal(set) var changedAtMs: Int64

    /// As a store kept it.
    public init(
        identity: EffectIdentity, state: State, rule: EffectRule, owner: EffectOwner?, fence: Int64, result: JSON?, detail: String?,
        beganAtMs: Int64, changedAtMs: Int64
    ) {
        self.identity = identity
        self.state = state
        self.rule = rule
        self.owner = owner
        self.fence = fence
        self.result = result
        self.detail = detail
        self.beganAtMs = beganAtMs
        self.changedAtMs = changedAtMs
    }
}

/// What somebody who wants to have an effect finds.
enum EffectBeginning: Sendable {
    /// The intent is written; `fence` names it.
    case intended(fence: Int64)
    case done(JSON)
    /// Somebody has begun it.
    case begun(EffectRecord)
    case doubtful(EffectRecord)
}

extension EffectRecord {
    private static let detailMax = 500

    /// Writes the intent, unless the effect was begun before.
    static func begin(
        _ record: inout EffectRecord?, _ identity: EffectIdentity, rule: EffectRule, owner: EffectOwner, nowMs: Int64
    ) -> EffectBeginning {
        switch record {
        case let found? where found.state == .done: return .done(found.result ?? .null)
        case let found? where found.state == .pending: return .begun(found)
        case let found? where found.state == .doubtful: return .doubtful(found)
        default:
            let fence = (record?.fence ?? 0) + 1
            record = EffectRecord(
                identity: identity, state: .pending, rule: rule, owner: owner, fence: fence, result: nil, detail: nil,
                beganAtMs: nowMs, changedAtMs: nowMs)
            return .intended(fence: fence)
        }
    }

    /// Makes `owner` the owner, unless somebody was faster.
    /// - Returns: the new fence.
    static func takeOver(
        _ record: inout EffectRecord?, seen fence: Int64, rule: EffectRule, owner: EffectOwner, nowMs: Int64
    ) -> Int64? {
        guard var found = record, found.state == .pending, found.fence == fence else { return nil }
        found.owner = owner
        found.rule = rule
        found.fence += 1
        found.changedAtMs = nowMs
        record = found
        return found.fence
    }

    /// Enters the result.
    /// - Returns: false for an owner that was fenced; the record stays as it is. What a doubtful effect's own owner says late is taken.
    static func finish(_ record: inout EffectRecord?, fence: Int64, result: JSON, nowMs: Int64) -> Bool {
        guard var found = record, found.state == .pending || found.state == .doubtful, found.fence == fence else { return false }
        found.state = .done
        found.result = result
        found.detail = nil
        found.changedAtMs = nowMs
        record = found
        return true
    }

    /// The owner lets go without a result.
    /// - Parameter happened: false when the call was certainly not carried out, nil when nobody knows.
    static func letGo(_ record: inout EffectRecord?, fence: Int64, happened: Bool?, detail: String, nowMs: Int64) {
        guard var found = record, found.state == .pending, found.fence == fence else { return }
        found.owner = nil
        if happened == false { found.state = .withdrawn }
        found.detail = String(detail.prefix(detailMax))
        found.changedAtMs = nowMs
        record = found
    }

    /// - Returns: whether it became doubtful by this.
    static func doubt(_ record: inout EffectRecord?, seen fence: Int64, owner: EffectOwner, detail: String, nowMs: Int64) -> Bool {
        guard var found = record, found.state == .pending, found.fence == fence else { return false }
        found.state = .doubtful
        found.owner = owner
        found.detail = detail
        found.changedAtMs = nowMs
        record = found
        return true
    }

    /// Puts an effect before a person whose owner is gone and whose rule forbids a second call, without anybody wanting it again.
    /// - Parameter seen: as it was found; one that changed since is left alone.
    /// - Returns: whether it became doubtful by this.
    public static func doubt(_ record: inout EffectRecord?, seen: EffectRecord, nowMs: Int64) -> Bool {
        let owner = seen.owner ?? EffectOwner(queue: "", worker: "", token: 0, job: seen.identity.key)
        return doubt(&record, seen: seen.fence, owner: owner, detail: seen.detail ?? ownerGone, nowMs: nowMs)
    }

    static let ownerGone = "its owner went away before a result was there"

    /// A person has found out what happened to an effect that nobody is at, or knows that its owner is gone.
    /// - Parameter result: what the call gave; nil when it was not carried out, and may be tried again.
    /// - Returns: false when it is settled already.
    public static func settle(_ record: inout EffectRecord?, result: JSON?, by actor: String, nowMs: Int64) -> Bool {
        guard var found = record, found.state == .pending || found.state == .doubtful else { return false }
        found.state = result == nil ? .withdrawn : .done
        found.result = result
        found.owner = nil
        // Whoever is still at it, against all knowledge, is fenced.
        found.fence += 1
        found.detail = "settled by \(actor)"
        found.changedAtMs = nowMs
        record = found
        return true
    }
}
