import EventLoop

#if canImport(Glibc)
    import Glibc
#endif

/// One kept HTTP/1.1 connection to a port of this machine, spoken to by blocking calls: for tests that choose every byte, or
/// post so much that a client's comfort would be the limit. Not for several threads at once.
public final class HTTPLine {
    public struct Answer: Sendable, Equatable {
        public let status: Int
        /// By lower-case name; the last one where there are several.
        public let headers: [String: String]
        public let body: [UInt8]

        public var text: String { String(decoding: body, as: UTF8.self) }
    }

    private let descriptor: Int32
    private var unread: [UInt8] = []
    /// Whether the last answer announced the end of the connection.
    public private(set) var isClosing = false

    /// Threads for calls that wait.
    private static let pool = BlockingPool(name: "http line", threads: 24)

    /// - Parameter timeout: of each read and write.
    /// - Throws: ``FixtureError`` when nobody listens.
    public init(port: Int, timeout: Duration = .seconds(15)) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw FixtureError("no socket: error \(errno)") }
        let parts = timeout.components
        var limit = timeval(tv_sec: Int(parts.seconds), tv_usec: Int(parts.attoseconds / 1_000_000_000_000))
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr = in_addr(s_addr: in_addr_t(0x7f00_0001).bigEndian)
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard connected == 0 else { throw FixtureError("port \(port) takes no connection: error \(errno)") }
    }

    deinit { close(descriptor) }

    /// One request on a connection of its own, without holding up the caller's thread.
    public static func once(
        port: Int, _ method: String, _ path: String, headers: [(String, String)] = [], body: [UInt8]? = nil, timeout: Duration = .seconds(15)
    ) async throws -> Answer {
        try await pool.run { try HTTPLine(port: port, timeout: timeout).exchange(method, path, headers: headers, body: body) }
    }

    /// Runs something that talks over lines on a thread that may wait.
    public static func blocking<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await pool.run(body)
    }

    /// Sends a request and reads its answer. A body of nil sends no length.
    public func exchange(_ method: String, _ path: String, headers: [(String, String)] = [], body: [UInt8]? = nil) throws -> Answer {
        try send(Self.request(method, path, headers: headers, body: body))
        return try answer(hasBody: method != "HEAD")
    }

    /// A request's bytes.
    public static func request(_ method: String, _ path: String, headers: [(String, String)] = [], body: [UInt8]? = nil) -> [UInt8] {
        var head = "\(method) \(path) HTTP/1.1\r\nhost: 127.0.0.1\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        if let body { head += "content-length: \(body.count)\r\n" }
        return Array((head + "\r\n").utf8) + (body ?? [])
    }

    public func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { raw in
                Glibc.send(descriptor, raw.baseAddress?.advanced(by: sent), bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw FixtureError("the connection takes no more: error \(errno)") }
            sent += count
        }
    }

    /// Reads the next answer.
    public func answer(hasBody: Bool = true) throws -> Answer {
        while true {
            let head = try take(until: Array("\r\n\r\n".utf8))
            var lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n", omittingEmptySubsequences: true)
            guard !lines.isEmpty, let status = Int(lines.removeFirst().split(separator: " ").dropFirst().first ?? "") else {
                throw FixtureError("not an answer: \(String(decoding: head, as: UTF8.self))")
            }
            if status == 100 { continue }
            var headers: [String: String] = [:]
            for line in lines {
                guard let colon = line.firstIndex(of: ":") else { continue }
                headers[line[..<colon].lowercased()] = String(line[line.index(after: colon)...].drop { $0 == " " })
            }
            isClosing = headers["connection"]?.lowercased() == "close"
            let length = hasBody ? Int(headers["content-length"] ?? "0") ?? 0 : 0
            return Answer(status: status, headers: headers, body: try take(length))
        }
    }

    private func take(until mark: [UInt8]) throws -> [UInt8] {
        while true {
            if let range = unread.firstRange(of: mark) {
                let found = Array(unread[..<range.upperBound])
                unread.removeSubrange(..<range.upperBound)
                return found
            }
            try readMore()
        }
    }

    private func take(_ count: Int) throws -> [UInt8] {
        while unread.count < count { try readMore() }
        let found = Array(unread.prefix(count))
        unread.removeFirst(count)
        return found
    }

    private func readMore() throws {
        var piece = [UInt8](repeating: 0, count: 16384)
        let count = recv(descriptor, &piece, piece.count, 0)
        if count < 0 && errno == EINTR { return }
        guard count > 0 else {
            throw FixtureError(count == 0 ? "the connection was closed before the answer" : "no answer: error \(errno)")
        }
        unread += piece[..<count]
    }
}
