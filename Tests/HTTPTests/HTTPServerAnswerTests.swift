import EventLoop
import Formats
import HTTPServer
import Synchronization
import Telemetry
import Testing

#if canImport(Glibc)
    import Glibc
#endif

private func get(_ target: String = "/a", _ headers: String = "") -> String { "GET \(target) HTTP/1.1\r\nHost: x\r\n\(headers)\r\n" }

@Suite("HTTP server answers")
struct HTTPServerAnswerTests {
    @Test("hands on method, path, query, headers, body and address exactly")
    func requestParts() async throws {
        let seen = Mutex<HTTPRequest?>(nil)
        let handler: HTTPServer.Handler = { request, responder in
            seen.withLock { $0 = request }
            responder.respond(.text(200, "ok"))
        }
        let body = (0...255).map { UInt8($0) }
        try await withServer(handler: handler) { _, port in
            let client = try RawClient(port: port)
            client.send("POST /a/%2Fb?name=J%C3%A9+x&empty HTTP/1.1\r\nHost: x\r\nX-Token:  t \r\nx-token: u\r\nContent-Length: 256\r\n\r\n")
            client.send(body)
            #expect(try client.answer().status == 200)
        }
        let request = try #require(seen.withLock { $0 })
        #expect(request.method == "POST")
        #expect(request.target == "/a/%2Fb?name=J%C3%A9+x&empty")
        #expect(request.path == "/a/%2Fb")
        #expect(request.query == "name=J%C3%A9+x&empty")
        #expect(request.queryValue("name") == "Jé x")
        #expect(request.queryValue("absent") == nil)
        #expect(request.headers.values("X-TOKEN") == ["t", "u"])
        #expect(request.body == body)
        #expect(request.remoteAddress == "127.0.0.1")
    }

    @Test("keeps a connection for a hundred requests")
    func keepAlive() async throws {
        try await withServer { _, port in
            let client = try RawClient(port: port)
            for number in 0..<100 {
                client.send(get("/\(number)"))
                let answer = try client.answer()
                #expect(answer.text == "GET /\(number) ")
                #expect(answer.header("Connection") == nil)
            }
        }
    }

