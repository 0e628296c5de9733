import EventLoop
import Formats
import HTTPServer
import Synchronization

/// Stands in ingest's place while payments are prepared, and keeps what the providers post, to be posted when the time is taken.
final class PostRecorder: Sendable {
    private let kept = Posts()
    private let server: HTTPServer

    /// Headers that are the connection's, not the post's.
    private static let ofConnection: Set = [
        "host", "content-length", "connection", "transfer-encoding", "accept-encoding", "expect", "user-agent", "accept",
    ]

    init(loop: EventLoop) async throws {
        let kept = kept
        server = HTTPServer(
            configuration: HTTPServerConfiguration(address: SocketAddress("127.0.0.1", 0)), loops: [loop], name: "recorder",
            handler: { request, responder in
                // CinetPay looks whether somebody is there before it posts.
                if request.method == "POST" { kept.add(Self.bytes(of: request)) }
                responder.respond(HTTPResponse(status: 200, body: []))
            })
        try await server.start()
    }

    private final class Posts: Sendable {
        private let list = Mutex<[[UInt8]]>([])
        var all: [[UInt8]] { list.withLock { $0 } }
        func add(_ post: [UInt8]) { list.withLock { $0.append(post) } }
    }

    var port: Int { server.boundAddress.port }
    /// Whole HTTP requests, in the order of their arrival.
    var posts: [[UInt8]] { kept.all }

    func stop() async { await server.stop(by: .now) }

    private static func bytes(of request: HTTPRequest) -> [UInt8] {
        var head = "POST \(request.target) HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        request.headers.forEach { name, value in
            if !ofConnection.contains(name.lowercased()) { head += "\(name): \(value)\r\n" }
        }
        return Array((head + "Content-Length: \(request.body.count)\r\n\r\n").utf8) + request.body
    }
}
