import EventLoop
import Formats
import HTTPClient
import RedisClient
import Subprocess
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Where one benchmark runs: a folder of its own and servers on loopback ports of their own. All of it goes with ``close()``.
final class Arena: Sendable {
    /// On the disk of the working directory: a folder in memory would make every fsync free.
    let folder: String
    let loop: EventLoop
    let http: HTTPClient
    let pool: BlockingPool
    private let children = Mutex<[(name: String, process: ChildProcess)]>([])
    /// Of all arenas, for an end in haste.
    private static let everyChild = Mutex<[ChildProcess]>([])
    private let connections = Mutex<[RedisConnection]>([])

    static let root = ".build/bench"

    init(name: String) async throws {
        pool = BlockingPool(name: "bench", threads: 64)
        loop = try EventLoop.started(name: "bench")
        http = HTTPClient(loop: loop)
        var path = [CChar](repeating: 0, count: Int(PATH_MAX))
        guard let here = getcwd(&path, path.count) else { throw BenchmarkError("the working directory is unknown") }
        folder = String(cString: here) + "/\(Self.root)/\(name)"
        try await run("rm", ["-rf", folder])
        try await run("mkdir", ["-p", folder])
    }

    /// Ends everything, the last started first, and removes the folder.
    func close() async {
        for connection in connections.withLock({ $0 }) { connection.close() }
        for (_, child) in children.withLock({ $0 }).reversed() { await child.stop(grace: .seconds(3)) }
        await http.close()
        _ = try? await run("rm", ["-rf", folder])
        let (loop, pool) = (loop, pool)
        try? await BlockingPool(name: "bench end", threads: 1).run {
            loop.stop()
            pool.close()
        }
    }

    /// Kills all that was ever started here, with the children of these children: the kernel would end only the former with us.
    static func killAll() {
        for child in everyChild.withLock({ $0 }) { child.kill9() }
    }

    // MARK: Programs

    /// A program of this package, beside our own.
    static func program(_ name: String) throws(BenchmarkError) -> String {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let length = buffer.withUnsafeMutableBytes { bytes in
            bytes.withMemoryRebound(to: CChar.self) { text in text.baseAddress.map { readlink("/proc/self/exe", $0, text.count) } ?? 0 }
        }
        let own = String(decoding: buffer[..<max(0, length)], as: UTF8.self)
        let path = own.lastIndex(of: "/").map { own[..<$0] + "/" + name } ?? name
        guard access(path, X_OK) == 0 else { throw BenchmarkError("\(path) is not built: run make build") }
        return path
    }

    /// A program of the system, or one at a path of its own. nginx is in a folder that only root has on its path.
    static func tool(_ name: String) throws(BenchmarkError) -> String {
        if name.contains("/"), access(name, X_OK) == 0 { return name }
        let path = Subprocess.inheritedEnvironment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
        for folder in (path + ":/usr/local/sbin:/usr/sbin:/sbin").split(separator: ":") where access("\(folder)/\(name)", X_OK) == 0 {
            return "\(folder)/\(name)"
        }
        throw BenchmarkError("\(name) is not installed: run deploy/bootstrap bench")
    }

