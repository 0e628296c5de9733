import EventLoop
import Formats
import JobQueue
import RedisClient
import Synchronization
import Telemetry

/// All queues of one Redis over one pipelined connection: what a program makes once and takes its drivers from.
public final class RedisQueues: QueueDirectory {
    /// Shared by all drivers made here; started.
    public let connection: RedisConnection
    public let prefix: String
    private let deadRetention: DeadRetention
    private let log: Log
    private let drivers = Mutex<[String: RedisDriver]>([:])

    /// How long a command may take. A connection on which nothing has come for so long behind a command that has timed out is dead: it is
    /// made anew while the worker's lease, last renewed up to 0.9 s before, still lives.
    public static let timeout = Duration.milliseconds(1500)

    /// - Parameters:
    ///   - name: shown by Redis' CLIENT LIST.
    ///   - deadRetention: what workers leave of the dead of each queue.
    public init(
        loop: EventLoop, address: RedisAddress, prefix: String = "quittance:", name: String, deadRetention: DeadRetention = .usual,
        log: Log = Log("queue")
    ) {
        connection = RedisConnection(
            loop: loop, address: address, name: name, timeout: Self.timeout, waitsForConnection: true, stuckLimit: Self.timeout, log: log)
        self.prefix = prefix
        self.deadRetention = deadRetention
        self.log = log
        connection.start()
    }

    public func driver(of queue: String) -> any QueueDriver { redisDriver(of: queue) }

    public func redisDriver(of queue: String) -> RedisDriver {
        drivers.withLock { drivers in
            if let known = drivers[queue] { return known }
            let made = RedisDriver(connection: connection, prefix: prefix, queue: queue, deadRetention: deadRetention, log: log)
            drivers[queue] = made
            return made
        }
    }

    /// Ends the connection. Workers are to be stopped before.
    public func close() { connection.close() }
}
