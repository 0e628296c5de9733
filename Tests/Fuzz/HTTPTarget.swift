import EventLoop
import Formats
import HTTPServer
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// A client's bytes, at the true server over loopback: it ends every connection in time with answers of its own, and sees the same
/// requests however the bytes are cut.
final class HTTPTarget: FuzzTarget {
    private let server: HTTPServer
    private let seen = Seen()

    init() async throws {
        var configuration = HTTPServerConfiguration(address: SocketAddress("127.0.0.1", 0), bodyLimit: { _ in Self.bodyLimit })
        configuration.headerLimit = 4096
        let seen = seen
        server = HTTPServer(
            configuration: configuration, name: "fuzz", streaming: { $0.path == "/up" ? Pieces(seen) : nil },
            handler: { request, responder in
                seen.note(request.head, request.body)
                responder.respond(HTTPResponse(status: 200, body: request.body))
            })
        try await server.start()
    }

    private static let bodyLimit = 8192

    func run(_ input: [UInt8]) {
        guard let first = input.first else { return }
        let bytes = Array(input.dropFirst())
        let whole = exchange(bytes, pieces: bytes.count)
        let cut = exchange(bytes, pieces: Int(first) % 61 + 1)
        require(whole == cut, "cut differently, the bytes are other requests: \(whole.count), \(cut.count)")
    }

    /// - Returns: the requests that were seen, one line each.
    private func exchange(_ bytes: [UInt8], pieces size: Int) -> [String] {
        seen.clear()
        let client = LoopbackClient(port: server.boundAddress.port)
        defer { client.close() }
        var sent = 0
        while sent < bytes.count {
            // A few cuts show what many do, and take less time.
            let end = sent > size * 40 ? bytes.count : min(sent + max(1, size), bytes.count)
            guard client.send(bytes[sent..<end]) else { break }
            sent = end
        }
        client.endSending()
        guard let answers = client.readToEnd() else { finding("the connection does not end") }
        let status = Array("HTTP/1.1 ".utf8)
        require(answers.isEmpty || answers.starts(with: status), "an answer does not begin as one")
        return seen.all
    }
}

/// The requests that got through to the application.
private final class Seen: Sendable {
    private let requests = Mutex<[String]>([])

    var all: [String] { requests.withLock { $0 } }
    func clear() { requests.withLock { $0.removeAll() } }

    func note(_ head: HTTPRequestHead, _ body: [UInt8]) {
        require(head.target.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F }, "a target with blanks or control characters")
        head.headers.forEach { name, value in
            require(!name.isEmpty && value.utf8.allSatisfy { $0 != 0 && $0 != 10 && $0 != 13 }, "a header with line ends")
        }
        require(!(head.headers.contains("content-length") && head.headers.contains("transfer-encoding")), "two lengths")
        require(head.headers.values("host").count <= 1, "two hosts")
        requests.withLock { $0.append("\(head.method) \(head.target) \(body.count) \(body.reduce(7) { ($0 &* 31) &+ Int($1) })") }
    }
}

/// Takes a body in pieces and answers at its end.
private final class Pieces: HTTPBodyReceiver {
    private struct State {
        var head: HTTPUpload?
        var body: [UInt8] = []
    }
    private let seen: Seen
    private let state = Mutex(State())

    init(_ seen: Seen) { self.seen = seen }

    func begin(_ upload: HTTPUpload) { state.withLock { $0.head = upload } }

    func receive(_ piece: [UInt8]) {
        state.withLock { state in
            state.body += piece
            return state.head
        }?.more()
    }

    func end() {
        let (upload, body) = state.withLock { state in
            defer { state.head = nil }
            return (state.head, state.body)
        }
        seen.noteUpload(body)
        upload?.responder.respond(HTTPResponse(status: 200, body: body))
    }

    func failed(_ failure: HTTPUploadFailure) { state.withLock { $0.head = nil } }
}

extension Seen {
    func noteUpload(_ body: [UInt8]) { requests.withLock { $0.append("upload \(body.count) \(body.reduce(7) { ($0 &* 31) &+ Int($1) })") } }
}
