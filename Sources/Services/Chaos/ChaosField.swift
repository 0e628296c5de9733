import EventLoop
import Formats
import RedisClient
import Subprocess
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Where one play happens: a folder, a Redis of its own, and real processes that can be killed, frozen and started again one by one.
/// The folder is the evidence: logs, the journal of faults, Redis' log, the database.
final class ChaosField: Sendable {
    let folder: String
    let loop: EventLoop
    let pool: BlockingPool
    let redisPort: Int
    /// Straight to Redis, past every proxy.
    let redis: RedisConnection
    private let beganNs = Monotonic.nowNs
    private let state = Mutex(State())

    private struct State {
        var running: [String: ChildProcess] = [:]
        /// When Redis was away: from, until.
        var away: [(fromNs: Int64, untilNs: Int64)] = []
        /// When nobody could have done anything, for another reason.
        var standstills: [(fromNs: Int64, untilNs: Int64)] = []
        var violations: [String] = []
    }

    /// Of all fields, for an end in haste.
    private static let everyChild = Mutex<[ChildProcess]>([])

    /// Makes the folder anew and starts Redis in it, with the settings that we ship.
    init(folder: String) async throws {
        self.folder = folder
        pool = BlockingPool(name: "chaos", threads: 8)
        loop = try EventLoop.started(name: "chaos")
        redisPort = try Loopback.freePort()
        let address = RedisAddress(place: .tcp(SocketAddress("127.0.0.1", redisPort)))
        redis = RedisConnection(loop: loop, address: address, name: "chaos", timeout: .seconds(10), waitsForConnection: true)
        try await run("rm", ["-rf", folder])
        try await run("mkdir", ["-p", folder + "/redis", folder + "/var", folder + "/outside"])
        redis.start()
        try await startRedis()
    }

    /// Ends everything that still runs. The folder stays.
    func close() async {
        redis.close()
        for child in state.withLock({ $0.running.values }) {
            child.kill9()
            await child.waitForExit()
        }
        let (loop, pool) = (loop, pool)
        try? await BlockingPool(name: "chaos end", threads: 1).run {
            loop.stop()
            pool.close()
        }
    }

    static func killAll() {
        for child in everyChild.withLock({ $0 }) { child.kill9() }
    }

    // MARK: The journal

    /// Seconds since the field was made.
    var clock: Double { Double(Monotonic.nowNs - beganNs) / 1e9 }

    func note(_ text: String) {
        try? TextFile.write("\(Number.fixed(clock, 3)) s  \(text)\n", to: folder + "/journal.log", appending: true)
    }

    func violate(_ text: String) {
        note("VIOLATION: \(text)")
        state.withLock { $0.violations.append(text) }
    }

    var violations: [String] { state.withLock { $0.violations } }

    // MARK: Processes

