import EventLoop
import Formats
import RedisClient
import Synchronization
import TestSupport

/// A server, a loop, and connections that are closed when the test is over.
final class Bench: Sendable {
    let server: RedisServer
    let loop: EventLoop
    private let opened = Mutex<[RedisConnection]>([])

    private init(server: RedisServer, loop: EventLoop) {
        self.server = server
        self.loop = loop
    }

    /// Runs `body` with a bench, and clears it away whatever happens.
    static func with(
        config: [String: String] = [:], password: String? = nil, tls: RedisServer.TLS? = nil, _ body: (Bench) async throws -> Void
    ) async throws {
        let bench = Bench(
            server: try await RedisServer.start(config: config, password: password, tls: tls), loop: try EventLoop.started(name: "test"))
        defer { bench.clear() }
        try await body(bench)
    }

    private func clear() {
        for connection in opened.withLock({ $0 }) { connection.close() }
        loop.stop()
    }

    /// A started connection to the server, or to `address`.
    func open(
        _ address: RedisAddress? = nil, timeout: Duration = .seconds(5), purpose: RedisConnection.Purpose = .shared, waits: Bool = false,
        stuckLimit: Duration? = nil
    ) -> RedisConnection {
        let connection = RedisConnection(
            loop: loop, address: address ?? server.address, name: "test connection", timeout: timeout, purpose: purpose, waitsForConnection: waits,
            stuckLimit: stuckLimit)
        opened.withLock { $0.append(connection) }
        connection.start()
        return connection
    }

    /// The same, once it is connected.
    func connect(
        _ address: RedisAddress? = nil, timeout: Duration = .seconds(5), purpose: RedisConnection.Purpose = .shared, waits: Bool = false,
        stuckLimit: Duration? = nil
    ) async throws -> RedisConnection {
        let connection = open(address, timeout: timeout, purpose: purpose, waits: waits, stuckLimit: stuckLimit)
        try await connection.connected(within: .seconds(10))
        return connection
    }
}

/// A value that tests write from the loop and read elsewhere.
final class Seen<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])
    func add(_ value: Value) { values.withLock { $0.append(value) } }
    var all: [Value] { values.withLock { $0 } }
    var count: Int { all.count }
}

/// The error that `body` throws; nil when it succeeds.
func failure(_ body: () async throws(RedisError) -> RedisValue) async -> RedisError? {
    do {
        _ = try await body()
        return nil
    } catch {
        return error
    }
}
