import EventLoop
import Formats
import HTTPServer
import Synchronization
import TestSupport

#if canImport(Glibc)
    import Glibc
#endif

/// Threads for clients that block on their sockets, so that Swift's pool stays free.
let clientThreads = BlockingPool(name: "clients", threads: 48)

/// Answers what was asked: method, target, and the body's bytes.
let echo: HTTPServer.Handler = { request, responder in
    responder.respond(HTTPResponse(status: 200, body: Array("\(request.method) \(request.target) ".utf8) + request.body))
}

/// Runs a server on a port of its own for the length of `body`, which gets it and its port on a thread that may block.
func withServer(
    loops: Int = 1, name: String = "test", change: (inout HTTPServerConfiguration) -> Void = { _ in },
    streaming: HTTPServer.Streaming? = nil, handler: @escaping HTTPServer.Handler = echo,
    body: @escaping @Sendable (HTTPServer, Int) throws -> Void
) async throws {
    var configuration = HTTPServerConfiguration(address: SocketAddress("127.0.0.1", 0), loops: loops)
    change(&configuration)
    let server = HTTPServer(configuration: configuration, name: name, streaming: streaming, handler: handler)
    try await server.start()
    let outcome: Result<Void, any Error>
    do {
        try await clientThreads.run { try body(server, server.boundAddress.port) }
        outcome = .success(())
    } catch {
        outcome = .failure(error)
    }
    await server.stop(by: .now)
    try outcome.get()
}

/// Keeps responders until the test answers them.
final class HeldRequests: Sendable {
    private let held = Mutex<[HTTPResponder]>([])

    /// Holds this one weakly: a request that is never answered would keep its server alive through its own handler.
    var handler: HTTPServer.Handler {
        { [weak self] _, responder in self?.held.withLock { $0.append(responder) } }
    }

    var count: Int { held.withLock(\.count) }

    /// The oldest held request, waited for.
    func next() throws -> HTTPResponder {
        try waitUntil("a request reaches the handler") { count > 0 }
        return held.withLock { $0.removeFirst() }
    }
}

/// Waits on a client's thread until `condition` is true.
func waitUntil(_ what: String, within limit: Duration = .seconds(10), _ condition: () -> Bool) throws {
    let deadline = ContinuousClock.now.advanced(by: limit.stretched)
    while !condition() {
        guard ContinuousClock.now < deadline else { throw ClientError(what: "not in time: \(what)") }
        poll(nil, 0, 2)
    }
}

struct ClientError: Error { let what: String }

/// One answer as it came.
struct RawAnswer: Sendable {
    let status: Int
    let head: String
    let body: [UInt8]

    var text: String { String(decoding: body, as: UTF8.self) }

    func header(_ name: String) -> String? {
        for line in head.split(separator: "\r\n").dropFirst() {
            guard let colon = line.firstIndex(of: ":"), line[..<colon].lowercased() == name.lowercased() else { continue }
            return String(line[line.index(after: colon)...].drop { $0 == " " })
        }
        return nil
    }
}

/// A client on a plain socket: it sends any bytes in any portions and says exactly what came back.
final class RawClient {
    let descriptor: Int32
    private var buffer: [UInt8] = []

