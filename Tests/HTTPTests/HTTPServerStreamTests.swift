import EventLoop
import Formats
import HTTPServer
import Synchronization
import Testing

private let get = "GET /events HTTP/1.1\r\nHost: x\r\n\r\n"

/// The ends that streams were told to have come to.
private final class ToldEnds: Sendable {
    private let told = Mutex<[HTTPStreamEnd]>([])
    func note(_ end: HTTPStreamEnd) { told.withLock { $0.append(end) } }
    var all: [HTTPStreamEnd] { told.withLock { $0 } }
}

/// Streams that a handler has begun, with the ends that it was told of.
private final class OpenStreams: Sendable {
    private let streams = Mutex<[HTTPStream]>([])
    private let told = ToldEnds()

    var handler: HTTPServer.Handler {
        { [weak self] _, responder in
            guard let self else { return }
            let head = HTTPResponse(status: 200, headers: ["Content-Type": "text/event-stream"], body: Array("first\n\n".utf8))
            let stream = responder.stream(head) { self.told.note($0) }
            self.streams.withLock { $0.append(stream) }
        }
    }

    var all: [HTTPStream] { streams.withLock { $0 } }
    var ends: [HTTPStreamEnd] { told.all }

    func one() throws -> HTTPStream {
        try waitUntil("the stream has begun") { !all.isEmpty }
        return all[0]
    }
}

/// What a sender was told of its pieces.
private final class ToldPieces: Sendable {
    let sent = Mutex(0)
    let goesOn = Mutex<Bool?>(nil)
}

@Suite("HTTP server streams")
struct HTTPServerStreamTests {
    @Test("an answer goes on in chunks, from any thread, until it is ended, and the connection with it")
    func chunks() async throws {
        let open = OpenStreams()
        try await withServer(handler: open.handler) { server, port in
            let client = try RawClient(port: port)
            client.send(get)
            let head = try client.answer(hasBody: false)
            #expect(head.status == 200)
            #expect(head.header("Transfer-Encoding") == "chunked")
            #expect(head.header("Content-Length") == nil)
            #expect(head.header("Connection") == "close")
            #expect(try client.text(through: "first\n\n\r\n") == "7\r\nfirst\n\n\r\n")
            let stream = try open.one()
            stream.send(Array("second\n\n".utf8))
            #expect(try client.text(through: "second\n\n\r\n").hasSuffix("8\r\nsecond\n\n\r\n"))
            stream.send([])
            stream.send([UInt8](repeating: 65, count: 300))
            _ = try client.text(through: "12c\r\nA")
            stream.end()
            stream.end()
            stream.send(Array("late".utf8))
            let rest = try client.textToEnd()
            #expect(rest.hasSuffix("A\r\n0\r\n\r\n"))
            #expect(!rest.contains("late"))
            try waitUntil("the connection is forgotten") { server.connectionCount == 0 }
            #expect(open.ends == [.ended])
        }
    }

