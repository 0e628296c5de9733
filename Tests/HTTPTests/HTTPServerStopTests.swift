import EventLoop
import Formats
import HTTPServer
import Testing

private let get = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"

@Suite("HTTP server stops")
struct HTTPServerStopTests {
    private func started(_ handler: @escaping HTTPServer.Handler, loops: [EventLoop]? = nil) async throws -> HTTPServer {
        let configuration = HTTPServerConfiguration(address: SocketAddress("127.0.0.1", 0), loops: 2)
        let server = HTTPServer(configuration: configuration, loops: loops, name: "stopping", handler: handler)
        try await server.start()
        return server
    }

    private func stop(_ server: HTTPServer, within grace: Duration) -> BlockedTask<Duration> {
        BlockedTask {
            let began = ContinuousClock.now
            await server.stop(by: began.advanced(by: grace))
            return ContinuousClock.now - began
        }
    }

    @Test("after the answers under way, closing who is idle and taking nobody new")
    func finishesAnswers() async throws {
        let held = HeldRequests()
        let server = try await started(held.handler)
        try await clientThreads.run { [self] in
            let port = server.boundAddress.port
            let busy = try RawClient(port: port)
            busy.send(get)
            let responder = try held.next()
            let idle = try RawClient(port: port)
            idle.send(get)
            try held.next().respond(.text(200, "idle now"))
            #expect(try idle.answer().status == 200)

            let stopping = stop(server, within: .seconds(20))
            #expect(try idle.answersUntilEnd().isEmpty)
            try waitUntil("nobody new is taken") { (try? RawClient(port: port)) == nil }
            #expect(!stopping.isDone)
            responder.respond(.text(200, "last"))
            let answer = try busy.answer()
            #expect(answer.text == "last")
            #expect(answer.header("Connection") == "close")
            #expect(try busy.answersUntilEnd().isEmpty)
            #expect(try stopping.wait() < .seconds(15))
        }
    }

    @Test("after a request that is still arriving")
    func finishesReading() async throws {
        let server = try await started(echo)
        try await clientThreads.run { [self] in
            let port = server.boundAddress.port
            let client = try RawClient(port: port)
            client.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
            #expect(try client.answer().status == 100)
            let stopping = stop(server, within: .seconds(20))
            try waitUntil("nobody new is taken") { (try? RawClient(port: port)) == nil }
            client.send("abcd")
            #expect(try client.answersUntilEnd().map(\.text) == ["POST /a abcd"])
            #expect(try stopping.wait() < .seconds(15))
        }
    }

    @Test("at the deadline, even though a request is never answered")
    func deadline() async throws {
        let held = HeldRequests()
        let server = try await started(held.handler)
        try await clientThreads.run { [self] in
            let client = try RawClient(port: server.boundAddress.port)
            client.send(get)
            let responder = try held.next()
            let stopping = stop(server, within: .milliseconds(300))
            #expect(try client.answersUntilEnd().isEmpty)
            let duration = try stopping.wait()
            #expect(duration >= .milliseconds(250) && duration < .seconds(10))
            // Too late, and harmless.
            responder.respond(.text(200, "late"))
        }
    }

    @Test("leaving loops alone that were lent to it")
    func lentLoops() async throws {
        let loop = try EventLoop.started(name: "lent")
        let server = try await started(echo, loops: [loop])
        try await clientThreads.run {
            let client = try RawClient(port: server.boundAddress.port)
            client.send(get)
            #expect(try client.answer().status == 200)
        }
        await server.stop(by: .now)
        #expect(await loop.run { true })
        await clientThreads.ending(loop)
    }
}

extension BlockingPool {
    /// Ends a loop on a thread that may wait for it.
    fileprivate func ending(_ loop: EventLoop) async { try? await run { loop.stop() } }
}
