import EventLoop
import Formats
import Synchronization
import TestSupport

#if canImport(Glibc)
    import Glibc
#endif

/// A server that says what it is told to: one answer for each piece that arrives, the last one for all further pieces.
final class FakeRedis: Sendable {
    enum Answer: Sendable {
        case bytes(String)
        case close(after: String)
        case nothing
    }
    static let greeting = "+OK\r\n$13\r\nrun_id:abcdef\r\n"

    let port: Int
    private let listener: Int32
    private let pieces = Mutex<[[UInt8]]>([])
    private let accepted = Atomic<Int>(0)

    var received: [[UInt8]] { pieces.withLock { $0 } }
    var connections: Int { accepted.load(ordering: .relaxed) }
    var address: RedisAddress { RedisAddress(place: .tcp(SocketAddress("127.0.0.1", port))) }

    init(_ answers: [Answer]) throws {
        let (listener, port) = try Self.listening()
        self.port = port
        self.listener = listener
        // The thread holds the parts it needs, not the fake itself, whose end closes the listener and so ends the thread.
        pthread_detach(
            ThreadLaunch.start(name: "fake") { [weak self] in
                while true {
                    let client = accept(listener, nil, nil)
                    guard client >= 0 else { return }
                    self?.accepted.add(1, ordering: .relaxed)
                    pthread_detach(ThreadLaunch.start(name: "fake client") { [weak self] in Self.serve(client, answers) { self?.note($0) } })
                }
            })
    }

    /// On a port that the system chooses, so that no other process can have taken it meanwhile.
    private static func listening() throws -> (listener: Int32, port: Int) {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var one: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr = in_addr(s_addr: in_addr_t(0x7f00_0001).bigEndian)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard bound == 0, listen(listener, 64) == 0 else { throw FixtureError("the fake cannot listen: error \(errno)") }
        let known = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(listener, $0, &length) }
        }
        guard known == 0 else { throw FixtureError("the fake does not know its port: error \(errno)") }
        return (listener, Int(in_port_t(bigEndian: address.sin_port)))
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    private func note(_ piece: [UInt8]) { pieces.withLock { $0.append(piece) } }

    private static func serve(_ client: Int32, _ answers: [Answer], _ note: ([UInt8]) -> Void) {
        defer { close(client) }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var turn = 0
        while true {
            let count = recv(client, &buffer, buffer.count, 0)
            guard count > 0 else { return }
            note(Array(buffer[..<count]))
            switch answers[min(turn, answers.count - 1)] {
            case .bytes(let text): say(text, to: client)
            case .close(let text):
                say(text, to: client)
                return
            case .nothing: break
            }
            turn += 1
        }
    }

    private static func say(_ text: String, to client: Int32) {
        let bytes = Array(text.utf8)
        _ = send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }
}