    @Test("a client of HTTP/1.0 gets the plain body; HEAD gets the head alone")
    func oldClients() async throws {
        let open = OpenStreams()
        try await withServer(handler: open.handler) { _, port in
            let old = try RawClient(port: port)
            old.send("GET /events HTTP/1.0\r\n\r\n")
            #expect(try old.answer(hasBody: false).header("Transfer-Encoding") == nil)
            _ = try old.text(through: "first\n\n")
            try open.one().end()
            #expect(try old.textToEnd() == "")
            let curious = try RawClient(port: port)
            curious.send("HEAD /events HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try curious.answer(hasBody: false).status == 200)
            #expect(try curious.textToEnd() == "")
            try waitUntil("both ends were told") { open.ends == [.ended, .ended] }
        }
    }

    @Test("a client that leaves is noticed at once, though nothing is sent", arguments: [false, true])
    func leaving(vanishes: Bool) async throws {
        let open = OpenStreams()
        try await withServer(handler: open.handler) { server, port in
            do {
                let client = try RawClient(port: port)
                client.send(get)
                _ = try client.text(through: "first\n\n")
                if vanishes { client.vanish() }
            }
            try waitUntil("the end was told") { open.ends == [.clientLeft] }
            try waitUntil("the connection is forgotten") { server.connectionCount == 0 }
        }
    }

    @Test("a client that does not read is cut off once 64 KiB wait for it, or nothing was taken for too long")
    func slowReaders() async throws {
        let open = OpenStreams()
        try await withServer(handler: open.handler) { server, port in
            let client = try RawClient(port: port, receiveBuffer: 4096)
            client.send(get)
            let stream = try open.one()
            // More than the system's own buffers take.
            let piece = [UInt8](repeating: 65, count: 16 * 1024)
            try waitUntil("it is cut off") {
                stream.send(piece)
                return !open.ends.isEmpty
            }
            #expect(open.ends == [.clientTooSlow])
            try waitUntil("the connection is forgotten") { server.connectionCount == 0 }
            withExtendedLifetime(client) {}
        }
        let stalled = OpenStreams()
        try await withServer(change: { $0.idleTimeout = .milliseconds(300) }, handler: stalled.handler) { server, port in
            let client = try RawClient(port: port, receiveBuffer: 4096)
            client.send(get)
            let stream = try stalled.one()
            // Fills the system's buffers, and stops short of ours.
            var sent = 0
            try waitUntil("something waits for too long") {
                if sent < 400 { stream.send([UInt8](repeating: 65, count: 8 * 1024)) }
                sent += 1
                return stalled.ends == [.clientTooSlow]
            }
            withExtendedLifetime(client) {}
        }
    }

    @Test("what a client sends while it listens is thrown away, and too much of it ends the connection")
    func chatter() async throws {
        let open = OpenStreams()
        try await withServer(handler: open.handler) { _, port in
            let client = try RawClient(port: port)
            client.send(get + get + "GET /other HTTP/1.1\r\nHost: x\r\n\r\n")
            _ = try client.text(through: "first\n\n")
            let stream = try open.one()
            stream.send(Array("still here\n\n".utf8))
            _ = try client.text(through: "still here\n\n")
            #expect(open.all.count == 1)
            _ = client.sendUntilBlocked([UInt8](repeating: 65, count: 16 * 1024), atMost: 1_000_000)
            try waitUntil("it is cut off") { open.ends == [.clientLeft] }
        }
    }

    @Test("five hundred streams cost a loop no work while nothing is sent, each gets what it is sent, and a stop ends all in time")
    func many() async throws {
        let open = OpenStreams()
        let configuration = HTTPServerConfiguration(address: SocketAddress("127.0.0.1", 0), loops: 2)
        let server = HTTPServer(configuration: configuration, name: "streaming", handler: open.handler)
        try await server.start()
        try await clientThreads.run {
            let clients = try (0..<500).map { _ in
                let client = try RawClient(port: server.boundAddress.port)
                client.send(get)
                return client
            }
            for client in clients { _ = try client.text(through: "first\n\n") }
            try waitUntil("all have begun") { open.all.count == 500 }
            for stream in open.all { stream.send(Array("news\n\n".utf8)) }
            for client in clients { _ = try client.text(through: "news\n\n") }
            let began = ContinuousClock.now
            let stopping = BlockedTask { await server.stop(by: began.advanced(by: .seconds(20))) }
            for client in clients { #expect(try client.textToEnd().hasSuffix("0\r\n\r\n")) }
            clients.forEach { $0.shutdownSending() }
            try stopping.wait()
            #expect(ContinuousClock.now - began < .seconds(15))
            #expect(open.ends.count == 500)
            #expect(open.ends.allSatisfy { $0 == .serverStopped })
        }
    }

    @Test("a request that is answered twice, or whose client has gone, ends its stream by itself")
    func noPlace() async throws {
        let ends = ToldEnds()
        let handler: HTTPServer.Handler = { _, responder in
            responder.respond(.text(200, "whole"))
            let stream = responder.stream(HTTPResponse(status: 200)) { ends.note($0) }
            stream.send(Array("nothing".utf8))
        }
        try await withServer(handler: handler) { _, port in
            let client = try RawClient(port: port)
            client.send(get)
            #expect(try client.answer().text == "whole")
            try waitUntil("the end was told") { ends.all == [.ended] }
        }
        let held = HeldRequests()
        let left = ToldEnds()
        try await withServer(handler: held.handler) { server, port in
            let responder: HTTPResponder
            do {
                let client = try RawClient(port: port)
                client.send(get)
                responder = try held.next()
                client.vanish()
            }
            // Only a write or the stream's reading finds out.
            let stream = responder.stream(HTTPResponse(status: 200, body: Array("hello".utf8))) { left.note($0) }
            try waitUntil("the end was told") { left.all == [.clientLeft] }
            stream.send(Array("nobody".utf8))
        }
    }

    @Test("what is sent in turn comes whole to a client that reads slowly, and ends when the client leaves")
    func inTurn() async throws {
        let open = OpenStreams()
        try await withServer(handler: open.handler) { server, port in
            let piece = [UInt8](repeating: 65, count: 40_000)
            let client = try RawClient(port: port)
            client.send(get)
            _ = try client.answer(hasBody: false)
            let stream = try open.one()
            // Far more than what may wait for a client, and than the system takes at once.
            let told = ToldPieces()
            let pieces = 150
            Task {
                for _ in 0..<pieces { if await stream.sendInTurn(piece) { told.sent.withLock { $0 += 1 } } }
                stream.send(Array("the end".utf8))
                stream.end()
                let goesOn = await stream.sendInTurn(piece)
                told.goesOn.withLock { $0 = goesOn }
            }
            let all = try client.text(through: "the end")
            #expect(all.utf8.count { $0 == 65 } == pieces * piece.count)
            try waitUntil("the sender has ended") { told.goesOn.withLock { $0 } == false }
            #expect(told.sent.withLock { $0 } == pieces)
        }
    }
}
