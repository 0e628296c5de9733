import EventLoop
import Formats
import HTTPClient
import HTTPServer
import Synchronization
import TestSupport

/// A server in the test's own process, for what stands outside of an instance.
final class PlayedServer: Sendable {
    private let loop: EventLoop
    private let server: HTTPServer

    init(_ name: String, _ answer: @escaping @Sendable (HTTPRequest) async -> HTTPResponse) async throws {
        loop = try EventLoop.started(name: name)
        server = HTTPServer(
            configuration: HTTPServerConfiguration(address: SocketAddress("127.0.0.1", 0)), loops: [loop], name: name,
            handler: HTTPServer.asyncHandler(answer))
        try await server.start()
    }

    var address: String { "\(server.boundAddress)" }

    func stop() async {
        await server.stop(by: .now + .seconds(2))
        try? await BlockingPool(name: "played-end", threads: 1).run { [loop] in loop.stop() }
    }
}

/// The way from an instance to the providers, with a barrier before them and one behind them.
final class Turnpike: Sendable {
    enum Barrier: Sendable {
        case open
        /// Calls that start a payment do not reach the provider, and never will.
        case beforeCall
        /// They reach it, and their answers do not come back until the barrier opens.
        case beforeAnswer
    }

    private struct State {
        var barrier = Barrier.open
        var held = 0
    }

    private let way: Way
    private let server: PlayedServer

    private final class Way: Sendable {
        let state = Mutex(State())
        let port = Mutex(0)
        let client: HTTPClient
        init(_ client: HTTPClient) { self.client = client }

        func pass(_ request: HTTPRequest) async -> HTTPResponse {
            let isStart = request.method == "POST" && !request.path.hasSuffix("/check")
            let barrier = state.withLock { isStart ? $0.barrier : .open }
            if barrier == .beforeCall {
                await hold()
                return .text(502, "not passed on")
            }
            var headers: HTTPHeaders = [:]
            for name in ["content-type", "accept", "authorization"] { if let value = request.headers[name] { headers[name] = value } }
            let onward = HTTPClient.Request(
                method: request.method, url: "http://127.0.0.1:\(port.withLock { $0 })\(request.target)", headers: headers, body: request.body)
            guard let answer = try? await client.send(onward) else { return .text(502, "nobody is there") }
            if barrier == .beforeAnswer { await hold() }
            return HTTPResponse(
                status: answer.status, headers: ["content-type": answer.headers["content-type"] ?? "application/json"], body: answer.body)
        }

        private func hold() async {
            state.withLock { $0.held += 1 }
            try? await eventually(within: .seconds(60)) { self.state.withLock { $0.barrier } == .open }
        }
    }

    init() async throws {
        let way = Way(HTTPClient(loop: try EventLoop.started(name: "turnpike client")))
        self.way = way
        server = try await PlayedServer("turnpike") { await way.pass($0) }
    }

    var url: String { "http://\(server.address)" }
    /// Calls that wait at a barrier, or have.
    var held: Int { way.state.withLock { $0.held } }
    func lead(to port: Int) { way.port.withLock { $0 = port } }
    func set(_ barrier: Barrier) { way.state.withLock { $0.barrier = barrier } }

    func stop() async {
        set(.open)
        await way.client.close()
        await server.stop()
    }
}
