import EventLoop
import Formats
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// A real Redis of its own for one test: free loopback port, own folder, gone with the value.
public final class RedisServer: Sendable {
    public let port: Int
    /// Its working folder: append-only files, configuration, unix socket.
    public let folder: TemporaryFolder
    public let socketPath: String
    private let password: String?
    private let tls: TLS?
    private let running: Mutex<ProcessFixture>
    private static let probes = BlockingPool(name: "probe", threads: 4)

    /// A server that speaks nothing but TLS over TCP.
    public struct TLS: Sendable {
        /// Who signed its certificate, and whose clients it trusts.
        public let authority: TestAuthority
        public let certificate: TestAuthority.Signed
        public let asksClients: Bool

        public init(_ authority: TestAuthority, certificate: TestAuthority.Signed, asksClients: Bool = false) {
            self.authority = authority
            self.certificate = certificate
            self.asksClients = asksClients
        }

        var lines: [String: String] {
            [
                "port": "0", "tls-cert-file": certificate.certificatePath, "tls-key-file": certificate.keyPath,
                "tls-ca-cert-file": authority.certificatePath, "tls-auth-clients": asksClients ? "yes" : "no",
            ]
        }
    }

    /// Starts a server and returns when it answers. Without further configuration it keeps nothing on disk.
    /// - Parameters:
    ///   - config: lines of redis.conf, for instance `["appendonly": "yes", "appendfsync": "always", "maxmemory": "4mb"]`; a value may hold
    ///     several words. An empty value is written as `""`.
    ///   - password: `requirepass`; without quotation marks and backslashes.
    public static func start(config: [String: String] = [:], password: String? = nil, tls: TLS? = nil) async throws -> RedisServer {
        // A port may be taken between being found free and being bound: then another one is tried.
        var attempts = 0
        while true {
            attempts += 1
            let port = try freePort()
            let folder = try TemporaryFolder("quittance-redis")
            var lines = ["save": "", "appendonly": "no", "daemonize": "no", "bind": "127.0.0.1", "databases": "16", "loglevel": "notice"]
            lines["port"] = "\(port)"
            lines["dir"] = folder.path
            lines["unixsocket"] = folder.file("redis.sock")
            if let tls {
                lines.merge(tls.lines) { $1 }
                lines["tls-port"] = "\(port)"
            }
            if let password { lines["requirepass"] = "\"\(password)\"" }
            lines.merge(config) { $1 }
            let text = lines.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.isEmpty ? "\"\"" : $0.value)\n" }.joined()
            try folder.write(text, to: "redis.conf")
            let process = try await launch(folder)
            if let problem = try await ready(process, folder) {
                if attempts < 5 && problem.contains("Address already in use") { continue }
                throw FixtureError("redis-server did not start: \(problem)")
            }
            return RedisServer(port: port, folder: folder, password: password, tls: tls, process: process)
        }
    }

    private init(port: Int, folder: TemporaryFolder, password: String?, tls: TLS?, process: ProcessFixture) {
        self.port = port
        self.folder = folder
        self.password = password
        self.tls = tls
        socketPath = folder.file("redis.sock")
        running = Mutex(process)
    }

    // The process is gone before its folder is removed.
    deinit { process.end() }

    /// Where it listens, with its password.
    public var address: RedisAddress {
        RedisAddress(
            place: .tcp(SocketAddress("127.0.0.1", port)), password: password,
            tls: tls.map { RedisTLS(authoritiesFile: $0.authority.certificatePath) })
    }
    /// The same server by its unix socket.
    public var unixAddress: RedisAddress { RedisAddress(place: .unix(path: socketPath), password: password) }
    /// The address as a `REDIS_URL`.
    public var url: String { "redis://\(password.map { ":\($0)@" } ?? "")127.0.0.1:\(port)/0" }

    public var process: ProcessFixture { running.withLock { $0 } }
    public var isRunning: Bool { process.isRunning }

    /// An orderly end: what is configured to be kept is on disk afterwards.
    public func stop() async throws {
        process.resume()
        process.terminate()
        try await process.waitForExit()
    }

    /// Ends it without warning.
    public func kill9() async throws {
        process.kill9()
        try await process.waitForExit()
    }

    /// It keeps its port and its connections but does nothing any more, until ``resume()``.
    public func pause() { process.pause() }
    public func resume() { process.resume() }

    /// Starts it again after ``stop()`` or ``kill9()`` (ends it first otherwise): same port, same folder, same configuration.
    /// - Parameter waits: until it answers; otherwise it may still be loading what it had kept, see ``answers()``.
    public func restart(waits: Bool = true) async throws {
        if isRunning { try await stop() }
        let process = try await Self.launch(folder)
        running.withLock { $0 = process }
        guard waits else { return }
        if let problem = try await Self.ready(process, folder) { throw FixtureError("redis-server did not start again: \(problem)") }
    }

    /// Adds lines to its configuration, for its next start.
    public func configure(_ lines: [String: String]) throws {
        let text = String(decoding: folder.read("redis.conf") ?? [], as: UTF8.self)
        try folder.write(text + lines.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)\n" }.joined(), to: "redis.conf")
    }

    /// Whether it answers PING, which it does not while it is loading.
    public func answers() async throws -> Bool {
        let path = socketPath
        return try await Self.probes.run { answersPing(path) } && isRunning
    }

    private static func launch(_ folder: TemporaryFolder) async throws -> ProcessFixture {
        try await ProcessFixture.start("redis-server", [folder.file("redis.conf")])
    }

    /// Waits until the server answers; returns what is wrong when it ends instead.
    ///
    /// It is asked by its unix socket, which nobody else can have; it listens there only once it has its port.
    private static func ready(_ process: ProcessFixture, _ folder: TemporaryFolder) async throws -> String? {
        let deadline = ContinuousClock.now.advanced(by: (.seconds(20) as Duration).stretched)
        while true {
            if let ending = process.ending { return "\(ending): \(process.transcript)" }
            if try await probes.run({ answersPing(folder.file("redis.sock")) }) && process.isRunning { return nil }
            if ContinuousClock.now >= deadline { return "no answer: \(process.transcript)" }
            try await Task.sleep(for: .milliseconds(3))
        }
    }
}

/// Whether a Redis answers PING; a refusal for want of a password is an answer too. Blocks up to half a second.
private func answersPing(_ path: String) -> Bool {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var limit = timeval(tv_sec: 0, tv_usec: 500_000)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8.prefix(MemoryLayout.size(ofValue: address.sun_path) - 1))
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let connected = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
    guard connected == 0 else { return false }
    let request = Array("PING\r\n".utf8)
    guard send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else { return false }
    var answer = [UInt8](repeating: 0, count: 256)
    let count = recv(descriptor, &answer, answer.count, 0)
    guard count > 0 else { return false }
    let text = String(decoding: answer[..<count], as: UTF8.self)
    return text.hasPrefix("+PONG") || text.hasPrefix("-NOAUTH")
}
