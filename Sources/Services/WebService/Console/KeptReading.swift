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
    private let readNext: @Sendable (Value?) async throws -> Value
    private let state = Mutex(State())

    convenience init(freshness: Duration, staleness: Duration, read: @escaping @Sendable () async throws -> Value) {
        self.init(freshness: freshness, staleness: staleness) { _ in try await read() }
    }

    /// - Parameter next: reads it anew, from what was read before.
    init(freshness: Duration, staleness: Duration, next: @escaping @Sendable (Value?) async throws -> Value) {
        self.freshness = freshness
        self.staleness = staleness
        readNext = next
    }

    private func read() async throws -> Value { try await readNext(state.withLock { $0.value }) }

    func value() async throws -> Value {
        let (kept, reading) = standing()
        if let kept { return kept }
        guard let reading else { return try await read() }
        return try await reading.value
    }

    /// The same, nil where it takes longer than that. It is read on, for whoever asks next.
    func value(within patience: Duration) async throws -> Value? {
        let (kept, reading) = standing()
        if let kept { return kept }
        guard let reading else { return try await read() }
        let (results, continuation) = AsyncStream<Result<Value, any Error>>.makeStream()
        Task {
            continuation.yield(await reading.result)
            continuation.finish()
        }
        let end = Task {
            try? await Task.sleep(for: patience)
            continuation.finish()
        }
        defer { end.cancel() }
        for await result in results { return try result.get() }
        return nil
    }

    /// What is fresh enough, and the reading that is under way where it is not fresh.
    private func standing() -> (Value?, Task<Value, any Error>?) {
        let now = ContinuousClock.now
        return state.withLock { state in
            let age = now - state.readAt
            if let value = state.value, age < freshness { return (value, nil) }
            if state.reading == nil { state.reading = Task { try await self.readAnew() } }
            return (age < staleness ? state.value : nil, state.reading)
        }
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
