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
    /// Answers that are held back.
    private let pauses = Couriers()

    /// - Parameter loop: a running loop for the server and for the posts.
    public init(configuration: SandboxConfiguration, loop: EventLoop, log: Log = Log("sandbox")) {
        let client = HTTPClient(loop: loop, userAgent: "Quittance-Sandbox")
        let book = SandboxBook()
        let play = Play(
            configuration: configuration, book: book, courier: Courier(client: client, book: book, log: log), couriers: couriers,
            pauses: pauses, log: log)
        var http = HTTPServerConfiguration(address: configuration.address)
        http.requestDeadline = .seconds(30)
        self.client = client
        server = HTTPServer(
            configuration: http, loops: [loop], name: "sandbox", log: log,
            handler: { request, responder in
                Task {
                    guard let response = await play.respond(request) else { return responder.hangUp() }
                    responder.respond(response)
                }
            })
    }

    public var boundAddress: SocketAddress { server.boundAddress }

    public func start() async throws { try await server.start() }

    public func stop(by deadline: ContinuousClock.Instant) async {
        pauses.cancel()
        await server.stop(by: deadline)
        couriers.cancel()
        await client.close()
    }
}

/// Notices on their way, or answers held back: unstructured because an answer must not wait for the first nor the end of the program for the
/// second, and cancelled together at the end.
final class Couriers: Sendable {
    private struct State {
        var tasks: [Int: Task<Void, Never>] = [:]
        var next = 0
        var isEnding = false
    }
    private let state = Mutex(State())

    /// - Returns: nil when the end has come already.
    @discardableResult
    func send(_ body: @escaping @Sendable () async -> Void) -> Task<Void, Never>? {
        state.withLock { state in
            guard !state.isEnding else { return nil }
            let number = state.next
            state.next += 1
            let task = Task {
                await body()
                self.state.withLock { $0.tasks[number] = nil }
            }
            state.tasks[number] = task
            return task
        }
    }

    /// Waits so long, or until the end.
    func pause(_ length: Duration) async { await send { try? await Task.sleep(for: length) }?.value }

    func cancel() {
        let tasks = state.withLock { state in
            state.isEnding = true
            return Array(state.tasks.values)
        }
        for task in tasks { task.cancel() }
    }
}
