import EventLoop
import JobQueue
import RedisClient

/// Waits for a body without polling: a blocking read moves it from the queue into the worker's own list, where the next step finds it.
///
/// The read lasts half a lease at most and begins only while the lease is fresh, so it has ended before a peer may take the worker off.
///
/// `@unchecked Sendable`: confined to its loop.
final class WorkWaiter: @unchecked Sendable {
    /// The server-side time-out of one read.
    static let patience = Duration.milliseconds(1500)
    /// After a refused read (a full Redis refuses moves) work is looked for by steps, this often.
    private static let refusedPause = Duration.milliseconds(100)

    private let connection: RedisConnection
    private let commander: RedisConnection
    private let source: String
    private let destination: String
    private let onWork: () -> Void
    /// Whether the worker's lease was renewed so lately that a read may begin.
    private let isFresh: () -> Bool

    private var isArmed = false
    private var isReading = false
    private var isEnded = false
    private var clientID: Int64?
    private var onIdle: (() -> Void)?
    private var pause: LoopTimer?

    /// - Parameter commander: another connection, by which a read is cut short.
    init(
        connection: RedisConnection, commander: RedisConnection, source: String, destination: String, isFresh: @escaping () -> Bool,
        onWork: @escaping () -> Void
    ) {
        self.connection = connection
        self.commander = commander
        self.source = source
        self.destination = destination
        self.isFresh = isFresh
        self.onWork = onWork
    }

    func begin() {
        connection.onConnect { [weak self] _ in self?.connected() }
        connection.start()
    }

    /// Asks for one call of `onWork` once there is something.
    func arm() {
        isArmed = true
        read()
    }

    /// Somebody else tells of work.
    /// - Returns: whether a call of `onWork` was owed.
    func disarm() -> Bool {
        defer { isArmed = false }
        return isArmed && !isEnded
    }

    /// To be called when the lease has become fresh.
    func read() {
        guard isArmed, !isReading, !isEnded, pause == nil, connection.isConnected, clientID != nil, isFresh() else { return }
        isReading = true
        connection.send(RedisCommand("BLMOVE", source, destination, "RIGHT", "LEFT", "1.5"), timeout: Self.patience + connection.timeout) {
            [self] result in
            isReading = false
            if let onIdle {
                self.onIdle = nil
                return onIdle()
            }
            answered(result)
        }
    }

    /// Ends waiting; `done` is called once no read is under way any more that could set something aside.
    func end(_ done: @escaping () -> Void) {
        isEnded = true
        pause?.cancel()
        guard isReading, let clientID else {
            connection.close()
            return done()
        }
        onIdle = { [connection] in
            connection.close()
            done()
        }
        // When this is not allowed the read ends by itself.
        commander.send(RedisCommand("CLIENT", "UNBLOCK", clientID, "TIMEOUT")) { _ in }
    }

    /// Plays a process that is gone.
    func vanish() {
        isEnded = true
        pause?.cancel()
        connection.close()
    }

    private func connected() {
        guard !isEnded else { return }
        clientID = nil
        connection.send(RedisCommand("CLIENT", "ID")) { [self] result in
            guard !isEnded else { return }
            // Without the right to ask, a read cannot be cut short; nothing else hangs on it.
            if case .success(let value) = result { clientID = value.int ?? 0 } else { clientID = 0 }
            read()
        }
    }

    private func answered(_ result: Result<RedisValue, RedisError>) {
        guard !isEnded else { return }
        switch result {
        case .success(.null): read()
        case .success:
            isArmed = false
            onWork()
        case .failure(let error):
            // A lost connection comes back through `connected`. What it may have set aside is found by the next step.
            guard case .server = error.kind else {
                if error.mayHaveBeenExecuted { onWork() }
                return
            }
            if error.serverCode == "UNBLOCKED" { return read() }
            let timer = LoopTimer(on: connection.loop) { [weak self] in
                guard let self else { return }
                pause = nil
                isArmed = false
                onWork()
            }
            pause = timer
            timer.start(after: Self.refusedPause)
        }
    }
}
