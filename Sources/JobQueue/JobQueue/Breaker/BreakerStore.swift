import Synchronization

/// Where breakers stand, shared by all processes that call the same dependencies.
public protocol BreakerStore: Sendable {
    func admit(_ dependency: String, _ rule: BreakerRule) async throws -> BreakerVerdict

    /// Tells what has become of a call that was admitted.
    /// - Parameter isProbe: whether it was admitted as the one that finds out.
    @discardableResult
    func report(_ dependency: String, _ rule: BreakerRule, succeeded: Bool, isProbe: Bool) async throws -> BreakerState

    /// Breakers that were asked within the last day, by name.
    func list() async throws -> [BreakerStanding]

    /// Closes a breaker, whatever it has seen.
    func reset(_ dependency: String) async throws
}

/// Breakers of one process, for tests.
public final class InMemoryBreakers: BreakerStore {
    private let clock: JobClock
    private let records = Mutex<[String: BreakerRecord]>([:])

    public init(clock: JobClock = .system) { self.clock = clock }

    public func admit(_ dependency: String, _ rule: BreakerRule) async throws -> BreakerVerdict {
        let now = clock.now()
        return records.withLock { $0[dependency, default: BreakerRecord()].admit(rule, nowMs: now) }
    }

    @discardableResult
    public func report(_ dependency: String, _ rule: BreakerRule, succeeded: Bool, isProbe: Bool) async throws -> BreakerState {
        let now = clock.now()
        return records.withLock {
            $0[dependency, default: BreakerRecord()].report(rule, succeeded: succeeded, isProbe: isProbe, nowMs: now)
        }
    }

    public func list() async throws -> [BreakerStanding] {
        let now = clock.now()
        return records.withLock { $0.map { $1.standing($0, nowMs: now) } }.sorted { $0.dependency < $1.dependency }
    }

    public func reset(_ dependency: String) async throws { records.withLock { $0[dependency] = BreakerRecord() } }
}
