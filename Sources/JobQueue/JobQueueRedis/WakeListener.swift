import EventLoop
import JobQueue
import RedisClient

/// Hears at once when somebody delays a body that becomes the earliest: a blocking read on the queue's `wake` list, for which one worker
/// at a time is told. A lost call costs at most a second, since every renewal looks for itself.
///
/// `@unchecked Sendable`: confined to its loop.
final class WakeListener: @unchecked Sendable {
    private let connection: RedisConnection
    private let key: String
    private let onWake: () -> Void
    private var isEnded = false
    private var isListening = false
    private var pause: LoopTimer?

    private static let patience = Duration.seconds(20)

    init(connection: RedisConnection, key: String, onWake: @escaping () -> Void) {
        self.connection = connection
        self.key = key
        self.onWake = onWake
    }

    func begin() {
        connection.onConnect { [weak self] _ in self?.listen() }
        connection.start()
    }

    func end() {
        isEnded = true
        pause?.cancel()
        connection.close()
    }

    private func listen() {
        // A pause may end after a new connection has begun to listen by itself.
        guard !isEnded, !isListening, connection.isConnected else { return }
        isListening = true
        connection.send(RedisCommand("BLPOP", key, "20"), timeout: Self.patience + connection.timeout) { [weak self] result in
            guard let self else { return }
            isListening = false
            guard !isEnded else { return }
            switch result {
            case .success(let value):
                if !value.isNull { onWake() }
                listen()
            case .failure(let error):
                // A lost connection comes back through `onConnect`.
                guard case .server = error.kind else { return }
                let timer = LoopTimer(on: connection.loop) { [weak self] in
                    self?.pause = nil
                    self?.listen()
                }
                pause = timer
                timer.start(after: .seconds(1))
            }
        }
    }
}
