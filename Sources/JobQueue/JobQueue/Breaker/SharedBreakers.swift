import Synchronization

/// A store that several programs share, and one of this program's own for while that cannot be reached.
public final class SharedBreakers: BreakerStore {
    /// How long a shared word that calls pass is good for: while a dependency is well, a hundred calls a second ask for it four times.
    /// What another program finds out is known here that much later.
    public static let passes = Duration.milliseconds(250)

    private let shared: any BreakerStore
    private let own = InMemoryBreakers()
    private let isReachable: @Sendable () -> Bool
    private let passing = Mutex<[String: ContinuousClock.Instant]>([:])

    public init(_ shared: any BreakerStore, isReachable: @escaping @Sendable () -> Bool) {
        self.shared = shared
        self.isReachable = isReachable
    }

    public func admit(_ dependency: String, _ rule: BreakerRule) async throws -> BreakerVerdict {
        if let until = passing.withLock({ $0[dependency] }), .now < until { return .pass }
        guard isReachable(), let verdict = try? await shared.admit(dependency, rule) else { return try await own.admit(dependency, rule) }
        if verdict == .pass { passing.withLock { $0[dependency] = .now + Self.passes } }
        return verdict
    }

    /// The own one is always told, so that it knows how things stand when the shared one goes.
    @discardableResult
    public func report(_ dependency: String, _ rule: BreakerRule, succeeded: Bool, isProbe: Bool) async throws -> BreakerState {
        let mine = try await own.report(dependency, rule, succeeded: succeeded, isProbe: isProbe)
        if !succeeded { passing.withLock { $0[dependency] = nil } }
        guard isReachable(), let state = try? await shared.report(dependency, rule, succeeded: succeeded, isProbe: isProbe) else { return mine }
        return state
    }

    public func list() async throws -> [BreakerStanding] { try await shared.list() }
    public func reset(_ dependency: String) async throws { try await shared.reset(dependency) }
}

/// The same for turns.
public struct SharedCallTurns: CallTurnStore {
    private let shared: any CallTurnStore
    private let own: InMemoryCallTurns
    private let isReachable: @Sendable () -> Bool

    public init(_ shared: any CallTurnStore, clock: JobClock = .system, isReachable: @escaping @Sendable () -> Bool) {
        self.shared = shared
        own = InMemoryCallTurns(clock: clock)
        self.isReachable = isReachable
    }

    public func take(_ dependency: String, _ rate: CallRate, within patience: Duration) async throws -> CallTurn {
        if isReachable(), let turn = try? await shared.take(dependency, rate, within: patience) { return turn }
        return try await own.take(dependency, rate, within: patience)
    }
}
