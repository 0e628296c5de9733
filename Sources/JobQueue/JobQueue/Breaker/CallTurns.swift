import Synchronization

/// How many calls a dependency is given.
public struct CallRate: Sendable, Equatable {
    public let perSecond: Double
    /// Calls that may go out at once after a quiet time.
    public let burst: Int

    /// - Parameter burst: the calls of a second unless given.
    public init(perSecond: Double, burst: Int? = nil) {
        precondition(perSecond > 0 && perSecond.isFinite, "a rate that lets nothing through")
        self.perSecond = perSecond
        self.burst = max(1, burst ?? Int(min(perSecond, 1_000_000).rounded(.down)))
    }

    public var intervalMs: Double { 1000 / perSecond }
    /// How far calls may run ahead of an even pace.
    public var earlyMs: Double { intervalMs * Double(burst - 1) }
}

/// What is said to a call that wants its turn.
public enum CallTurn: Sendable, Equatable {
    /// Its place is kept: it goes out after this.
    case after(Duration)
    /// It would wait longer than it wants to; no place is kept.
    case refused(retryAfter: Duration)
}

/// The turns of calls to dependencies, shared by all processes that call them.
public protocol CallTurnStore: Sendable {
    /// - Parameter patience: the longest that the call would wait.
    func take(_ dependency: String, _ rate: CallRate, within patience: Duration) async throws -> CallTurn
}

/// The turns of one dependency as a pure value. The script of the Redis store is held to the same by the contract tests.
struct CallTurnRecord {
    /// When the next call would be on time.
    var nextMs: Double = 0

    mutating func take(_ rate: CallRate, within patience: Duration, nowMs: Int64) -> CallTurn {
        let next = max(nextMs, Double(nowMs))
        let wait = max(0, next - rate.earlyMs - Double(nowMs))
        guard wait <= Double(patience.wholeMilliseconds) else { return .refused(retryAfter: .milliseconds(Int64(wait.rounded(.up)))) }
        nextMs = next + rate.intervalMs
        return .after(.milliseconds(Int64(wait.rounded(.up))))
    }
}

/// Turns of one process.
public final class InMemoryCallTurns: CallTurnStore {
    private let clock: JobClock
    private let records = Mutex<[String: CallTurnRecord]>([:])

    public init(clock: JobClock = .system) { self.clock = clock }

    public func take(_ dependency: String, _ rate: CallRate, within patience: Duration) async throws -> CallTurn {
        let now = clock.now()
        return records.withLock { $0[dependency, default: CallTurnRecord()].take(rate, within: patience, nowMs: now) }
    }
}
