import EventLoop
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// A Docker Engine that knows its answers by heart: behind a unix socket like a real one, a thread per connection.
final class RecordedEngine: Sendable {
    let path: String
    private let listener: Int32
    private let current: Mutex<(shape: EngineAnswers.Shape, answers: EngineAnswers)>

    init(path: String, shape: EngineAnswers.Shape, answers: EngineAnswers, pool: BlockingPool) throws(BenchmarkError) {
        self.path = path
        current = Mutex((shape, answers))
        listener = try Self.listen(path)
        pool.submit { [self] in accept(pool) }
    }

    func answer(as shape: EngineAnswers.Shape, with answers: EngineAnswers) { current.withLock { $0 = (shape, answers) } }

    /// Takes no more connections; those that are open end with their clients.
    func close() { shutdown(listener, Int32(SHUT_RDWR)) }

    private static func listen(_ path: String) throws(BenchmarkError) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        let isShort = withUnsafeMutableBytes(of: &address.sun_path) { place in
            guard bytes.count < place.count else { return false }
            place.copyBytes(from: bytes)
            return true
        }
        guard isShort else { throw BenchmarkError("\(path) is too long for a unix socket: use a checkout with a shorter path") }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        let isBound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        guard descriptor >= 0, isBound == 0, Glibc.listen(descriptor, 16) == 0 else {
            throw BenchmarkError("\(path): \(String(cString: strerror(errno)))")
        }
        return descriptor
    }

    private func accept(_ pool: BlockingPool) {
        while true {
            let connection = Glibc.accept(listener, nil, nil)
            if connection >= 0 {
                pool.submit { [self] in serve(connection) }
            } else if errno != EINTR {
                break
            }
        }
        Glibc.close(listener)
    }

    private func serve(_ connection: Int32) {
        defer { Glibc.close(connection) }
        var input: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            while let end = input.firstRange(of: [13, 10, 13, 10]) {
                let head = String(decoding: input[..<end.lowerBound], as: UTF8.self)
                input.removeSubrange(..<end.upperBound)
                guard send(answer(to: head), connection) else { return }
            }
            let count = recv(connection, &chunk, chunk.count, 0)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return }
            input += chunk[..<count]
        }
    }

    private func answer(to head: String) -> [UInt8] {
        let (shape, answers) = current.withLock { $0 }
        let words = head.prefix { !$0.isNewline }.split(separator: " ")
        let path = words.count > 1 ? words[1].prefix { $0 != "?" } : ""
        let body: [UInt8] =
            switch path.split(separator: "/").last {
            case "_ping": Array("OK".utf8)
            case "volumes": answers.volumes
            case "json": answers.images
            case "df": answers.diskUsage
            default: []
            }
        let status = body.isEmpty ? "404 Not Found" : "200 OK"
        let text = "HTTP/1.1 \(status)\r\nApi-Version: \(shape.rawValue)\r\nContent-Type: application/json\r\nContent-Length: \(body.count)\r\n\r\n"
        return Array(text.utf8) + (head.hasPrefix("HEAD") ? [] : body)
    }

    private func send(_ bytes: [UInt8], _ connection: Int32) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(connection, $0.baseAddress?.advanced(by: sent), bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }
}
