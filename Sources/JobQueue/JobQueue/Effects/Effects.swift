import Formats
import Synchronization
import Telemetry

/// Calls to the outside whose result is kept, so that a job which runs again does not call again.
///
/// The intent is written before the call and the result after it. Whoever finds an intent without a result waits while its owner
/// lives; when the owner is dead, the effect's ``EffectPolicy`` says what to do. Owners are fenced: of two, one result is kept.
public struct Effects: Sendable {
    /// Where a process can die. Between two of these nothing is written and nothing is called.
    package enum Step: Sendable, CaseIterable {
        case begun, intended, called, finished

        /// As a test names it: `mail intended`.
        package func name(of effect: String) -> String { "\(effect) \(self)" }
    }

    /// One call that this process is at.
    private struct Hold: Hashable {
        let identity: EffectIdentity
        let fence: Int64
    }

    private final class Holds: Sendable {
        let held = Mutex<Set<Hold>>([])
    }

    public let store: any EffectStore
    private let owners: any EffectOwners
    private let busyDelay: Duration
    private let clock: JobClock
    private let log: Log
    /// Told of each doubtful effect, to put it before a person. What it throws is logged: the record stands all the same.
    private let onDoubt: (@Sendable (EffectRecord) async throws -> Void)?
    private let holds = Holds()
    /// Called at each step: where a test has a process die.
    package var passing: @Sendable (Step, EffectIdentity) async throws -> Void = { _, _ in }

    /// - Parameter busyDelay: how long a job waits that found its effect in somebody else's hands.
    public init(
        store: any EffectStore, owners: any EffectOwners, busyDelay: Duration = .seconds(2), clock: JobClock = .system, log: Log = Log(),
        onDoubt: (@Sendable (EffectRecord) async throws -> Void)? = nil
    ) {
        self.store = store
        self.owners = owners
        self.busyDelay = busyDelay
        self.clock = clock
        self.log = log
        self.onDoubt = onDoubt
    }

    /// Has the effect, or gives the result that it had before.
    /// - Parameters:
    ///   - owner: whose call it is. A job's handler uses ``JobContext/effect(_:key:policy:_:)``, which knows.
    ///   - call: is given the key. An error that adopts ``EffectErrorClassifying`` may say that nothing was carried out.
    /// - Throws: ``EffectError``, what `call` throws, and what the store throws.
    public func run<Value: Codable & Sendable>(
        _ name: String, key: String, policy: EffectPolicy<Value>, owner: EffectOwner,
        _ call: @Sendable (_ key: String) async throws -> Value
    ) async throws -> Value {
        let identity = EffectIdentity(name, key: key)
        try await pass(.begun, identity)
        let now = clock.now()
        let beginning = try await store.update(identity) {
            EffectRecord.begin(&$0, identity, rule: policy.rule, owner: owner, nowMs: now)
        }
        switch beginning {
        case .intended(let fence): return try await carryOut(identity, fence, owner, call)
        case .done(let result):
            Self.count(name, "repeated")
            return try Self.read(result, identity)
        case .doubtful: throw EffectError.doubtful(identity)
        case .begun(let record):
            guard try await !isHeld(record, askedBy: owner) else { throw busy(identity) }
            return try await resolve(record, policy, owner, call)
        }
    }

    private func pass(_ step: Step, _ identity: EffectIdentity) async throws {
        try await passing(step, identity)
        try await JobStep.observer?(step.name(of: identity.name))
    }

    // MARK: Somebody else's

    /// Whether the record's owner may still be at it. What this process has in hand it knows by itself: an owner here that lost its
    /// connection to the store before it could let go is not at it any more.
    private func isHeld(_ record: EffectRecord, askedBy owner: EffectOwner) async throws -> Bool {
        guard let holder = record.owner else { return false }
        // Asked first, whoever is named: a worker that was fenced is back under another identity while its old call may still be under way.
        if holds.held.withLock({ $0.contains(Hold(identity: record.identity, fence: record.fence)) }) { return true }
        if holder.worker == owner.worker { return false }
        do { return try await owners.isAlive(holder, sinceMs: record.changedAtMs) } catch {
            log.warning("owner of an effect could not be looked up", ["effect": .string(record.identity.name), "error": .string("\(error)")])
            return true
        }
    }

    private func busy(_ identity: EffectIdentity) -> EffectError {
        Self.count(identity.name, "busy")
        return .busy(identity, retryAfter: busyDelay)
    }

    private func resolve<Value: Codable & Sendable>(
        _ record: EffectRecord, _ policy: EffectPolicy<Value>, _ owner: EffectOwner, _ call: @Sendable (String) async throws -> Value
    ) async throws -> Value {
        let identity = record.identity
        let now = clock.now()
        if case .onceThenTask = policy { throw try await doubt(record, owner, nowMs: now) }
        let taken = try await store.update(identity) {
            EffectRecord.takeOver(&$0, seen: record.fence, rule: policy.rule, owner: owner, nowMs: now)
        }
        guard let fence = taken else { throw busy(identity) }
        Self.count(identity.name, "taken_over")
        guard case .ask(let ask) = policy else { return try await carryOut(identity, fence, owner, call) }
        let answer: EffectAnswer<Value>
        do { answer = try await holding(identity, fence, { try await ask(identity.key) }) } catch {
            await letGo(identity, fence, happened: nil, "\(error)")
            throw error
        }
        switch answer {
        case .happened(let value): return try await finish(identity, fence, value)
        case .didNotHappen: return try await carryOut(identity, fence, owner, call)
        case .unknown:
            await letGo(identity, fence, happened: nil, "the other side cannot say")
            throw EffectError.unanswered(identity)
        }
    }

