import EventLoop
import Formats
import HTTPClient
import HTTPServer
import Synchronization
import Telemetry

/// Every outside party, played on one address: providers, their pay pages, the text endpoint, and the control calls.
///
/// Each party answers under its own name (`/cinetpay/v2/payment`) and at the root (`/v2/payment`).
public final class Sandbox: Service {
    public let name = "sandbox"
    private let server: HTTPServer
    private let client: HTTPClient
    private let couriers = Couriers()

    /// - Parameter loop: a running loop for the server and for the posts.
    public init(configuration: SandboxConfiguration, loop: EventLoop, log: Log = Log("sandbox")) {
        let client = HTTPClient(loop: loop, userAgent: "Quittance-Sandbox")
        let book = SandboxBook()
        let play = Play(
            configuration: configuration, book: book, courier: Courier(client: client, book: book, log: log), couriers: couriers, log: log)
        var http = HTTPServerConfiguration(address: configuration.address)
        http.requestDeadline = .seconds(30)
        self.client = client
        server = HTTPServer(
            configuration: http, loops: [loop], name: "sandbox", log: log,
            handler: HTTPServer.asyncHandler { request in await play.respond(request) })
    }

    public var boundAddress: SocketAddress { server.boundAddress }

    public func start() async throws { try await server.start() }

    public func stop(by deadline: ContinuousClock.Instant) async {
        await server.stop(by: deadline)
        couriers.cancel()
        await client.close()
    }
}

/// Notices on their way: unstructured because an answer must not wait for them, and cancelled together at the end.
final class Couriers: Sendable {
    private struct State {
        var tasks: [Int: Task<Void, Never>] = [:]
        var next = 0
        var isEnding = false
    }
    private let state = Mutex(State())

    func send(_ body: @escaping @Sendable () async -> Void) {
        state.withLock { state in
            guard !state.isEnding else { return }
            let number = state.next
            state.next += 1
            state.tasks[number] = Task {
                await body()
                self.state.withLock { $0.tasks[number] = nil }
            }
        }
    }

    func cancel() {
        let tasks = state.withLock { state in
            state.isEnding = true
            return Array(state.tasks.values)
        }
        for task in tasks { task.cancel() }
    }
}
