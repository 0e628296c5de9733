import EventLoop
import Formats
import Synchronization
import Telemetry

#if canImport(Glibc)
    import Glibc
#endif

/// An HTTP/1.1 server: one event loop per core, each with a listening socket of its own.
///
/// The handler is called on the loop's thread and must not block; it answers at once or later, from any thread. The server
/// itself answers what is malformed, too large, too slow or too much (400, 408, 413, 417, 431, 501, 503, 505) and counts it.
public final class HTTPServer: Service {
    public typealias Handler = @Sendable (HTTPRequest, HTTPResponder) -> Void
    /// Says who takes a request's body in pieces; nil for a request that is handed on as a whole.
    public typealias Streaming = @Sendable (HTTPRequestHead) -> (any HTTPBodyReceiver)?

    public let name: String
    private let parts: ServerParts
    private let givenLoops: [EventLoop]?
    private let life = Mutex(Life())

    private struct Life {
        var listeners: [Int32] = []
        var lanes: [Lane] = []
        var ownLoops: [EventLoop] = []
        var bound: SocketAddress?
    }

    /// - Parameter loops: loops that already run and are shared with others; without them the server starts its own.
    public init(
        configuration: HTTPServerConfiguration, loops: [EventLoop]? = nil, name: String = "http", log: Log = Log("http"),
        streaming: Streaming? = nil, handler: @escaping Handler
    ) {
        precondition((1...64 * 1024).contains(configuration.headerLimit), "headerLimit is 1 byte to 64 KiB")
        precondition(configuration.loops > 0 && loops?.isEmpty != true, "a server needs a loop")
        self.name = name
        givenLoops = loops
        parts = ServerParts(
            configuration: configuration, log: log, metrics: ServerMetrics(name: name), streaming: streaming, handler: handler)
    }

    /// Where the server listens, with the port the system gave; the configured address before the start.
    public var boundAddress: SocketAddress { life.withLock { $0.bound } ?? parts.configuration.address }

    /// Open connections.
    public var connectionCount: Int { parts.metrics.connections.load(ordering: .relaxed) }

    public func start() async throws { try await start(adopting: []) }

    /// Starts on listening sockets that another process has handed over; with none it binds its own.
    /// - Parameter listeners: owned by the server from now on, and closed when it does not start.
    public func start(adopting listeners: [Int32]) async throws {
        let count = givenLoops?.count ?? parts.configuration.loops
        let (descriptors, port) = try Listener.perLoop(parts.configuration, adopted: listeners, count: count)
        let loops: [EventLoop]
        do {
            loops = try givenLoops ?? (0..<count).map { try EventLoop.started(name: "\(name)-\($0)") }
        } catch {
            Listener.close(descriptors.flatMap { $0 })
            throw error
        }
        let lanes = zip(loops, descriptors).map { Lane(loop: $0, listeners: $1, server: parts) }
        life.withLock { life in
            life.listeners = descriptors.flatMap { $0 }
            life.lanes = lanes
            life.ownLoops = givenLoops == nil ? loops : []
            life.bound = SocketAddress(parts.configuration.address.host, port)
        }
        for lane in lanes { await lane.loop.run { lane.open() } }
    }

    public func stop(by deadline: ContinuousClock.Instant) async { await stop(by: deadline, patience: .zero) }

    /// Stops, and lets a silent connection ask once more within `patience`: the answer then ends it, which no client takes for a failure.
    /// For a server whose sockets another one has taken over.
    public func stop(by deadline: ContinuousClock.Instant, patience: Duration) async {
        let (lanes, loops) = life.withLock { life in
            defer { (life.lanes, life.ownLoops, life.listeners) = ([], [], []) }
            return (life.lanes, life.ownLoops)
        }
        await withTaskGroup(of: Void.self) { group in
            for lane in lanes { group.addTask { await Self.stop(lane, by: deadline, patience: patience) } }
        }
        await Self.end(loops)
    }

    private static func stop(_ lane: Lane, by deadline: ContinuousClock.Instant, patience: Duration) async {
        await withCheckedContinuation { continuation in
            lane.loop.execute {
                lane.stop(within: max(.zero, deadline - ContinuousClock.now), patience: patience) { continuation.resume() }
            }
        }
    }

    /// Lends the listening sockets, to hand them to another process. They stay open while `body` runs: a stop waits for it.
    public func withListeners<Value>(_ body: ([Int32]) throws -> Value) rethrows -> Value {
        try life.withLock { try body($0.listeners) }
    }

    /// Ending a loop waits for its thread: not on Swift's shared pool.
    private static func end(_ loops: [EventLoop]) async {
        guard !loops.isEmpty else { return }
        await withCheckedContinuation { continuation in
            let thread = ThreadLaunch.start(name: "http-end") {
                for loop in loops { loop.stop() }
                continuation.resume()
            }
            pthread_detach(thread)
        }
    }

    /// A handler written as an async function. It costs a task and two thread hops a request: not for the hot path.
    public static func asyncHandler(_ body: @escaping @Sendable (HTTPRequest) async -> HTTPResponse) -> Handler {
        { request, responder in
            Task { responder.respond(await body(request)) }
        }
    }
}

/// What every lane of a server shares.
struct ServerParts: Sendable {
    let configuration: HTTPServerConfiguration
    let log: Log
    let metrics: ServerMetrics
    let streaming: HTTPServer.Streaming?
    let handler: HTTPServer.Handler
}