    @Test("answers pipelined requests in order, also when each is answered later from another thread", arguments: [false, true])
    func pipelining(later: Bool) async throws {
        let handler: HTTPServer.Handler = { request, responder in
            if later { clientThreads.submit { echo(request, responder) } } else { echo(request, responder) }
        }
        try await withServer(handler: handler) { _, port in
            let client = try RawClient(port: port)
            client.send((0..<500).map { get("/\($0)") }.joined())
            for number in 0..<500 { #expect(try client.answer().text == "GET /\(number) ") }
        }
    }

    @Test("answers HEAD with the length and without the body")
    func head() async throws {
        try await withServer { _, port in
            let client = try RawClient(port: port)
            client.send("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n" + get("/b"))
            #expect(try client.answer(hasBody: false).header("Content-Length") == "8")
            #expect(try client.answer().text == "GET /b ")
        }
    }

    @Test("sends neither length nor body with 204 and 304", arguments: [204, 304])
    func bodiless(status: Int) async throws {
        try await withServer(handler: { $1.respond(HTTPResponse(status: status, body: [1, 2, 3])) }) { _, port in
            let client = try RawClient(port: port)
            client.send(get() + get())
            for _ in 0..<2 {
                let answer = try client.answer()
                #expect(answer.status == status)
                #expect(answer.header("Content-Length") == nil)
            }
        }
    }

    struct Ending: Sendable {
        let request: String
        let connectionHeader: String?
        let closes: Bool
    }

    @Test(
        "keeps or ends the connection as the client's version and wish say",
        arguments: [
            Ending(request: "GET /a HTTP/1.0\r\n\r\n", connectionHeader: "close", closes: true),
            Ending(request: "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", connectionHeader: "keep-alive", closes: false),
            Ending(request: get("/a", "Connection: close\r\n"), connectionHeader: "close", closes: true),
            Ending(request: get("/a", "Connection: foo, Close\r\n"), connectionHeader: "close", closes: true),
            Ending(request: get("/a", "Connection: keep-alive\r\n"), connectionHeader: nil, closes: false),
        ])
    func endings(ending: Ending) async throws {
        try await withServer { _, port in
            let client = try RawClient(port: port)
            client.send(ending.request)
            #expect(try client.answer().header("Connection") == ending.connectionHeader)
            if ending.closes {
                #expect(try client.answersUntilEnd().isEmpty)
            } else {
                client.send(get())
                #expect(try client.answer().status == 200)
            }
        }
    }

    @Test("delivers its last answer to a client that goes on sending")
    func noReset() async throws {
        try await withServer { server, port in
            for _ in 0..<300 {
                let client = try RawClient(port: port)
                client.send("GET /last HTTP/1.0\r\n\r\n")
                for _ in 0..<20 { client.send(get("/more")) }
                // A reset would be thrown here.
                #expect(try client.answersUntilEnd().map(\.text) == ["GET /last "])
            }
            try waitUntil("all connections are forgotten") { server.connectionCount == 0 }
        }
    }

    @Test("takes only the first of two answers")
    func onlyOnce() async throws {
        let handler: HTTPServer.Handler = { _, responder in
            responder.respond(.text(200, "first"))
            responder.respond(.text(500, "second"))
        }
        try await withServer(handler: handler) { _, port in
            let client = try RawClient(port: port)
            client.send(get() + get())
            #expect(try client.answer().text == "first")
            #expect(try client.answer().text == "first")
            #expect(!client.isReadable(within: 50))
        }
    }

    @Test("answers 500 for a request that is dropped without an answer, at once or later, and goes on", arguments: [false, true])
    func abandoned(later: Bool) async throws {
        let handler: HTTPServer.Handler = { request, responder in
            if request.path == "/ok" { return echo(request, responder) }
            if later { clientThreads.submit { _ = responder } }
        }
        try await withServer(handler: handler) { _, port in
            let client = try RawClient(port: port)
            client.send(get() + get("/ok"))
            #expect(try client.answer().status == 500)
            #expect(try client.answer().status == 200)
        }
    }

    @Test("hangs up without an answer, at once or later: the connection ends, what was sent behind is not looked at", arguments: [false, true])
    func hangsUp(later: Bool) async throws {
        let handler: HTTPServer.Handler = { request, responder in
            if request.path == "/ok" { return echo(request, responder) }
            guard later else { return responder.hangUp() }
            clientThreads.submit {
                responder.hangUp()
                responder.respond(.text(200, "too late"))
            }
        }
        try await withServer(handler: handler) { server, port in
            let client = try RawClient(port: port)
            client.send(get("/ok"))
            #expect(try client.answer().status == 200)
            client.send(get() + get("/ok"))
            #expect(try client.answersUntilEnd().isEmpty)
            try waitUntil("the connection is gone") { server.connectionCount == 0 }
            let next = try RawClient(port: port)
            next.send(get("/ok"))
            #expect(try next.answer().status == 200)
        }
    }

    @Test("answers a client that has closed its sending side, then ends")
    func halfClose() async throws {
        let held = HeldRequests()
        try await withServer(handler: held.handler) { _, port in
            let client = try RawClient(port: port)
            client.send(get())
            client.shutdownSending()
            try held.next().respond(.text(200, "still there"))
            #expect(try client.answersUntilEnd().map(\.text) == ["still there"])
        }
    }

    @Test("answers all that was pipelined before the sending side closed", arguments: [false, true])
    func halfCloseAfterPipelining(later: Bool) async throws {
        let handler: HTTPServer.Handler = { request, responder in
            if later { clientThreads.submit { echo(request, responder) } } else { echo(request, responder) }
        }
        try await withServer(handler: handler) { _, port in
            let client = try RawClient(port: port)
            client.send((0..<100).map { get("/\($0)") }.joined())
            client.shutdownSending()
            #expect(try client.answersUntilEnd().map(\.text) == (0..<100).map { "GET /\($0) " })
        }
    }

    @Test(
        "answers 400 when the sending side closes within a request",
        arguments: ["GET /a HT", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"])
    func endsEarly(bytes: String) async throws {
        try await withServer { _, port in
            let client = try RawClient(port: port)
            client.send(bytes)
            client.shutdownSending()
            #expect(try client.answersUntilEnd().map(\.status) == [400])
        }
    }

    @Test("survives clients that vanish before their answer")
    func vanishing() async throws {
        let held = HeldRequests()
        try await withServer(handler: held.handler) { server, port in
            for _ in 0..<20 {
                let client = try RawClient(port: port)
                client.send(get())
                client.vanish()
                let responder = try held.next()
                _ = consume client
                responder.respond(HTTPResponse(status: 200, body: Array(repeating: 1, count: 100_000)))
            }
            try waitUntil("all connections are forgotten") { server.connectionCount == 0 }
            let client = try RawClient(port: port)
            client.send(get())
            try held.next().respond(.text(200, "alive"))
            #expect(try client.answer().text == "alive")
        }
    }

    @Test("sends a large answer whole, and the next one after it")
    func largeAnswer() async throws {
        let large = (0..<20_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let handler: HTTPServer.Handler = { request, responder in
            responder.respond(HTTPResponse(status: 200, body: request.path == "/large" ? large : [1]))
        }
        try await withServer(handler: handler) { _, port in
            let client = try RawClient(port: port)
            client.send(get("/large") + get("/small") + get("/large"))
            #expect(try client.answer().body == large)
            #expect(try client.answer().body == [1])
            #expect(try client.answer().body == large)
        }
    }

    @Test("adds one Date, Content-Length and no header of a header's value")
    func headerRules() async throws {
        let handler: HTTPServer.Handler = { request, responder in
            if request.path == "/bad" {
                responder.respond(HTTPResponse(status: 200, headers: ["Location": "/x\r\nSet-Cookie: a=b"]))
            } else {
                responder.respond(
                    HTTPResponse(status: 200, headers: ["content-length": "99", "Date": "never", "Connection": "close", "X": "y"], body: [65]))
            }
        }
        try await withServer(handler: handler) { _, port in
            let client = try RawClient(port: port)
            client.send(get("/bad") + get("/good"))
            let refused = try client.answer()
            #expect(refused.status == 500)
            #expect(!refused.head.contains("Set-Cookie"))
            let answer = try client.answer()
            #expect(answer.body == [65])
            #expect(answer.head.lowercased().components(of: "content-length:") == 1)
            #expect(answer.head.lowercased().components(of: "\r\ndate:") == 1)
            #expect(answer.header("X") == "y")
            let date = try #require(answer.header("Date"))
            #expect(date.hasSuffix(" GMT") && date.count == 29)
        }
    }

    @Test("hands out every measurement of a registry, as scrapers read them")
    func metrics() {
        let registry = MetricRegistry()
        registry.counter("apples_total", help: "Apples.").add()
        let answer = HTTPResponse.metrics(registry)
        #expect(answer.status == 200)
        #expect(answer.headers.values("content-type") == ["text/plain; version=0.0.4; charset=utf-8"])
        #expect(String(decoding: answer.body, as: UTF8.self) == registry.prometheusText())
        #expect(String(decoding: answer.body, as: UTF8.self).contains("apples_total 1"))
    }

    @Test("counts every answer, its own refusals included")
    func counting() async throws {
        try await withServer(name: "counting") { _, port in
            let client = try RawClient(port: port)
            client.send(get() + get() + "BREW / HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try client.answersUntilEnd().map(\.status) == [200, 200, 501])
            let other = try RawClient(port: port)
            other.send("GET / HTTP/1.1\r\n\r\n")
            #expect(try other.answer().status == 400)
            let text = MetricRegistry.shared.prometheusText()
            for (status, count) in [(200, 2), (501, 1), (400, 1)] {
                #expect(text.contains("http_requests_total{server=\"counting\",status=\"\(status)\"} \(count)\n"), "\(text)")
            }
        }
    }

    @Test("spreads clients over its loops, all on one port")
    func manyLoops() async throws {
        let seen = Mutex<Set<String>>([])
        let handler: HTTPServer.Handler = { request, responder in
            seen.withLock { _ = $0.insert(responder.loop.name) }
            echo(request, responder)
        }
        try await withServer(loops: 3, handler: handler) { _, port in
            let clients = try (0..<60).map { _ in try RawClient(port: port) }
            for client in clients { client.send(get()) }
            for client in clients { #expect(try client.answer().status == 200) }
        }
        #expect(seen.withLock(\.count) == 3)
    }

    @Test("answers through an async function")
    func asyncHandler() async throws {
        let handler = HTTPServer.asyncHandler { request in
            await Task.yield()
            return .json(201, ["path": .string(request.path)])
        }
        try await withServer(handler: handler) { _, port in
            let client = try RawClient(port: port)
            client.send(get("/x"))
            let answer = try client.answer()
            #expect(answer.status == 201)
            #expect(answer.text == #"{"path":"/x"}"#)
        }
    }
}

extension String {
    /// How often `part` occurs.
    fileprivate func components(of part: String) -> Int {
        var count = 0
        var rest = self[...]
        while let found = rest.range(of: part) {
            count += 1
            rest = rest[found.upperBound...]
        }
        return count
    }
}

extension Substring {
    fileprivate func range(of part: String) -> Range<Index>? {
        for start in indices where self[start...].hasPrefix(part) { return start..<index(start, offsetBy: part.count) }
        return nil
    }
}
