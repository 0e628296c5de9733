import EventLoop
import Formats
import HTTPClient
import Telemetry
import TestSupport
import Testing

@Suite struct HTTPClientTests {
    @Test(arguments: ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
    func methodHeadersAndBodyArriveAsTheyAre(method: String) async throws {
        let peer = try await HTTPClientPeer.start()
        let body = method == "POST" || method == "PUT" ? (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7) } : []
        let seen = try await peer.echo(
            peer.request("/echo?a=1", method: method, headers: ["X-Token": "abc: d", "X-Twice": "1", "x-twice": "2", "X-Nothing": ""], body: body))
        #expect(seen["method"]?.string == method)
        #expect(seen["target"]?.string == "/echo?a=1")
        #expect(seen["body"]?.string.flatMap { Base64.decode($0) } == body)
        let headers = (seen["headers"]?.array ?? []).map { "\($0[0]?.string?.lowercased() ?? "")=\($0[1]?.string ?? "")" }
        for expected in ["x-token=abc: d", "x-twice=1", "x-twice=2", "x-nothing=", "user-agent=Quittance"] { #expect(headers.contains(expected)) }
        for unwanted in ["content-type", "expect", "transfer-encoding", "authorization", "cookie"] {
            #expect(!headers.contains { $0.hasPrefix(unwanted) }, "curl added \(unwanted)")
        }
        if ["POST", "PUT", "PATCH"].contains(method) { #expect(headers.contains("content-length=\(body.count)")) }
    }

    @Test func anAnswerIsGivenWholeWithAllItsHeaders() async throws {
        let peer = try await HTTPClientPeer.start()
        let answer = try await peer.client.send(peer.request("/echo"))
        #expect(answer.status == 200)
        #expect(answer.headers.values("X-Two") == ["1", "2"])
        #expect(answer.headers["x-empty"] == "")
        let head = try await peer.client.send(peer.request("/echo", method: "HEAD"))
        #expect(head.status == 200 && head.body.isEmpty)
        let hinted = try await peer.client.send(peer.request("/hint"))
        #expect(hinted.status == 200 && hinted.headers["X-Hint"] == nil, "an interim answer's headers are not the answer's")
        #expect(hinted.body == Array("whole".utf8))
    }

    @Test(arguments: [204, 400, 401, 404, 409, 429, 500, 503])
    func everyStatusIsAnAnswer(status: Int) async throws {
        let peer = try await HTTPClientPeer.start()
        #expect(try await peer.client.send(peer.request("/status/\(status)")).status == status)
    }

    @Test func connectionsAreUsedAgainUnlessAFreshOneIsAsked() async throws {
        let peer = try await HTTPClientPeer.start()
        var connections: [Int64] = []
        for _ in 0..<5 { connections.append(try await peer.echo(peer.request("/echo"))["connection"]?.int ?? 0) }
        #expect(Set(connections).count == 1)
        var fresh = peer.request("/echo")
        fresh.freshConnection = true
        let own = try await peer.echo(fresh)["connection"]?.int ?? 0
        #expect(!connections.contains(own))
        #expect(try await peer.echo(peer.request("/echo"))["connection"]?.int == connections[0], "the fresh one was not kept")
    }

    @Test func manyAtOnceKeepApart() async throws {
        let peer = try await HTTPClientPeer.start()
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<100 {
                group.addTask { try await peer.echo(peer.request("/echo/\(number)"))["target"]?.string == "/echo/\(number)" }
            }
            for try await same in group { #expect(same) }
        }
    }

    @Test func redirectionsAreAnswersUnlessAskedToFollow() async throws {
        let peer = try await HTTPClientPeer.start()
        let answer = try await peer.client.send(peer.request("/redirect/302?to=/echo"))
        #expect(answer.status == 302 && answer.headers["Location"] == "/echo")

        var following = peer.request("/redirect/303?to=/echo", method: "POST", body: Array("once".utf8))
        following.followRedirects = true
        #expect(try await peer.echo(following)["method"]?.string == "GET")
        following = peer.request("/redirect/307?to=/echo", method: "POST", body: Array("again".utf8))
        following.followRedirects = true
        #expect(try await peer.echo(following)["body"]?.string == Base64.encode(Array("again".utf8)))

        var elsewhere = peer.request("/redirect/302?to=file:///etc/passwd")
        elsewhere.followRedirects = true
        #expect(try await peer.failure(elsewhere).code == .protocolError)
        var circle = peer.request("/redirect/302?to=/redirect/302?to=/redirect/302")
        circle.url = peer.base + "/redirect/302?to=" + "/redirect/302%3Fto%3D/redirect/302%253Fto%253D/redirect/302%25253Fto%25253D/echo"
        circle.followRedirects = true
        #expect(try await peer.client.send(circle).status == 200)
    }

    @Test func aUnixSocketIsReachedInPlaceOfTheHost() async throws {
        let peer = try await HTTPClientPeer.start(.unix)
        #expect(try await peer.client.send(peer.request("/status/201")).status == 201)
    }

    @Test func requestsAreCountedByHostAndOutcome() async throws {
        let peer = try await HTTPClientPeer.start()
        _ = try await peer.client.send(peer.request("/status/418"))
        _ = try await peer.failure(peer.request("/close"))
        let host = String(peer.base.dropFirst("http://".count))
        let text = MetricRegistry.shared.prometheusText()
        #expect(text.contains("http_client_requests_total{host=\"\(host)\",status=\"418\"} 1"))
        #expect(text.contains("http_client_requests_total{host=\"\(host)\",status=\"protocol\"} 1"))
    }
}

@Suite struct HTTPClientFailureTests {
    struct Misbehaviour: Sendable, CustomTestStringConvertible {
        let path: String
        let code: HTTPClientError.Code
        let isTransient: Bool
        var timeout = Duration.seconds(60)
        var testDescription: String { path }
    }

    @Test(arguments: [
        Misbehaviour(path: "/slow", code: .timeout, isTransient: true, timeout: .milliseconds(300)),
        Misbehaviour(path: "/drip", code: .timeout, isTransient: true, timeout: .milliseconds(300)),
        Misbehaviour(path: "/large/100001", code: .tooLarge, isTransient: false),
        Misbehaviour(path: "/endless", code: .tooLarge, isTransient: false),
        Misbehaviour(path: "/headers", code: .tooLarge, isTransient: false),
        Misbehaviour(path: "/cut", code: .protocolError, isTransient: true),
        Misbehaviour(path: "/close", code: .protocolError, isTransient: true),
        Misbehaviour(path: "/garbage", code: .protocolError, isTransient: false),
    ])
    func aServerThatMisbehavesEndsInATypedError(_ case: Misbehaviour) async throws {
        let peer = try await HTTPClientPeer.start()
        var request = peer.request(`case`.path)
        request.responseLimit = 100_000
        request.timeout = `case`.timeout
        let error = try await peer.failure(request)
        #expect(error.code == `case`.code, "\(error)")
        #expect(error.isTransient == `case`.isTransient)
        #expect(error.mayHaveReachedServer)
        // The client is as good as before.
        #expect(try await peer.client.send(peer.request("/status/200")).status == 200)
    }

    @Test func exactlyTheLimitIsAccepted() async throws {
        let peer = try await HTTPClientPeer.start()
        var request = peer.request("/large/100000")
        request.responseLimit = 100_000
        #expect(try await peer.client.send(request).body.count == 100_000)
    }

    @Test func whatNeverLeftIsSaidSo() async throws {
        let peer = try await HTTPClientPeer.start()
        let refused = try await peer.failure(.init(url: "http://127.0.0.1:\(try freePort())/", timeout: .seconds(10)))
        #expect(refused.code == .connect && refused.isTransient && !refused.mayHaveReachedServer)
        let unknown = try await peer.failure(.init(url: "http://no-such-host.invalid/", timeout: .seconds(10)))
        #expect([.resolve, .timeout].contains(unknown.code) && unknown.isTransient && !unknown.mayHaveReachedServer)
        let missing = try await peer.failure(.init(url: "http://localhost/", unixSocket: "/nowhere/at.sock"))
        #expect(missing.code == .connect && !missing.mayHaveReachedServer)
    }

    @Test func certificatesAreVerified() async throws {
        let certificate = try await TestCertificate.make()
        let trusting = try await HTTPClientPeer.start(.tls(certificate, trusted: true))
        #expect(try await trusting.client.send(trusting.request("/status/200")).status == 200)
        let doubting = try await HTTPClientPeer.start(.tls(certificate, trusted: false))
        let error = try await doubting.failure(doubting.request("/status/200"))
        #expect(error.code == .tls && !error.isTransient && !error.mayHaveReachedServer)
        #expect(error.message.contains("certificate"), "\(error)")
    }

    @Test func cancellingTheTaskAbortsTheTransfer() async throws {
        let peer = try await HTTPClientPeer.start()
        let task = Task { try await peer.failure(peer.request("/slow")) }
        try await peer.process.waitForLine(containing: "\"/slow\"", within: .seconds(60))
        task.cancel()
        let error = try await task.value
        #expect(error.code == .cancelled && error.mayHaveReachedServer)
        try await peer.process.waitForLine(containing: "\"gone\"", within: .seconds(60))

        let early = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await peer.failure(peer.request("/slow/early"))
        }
        let never = try await early.value
        #expect(never.code == .cancelled && !never.mayHaveReachedServer)
    }

    @Test func closingTheClientEndsWhatIsUnderWay() async throws {
        let peer = try await HTTPClientPeer.start()
        let task = Task { try await peer.failure(peer.request("/slow")) }
        try await peer.process.waitForLine(containing: "\"/slow\"", within: .seconds(60))
        await peer.client.close()
        #expect(try await task.value.code == .cancelled)
        #expect(try await peer.failure(peer.request("/status/200")).code == .cancelled)
    }

    @Test func secretsOfTheURLStayOutOfErrors() async throws {
        let peer = try await HTTPClientPeer.start()
        let host = peer.base.dropFirst("http://".count)
        for url in ["http://user:hunter2@\(host)/close?apikey=hunter2#hunter2", "http://user:hunter2@127.0.0.1:1/x?k=hunter2"] {
            let error = try await peer.failure(.init(url: url, timeout: .seconds(10)))
            #expect(!"\(error)".contains("hunter2") && !"\(error)".contains("user"), "\(error)")
            #expect("\(error)".contains("127.0.0.1:1/x") || "\(error)".contains("\(host)/close"))
        }
    }

    @Test(
        arguments: [
            ("GET", "ftp://localhost/", [:]), ("GET", "file:///etc/passwd", [:]), ("GET", "localhost", [:]), ("GET", "", [:]),
            ("GET", "http://localhost/a b", [:]), ("GET", "http://localhost/\r\nX: 1", [:]), ("GET / HTTP/1.1\r\nX:", "http://localhost/", [:]),
            ("", "http://localhost/", [:]), ("GET", "http://localhost/", ["X": "1\r\nY: 2"]), ("GET", "http://localhost/", ["X\r\nY": "2"]),
            ("GET", "http://localhost/", ["": "2"]), ("GET", "http://localhost/", ["X": "a\u{0}b"]), ("GET", "http://:0:0/", [:]),
        ] as [(String, String, HTTPHeaders)])
    func aRequestThatCannotBeSentIsRefusedBeforeItLeaves(method: String, url: String, headers: HTTPHeaders) async throws {
        let loop = try EventLoop.started(name: "client")
        let client = HTTPClient(loop: loop)
        await #expect { try await client.send(.init(method: method, url: url, headers: headers)) } throws: {
            guard let error = $0 as? HTTPClientError else { return false }
            return error.code == .invalidRequest && !error.isTransient && !error.mayHaveReachedServer
        }
        await client.close()
        loop.stop()
    }
}