    /// - Parameter receiveBuffer: a small one makes a client that takes little.
    init(port: Int, receiveBuffer: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw ClientError(what: "no socket") }
        if var size = receiveBuffer { setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, 4) }
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, 4)
        // No test may hang: every wait for the server ends here.
        var limit = timeval(tv_sec: Int(Duration.seconds(15).stretched.components.seconds), tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        // No close here: `deinit` runs also when a complete object's `init` throws, and a second close would hit a stranger's socket.
        guard connected == 0 else { throw ClientError(what: "no connection: \(errno)") }
    }

    deinit { close(descriptor) }

    // MARK: Sending

    /// Sends everything, or as much as the server lets through before it closes.
    func send(_ bytes: some Collection<UInt8>) {
        let bytes = Array(bytes)
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return }
            sent += count
        }
    }

    func send(_ text: String) { send(text.utf8) }

    func send(_ bytes: [UInt8], inPiecesOf size: Int) {
        for start in stride(from: 0, to: bytes.count, by: size) { send(bytes[start..<min(start + size, bytes.count)]) }
    }

    /// Sends `piece` again and again until the server has taken nothing more for a while.
    /// - Returns: the bytes taken.
    func sendUntilBlocked(_ piece: [UInt8], atMost limit: Int) -> Int {
        var total = 0
        while total < limit {
            let count = piece.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, piece.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT)) }
            if count > 0 {
                total += count
                continue
            }
            var state = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            guard errno == EAGAIN, poll(&state, 1, 300) == 1 else { break }
        }
        return total
    }

    func shutdownSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Makes the coming close a reset, as when the client's machine vanishes.
    func vanish() {
        var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
    }

    // MARK: Receiving

    /// Whether something (bytes or the end) arrives within that time.
    func isReadable(within milliseconds: Int32) -> Bool {
        guard buffer.isEmpty else { return true }
        var state = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&state, 1, milliseconds) == 1
    }

    /// The next answer.
    /// - Parameter hasBody: false after HEAD.
    func answer(hasBody: Bool = true) throws -> RawAnswer {
        guard let answer = try answerOrEnd(hasBody: hasBody) else { throw ClientError(what: "the connection ended instead of an answer") }
        return answer
    }

    /// The next answer, or nil when the server has closed the connection.
    func answerOrEnd(hasBody: Bool = true) throws -> RawAnswer? {
        var end = headEnd()
        while end == nil {
            guard try fill() else {
                guard buffer.isEmpty else { throw ClientError(what: "the connection ended within an answer") }
                return nil
            }
            end = headEnd()
        }
        let length = end ?? 0
        let head = String(decoding: buffer[..<length], as: UTF8.self)
        buffer.removeFirst(length)
        guard let status = Int(head.split(separator: " ")[1]) else { throw ClientError(what: "no status in \(head)") }
        let empty = RawAnswer(status: status, head: head, body: [])
        guard hasBody, let count = empty.header("Content-Length").flatMap({ Int($0) }) else { return empty }
        while buffer.count < count { guard try fill() else { throw ClientError(what: "the connection ended within a body") } }
        let body = Array(buffer[..<count])
        buffer.removeFirst(count)
        return RawAnswer(status: status, head: head, body: body)
    }

    /// All answers until the server closes.
    func answersUntilEnd() throws -> [RawAnswer] {
        var answers: [RawAnswer] = []
        while let answer = try answerOrEnd() { answers.append(answer) }
        return answers
    }

    /// What came up to and with `mark`, waited for.
    func text(through mark: String) throws -> String {
        let mark = Array(mark.utf8)
        var searched = 0
        while true {
            while searched + mark.count <= buffer.count {
                if buffer[searched..<(searched + mark.count)].elementsEqual(mark) {
                    let end = searched + mark.count
                    defer { buffer.removeFirst(end) }
                    return String(decoding: buffer[..<end], as: UTF8.self)
                }
                searched += 1
            }
            guard try fill() else { throw ClientError(what: "the connection ended before '\(String(decoding: mark, as: UTF8.self))'") }
        }
    }

    /// So many bytes, waited for.
    func take(_ count: Int) throws -> [UInt8] {
        while buffer.count < count { guard try fill() else { throw ClientError(what: "the connection ended before \(count) bytes") } }
        defer { buffer.removeFirst(count) }
        return Array(buffer[..<count])
    }

    /// Everything up to the connection's end.
    func textToEnd() throws -> String {
        while try fill() {}
        defer { buffer = [] }
        return String(decoding: buffer, as: UTF8.self)
    }

    private func headEnd() -> Int? {
        guard buffer.count >= 4 else { return nil }
        for index in 3..<buffer.count where buffer[index] == 10 && buffer[index - 1] == 13 && buffer[index - 2] == 10 { return index + 1 }
        return nil
    }

    /// - Returns: false at the connection's end.
    private func fill() throws -> Bool {
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        if count == 0 { return false }
        guard count > 0 else { throw ClientError(what: errno == EAGAIN ? "the server stayed silent" : "receiving failed: \(errno)") }
        buffer.append(contentsOf: chunk[..<count])
        return true
    }
}
