import EventLoop
import Formats
import MessageCatalog
import ProviderCatalog
import ProviderPort
import Settings
import Synchronization
import Telemetry

/// Ingest as an installation runs it: the server, and what keeps its sources up to date.
public struct IngestProgram: Sendable {
    public let server: IngestServer
    private let following: SourcesFollowing

    /// In the order of their start.
    public var services: [any Service] { [server, following] }

    public init(_ settings: Settings, loops: Int, log: Log) throws {
        let usable = MetricRegistry.shared.gauge(
            "ingest_sources_file_usable", help: "1 while the sources file is in force, 0 while its last good copy is.")
        usable.set(settings.sourcesProblem == nil ? 1 : 0)
        let watch = try SourcesWatch(settings, keepsCopy: true) { report in
            switch report {
            case .changed(let what):
                usable.set(1)
                log.info("sources changed", ["changes": .string(what.joined(separator: "; "))])
            case .refused(let why):
                usable.set(0)
                log.error("the sources file is not used: the last good one stays in force", ["reason": .string(why)])
            }
        }
        let catalog = watch.look()
        server = try IngestServer(
            IngestConfiguration(
                address: settings.ingestAddress, redis: settings.redis, queuePrefix: settings.queuePrefix,
                spoolDirectory: settings.spoolDirectory, loops: loops, sources: Self.sources(catalog),
                usage: Self.usage(catalog), receipts: MessageCatalog.receiptSources(settings.notifications),
                trustedProxies: settings.trustedProxies,
                handOverPath: "\(settings.varDirectory)/handover/ingest.\(settings.slot)"), log: log)
        following = try SourcesFollowing(watch, server: server)
    }

    fileprivate static func sources(_ catalog: SourcesWatch.Catalog) -> [IngestSource] {
        catalog.sources.map {
            IngestSource(
                adapter: $0.adapter, mode: $0.mode, bodyLimit: $0.bodyLimit, otherPaths: $0.otherPaths, policy: $0.policy,
                addresses: $0.addresses, addressCheck: $0.addressCheck)
        }
    }

    fileprivate static func usage(_ catalog: SourcesWatch.Catalog) -> UsageSources {
        UsageSources(keys: catalog.settings.usage.sources.map { ($0.name, $0.key.value) }, bodyLimit: catalog.settings.usageBodyLimit)
    }
}

/// Looks at the sources file every second and hands what is new to the server.
final class SourcesFollowing: Service {
    let name = "sources"
    private let watch: SourcesWatch
    private let server: IngestServer
    private let loop: EventLoop
    private let pool = BlockingPool(name: "sources", threads: 1)
    private let state = Mutex(State())

    private struct State {
        var timer: RepeatingTimer?
        var generation = 0
    }

    init(_ watch: SourcesWatch, server: IngestServer) throws {
        self.watch = watch
        self.server = server
        loop = try EventLoop.started(name: "sources")
    }

    func start() async throws {
        state.withLock { $0.timer = loop.repeating(every: .seconds(1)) { [self] in pool.submit { self.look() } } }
    }

    /// Files are read on the pool's thread, one look at a time.
    private func look() {
        let catalog = watch.look()
        let isNew = state.withLock { state in
            defer { state.generation = catalog.generation }
            return state.generation != catalog.generation
        }
        if isNew { server.replace(sources: IngestProgram.sources(catalog), usage: IngestProgram.usage(catalog)) }
    }

    func stop(by deadline: ContinuousClock.Instant) async {
        state.withLock { $0.timer }?.cancel()
        let (pool, loop) = (pool, loop)
        let ending = BlockingPool(name: "sources end", threads: 1)
        try? await ending.run {
            loop.stop()
            pool.close()
        }
    }
}