    private func doubt(_ record: EffectRecord, _ owner: EffectOwner, nowMs: Int64) async throws -> EffectError {
        let identity = record.identity
        let detail = record.detail ?? EffectRecord.ownerGone
        let doubted = try await store.update(identity) { found -> EffectRecord? in
            EffectRecord.doubt(&found, seen: record.fence, owner: owner, detail: detail, nowMs: nowMs) ? found : nil
        }
        guard let doubted else { return busy(identity) }
        Self.count(identity.name, "doubtful")
        log.error("an effect is doubtful, a person must look", ["effect": .string(identity.name), "key": .string(identity.key)])
        do { try await onDoubt?(doubted) } catch { log.error("a doubtful effect could not be told of", ["error": .string("\(error)")]) }
        return .doubtful(identity)
    }

    // MARK: Ours

    private func carryOut<Value: Codable & Sendable>(
        _ identity: EffectIdentity, _ fence: Int64, _ owner: EffectOwner, _ call: @Sendable (String) async throws -> Value
    ) async throws -> Value {
        try await holding(identity, fence) {
            try await pass(.intended, identity)
            try await requireLease(identity, fence, owner)
            let value: Value
            do { value = try await call(identity.key) } catch {
                let certain = (error as? any EffectErrorClassifying)?.effectCannotHaveHappened ?? false
                await letGo(identity, fence, happened: certain ? false : nil, "\(error)")
                Self.count(identity.name, certain ? "withdrawn" : "failed")
                throw error
            }
            try await pass(.called, identity)
            let kept = try await finish(identity, fence, value)
            try await pass(.finished, identity)
            return kept
        }
    }

    /// The last look before the call: a process that stood still since it claimed the job must not call.
    private func requireLease(_ identity: EffectIdentity, _ fence: Int64, _ owner: EffectOwner) async throws {
        var reason = "its own lease was lost"
        if !Task.isCancelled {
            do {
                if try await owners.isAlive(owner, sinceMs: clock.now()) { return }
            } catch {
                reason = "its own lease could not be looked up: \(error)"
            }
        }
        await letGo(identity, fence, happened: false, reason)
        Self.count(identity.name, "fenced")
        throw EffectError.fenced(identity)
    }

    private func holding<Value: Sendable>(
        _ identity: EffectIdentity, _ fence: Int64, _ body: () async throws -> Value
    ) async throws -> Value {
        let hold = Hold(identity: identity, fence: fence)
        holds.held.withLock { _ = $0.insert(hold) }
        defer { holds.held.withLock { _ = $0.remove(hold) } }
        return try await body()
    }

    /// Keeps the result, even for a job that was cancelled meanwhile: the call was carried out.
    private func finish<Value: Codable & Sendable>(_ identity: EffectIdentity, _ fence: Int64, _ value: Value) async throws -> Value {
        let result: JSON
        do { result = try JSON.encoding(value) } catch { throw EffectError.unreadable(identity, detail: "\(error)") }
        let kept = try await written { now in
            try await store.update(identity) { found -> JSON? in
                if EffectRecord.finish(&found, fence: fence, result: result, nowMs: now) { return result }
                return found?.state == .done ? found?.result : nil
            }
        }
        guard let kept else {
            Self.count(identity.name, "fenced")
            throw EffectError.fenced(identity)
        }
        Self.count(identity.name, "done")
        // Another owner's result may have been first: it is the one that counts.
        return kept == result ? value : try Self.read(kept, identity)
    }

    private func letGo(_ identity: EffectIdentity, _ fence: Int64, happened: Bool?, _ detail: String) async {
        do {
            try await written { now in
                try await store.update(identity) {
                    EffectRecord.letGo(&$0, fence: fence, happened: happened, detail: detail, nowMs: now)
                }
            }
        } catch {
            // It stays ours by name; this process knows that it is not at it any more.
            log.error("an effect could not be let go", ["effect": .string(identity.name), "error": .string("\(error)")])
        }
    }

    private static let writePauses: [Duration] = [.milliseconds(50), .milliseconds(150), .milliseconds(450), .milliseconds(1350)]

    private func written<Value: Sendable>(_ write: @escaping @Sendable (_ nowMs: Int64) async throws -> Value) async throws -> Value {
        try await uncancelled(pauses: Self.writePauses, clock: clock) { [clock] in try await write(clock.now()) }
    }

    private static func read<Value: Codable>(_ result: JSON, _ identity: EffectIdentity) throws -> Value {
        do { return try result.decode(Value.self) } catch { throw EffectError.unreadable(identity, detail: "\(error)") }
    }

    private static func count(_ name: String, _ outcome: String) {
        MetricRegistry.shared.counter(
            "effects_total", help: "Effects by name and what became of the wish to have them.", labels: [("effect", name), ("outcome", outcome)]
        ).add()
    }
}
