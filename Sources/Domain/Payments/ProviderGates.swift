import JobQueue
import Synchronization

/// How many calls are under way to each provider, and about which attempts: one provider that hangs leaves the others their
/// places, and an attempt is asked about once at a time.
public final class ProviderGates: Sendable {
    /// Calls to one provider at a time.
    public static let perProviderMax = 4
    /// A job that finds no place comes back after this, with no attempt spent.
    static let wait = Duration.seconds(1)

    private struct State {
        var calls: [String: Int] = [:]
        var attempts: Set<String> = []
    }
    private let state = Mutex(State())

    public init() {}

    /// Runs `body` when there is a place for it.
    /// - Throws: ``JobFailure`` with a snooze when there is none.
    func pass<Value: Sendable>(provider: String, attempt: String, _ body: () async throws -> Value) async throws -> Value {
        let admitted = state.withLock { state in
            guard state.calls[provider, default: 0] < Self.perProviderMax, !state.attempts.contains(attempt) else { return false }
            state.calls[provider, default: 0] += 1
            state.attempts.insert(attempt)
            return true
        }
        guard admitted else { throw JobFailure.snooze(Self.wait, "\(provider) is being asked enough, or about this attempt already") }
        defer {
            state.withLock { state in
                state.calls[provider, default: 1] -= 1
                state.attempts.remove(attempt)
            }
        }
        return try await body()
    }
}
