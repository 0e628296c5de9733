import Synchronization

/// A closure that waits for a connection, whatever its value's type.
package protocol DatabaseCall: AnyObject, Sendable {
    var submittedAt: ContinuousClock.Instant { get }
    /// Marks the call as begun. False when its caller was cancelled meanwhile: then it is dropped.
    func begin() -> Bool
    /// Runs the closure and keeps its value until the outcome is known.
    func run(_ connection: Connection) throws
    /// Gives the kept value to the caller.
    func succeed()
    func fail(_ error: any Error)
}

/// One caller's closure on its way: waiting, cancelled or running, then answered exactly once.
final class PendingCall<Value: Sendable>: DatabaseCall {
    private enum State {
        case fresh
        case cancelled
        case waiting(CheckedContinuation<Value, any Error>)
        case running(CheckedContinuation<Value, any Error>, Value?)
        case answered
    }

    let submittedAt = ContinuousClock.now
    private let body: @Sendable (Connection) throws -> Value
    private let state = Mutex<State>(.fresh)

    init(_ body: @escaping @Sendable (Connection) throws -> Value) { self.body = body }

    /// Hands the call to `submit` and waits for its answer. Cancelling the waiting task drops the call if it has not begun.
    func answered(_ submit: (any DatabaseCall) throws(DatabaseError) -> Void) async throws -> Value {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                guard wait(continuation) else { return continuation.resume(throwing: CancellationError()) }
                do {
                    try submit(self)
                } catch {
                    fail(error)
                }
            }
        } onCancel: {
            cancel()
        }
    }

    private func wait(_ continuation: CheckedContinuation<Value, any Error>) -> Bool {
        state.withLock { state in
            guard case .fresh = state else { return false }
            state = .waiting(continuation)
            return true
        }
    }

    private func cancel() {
        let waiting: CheckedContinuation<Value, any Error>? = state.withLock { state in
            switch state {
            case .fresh:
                state = .cancelled
                return nil
            case .waiting(let continuation):
                state = .cancelled
                return continuation
            case .cancelled, .running, .answered:
                return nil
            }
        }
        waiting?.resume(throwing: CancellationError())
    }

    func begin() -> Bool {
        state.withLock { state in
            guard case .waiting(let continuation) = state else { return false }
            state = .running(continuation, nil)
            return true
        }
    }

    func run(_ connection: Connection) throws {
        let value = try body(connection)
        state.withLock { state in
            guard case .running(let continuation, _) = state else { preconditionFailure("only a call that has begun runs") }
            state = .running(continuation, value)
        }
    }

    func succeed() {
        let (continuation, value) = state.withLock { state in
            guard case .running(let continuation, let value?) = state else { preconditionFailure("only a call that ran succeeds") }
            state = .answered
            return (continuation, value)
        }
        continuation.resume(returning: value)
    }

    func fail(_ error: any Error) {
        let continuation: CheckedContinuation<Value, any Error>? = state.withLock { state in
            switch state {
            case .waiting(let continuation), .running(let continuation, _):
                state = .answered
                return continuation
            case .fresh, .cancelled, .answered:
                return nil
            }
        }
        continuation?.resume(throwing: error)
    }
}
