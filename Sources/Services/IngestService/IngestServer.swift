import Cryptography
import EventLoop
import Formats
import HTTPServer
import ProviderPort
import RedisClient
import Synchronization
import Telemetry

/// What ingest needs to run.
public struct IngestConfiguration: Sendable {
    public var address: SocketAddress
    public var redis: RedisAddress
    public var queuePrefix: String
    public var spoolDirectory: String
    /// Loops, each with a thread and a Redis connection of its own.
    public var loops: Int
    /// Signs capability paths; without it there are none.
    public var secretKey: String?
    public var sources: [(adapter: any PaymentProvider, mode: String, bodyLimit: Int, otherPaths: [String])]
    /// Who may post usage samples; without keys every such post is refused.
    public var usage: UsageSources

    public init(
        address: SocketAddress, redis: RedisAddress, queuePrefix: String, spoolDirectory: String, loops: Int, secretKey: String?,
        sources: [(adapter: any PaymentProvider, mode: String, bodyLimit: Int, otherPaths: [String])], usage: UsageSources = UsageSources()
    ) {
        self.address = address
        self.redis = redis
        self.queuePrefix = queuePrefix
        self.spoolDirectory = spoolDirectory
        self.loops = loops
        self.secretKey = secretKey
        self.sources = sources
        self.usage = usage
    }
}

/// The ingest process: takes providers' posts and usage samples, verifies them, makes them durable, answers. Knows no SQL.
public final class IngestServer: Service {
    public let name = "ingest"
    /// Of a path that is no source's: as of one, so that it is answered 404 and not 413.
    private static let strangerBodyLimit = 256 << 10
    private let configuration: IngestConfiguration
    private let loops: [EventLoop]
    private let lanes: [IngestLane]
    /// Of events, and of batches of samples.
    private let keeps: [Keep]
    private let server: HTTPServer
    private let tending = Mutex<[RepeatingTimer]>([])

    /// Where what goes onto one list is kept meanwhile, by all loops.
    private struct Keep: Sendable {
        let list: StoredList
        let journal: Journal
        let spool: Spool

        init(_ list: StoredList, folder: String, log: Log) throws {
            self.list = list
            journal = try Journal(folder: folder, log: log)
            spool = try Spool(folder: folder, list: list, log: log)
        }

        func close() {
            journal.close()
            spool.close()
        }
    }

    public init(_ configuration: IngestConfiguration, log: Log) throws {
        self.configuration = configuration
        var loops: [EventLoop] = []
        for number in 0..<configuration.loops { loops.append(try EventLoop.started(name: "ingest-\(number)")) }
        self.loops = loops
        let events = try Keep(.events, folder: configuration.spoolDirectory, log: log)
        let samples = try Keep(.samples, folder: IngestFolders.samples(in: configuration.spoolDirectory), log: log)
        keeps = [events, samples]
        let table = SourceTable(
            configuration.sources.map { (WebhookSource(adapter: $0.adapter, mode: $0.mode, bodyLimit: $0.bodyLimit), $0.otherPaths) })
        let capabilities = configuration.secretKey.map { CapabilitySigner(secret: $0) }
        let usageKeys = UsageKeys(configuration.usage.keys)
        let usageCounters = UsageDesk.Counters()
        lanes = loops.enumerated().map { number, loop in
            let redis = RedisConnection(loop: loop, address: configuration.redis, name: "ingest-\(number)", timeout: EventStore.timeout)
            func store(_ keep: Keep) -> EventStore {
                let store = EventStore(
                    loop: loop, redis: redis, list: keep.list, queuePrefix: configuration.queuePrefix, journal: keep.journal, spool: keep.spool,
                    log: log)
                store.spoolOwner = number == 0
                return store
            }
            let usage = UsageDesk(store: store(samples), keys: usageKeys, counters: usageCounters, log: log)
            return IngestLane(loop: loop, store: store(events), usage: usage, redis: redis, table: table, capabilities: capabilities, log: log)
        }
        let usageBodyLimit = configuration.usage.bodyLimit
        let settings = HTTPServerConfiguration(
            address: configuration.address, loops: loops.count,
            bodyLimit: { head in
                let path = head.path
                return table.match(path: path)?.source.bodyLimit ?? (UsageDesk.isPath(path) ? usageBodyLimit : Self.strangerBodyLimit)
            })
        let lanes = lanes
        server = HTTPServer(configuration: settings, loops: loops, name: "ingest http", log: log) { request, responder in
            // Few loops: a walk is quicker than a dictionary.
            for lane in lanes where lane.loop === responder.loop { return lane.handle(request, responder, all: lanes) }
            responder.respond(.problem(500, "unknown loop"))
        }
    }

    /// Where it listens, once started.
    public var address: SocketAddress { server.boundAddress }

    public func start() async throws {
        for lane in lanes { await lane.loop.run { lane.start() } }
        let timers = lanes.map { lane in lane.loop.repeating(every: .milliseconds(500)) { lane.tend() } }
        let keeps = keeps
        let adoption = loops[0].repeating(every: .seconds(10)) { for keep in keeps { keep.spool.adoptOrphans() } }
        tending.withLock { $0 = timers + [adoption] }
        try await server.start()
    }

    public func stop(by deadline: ContinuousClock.Instant) async {
        await server.stop(by: deadline)
        for timer in tending.withLock({ $0 }) { timer.cancel() }
        for lane in lanes { lane.redis.close() }
        let (keeps, loops) = (keeps, loops)
        let pool = BlockingPool(name: "ingest end", threads: 1)
        try? await pool.run {
            for keep in keeps { keep.close() }
            for loop in loops { loop.stop() }
        }
    }
}
