import EventLoop
import JobQueue
import JobQueueRedis
import RedisClient
import Settings
import Telemetry

/// The product's queues on Redis.
public enum QueueStart {
    /// - Throws: ``RedisError`` when the address is of a kind that is not served.
    public static func directory(_ settings: Settings, name: String, loop: EventLoop, log: Log) throws -> any QueueDirectory {
        if let refusal = RedisConnection.refusal(of: settings.redis) { throw refusal }
        let retention = DeadRetention(
            maxAge: settings.deadKeepDays.map { .seconds(86_400 * $0) }, maxCount: settings.deadKeepCount)
        return RedisQueues(
            loop: loop, address: settings.redis, prefix: settings.queuePrefix, name: name, deadRetention: retention, log: log)
    }

    /// The breakers beside the queues; of queues in memory, breakers in memory.
    public static func breakers(_ queues: any QueueDirectory) -> any BreakerStore {
        guard let queues = queues as? RedisQueues else { return InMemoryBreakers() }
        return RedisBreakers(connection: queues.connection, prefix: queues.prefix)
    }

    /// Breakers and paces for calls that a person waits for: while Redis is away this program keeps its own, and nothing waits for Redis.
    public static func outbound(_ queues: any QueueDirectory) -> (breakers: any BreakerStore, turns: any CallTurnStore) {
        guard let queues = queues as? RedisQueues else { return (InMemoryBreakers(), InMemoryCallTurns()) }
        let connection = queues.connection
        let isReachable: @Sendable () -> Bool = { connection.isConnected }
        return (
            SharedBreakers(RedisBreakers(connection: connection, prefix: queues.prefix), isReachable: isReachable),
            SharedCallTurns(RedisCallTurns(connection: connection, prefix: queues.prefix), isReachable: isReachable)
        )
    }
}
