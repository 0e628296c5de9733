import Database
import EventLoop
import Formats
import JobQueue
import JobQueueRedis
import Outbox
import PaymentsService
import RedisClient
import Settings
import Telemetry

#if canImport(Glibc)
    import Glibc
#endif

/// What a command stands on: settings, a clock, a place to speak, and ways to the database and to Redis. Tests run commands
/// in-process with their own.
public struct CommandContext: Sendable {
    public let settings: Settings
    public let output: CommandOutput
    public let nowMs: @Sendable () -> Int64
    public let log: Log
    private let serverTime: (any ServerTime)?
    private let openDatabase: @Sendable (DatabaseAddress, Log) throws -> Database
    private let openQueues: @Sendable (EventLoop, Settings, Log) -> RedisQueues

    /// How long Redis may take to answer, and after how long it counts as away when it refuses.
    private static let redisPatience = Duration.seconds(5)
    private static let redisGlance = Duration.milliseconds(500)
    /// The outbox slot of all operators' commands. One name for all is safe: rows are numbered in the order of their commits.
    static let slot = "quittance"

    /// - Parameter serverTime: the clock by which cron entries are due; Redis' unless given.
    public init(
        settings: Settings, output: CommandOutput = .standard, nowMs: @escaping @Sendable () -> Int64 = { WallClock.nowMs }, log: Log = Log(),
        serverTime: (any ServerTime)? = nil,
        openDatabase: @escaping @Sendable (DatabaseAddress, Log) throws -> Database = { try Database.open($0, readers: 1, log: $1) },
        openQueues: @escaping @Sendable (EventLoop, Settings, Log) -> RedisQueues = { loop, settings, log in
            RedisQueues(loop: loop, address: settings.redis, prefix: settings.queuePrefix, name: "quittance", log: log)
        }
    ) {
        self.settings = settings
        self.output = output
        self.nowMs = nowMs
        self.log = log
        self.serverTime = serverTime
        self.openDatabase = openDatabase
        self.openQueues = openQueues
    }

    // MARK: SQL

    /// The file of the database; nil when it is a server's.
    var databasePath: String? {
        if case .sqlite(let path) = settings.database { path } else { nil }
    }

    /// Lends the database, which must be at this program's version.
    func withDatabase<Value>(_ body: (Database) async throws -> Value) async throws -> Value {
        if let path = databasePath, access(path, F_OK) != 0 {
            throw CommandFailure(.failed, "there is no database at \(path) yet: run `quittance migrate`")
        }
        return try await withAnyDatabase { database in
            try database.checkMigrated(Product.migrations)
            return try await body(database)
        }
    }

    /// Lends the database whatever its version; makes it when there is none.
    func withAnyDatabase<Value>(_ body: (Database) async throws -> Value) async throws -> Value {
        let database = try openDatabase(settings.database, log.component("database"))
        do {
            let value = try await body(database)
            await database.close()
            return value
        } catch {
            await database.close()
            throw error
        }
    }

    // MARK: Redis

    /// Lends the queues and their connection.
    /// - Throws: ``CommandFailure`` with a sentence for the operator when Redis is away.
    func withRedis<Value>(_ body: (RedisQueues) async throws -> Value) async throws -> Value {
        if let refusal = RedisConnection.refusal(of: settings.redis) { throw CommandFailure(.failed, refusal.message) }
        let loop = try EventLoop.started(name: "redis")
        let queues = openQueues(loop, settings, log.component("redis"))
        let result: Result<Value, any Error>
        do {
            try await Self.reach(queues.connection)
            result = .success(try await body(queues))
        } catch let error as RedisError {
            result = .failure(CommandFailure(.failed, Self.sentence(error.message)))
        } catch let error as QueueDriverError {
            result = .failure(CommandFailure(.failed, Self.sentence(error.message)))
        } catch {
            result = .failure(error)
        }
        queues.close()
        // Joining a thread blocks: not on Swift's own.
        let ending = BlockingPool(name: "redis end", threads: 1)
        try? await ending.run { loop.stop() }
        ending.close()
        return try result.get()
    }

    /// A busy server is waited for; one that refuses is not.
    private static func reach(_ connection: RedisConnection) async throws(RedisError) {
        let deadline = ContinuousClock.now + redisPatience
        while true {
            do throws(RedisError) {
                try await connection.connected(within: redisGlance)
                return
            } catch {
                if connection.lastError != nil || ContinuousClock.now >= deadline { throw error }
            }
        }
    }

    private static func sentence(_ reason: String) -> String { "Redis cannot be used: \(reason)" }

    /// The time by which cron entries are due. This machine's own clock may be wrong, and a tick or an entry entered by it would be too.
    /// - Throws: ``CommandFailure`` when Redis is away.
    func dueNowMs() async throws -> Int64 {
        if let serverTime { return try await serverTime.serverNowMs() }
        return try await withRedis { try await $0.serverNowMs() }
    }

    /// The same for a look at what will be due: this machine's clock while Redis is away.
    func previewNowMs() async -> Int64 { (try? await dueNowMs()) ?? nowMs() }

    /// Lends Redis, or says why it is away and lends nothing: for commands whose truth is in SQL.
    func withRedisIfThere<Value>(_ body: (RedisQueues) async throws -> Value) async throws -> RedisAnswer<Value> {
        do {
            return .answered(try await withRedis(body))
        } catch let error as CommandFailure {
            return .away(error.description)
        }
    }

    // MARK: Jobs

    /// An outbox for jobs that a command adds, with the relay that publishes them. Redis is called when there is something to publish.
    func relay(_ database: Database) -> OutboxRelay {
        OutboxRelay(slot: Self.slot, database: database, publisher: CommandPublisher(context: self), log: log.component("outbox"))
    }

    /// Publishes what a command has added.
    /// - Returns: nil, or why the jobs wait for the scheduler's sweep instead.
    func publishOwnJobs(_ database: Database) async throws -> String? {
        do {
            _ = try await relay(database).adopt(slot: Self.slot)
            return nil
        } catch let error as CommandFailure {
            return error.description
        }
    }
}

/// Puts the outbox's rows onto the queues they name, over a connection of its own.
struct CommandPublisher: JobPublisher {
    let context: CommandContext

    func publish(_ items: [PublishItem], slot: String, queue: String) async throws {
        _ = try await context.withRedis { try await $0.redisDriver(of: queue).publish(slot: slot, items: items) }
    }
}

/// What Redis had to say, or why it said nothing.
enum RedisAnswer<Value> {
    case answered(Value)
    case away(String)

    var value: Value? { if case .answered(let value) = self { value } else { nil } }
    var problem: String? { if case .away(let reason) = self { reason } else { nil } }
}
