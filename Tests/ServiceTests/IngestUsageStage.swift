import EventLoop
import Formats
import IngestService
import RedisClient
import Telemetry
import TestSupport
import UsageSamples

/// A real ingest with a real Redis of its own, that takes usage samples.
final class IngestUsageStage: Sendable {
    /// Two keys of one source, and one of another. Sources are named for this stage alone: metrics are the process's.
    let sources: (first: String, second: String)
    static let keys = (old: "old-key-0123456789abcdef0123", new: "new-key-0123456789abcdef0123", other: "other-key-0123456789abcdef01")
    static let ndjson = ("content-type", "application/x-ndjson")

    let redis: RedisServer
    let folder: TemporaryFolder
    let ingest: IngestServer
    private let connection: RedisConnection

    /// - Parameters:
    ///   - redisConfig: by default Redis has each write on stable storage, as in production.
    ///   - hasKeys: whether anybody may post.
    ///   - proxies: whose `X-Forwarded-For` is taken.
    static func run(
        redisConfig: [String: String] = ["appendonly": "yes", "appendfsync": "always"], loops: Int = 1, bodyLimit: Int = 2 << 20,
        hasKeys: Bool = true, proxies: [String] = [], _ body: (IngestUsageStage) async throws -> Void
    ) async throws {
        let redis = try await RedisServer.start(config: redisConfig)
        let loop = try EventLoop.started(name: "usage-test")
        let stage = try IngestUsageStage(redis, loop, loops: loops, bodyLimit: bodyLimit, hasKeys: hasKeys, proxies: proxies)
        try await stage.ingest.start()
        let result: Result<Void, any Error>
        do { result = .success(try await body(stage)) } catch { result = .failure(error) }
        await stage.ingest.stop(by: .now + .seconds(5))
        stage.connection.close()
        let ending = BlockingPool(name: "usage-end", threads: 1)
        try await ending.run { loop.stop() }
        ending.close()
        try result.get()
    }

    private init(_ redis: RedisServer, _ loop: EventLoop, loops: Int, bodyLimit: Int, hasKeys: Bool, proxies: [String]) throws {
        self.redis = redis
        folder = try TemporaryFolder("usage")
        sources = ("gateway-\(redis.port)", "edge-\(redis.port)")
        let keys = [(sources.first, Self.keys.old), (sources.first, Self.keys.new), (sources.second, Self.keys.other)]
        ingest = try IngestServer(
            IngestConfiguration(
                address: SocketAddress("127.0.0.1", 0), redis: redis.address, queuePrefix: "quittance:", spoolDirectory: folder.file("spool"),
                loops: loops, sources: [], usage: UsageSources(keys: hasKeys ? keys : [], bodyLimit: bodyLimit),
                trustedProxies: proxies.compactMap { AddressRange(parsing: $0) }), log: Log())
        connection = RedisConnection(loop: loop, address: redis.address, name: "usage-test", waitsForConnection: true)
        connection.start()
    }

    var port: Int { ingest.address.port }

    // MARK: Posting

    /// Headers of a good post.
    static func headers(_ batch: String, key: String = keys.old) -> [(String, String)] {
        [("authorization", "Bearer \(key)"), ("idempotency-key", batch), ndjson]
    }

    /// NDJSON of so many samples of now.
    static func lines(_ count: Int = 1, project: String = "shop") -> [UInt8] {
        let nowMs = WallClock.nowMs
        return Array((0..<count).map { #"{"project":"\#(project)","bytes":\#($0),"at":\#(nowMs)}"# }.joined(separator: "\n").utf8)
    }

    func post(_ headers: [(String, String)], _ body: [UInt8]) async throws -> HTTPLine.Answer {
        try await HTTPLine.once(port: port, "POST", "/usage", headers: headers, body: body)
    }

    func get(_ path: String) async throws -> HTTPLine.Answer { try await HTTPLine.once(port: port, "GET", path) }

    /// Waits until ingest pushes onto Redis and no longer into its spool.
    func awaitRedis() async throws {
        try await eventually("ingest uses Redis") {
            guard try await self.post(Self.headers("warm-up"), Self.lines()).status == 200 else { return false }
            let listed = try await self.waiting()
            return self.files("spool-").isEmpty && !listed.isEmpty
        }
        try await call("DEL", "quittance:{samples}:ready")
    }

    // MARK: Looking

    @discardableResult
    func call(_ name: String, _ arguments: any RedisArgument...) async throws -> RedisValue {
        try await connection.perform(RedisCommand(name, arguments: arguments))
    }

    /// The bodies on the list, the one that came first at the beginning.
    func waiting() async throws -> [[UInt8]] {
        Array((try await call("LRANGE", "quittance:{samples}:ready", 0, -1).array ?? []).compactMap(\.bytes).reversed())
    }

    func batches() async throws -> [SampleBatch] { try await waiting().map { try SampleBatch(decoding: $0) } }

    /// Files that ingest keeps samples in.
    func files(_ prefix: String) -> [String] {
        folder.list("spool/samples").filter { $0.hasPrefix(prefix) }
    }

    func logged(_ prefix: String) throws -> [[UInt8]] { try EventLogReader.events(in: folder.file("spool/samples"), prefix: prefix) }
}
