import Formats
import HTTPServer
import Testing

private func get(_ target: String = "/a") -> String { "GET \(target) HTTP/1.1\r\nHost: x\r\n\r\n" }
private func postHead(_ headers: String) -> String { "POST /a HTTP/1.1\r\nHost: x\r\n\(headers)\r\n" }
private let cap = 256 * 1024

@Suite("HTTP server limits")
struct HTTPServerLimitTests {
    @Test(
        "cuts a client that trickles its request with 408",
        arguments: [
            get() + "GET /a HTTP/1.1\r\nHost: x\r\nX: ", postHead("Content-Length: 100000\r\n"), postHead("Transfer-Encoding: chunked\r\n") + "3;",
        ])
    func slowLoris(start: String) async throws {
        try await withServer(change: { $0.requestDeadline = .milliseconds(300) }) { _, port in
            let client = try RawClient(port: port)
            client.send(start)
            if start.hasPrefix("GET") { #expect(try client.answer().status == 200) }
            let began = ContinuousClock.now
            // Each byte is progress, yet the whole request has one deadline.
            while !client.isReadable(within: 20) { client.send("a") }
            #expect(try client.answer().status == 408)
            #expect(try client.answersUntilEnd().isEmpty)
            #expect(ContinuousClock.now - began < .seconds(5))
        }
    }

    @Test("ends silent connections without a word: before the first request and between two", arguments: ["", get()])
    func idle(first: String) async throws {
        try await withServer(change: { $0.idleTimeout = .milliseconds(200) }) { server, port in
            let client = try RawClient(port: port)
            client.send(first)
            #expect(try client.answersUntilEnd().count == (first.isEmpty ? 0 : 1))
            try waitUntil("the connection is forgotten") { server.connectionCount == 0 }
        }
    }

    @Test("ends a client that takes nothing of its answer")
    func slowReader() async throws {
        let large = [UInt8](repeating: 7, count: 30_000_000)
        let handler: HTTPServer.Handler = { $1.respond(HTTPResponse(status: 200, body: large)) }
        try await withServer(change: { $0.idleTimeout = .milliseconds(300) }, handler: handler) { server, port in
            let client = try RawClient(port: port, receiveBuffer: 4096)
            client.send(get())
            try waitUntil("the connection is there") { server.connectionCount == 1 }
            try waitUntil("the connection is given up") { server.connectionCount == 0 }
            withExtendedLifetime(client) {}
        }
    }

    @Test(
        "takes a body up to the cap and not one byte more",
        arguments: [(cap, 200), (cap + 1, 413)], [false, true])
    func bodyCap(size: (bytes: Int, status: Int), chunked: Bool) async throws {
        try await withServer { _, port in
            let client = try RawClient(port: port)
            let body = [UInt8](repeating: 65, count: size.bytes)
            if chunked {
                client.send(postHead("Transfer-Encoding: chunked\r\n"))
                for start in stride(from: 0, to: body.count, by: 10_000) {
                    let piece = body[start..<min(body.count, start + 10_000)]
                    client.send(String(piece.count, radix: 16) + "\r\n")
                    client.send(piece)
                    client.send("\r\n")
                }
                client.send("0\r\n\r\n")
            } else {
                client.send(postHead("Content-Length: \(body.count)\r\n"))
                client.send(body)
            }
            let answer = try client.answer()
            #expect(answer.status == size.status)
            if size.status == 200 { #expect(answer.body.count == size.bytes + "POST /a ".utf8.count) }
        }
    }

    @Test("tells a client that is still sending ten megabytes that they are too many", arguments: [false, true])
    func tooLarge(chunked: Bool) async throws {
        try await withServer { _, port in
            let client = try RawClient(port: port)
            client.send(postHead(chunked ? "Transfer-Encoding: chunked\r\n" : "Content-Length: 10000000\r\n"))
            let piece = Array("2710\r\n".utf8) + [UInt8](repeating: 65, count: 10_000) + Array("\r\n".utf8)
            for _ in 0..<1000 { client.send(chunked ? piece : Array(piece[6..<10_006])) }
            #expect(try client.answersUntilEnd().map(\.status) == [413])
        }
    }

    @Test("asks the configuration for each resource's cap")
    func capPerResource() async throws {
        try await withServer(change: { $0.bodyLimit = { $0.path == "/big" ? 100 : 10 } }) { _, port in
            for (path, status) in [("/big", 200), ("/small", 413)] {
                let client = try RawClient(port: port)
                client.send("POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n" + String(repeating: "a", count: 50))
                #expect(try client.answer().status == status)
            }
        }
    }

    @Test("lets a client that asks first send its body, and refuses before the body what is too large")
    func expectContinue() async throws {
        try await withServer { _, port in
            let client = try RawClient(port: port)
            client.send(postHead("Expect: 100-continue\r\nContent-Length: 3\r\n"))
            #expect(try client.answer().status == 100)
            client.send("abc")
            #expect(try client.answer().text == "POST /a abc")
            // Who does not wait needs no permission.
            client.send(postHead("Expect: 100-continue\r\nContent-Length: 3\r\n") + "abc")
            #expect(try client.answer().status == 200)
            client.send(postHead("Expect: 100-continue\r\nContent-Length: 999999\r\n"))
            #expect(try client.answersUntilEnd().map(\.status) == [413])
        }
    }

    @Test("answers 503 to one connection too many, and takes the next once there is room")
    func connectionCap() async throws {
        try await withServer(change: { $0.connectionLimit = 2 }) { server, port in
            var clients = try (0..<2).map { _ in try RawClient(port: port) }
            for client in clients {
                client.send(get())
                #expect(try client.answer().status == 200)
            }
            let refused = try RawClient(port: port)
            refused.send(get())
            let answers = try refused.answersUntilEnd()
            #expect(answers.map(\.status) == [503])
            #expect(answers.first?.header("Retry-After") != nil)
            clients.removeLast()
            try waitUntil("there is room") { server.connectionCount == 1 }
            let next = try RawClient(port: port)
            next.send(get())
            #expect(try next.answer().status == 200)
        }
    }

    @Test("reads nothing from a client while its request is being answered")
    func sendingDuringTheAnswer() async throws {
        let held = HeldRequests()
        try await withServer(handler: held.handler) { _, port in
            let client = try RawClient(port: port)
            client.send(get())
            let responder = try held.next()
            let limit = 100_000_000
            let taken = client.sendUntilBlocked([UInt8](repeating: 65, count: 64 * 1024), atMost: limit)
            // What the two sockets' buffers hold, and no more.
            #expect(taken < limit / 2)
            responder.respond(.text(200, "done"))
            #expect(try client.answer().text == "done")
            // And what was sent meanwhile is no request.
            #expect(try client.answer().status == 431)
        }
    }

    @Test("looks at no further request of a client that does not take its answers")
    func pipeliningWithoutReading() async throws {
        let seen = SeenTargets()
        let body = [UInt8](repeating: 7, count: 20_000)
        let handler: HTTPServer.Handler = { request, responder in
            seen.note(request.target)
            responder.respond(HTTPResponse(status: 200, body: body))
        }
        try await withServer(handler: handler) { _, port in
            let client = try RawClient(port: port, receiveBuffer: 4096)
            let count = 2000
            client.send((0..<count).map { get("/\($0)") }.joined())
            try waitUntil("some are answered") { !seen.all.isEmpty }
            #expect(seen.all.count < count)
            for _ in 0..<count { #expect(try client.answer().body.count == 20_000) }
            #expect(seen.all == (0..<count).map { "/\($0)" })
        }
    }

    @Test("refuses an address that another server holds, although its own loops share theirs")
    func takenAddress() async throws {
        try await withServer(loops: 2) { _, port in
            let thread = BlockedTask<HTTPServerError?> {
                let second = HTTPServer(
                    configuration: HTTPServerConfiguration(address: SocketAddress("127.0.0.1", port), loops: 2), name: "second", handler: echo)
                do {
                    try await second.start()
                    await second.stop(by: .now)
                    return nil
                } catch {
                    return error as? HTTPServerError
                }
            }
            let error = try thread.wait()
            #expect(error?.code == .addressInUse)
            #expect(error?.isTransient == true)
        }
    }
}
