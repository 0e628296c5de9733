import EventLoop
import Synchronization

/// The waiting form of commands, from any thread.
///
/// Cancelling the task does not reach an ordinary command: its time-out bounds it, and its effect could not be taken back. It does reach
/// a blocking read.
extension RedisConnection {
    /// Sends a command and waits for its reply: `try await redis.call("GET", key)`.
    public func call(_ name: String, _ arguments: any RedisArgument..., timeout: Duration? = nil) async throws(RedisError) -> RedisValue {
        try await perform(RedisCommand(name, arguments: arguments), timeout: timeout)
    }

    /// Sends a command and waits for its reply.
    public func perform(_ command: RedisCommand, timeout: Duration? = nil) async throws(RedisError) -> RedisValue {
        let result: Result<RedisValue, RedisError> = await withCheckedContinuation { continuation in
            onLoop { $0.send(command, timeout: timeout) { continuation.resume(returning: $0) } }
        }
        return try result.get()
    }

    /// Sends commands one behind the other, nothing between them, and waits for all replies.
    public func pipeline(_ commands: [RedisCommand], timeout: Duration? = nil) async -> [Result<RedisValue, RedisError>] {
        guard !commands.isEmpty else { return [] }
        return await withCheckedContinuation { continuation in
            onLoop { connection in
                let gathering = Gathering(count: commands.count) { continuation.resume(returning: $0) }
                for (index, command) in commands.enumerated() {
                    connection.send(command, timeout: timeout) { gathering.take($0, at: index) }
                }
            }
        }
    }

    /// Runs a script by its SHA, and by its source when Redis does not have it.
    public func run(
        _ script: RedisScript, keys: [String], arguments: [any RedisArgument] = [], timeout: Duration? = nil
    ) async throws(RedisError) -> RedisValue {
        try await run(RedisScriptCall(script, keys: keys, arguments: arguments), timeout: timeout)
    }

    /// Runs a script by its SHA, and by its source when Redis does not have it.
    public func run(_ call: RedisScriptCall, timeout: Duration? = nil) async throws(RedisError) -> RedisValue {
        let result: Result<RedisValue, RedisError> = await withCheckedContinuation { continuation in
            onLoop { $0.run(call, timeout: timeout) { continuation.resume(returning: $0) } }
        }
        return try result.get()
    }

    /// Sends a blocking read and waits for its reply. Only on a connection for blocking reads, and only one at a time.
    ///
    /// Cancelling the task ends the connection under the read (a new one is made at once) and throws ``RedisError/Kind/cancelled``; what
    /// Redis had already handed out is then lost, so take with BLMOVE, into a list of one's own, and not with BLPOP, where that matters.
    /// - Parameter waiting: the server-side time-out that the command itself names; the reply may take the connection's time-out longer.
    public func callBlocking(_ command: RedisCommand, for waiting: Duration) async throws(RedisError) -> RedisValue {
        precondition(purpose == .blocking, "blocking reads have a connection of their own")
        precondition(waiting > .zero, "a blocking read has an end")
        let read = BlockingRead()
        let result: Result<RedisValue, RedisError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                read.begin(continuation)
                onLoop { connection in
                    guard !read.isOver else { return }
                    connection.send(command, timeout: waiting + connection.timeout) { read.claim()?($0) }
                }
            }
        } onCancel: {
            // Given up on the loop before the caller goes on, who may read again on this connection.
            guard let resume = read.claim() else { return }
            onLoop { $0.giveUpBlockingRead() }
            resume(.failure(RedisError(.cancelled, "the blocking read was given up", mayHaveBeenExecuted: true)))
        }
        return try result.get()
    }

    /// Waits until there is a connection.
    /// - Throws: why there is none, when the time is over or the connection was closed.
    @discardableResult
    public func connected(within limit: Duration) async throws(RedisError) -> Connected {
        let result: Result<Connected, RedisError> = await withCheckedContinuation { continuation in
            onLoop { connection in
                switch connection.phase {
                case .ready:
                    if let connected = connection.lastConnected { return continuation.resume(returning: .success(connected)) }
                case .closed(let reason): return continuation.resume(returning: .failure(reason))
                default: break
                }
                connection.addWaiter(within: limit) { continuation.resume(returning: $0) }
            }
        }
        return try result.get()
    }

    /// Ends the connection under a blocking read; what waits to be sent is forgotten with it.
    private func giveUpBlockingRead() {
        let reason = RedisError(.cancelled, "the blocking read was given up", mayHaveBeenExecuted: true)
        failWaiting(reason)
        if case .ready(let link) = phase, !link.isIdle { link.shut(reason) }
    }
}

/// Puts the replies of several commands in order. Confined to the loop.
private final class Gathering {
    private var results: [Result<RedisValue, RedisError>?]
    private var missing: Int
    private let done: ([Result<RedisValue, RedisError>]) -> Void

    init(count: Int, _ done: @escaping ([Result<RedisValue, RedisError>]) -> Void) {
        results = Array(repeating: nil, count: count)
        missing = count
        self.done = done
    }

    func take(_ result: Result<RedisValue, RedisError>, at index: Int) {
        results[index] = result
        missing -= 1
        if missing == 0 { done(results.compactMap { $0 }) }
    }
}

/// A blocking read that ends once: by its reply or by the cancellation of its task, whichever comes first.
private final class BlockingRead: Sendable {
    typealias Outcome = Result<RedisValue, RedisError>
    private struct State {
        var continuation: CheckedContinuation<Outcome, Never>?
        /// Set when the end came before the continuation.
        var early: Outcome?
        var isOver = false
    }
    private let state = Mutex(State())

    var isOver: Bool { state.withLock(\.isOver) }

    func begin(_ continuation: CheckedContinuation<Outcome, Never>) {
        let early = state.withLock { state in
            if state.early == nil { state.continuation = continuation }
            return state.early
        }
        if let early { continuation.resume(returning: early) }
    }

    /// Decides the end for the caller, who then resumes the waiting task; nil when it was decided before.
    func claim() -> ((Outcome) -> Void)? {
        let isFirst = state.withLock { state in
            defer { state.isOver = true }
            return !state.isOver
        }
        return isFirst ? { self.resume($0) } : nil
    }

    private func resume(_ outcome: Outcome) {
        let continuation = state.withLock { state in
            if state.continuation == nil { state.early = outcome }
            defer { state.continuation = nil }
            return state.continuation
        }
        continuation?.resume(returning: outcome)
    }
}
