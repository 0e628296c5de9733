import Cryptography
import EventLoop
import Formats
import HTTPServer
import MessagePort
import ProviderPort
import RedisClient
import Settings
import Synchronization
import Telemetry

/// A source as ingest is to serve it.
public struct IngestSource: Sendable {
    public let adapter: any PaymentProvider
    public let mode: String
    public let bodyLimit: Int
    public let otherPaths: [String]
    /// The adapter's own unless given.
    public let policy: TrustPolicy
    public let addresses: [AddressRange]
    public let addressCheck: AddressCheck

    public init(
        adapter: any PaymentProvider, mode: String, bodyLimit: Int, otherPaths: [String], policy: TrustPolicy? = nil,
        addresses: [AddressRange] = [], addressCheck: AddressCheck = .off
    ) {
        self.adapter = adapter
        self.mode = mode
        self.bodyLimit = bodyLimit
        self.otherPaths = otherPaths
        self.policy = policy ?? adapter.capabilities.standardPolicy
        self.addresses = addresses
        self.addressCheck = addressCheck
    }
}

/// What ingest needs to run.
public struct IngestConfiguration: Sendable {
    public var address: SocketAddress
    public var redis: RedisAddress
    public var queuePrefix: String
    public var spoolDirectory: String
    /// Loops, each with a thread and a Redis connection of its own.
    public var loops: Int
    public var sources: [IngestSource]
    /// Who may post usage samples; without keys every such post is refused.
    public var usage: UsageSources
    /// Carriers of messages that post what becomes of them.
    public var receipts: [any ReceiptSource]
    /// Whose `X-Forwarded-For` is believed.
    public var trustedProxies: [AddressRange]
    /// The unix socket over which a successor asks for the listening sockets; without it there is no hand-over.
    public var handOverPath: String?

    public init(
        address: SocketAddress, redis: RedisAddress, queuePrefix: String, spoolDirectory: String, loops: Int,
        sources: [IngestSource], usage: UsageSources = UsageSources(), receipts: [any ReceiptSource] = [], trustedProxies: [AddressRange] = [],
        handOverPath: String? = nil
    ) {
        self.address = address
        self.redis = redis
        self.queuePrefix = queuePrefix
        self.spoolDirectory = spoolDirectory
        self.loops = loops
        self.sources = sources
        self.usage = usage
        self.receipts = receipts
        self.trustedProxies = trustedProxies
        self.handOverPath = handOverPath
    }
}

/// The ingest process: takes providers' posts and usage samples, verifies them, makes them durable, answers. Knows no SQL.
public final class IngestServer: Service {
    public let name = "ingest"
    private let configuration: IngestConfiguration
    private let loops: [EventLoop]
    private let lanes: [IngestLane]
    /// Of events, of batches of samples, and of receipts where any are taken.
    private let keeps: [Keep]
    private let server: HTTPServer
    private let handOver: HandOver?
    private let tending = Mutex<[RepeatingTimer]>([])
    private let succession = Mutex(Succession())

    private struct Succession {
        var isHandedOver = false
        var onHandedOver: (@Sendable () -> Void)?
    }

    /// How long a successor's Redis connection is waited for: what comes meanwhile is the predecessor's.
    private static let redisPatience = Duration.seconds(2)
    /// How long a client's silent connection may ask once more, after a successor has taken over.
    private static let drainPatience = Duration.seconds(5)

    /// Where what goes onto one list is kept meanwhile, by all loops.
    private struct Keep: Sendable {
        let list: StoredList
        let journal: Journal
        let spool: Spool

        init(_ list: StoredList, folder: String, log: Log) throws {
            self.list = list
            journal = try Journal(folder: folder, bytesMax: list.journalBytesMax, log: log)
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
        let receipts =
            configuration.receipts.isEmpty
            ? nil : try Keep(.receipts, folder: IngestFolders.receipts(in: configuration.spoolDirectory), log: log)
        keeps = [events, samples] + [receipts].compactMap { $0 }
        let table = Self.table(of: configuration.sources)
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
            let clients = ClientAddresses(proxies: configuration.trustedProxies)
            let usage = UsageDesk(store: store(samples), keys: usageKeys, counters: usageCounters, clients: clients, log: log)
            let desk = receipts.map { ReceiptDesk(store: store($0), sources: configuration.receipts, clients: clients, log: log) }
            return IngestLane(
                loop: loop, store: store(events), usage: usage, receipts: desk, redis: redis, table: table,
                usageBodyLimit: configuration.usage.bodyLimit, clients: clients, log: log)
        }
        let lanes = lanes
        let settings = HTTPServerConfiguration(
            address: configuration.address, loops: loops.count,
            bodyLimit: { head in lanes.first { $0.loop.isOnLoop }?.bodyLimit(of: head.path) ?? 0 })
        handOver = configuration.handOverPath.map { HandOver(path: $0, address: configuration.address, log: log) }
        server = HTTPServer(configuration: settings, loops: loops, name: "ingest http", log: log) { request, responder in
            // Few loops: a walk is quicker than a dictionary.
            for lane in lanes where lane.loop === responder.loop { return lane.handle(request, responder, all: lanes) }
            responder.respond(.problem(500, "unknown loop"))
        }
    }

    private static func table(of sources: [IngestSource]) -> SourceTable {
        SourceTable(sources.filter { $0.adapter.capabilities.hasWebhook }.map { (WebhookSource($0), $0.otherPaths) })
    }

    /// Where it listens, once started.
    public var address: SocketAddress { server.boundAddress }

    /// Takes other sources and keys, on each loop from its next post on. Posts under way are not touched.
    public func replace(sources: [IngestSource], usage: UsageSources) {
        let table = Self.table(of: sources)
        let keys = UsageKeys(usage.keys)
        for lane in lanes { lane.loop.execute { lane.replace(table, usageKeys: keys, usageBodyLimit: usage.bodyLimit) } }
    }

    /// Calls back once a successor serves in this one's place, which then is to be stopped.
    public func whenHandedOver(_ body: @escaping @Sendable () -> Void) { succession.withLock { $0.onHandedOver = body } }

    public func start() async throws {
        for lane in lanes { await lane.loop.run { lane.start() } }
        let timers = lanes.map { lane in lane.loop.repeating(every: .milliseconds(500)) { lane.tend() } }
        let keeps = keeps
        let adoption = loops[0].repeating(every: .seconds(10)) { for keep in keeps { keep.spool.adoptOrphans() } }
        tending.withLock { $0 = timers + [adoption] }
        try await listen()
    }

    private func listen() async throws {
        let adopted = try await handOver?.take() ?? []
        if !adopted.isEmpty { for lane in lanes { await lane.awaitRedis(within: Self.redisPatience) } }
        try await server.start(adopting: adopted)
        let (server, keeps, loop) = (server, keeps, loops[0])
        await handOver?.serve(
            lend: { body in server.withListeners(body) },
            onHandedOver: { [self] in
                let callback = succession.withLock { succession in
                    succession.isHandedOver = true
                    return succession.onHandedOver
                }
                callback?()
            },
            onPredecessorGone: {
                // Its locks go with it, in no order that can be relied on.
                loop.schedule(after: .milliseconds(200)) { for keep in keeps { keep.spool.adoptOrphans() } }
            })
    }

    public func stop(by deadline: ContinuousClock.Instant) async {
        await handOver?.close()
        let isHandedOver = succession.withLock { $0.isHandedOver }
        await server.stop(by: deadline, patience: isHandedOver ? Self.drainPatience : .zero)
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
