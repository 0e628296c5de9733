import Database
import EventLoop
import Formats
import RedisClient
import TestSupport

/// An instance with a test's own hands in it: its database, its Redis, its posts.
struct Stage: Sendable {
    let instance: Instance
    let database: Database
    let redis: RedisConnection

    static let queuePrefix = "quittance:"

    /// Sets an instance up, runs the test on it and takes it down. What the programs said stands in a failure's message.
    /// - Parameter programs: started before the test begins.
    static func run(
        _ programs: [String], _ configuration: Instance.Configuration = Instance.Configuration(),
        _ body: @Sendable (Stage) async throws -> Void
    ) async throws {
        await places.enter()
        defer { places.leave() }
        let instance = try await Instance.make(configuration)
        defer { instance.end() }
        do {
            let migration = try await instance.quittance("migrate")
            guard migration.code == 0 else { throw FixtureError("quittance migrate: \(migration.errors)") }
            try await lend(instance) { stage in
                try await stage.enterIssuer()
                try await instance.start(all: programs)
                try await body(stage)
            }
        } catch {
            throw StageFailure(description: "\(error)\n\(instance.transcript())")
        }
    }

    /// Lends hands in an instance whose database is there.
    static func lend(_ instance: Instance, _ body: @Sendable (Stage) async throws -> Void) async throws {
        let loop = try EventLoop.started(name: "stage")
        let redis = RedisConnection(loop: loop, address: instance.redis.address, name: "stage", timeout: .seconds(5), waitsForConnection: true)
        redis.start()
        let database = try Database.open(.sqlite(path: instance.folder.path + "/quittance.db"))
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await body(Stage(instance: instance, database: database, redis: redis)))
        } catch {
            outcome = .failure(error)
        }
        redis.close()
        await database.close()
        loop.stop()
        try outcome.get()
    }

    /// So many instances at a time: each has up to ten processes, and a machine may have two cores.
    private static let places = Places(4)

    // MARK: Calls

    var ingestPort: Int { instance.ingestPort }

    /// One post to ingest on a connection of its own.
    func post(_ message: Message, headers: [(String, String)]? = nil) async throws -> HTTPLine.Answer {
        try await HTTPLine.once(port: ingestPort, "POST", message.path, headers: headers ?? message.headers(), body: message.body)
    }

    /// One call to the sandbox that must succeed.
    @discardableResult
    func sandbox(_ method: String, _ path: String, _ body: JSON? = nil) async throws -> JSON {
        let answer = try await HTTPLine.once(
            port: instance.sandboxPort, method, path, headers: [("content-type", "application/json")], body: body?.bytes ?? [])
        guard answer.status == 200 else { throw FixtureError("the sandbox answered \(answer.status) to \(path): \(answer.text)") }
        return try JSON(parsing: answer.body, sizeLimit: 64 << 20)
    }

    /// Waits until both of ingest's loops have found that Redis takes events and samples: what is posted from now on goes to its list at
    /// once, not through the spool.
    func awaitRedisAtIngest() async throws {
        let process = try instance.process("ingest")
        try await eventually("ingest's loops reach Redis") { process.lines.count { $0.text.contains("redis takes events") } >= 4 }
    }

    // MARK: Readings

    /// One number from SQL.
    func count(_ sql: String, _ bindings: [SQLValue] = []) async throws -> Int {
        try await database.read { connection in
            Int(try connection.first("SELECT (\(sql)) AS n", bindings)?.int("n") ?? 0)
        }
    }

    /// One column of texts from SQL.
    func texts(_ sql: String, _ bindings: [SQLValue] = []) async throws -> [String] {
        try await database.read { connection in try connection.query(sql, bindings).compactMap { try $0.textOrNil($0.names[0]) } }
    }

    func state(of payment: String) async throws -> String? {
        try await texts("SELECT state FROM payments_payments WHERE id = $1", [.text(payment)]).first
    }

    func key(_ queue: String, _ name: String) -> String { "\(Self.queuePrefix){\(queue)}:\(name)" }

    /// The bodies that wait on a queue, the oldest first.
    func waiting(on queue: String) async throws -> [[UInt8]] {
        let value = try await redis.call("LRANGE", key(queue, "ready"), 0, -1)
        return (value.array ?? []).reversed().compactMap(\.bytes)
    }

    /// The records of what is buried.
    func dead(on queue: String) async throws -> [JSON] {
        let value = try await redis.call("ZRANGE", key(queue, "dead"), 0, -1)
        return try (value.array ?? []).compactMap(\.bytes).map { try JSON(parsing: $0, sizeLimit: 64 << 20) }
    }

    /// Everything Redis holds of a queue that has no outcome yet: ready, delayed, set aside, in a worker's hands.
    func held(by queue: String) async throws -> [[UInt8]] {
        // At one moment: between two commands a body may go from a list that is read later to one that was read before.
        let script = """
            local bodies = redis.call('LRANGE', KEYS[1], 0, -1)
            local function add(more) for _, body in ipairs(more) do bodies[#bodies + 1] = body end end
            add(redis.call('ZRANGE', KEYS[2], 0, -1))
            for _, name in ipairs(redis.call('KEYS', ARGV[1])) do add(redis.call('LRANGE', name, 0, -1)) end
            for _, name in ipairs(redis.call('KEYS', ARGV[2])) do add(redis.call('HVALS', name)) end
            return bodies
            """
        let answer = try await redis.call(
            "EVAL", script, 2, key(queue, "ready"), key(queue, "delayed"), key(queue, "woken:*"), key(queue, "inflight:*"))
        return (answer.array ?? []).compactMap(\.bytes)
    }
}

/// A failed test with what its programs said.
struct StageFailure: Error, CustomStringConvertible {
    let description: String
}
