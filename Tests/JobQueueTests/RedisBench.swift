import EventLoop
import Formats
import JobQueue
import JobQueueRedis
import RedisClient
import Synchronization
import TestSupport

/// One Redis for all tests that do nothing to the server itself.
enum SharedRedis {
    private static let starting = Mutex<Task<RedisServer, any Error>?>(nil)
    private static let startingCluster = Mutex<Task<RedisServer, any Error>?>(nil)
    /// Takes its place for one task.
    @TaskLocal static var other: RedisServer?

    static func server() async throws -> RedisServer {
        if let other { return other }
        let task = starting.withLock { task in
            let running = task ?? Task { try await RedisServer.start() }
            task = running
            return running
        }
        return try await task.value
    }

    /// One in cluster mode that has all slots.
    static func cluster() async throws -> RedisServer {
        let task = startingCluster.withLock { task in
            let running = task ?? Task { try await startCluster() }
            task = running
            return running
        }
        return try await task.value
    }

    private static func startCluster() async throws -> RedisServer {
        let server = try await RedisServer.start(config: ["cluster-enabled": "yes", "cluster-port": "\(try freePort())"])
        let connection = RedisConnection(
            loop: try EventLoop.started(name: "cluster"), address: server.address, name: "test", waitsForConnection: true)
        connection.start()
        _ = try await connection.call("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
        try await eventually("the cluster is up") {
            try await connection.call("CLUSTER", "INFO").string?.contains("cluster_state:ok") == true
        }
        connection.close()
        return server
    }
}

/// A queue on a real Redis. Each driver has a loop and a connection of its own, as a process has.
final class RedisBench: QueueBench {
    let server: RedisServer
    let queue: String
    let process: RedisProcess
    private let others = Mutex<[RedisProcess]>([])
    var driver: any QueueDriver { process.driver }
    var redis: RedisDriver { process.driver }
    var nowMs: Int64 { WallClock.nowMs }

    init(server: RedisServer, queue: String = uniqueQueue()) async throws {
        self.server = server
        self.queue = queue
        process = try RedisProcess(server, queue)
        _ = try await process.connection.connected(within: .seconds(10))
    }

    func peer() async throws -> any QueueDriver { try await peerProcess().driver }

    func peerProcess() async throws -> RedisProcess {
        let made = try unconnectedProcess()
        _ = try await made.connection.connected(within: .seconds(10))
        return made
    }

    /// Another process, alive as long as the bench, that may not find its server yet.
    func unconnectedProcess(timeout: Duration = .seconds(2)) throws -> RedisProcess {
        let made = try RedisProcess(server, queue, timeout: timeout)
        others.withLock { $0.append(made) }
        return made
    }

    /// Here time passes by itself.
    func pass(_ duration: Duration) async throws { try await Task.sleep(for: duration) }

    func silence(_ worker: WorkerIdentity, of driver: any QueueDriver) async { await (driver as? RedisDriver)?.freeze(worker) }

    func revive(_ worker: WorkerIdentity, of driver: any QueueDriver) { (driver as? RedisDriver)?.thaw(worker) }

    func loseNow(_ worker: WorkerIdentity) async throws {
        await redis.abandon(worker)
        _ = try await command("ZADD", redis.keys.leases, 1, worker.description)
        // A server that was started just now gives every worker the time of one lease to show itself.
        // A peer may be quicker than we are.
        try await eventually("it is swept") {
            try await self.redis.reclaimExpired()
            return try await self.command("ZSCORE", self.redis.keys.leases, worker.description).isNull
        }
    }

    func command(_ name: String, _ arguments: any RedisArgument...) async throws -> RedisValue {
        try await process.connection.perform(RedisCommand(name, arguments: arguments))
    }
}

/// What a process has of a queue.
final class RedisProcess: Sendable {
    let loop: EventLoop
    let connection: RedisConnection
    let driver: RedisDriver

    init(_ server: RedisServer, _ queue: String, prefix: String = "test:", timeout: Duration = .seconds(2)) throws {
        loop = try EventLoop.started(name: "queue-test")
        connection = RedisConnection(loop: loop, address: server.address, name: "test", timeout: timeout, waitsForConnection: true)
        connection.start()
        driver = RedisDriver(connection: connection, prefix: prefix, queue: queue)
    }

    deinit { connection.close() }
}
