import EventLoop

#if canImport(Glibc)
    import Glibc
#endif

/// Posts prepared requests over kept connections, each request exactly once, and reads every answer: what wrk, which goes round
/// and round for a time, cannot do. Plain blocking sockets on threads of their own.
enum Poster {
    struct Posting: Sendable {
        var accepted = 0
    }

    static func post(_ requests: [[UInt8]], port: Int, connections: Int, pool: BlockingPool) async throws -> Posting {
        try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<connections {
                group.addTask {
                    try await pool.run { try send(stride(from: number, to: requests.count, by: connections).map { requests[$0] }, port) }
                }
            }
            var posting = Posting()
            for try await accepted in group { posting.accepted += accepted }
            return posting
        }
    }

    /// - Returns: how many were answered 200.
    private static func send(_ requests: [[UInt8]], _ port: Int) throws(BenchmarkError) -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw BenchmarkError.system("socket") }
        defer { close(descriptor) }
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        guard Loopback.withAddress(port, { connect(descriptor, $0, $1) }) == 0 else { throw BenchmarkError.system("connect") }
        var accepted = 0
        var buffer = [UInt8](repeating: 0, count: 4096)
        for request in requests {
            var sent = 0
            while sent < request.count {
                let count = request.withUnsafeBytes {
                    Glibc.send(descriptor, $0.baseAddress?.advanced(by: sent), request.count - sent, Int32(MSG_NOSIGNAL))
                }
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { throw BenchmarkError.system("send") }
                sent += count
            }
            var filled = 0
            var length: Int?
            while length.map({ filled < $0 }) ?? true {
                guard filled < buffer.count else { throw BenchmarkError("an answer is longer than \(buffer.count) bytes") }
                let count = buffer.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress?.advanced(by: filled), $0.count - filled, 0) }
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { throw BenchmarkError.system("recv") }
                filled += count
                length = AnswerLength.of(buffer[..<filled])
            }
            if buffer.starts(with: "HTTP/1.1 200 ".utf8) { accepted += 1 }
        }
        return accepted
    }
}

enum AnswerLength {
    /// Bytes of the whole answer; nil while its head is not complete.
    static func of(_ bytes: ArraySlice<UInt8>) -> Int? {
        bytes.withUnsafeBufferPointer { bytes in
            var line = 0
            var length = 0
            while let end = self.end(ofLineAt: line, in: bytes) {
                if end == line { return end + 2 + length }
                if let value = value(of: bytes[line..<end]) { length = value }
                line = end + 2
            }
            return nil
        }
    }

    /// Where the CR LF of a line stands.
    private static func end(ofLineAt start: Int, in bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        var place = start
        while place + 1 < bytes.count {
            if bytes[place] == 13 && bytes[place + 1] == 10 { return place }
            place += 1
        }
        return nil
    }

    private static let name = Array("content-length:".utf8)

    /// The number in a line `Content-Length: 17`; nil for any other line.
    private static func value(of line: Slice<UnsafeBufferPointer<UInt8>>) -> Int? {
        guard line.count > name.count, zip(line, name).allSatisfy({ $0 | 0x20 == $1 | 0x20 }) else { return nil }
        return line.dropFirst(name.count).drop { $0 == 0x20 }.reduce(0) { $0 * 10 + Int($1 &- 0x30) }
    }
}
