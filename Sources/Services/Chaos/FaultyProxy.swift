import EventLoop
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// A TCP way to Redis that can be told to misbehave as networks do. One thread, plain sockets.
final class FaultyProxy: Sendable {
    /// What is swallowed while the sockets stay open.
    enum Silence: String, Sendable, CaseIterable {
        case requests, replies, both
    }

    private enum Order: Sendable {
        case cut
        case silence(Silence, untilNs: Int64)
        case loseReply
        case end
    }

    private struct Pair {
        let client: Int32
        let server: Int32
        var silence: Silence?
        var silentUntilNs: Int64 = 0
        var isOver = false
    }

    let port: Int
    private let target: Int
    private let orders = Mutex<[Order]>([])

    /// Orders are looked for this often.
    private static let lookEveryMs: Int32 = 5

    init(to target: Int) throws(ChaosError) {
        self.target = target
        let (listener, port) = try Loopback.listen()
        self.port = port
        pthread_detach(ThreadLaunch.start(name: "proxy") { [self] in run(listener) })
    }

    /// Resets all connections there are.
    func cut() { give(.cut) }

    /// Swallows what goes over the connections there are. New ones are good: a route that has changed.
    func fallSilent(_ silence: Silence, for duration: Duration) {
        give(.silence(silence, untilNs: Monotonic.nowNs + Int64(duration / .nanoseconds(1))))
    }

    /// Throws away the next thing that Redis says, and the connection with it.
    func loseReply() { give(.loseReply) }

    func end() { give(.end) }

    private func give(_ order: Order) { orders.withLock { $0.append(order) } }

    // MARK: On the thread

    private func run(_ listener: Int32) {
        var pairs: [Pair] = []
        var losesReply = false
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let now = Monotonic.nowNs
            for order in orders.withLock({ taken in
                defer { taken = [] }
                return taken
            }) {
                switch order {
                case .cut: for place in pairs.indices { Self.reset(&pairs[place]) }
                case .silence(let silence, let until):
                    for place in pairs.indices { (pairs[place].silence, pairs[place].silentUntilNs) = (silence, until) }
                case .loseReply: losesReply = true
                case .end:
                    for place in pairs.indices { Self.reset(&pairs[place]) }
                    close(listener)
                    return
                }
            }
            for place in pairs.indices where pairs[place].silence != nil && pairs[place].silentUntilNs <= now { Self.reset(&pairs[place]) }
            pairs.removeAll { $0.isOver }

            var polled = [pollfd(fd: listener, events: Int16(POLLIN), revents: 0)]
            for pair in pairs {
                // A negative descriptor is not looked at.
                polled.append(pollfd(fd: pair.silence == .requests || pair.silence == .both ? -1 : pair.client, events: Int16(POLLIN), revents: 0))
                polled.append(pollfd(fd: pair.silence == .both ? -1 : pair.server, events: Int16(POLLIN), revents: 0))
            }
            guard poll(&polled, nfds_t(polled.count), Self.lookEveryMs) > 0 else { continue }
            for place in pairs.indices {
                if polled[1 + 2 * place].revents != 0 { Self.forward(from: pairs[place].client, to: pairs[place].server, &pairs[place], &buffer) }
                guard !pairs[place].isOver, polled[2 + 2 * place].revents != 0 else { continue }
                if losesReply && pairs[place].silence == nil {
                    losesReply = false
                    Self.reset(&pairs[place])
                } else if pairs[place].silence == .replies {
                    // Taken, so that Redis believes it delivered; never handed on.
                    if recv(pairs[place].server, &buffer, buffer.count, 0) <= 0 { Self.reset(&pairs[place]) }
                } else {
                    Self.forward(from: pairs[place].server, to: pairs[place].client, &pairs[place], &buffer)
                }
            }
            if polled[0].revents != 0 { take(listener, &pairs) }
        }
    }

    private func take(_ listener: Int32, _ pairs: inout [Pair]) {
        let client = accept(listener, nil, nil)
        guard client >= 0 else { return }
        let server = Loopback.connected(to: target)
        guard server >= 0 else {
            close(client)
            return
        }
        for descriptor in [client, server] { Loopback.prepare(descriptor) }
        pairs.append(Pair(client: client, server: server))
    }

    private static func forward(from: Int32, to: Int32, _ pair: inout Pair, _ buffer: inout [UInt8]) {
        let count = recv(from, &buffer, buffer.count, 0)
        if count < 0 && errno == EINTR { return }
        guard count > 0 else { return reset(&pair) }
        var sent = 0
        while sent < count {
            let more = buffer.withUnsafeBytes { send(to, $0.baseAddress?.advanced(by: sent), count - sent, Int32(MSG_NOSIGNAL)) }
            if more < 0 && errno == EINTR { continue }
            guard more > 0 else { return reset(&pair) }
            sent += more
        }
    }

    /// Closes both ends with a reset: what is under way is gone.
    private static func reset(_ pair: inout Pair) {
        guard !pair.isOver else { return }
        pair.isOver = true
        for descriptor in [pair.client, pair.server] {
            var hard = linger(l_onoff: 1, l_linger: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &hard, socklen_t(MemoryLayout<linger>.size))
            close(descriptor)
        }
    }
}

enum Loopback {
    /// A listening socket on a port that the system chooses.
    static func listen() throws(ChaosError) -> (descriptor: Int32, port: Int) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .system("socket") }
        guard withAddress(0, { bind(descriptor, $0, $1) }) == 0, Glibc.listen(descriptor, 128) == 0 else { throw .system("listen") }
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        guard result == 0 else { throw .system("getsockname") }
        return (descriptor, Int(UInt16(bigEndian: address.sin_port)))
    }

    /// A port that nobody listens on, below the range from which the system takes ports for outgoing connections.
    static func freePort() throws(ChaosError) -> Int {
        for _ in 0..<1000 {
            let port = Int.random(in: 15_000..<32_000)
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            if withAddress(port, { bind(descriptor, $0, $1) }) == 0 { return port }
        }
        throw ChaosError("no free port of the loopback was found")
    }

    /// A connected socket; negative when nobody listens, with the reason in errno.
    static func connected(to port: Int) -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return -1 }
        guard withAddress(port, { connect(descriptor, $0, $1) }) == 0 else {
            let reason = errno
            close(descriptor)
            errno = reason
            return -1
        }
        return descriptor
    }

    /// Whether a Redis answers that has read its log.
    static func isRedis(on port: Int) -> Bool {
        let descriptor = connected(to: port)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        prepare(descriptor)
        var buffer = Array("PING\r\n".utf8)
        guard send(descriptor, buffer, buffer.count, Int32(MSG_NOSIGNAL)) == buffer.count else { return false }
        let count = recv(descriptor, &buffer, 5, 0)
        return count > 0 && buffer.starts(with: "+PONG".utf8)
    }

    /// No delay for small pieces, and no peer that is waited for without end.
    static func prepare(_ descriptor: Int32) {
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    private static func withAddress<Value>(_ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Value) -> Value {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(truncatingIfNeeded: port)).bigEndian
        address.sin_addr = in_addr(s_addr: in_addr_t(0x7f00_0001).bigEndian)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }
}