    /// Starts a server; its output goes to a file in the folder.
    @discardableResult
    func start(_ name: String, _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:]) async throws -> ChildProcess {
        var variables = environment
        variables["PATH"] = Subprocess.inheritedEnvironment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
        let child = try await ChildProcess.start(
            ChildProcess.Configuration(
                executable: executable, arguments: arguments, environment: variables, output: .file("\(folder)/\(name).log"),
                errorOutput: .withOutput))
        children.withLock { $0.append((name, child)) }
        Self.everyChild.withLock { $0.append(child) }
        return child
    }

    /// Ends a server before the others.
    func stop(_ child: ChildProcess) async {
        children.withLock { $0.removeAll { $0.process === child } }
        await child.stop(grace: .seconds(5))
    }

    /// Runs a program to its end; a bad exit code is an error.
    @discardableResult
    func run(_ tool: String, _ arguments: [String], limit: Duration = .seconds(30)) async throws -> String {
        let output = try await Subprocess.run(
            executable: try Self.tool(tool), arguments: arguments, environment: Subprocess.inheritedEnvironment,
            limits: Subprocess.Limits(wallTime: limit), pool: pool)
        guard output.status.isSuccess else { throw BenchmarkError("\(tool) ended with \(output.status): \(output.errorText.prefix(500))") }
        return String(decoding: output.output, as: UTF8.self)
    }

    /// Waits for a condition. When it does not come true in time, or a server has ended meanwhile, says so with the last of its log.
    func wait(
        _ what: String, within limit: Duration = .seconds(15), pause: Duration = .milliseconds(20), _ isTrue: () async throws -> Bool
    ) async throws {
        let deadline = ContinuousClock.now.advanced(by: limit)
        while true {
            if (try? await isTrue()) == true { return }
            for (name, child) in children.withLock({ $0 }) where !child.isRunning {
                throw BenchmarkError("\(name) ended while waiting for \(what): \(lastLines(of: name))")
            }
            guard ContinuousClock.now < deadline else {
                let logs = children.withLock { $0 }.map { "\($0.name): \(lastLines(of: $0.name))" }
                throw BenchmarkError("\(what): not within \(limit). \(logs.joined(separator: "\n"))")
            }
            try await Task.sleep(for: pause)
        }
    }

    private func lastLines(of name: String) -> String {
        (Machine.file("\(folder)/\(name).log") ?? "").split(separator: "\n").suffix(5).joined(separator: "\n")
    }

    // MARK: Servers

    /// A port of the loopback that nobody listens on.
    static func freePort() throws(BenchmarkError) -> Int {
        for _ in 0..<1000 {
            // Below the range from which the system takes ports for outgoing connections.
            let port = Int.random(in: 15_000..<32_000)
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            guard descriptor >= 0 else { continue }
            defer { Glibc.close(descriptor) }
            if Loopback.withAddress(port, { bind(descriptor, $0, $1) }) == 0 { return port }
        }
        throw BenchmarkError("no free port of the loopback was found")
    }

    /// A Redis with the settings that we ship.
    /// - Parameter sync: `appendfsync`.
    func startRedis(_ name: String = "redis", sync: String = "always") async throws -> RedisServer {
        let port = try Self.freePort()
        try await run("mkdir", ["-p", "\(folder)/\(name)"])
        try await start(
            name, try Self.tool("redis-server"),
            ["deploy/redis.conf", "--port", "\(port)", "--dir", "\(folder)/\(name)", "--appendfsync", sync])
        let address = RedisAddress(place: .tcp(SocketAddress("127.0.0.1", port)))
        let connection = try await connect(address)
        return RedisServer(port: port, address: address, connection: connection)
    }

    func connect(_ address: RedisAddress) async throws -> RedisConnection {
        let connection = RedisConnection(loop: loop, address: address, name: "bench", timeout: .seconds(10), waitsForConnection: true)
        connections.withLock { $0.append(connection) }
        connection.start()
        try await connection.connected(within: .seconds(10))
        return connection
    }

    /// Variables that every program of ours gets: nothing of this machine's own installation.
    func environment(redis: RedisServer, _ more: [String: String] = [:]) -> [String: String] {
        [
            "REDIS_URL": "redis://127.0.0.1:\(redis.port)/0", "VAR_DIRECTORY": folder + "/var", "LOG_LEVEL": "warning",
            "PROVIDER_MODE_STANDARD_WEBHOOKS": "sandbox", "STANDARD_WEBHOOKS_SECRET": SignedPosts.secret,
        ].merging(more) { $1 }
    }

    /// Ingest with Standard Webhooks as its source, ready to take posts.
    func startIngest(redis: RedisServer, _ more: [String: String] = [:]) async throws -> (process: ChildProcess, port: Int) {
        let port = try Self.freePort()
        var variables = environment(redis: redis, more)
        variables["INGEST_ADDRESS"] = "127.0.0.1:\(port)"
        let process = try await start("ingest", try Self.program("ingest"), environment: variables)
        let http = http
        try await wait("ingest is ready") {
            try await http.send(HTTPClient.Request(url: "http://127.0.0.1:\(port)/readyz")).status == 200
        }
        return (process, port)
    }
}

/// A Redis that was started, and a connection to look at it by.
struct RedisServer: Sendable {
    let port: Int
    let address: RedisAddress
    let connection: RedisConnection

    func length(of list: String) async throws -> Int { Int(try await connection.call("LLEN", list).int ?? 0) }
}

enum Loopback {
    /// Lends the socket address of a port of 127.0.0.1.
    static func withAddress<Value>(_ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Value) -> Value {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(truncatingIfNeeded: port)).bigEndian
        address.sin_addr = in_addr(s_addr: in_addr_t(0x7f00_0001).bigEndian)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }
}
