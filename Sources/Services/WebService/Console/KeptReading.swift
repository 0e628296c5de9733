import Synchronization

/// Something that takes a while to read, read once for all who ask. What is not fresh any more is told once more while it is read anew; what
/// is older than that is waited for.
final class KeptReading<Value: Sendable>: Sendable {
    private struct State {
        var value: Value?
        var readAt = ContinuousClock.now
        var reading: Task<Value, any Error>?
    }

    private let freshness: Duration
    private let staleness: Duration
    private let read: @Sendable () async throws -> Value
    private let state = Mutex(State())

    init(freshness: Duration, staleness: Duration, read: @escaping @Sendable () async throws -> Value) {
        self.freshness = freshness
        self.staleness = staleness
        self.read = read
    }

    func value() async throws -> Value {
        let now = ContinuousClock.now
        let (kept, reading) = state.withLock { state -> (Value?, Task<Value, any Error>?) in
            let age = now - state.readAt
            if let value = state.value, age < freshness { return (value, nil) }
            if state.reading == nil { state.reading = Task { try await self.readAnew() } }
            return (age < staleness ? state.value : nil, state.reading)
        }
        if let kept { return kept }
        guard let reading else { return try await read() }
        return try await reading.value
    }

    private func readAnew() async throws -> Value {
        let begun = ContinuousClock.now
        do {
            let value = try await read()
            state.withLock { state in
                (state.value, state.readAt) = (value, begun)
                state.reading = nil
            }
            return value
        } catch {
            state.withLock { $0.reading = nil }
            throw error
        }
    }
}
