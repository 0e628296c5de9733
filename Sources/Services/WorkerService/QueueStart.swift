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
        return RedisQueues(loop: loop, address: settings.redis, prefix: settings.queuePrefix, name: name, log: log)
    }
}
