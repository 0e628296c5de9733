import Database
import EventLoop
import Formats
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
    private let openDatabase: @Sendable (DatabaseAddress, Log) throws -> Database
    private let makeRedis: @Sendable (EventLoop, RedisAddress, Log) -> RedisConnection

    /// How long Redis may take to be reached.
    static let redisPatience = Duration.seconds(2)

    public init(
        settings: Settings, output: CommandOutput = .standard, nowMs: @escaping @Sendable () -> Int64 = { WallClock.nowMs }, log: Log = Log(),
        openDatabase: @escaping @Sendable (DatabaseAddress, Log) throws -> Database = { try Database.open($0, readers: 1, log: $1) },
        makeRedis: @escaping @Sendable (EventLoop, RedisAddress, Log) -> RedisConnection = { loop, address, log in
            RedisConnection(loop: loop, address: address, name: "quittance", log: log)
        }
    ) {
        self.settings = settings
        self.output = output
        self.nowMs = nowMs
        self.log = log
        self.openDatabase = openDatabase
        self.makeRedis = makeRedis
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

    /// Lends a connection to Redis.
    /// - Throws: ``CommandFailure`` with a sentence for the operator when Redis is away.
    func withRedis<Value>(_ body: (RedisConnection) async throws -> Value) async throws -> Value {
        if let refusal = RedisConnection.refusal(of: settings.redis) { throw CommandFailure(.failed, refusal.message) }
        let loop = try EventLoop.started(name: "redis")
        let connection = makeRedis(loop, settings.redis, log.component("redis"))
        connection.start()
        let result: Result<Value, any Error>
        do {
            try await connection.connected(within: Self.redisPatience)
            result = .success(try await body(connection))
        } catch let error as RedisError where error.kind == .connection {
            result = .failure(CommandFailure(.failed, "Redis cannot be used: \(error.message); start it, or correct REDIS_URL"))
        } catch {
            result = .failure(error)
        }
        connection.close()
        // Joining a thread blocks: not on Swift's own.
        let ending = BlockingPool(name: "redis end", threads: 1)
        try? await ending.run { loop.stop() }
        ending.close()
        return try result.get()
    }

    /// Lends Redis, or says why it is away and lends nothing: for commands whose truth is in SQL.
    func withRedisIfThere<Value>(_ body: (RedisConnection) async throws -> Value) async throws -> RedisAnswer<Value> {
        do {
            return .answered(try await withRedis(body))
        } catch let error as CommandFailure {
            return .away(error.description)
        } catch let error as RedisError {
            return .away("Redis cannot be used: \(error.message)")
        }
    }
}

/// What Redis had to say, or why it said nothing.
enum RedisAnswer<Value> {
    case answered(Value)
    case away(String)

    var value: Value? { if case .answered(let value) = self { value } else { nil } }
    var problem: String? { if case .away(let reason) = self { reason } else { nil } }
}
