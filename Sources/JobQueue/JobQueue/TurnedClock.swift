import Synchronization

/// A clock that only moves when it is turned, for tests of anything that takes a ``JobClock``.
public final class TurnedClock: Sendable {
    private struct Sleeper {
        let untilNs: Int64
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var nowNs: Int64
        var nextID = 0
        var sleepers: [Int: Sleeper] = [:]
        var cancelled: Set<Int> = []
    }

    private let state: Mutex<State>

    public init(nowMs: Int64 = 1_795_000_000_000) { state = Mutex(State(nowNs: nowMs * 1_000_000)) }

    public var nowMs: Int64 { state.withLock { $0.nowNs / 1_000_000 } }

    /// How many wait for the clock to be turned: what a test waits for before it turns it.
    public var sleepers: Int { state.withLock { $0.sleepers.count } }

    /// This clock for the engine.
    public var clock: JobClock { JobClock(now: { self.nowMs }, sleep: { try await self.sleep($0) }) }

    /// Moves the time and wakes those whose time has come, the earliest first.
    public func turn(by duration: Duration) {
        let due = state.withLock { state in
            state.nowNs += Self.nanoseconds(duration)
            let due = state.sleepers.filter { $0.value.untilNs <= state.nowNs }
            for id in due.keys { state.sleepers[id] = nil }
            return due.values.sorted { $0.untilNs < $1.untilNs }
        }
        for sleeper in due { sleeper.continuation.resume() }
    }

    private func sleep(_ duration: Duration) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let answer: Result<Void, any Error>? = state.withLock { state in
                    if state.cancelled.remove(id) != nil { return .failure(CancellationError()) }
                    guard duration > .zero else { return .success(()) }
                    state.sleepers[id] = Sleeper(untilNs: state.nowNs + Self.nanoseconds(duration), continuation: continuation)
                    return nil
                }
                if let answer { continuation.resume(with: answer) }
            }
        } onCancel: {
            let sleeper = state.withLock { state in
                let sleeper = state.sleepers.removeValue(forKey: id)
                if sleeper == nil { state.cancelled.insert(id) }
                return sleeper
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
        state.withLock { _ = $0.cancelled.remove(id) }
    }

    private static func nanoseconds(_ duration: Duration) -> Int64 {
        let (seconds, attoseconds) = duration.components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }
}