    /// A program of this package, beside our own.
    static func program(_ name: String) throws(ChaosError) -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let length = readlink("/proc/self/exe", &buffer, buffer.count)
        let own = String(decoding: buffer[..<max(0, length)].map(UInt8.init(bitPattern:)), as: UTF8.self)
        let path = own.lastIndex(of: "/").map { own[..<$0] + "/" + name } ?? name
        guard access(path, X_OK) == 0 else { throw ChaosError("\(path) is not built: run make build") }
        return path
    }

    static func tool(_ name: String) throws(ChaosError) -> String {
        for folder in searchPath.split(separator: ":") where access("\(folder)/\(name)", X_OK) == 0 { return "\(folder)/\(name)" }
        throw ChaosError("\(name) is not installed: run deploy/bootstrap run")
    }

    private static let searchPath = Subprocess.inheritedEnvironment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"

    /// Starts a process under a name; its output is added to `<name>.log`.
    @discardableResult
    func start(_ name: String, _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:]) async throws -> ChildProcess {
        var variables = environment
        // Of the surrounding environment only what programs need to run at all, and what counts or watches them.
        let needed = [
            "PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "LD_PRELOAD", "LLVM_PROFILE_FILE", "TSAN_OPTIONS", "ASAN_OPTIONS", "LSAN_OPTIONS",
        ]
        for name in needed { variables[name] = variables[name] ?? Subprocess.inheritedEnvironment[name] }
        let child = try await ChildProcess.start(
            ChildProcess.Configuration(
                executable: executable, arguments: arguments, environment: variables, output: .file(log(of: name)), errorOutput: .withOutput))
        state.withLock { $0.running[name] = child }
        Self.everyChild.withLock { $0.append(child) }
        return child
    }

    func log(of name: String) -> String { "\(folder)/\(name).log" }

    func process(_ name: String) throws(ChaosError) -> ChildProcess {
        guard let child = state.withLock({ $0.running[name] }) else { throw ChaosError("\(name) was never started") }
        return child
    }

    /// Runs a command to its end; a bad exit code is an error.
    @discardableResult
    func run(_ tool: String, _ arguments: [String], environment: [String: String]? = nil) async throws -> String {
        let path = tool.contains("/") ? tool : try Self.tool(tool)
        let output = try await Subprocess.run(
            executable: path, arguments: arguments, environment: environment ?? Subprocess.inheritedEnvironment,
            limits: Subprocess.Limits(wallTime: .seconds(60)), pool: pool)
        guard output.status.isSuccess else { throw ChaosError("\(tool) ended with \(output.status): \(output.errorText.prefix(500))") }
        return String(decoding: output.output, as: UTF8.self)
    }

    /// Waits for a condition; what it throws counts as "not yet".
    /// - Returns: whether it came true in time.
    func eventually(within limit: Duration, pause: Duration = .milliseconds(10), _ isTrue: () async throws -> Bool) async -> Bool {
        let deadline = ContinuousClock.now.advanced(by: limit)
        while true {
            if (try? await isTrue()) == true { return true }
            guard ContinuousClock.now < deadline else { return false }
            try? await Task.sleep(for: pause)
        }
    }

    // MARK: Redis

    /// `appendfsync always`, as redis.conf has it: with kill -9 the promise is about what is on disk.
    func startRedis() async throws {
        try await start("redis", try Self.tool("redis-server"), ["deploy/redis.conf", "--port", "\(redisPort)", "--dir", folder + "/redis"])
        try await awaitRedis()
    }

    private func awaitRedis() async throws {
        // Asked on new connections: a client's own pauses between attempts are part of what is measured.
        let port = redisPort
        let answers = await eventually(within: .seconds(30), pause: .milliseconds(2)) { try await pool.run { Loopback.isRedis(on: port) } }
        guard answers else { throw ChaosError("Redis does not come back: see \(log(of: "redis"))") }
    }

    /// Takes Redis away and brings it back.
    func takeRedisAway(by fault: Fault, for ms: Int) async throws {
        let child = try process("redis")
        let fromNs = Monotonic.nowNs
        // Nobody may ask how long it is away before it is back.
        state.withLock { $0.away.append((fromNs, .max)) }
        if case .freezeRedis = fault {
            child.signal(SIGSTOP)
            try await Task.sleep(for: .milliseconds(ms))
            child.signal(SIGCONT)
            try await awaitRedis()
        } else {
            if case .killRedis = fault { child.kill9() } else { _ = try? await redis.call("SHUTDOWN", timeout: .seconds(1)) }
            guard await child.waitForExit(within: .seconds(20)) != nil else { throw ChaosError("Redis does not end") }
            try await Task.sleep(for: .milliseconds(ms))
            try await startRedis()
        }
        let now = Monotonic.nowNs
        state.withLock { state in
            for place in state.away.indices where state.away[place].untilNs == .max { state.away[place].untilNs = now }
        }
        note("Redis is back after \((now - fromNs) / 1_000_000) ms")
    }

    /// All workers, or SQL, stood still.
    func stoodStill(fromNs: Int64, untilNs: Int64) { state.withLock { $0.standstills.append((fromNs, untilNs)) } }

    /// From when on a fault's recovery counts: while Redis is away or all stand still nobody can recover.
    func since(_ faultNs: Int64, atNs: Int64) -> Int64 {
        state.withLock { state in
            (state.away + state.standstills).filter { $0.fromNs <= atNs && $0.untilNs > faultNs && $0.untilNs <= atNs }.map(\.untilNs).max()
                ?? faultNs
        }
    }

    /// When Redis last came back; 0 when it never was away.
    var lastReturnNs: Int64 { state.withLock { $0.away.map(\.untilNs).max() ?? 0 } }
}

enum Number {
    /// With so many decimals.
    static func fixed(_ value: Double, _ decimals: Int) -> String {
        guard value.isFinite else { return "-" }
        let scale = (0..<decimals).reduce(Int64(1)) { scale, _ in scale * 10 }
        let scaled = Int64((value.magnitude * Double(scale)).rounded())
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard decimals > 0 else { return sign + String(scaled) }
        let fraction = String(scaled % scale)
        return sign + String(scaled / scale) + "." + String(repeating: "0", count: decimals - fraction.count) + fraction
    }
}
