import EventLoop
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// A network between a client and a server on loopback that can be made to fail: it cuts, it stands still, it forgets connections without
/// a word, it loses answers. What it has accepted it acknowledges, as a real network's devices do; the ends learn nothing by themselves.
public final class TCPProxy: Sendable {
    public let port: Int
    private let listener: Int32
    private let network: Network

    /// - Parameter target: the port of 127.0.0.1 that is served.
    public init(to target: Int) throws {
        port = try freePort()
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard listener >= 0 else { throw FixtureError("the proxy has no socket: error \(errno)") }
        self.listener = listener
        network = Network()
        var one: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        guard withLoopback(port, { bind(listener, $0, $1) }) == 0, listen(listener, 128) == 0 else {
            close(listener)
            throw FixtureError("the proxy cannot listen: error \(errno)")
        }
        let network = network
        pthread_detach(
            ThreadLaunch.start(name: "proxy") {
                while true {
                    let client = accept(listener, nil, nil)
                    guard client >= 0 else { return }
                    Passage.open(client, to: target, in: network)
                }
            })
    }

    deinit {
        network.resume()
        network.end()
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    /// Connections that are open now.
    public var connections: Int { network.passages.count }

    /// Nothing passes any more, on connections that are there and on new ones, until ``resume()``; then all that was held back passes.
    public func stall() { network.stall() }
    public func resume() { network.resume() }

    /// Ends all connections with a reset.
    public func reset() { for passage in network.passages { passage.reset() } }

    /// Forgets all connections: what is sent on them is taken and comes nowhere, and neither end is told. New connections work.
    public func abandon() { for passage in network.passages { passage.set(.abandoned) } }

    /// Requests still pass on the connections that are there, answers do not any more, and neither end is told. New connections work.
    public func mute() { for passage in network.passages { passage.set(.mute) } }

    /// Loses the answers to the next requests that contain `text`, once the server has given them, and resets the connection.
    public func loseAnswers(_ count: Int, to text: String) { network.loseAnswers(count, to: Array(text.utf8)) }

    /// Answers that are still to be lost.
    public var answersToLose: Int { network.answersToLose }
}

/// What all connections share.
///
/// `@unchecked Sendable`: the condition variable and its mutex are made for several threads.
private final class Network: @unchecked Sendable {
    private struct State {
        var passages: [Passage] = []
        var answersToLose = 0
        var marker: [UInt8] = []
    }

    private let state = Mutex(State())
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let moved = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var isStalled = false

    init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(moved, nil)
    }

    deinit {
        pthread_cond_destroy(moved)
        pthread_mutex_destroy(mutex)
        moved.deallocate()
        mutex.deallocate()
    }

    var passages: [Passage] { state.withLock { $0.passages } }
    func add(_ passage: Passage) { state.withLock { $0.passages.append(passage) } }
    func remove(_ passage: Passage) { state.withLock { $0.passages.removeAll { $0 === passage } } }
    func end() { for passage in passages { passage.reset() } }

    func stall() { setStalled(true) }
    func resume() { setStalled(false) }

    private func setStalled(_ stalled: Bool) {
        pthread_mutex_lock(mutex)
        isStalled = stalled
        pthread_cond_broadcast(moved)
        pthread_mutex_unlock(mutex)
    }

    func waitWhileStalled() {
        pthread_mutex_lock(mutex)
        while isStalled { pthread_cond_wait(moved, mutex) }
        pthread_mutex_unlock(mutex)
    }

    func loseAnswers(_ count: Int, to marker: [UInt8]) {
        state.withLock { state in
            state.answersToLose = count
            state.marker = marker
        }
    }

    var answersToLose: Int { state.withLock { $0.answersToLose } }

    /// Whether the answer to this request is to be lost.
    func claimsAnswer(to request: ArraySlice<UInt8>) -> Bool {
        state.withLock { state in
            guard state.answersToLose > 0, request.firstRange(of: state.marker) != nil else { return false }
            state.answersToLose -= 1
            return true
        }
    }
}

/// One connection through the proxy: two sockets, a thread for each direction.
private final class Passage: Sendable {
    enum Mode { case open, abandoned, mute, losing }

    private struct State {
        var mode = Mode.open
        /// Threads that still use the sockets; the last one closes them.
        var users = 2
        var isShut = false
    }

    private let client: Int32
    private let server: Int32
    private let network: Network
    private let state = Mutex(State())

    private init(client: Int32, server: Int32, network: Network) {
        self.client = client
        self.server = server
        self.network = network
    }

    static func open(_ client: Int32, to target: Int, in network: Network) {
        let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard server >= 0, withLoopback(target, { connect(server, $0, $1) }) == 0 else {
            if server >= 0 { close(server) }
            close(client)
            return
        }
        var one: Int32 = 1
        for descriptor in [client, server] {
            setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        }
        let passage = Passage(client: client, server: server, network: network)
        network.add(passage)
        pthread_detach(ThreadLaunch.start(name: "proxy out") { passage.pump(from: client, to: server, isRequest: true) })
        pthread_detach(ThreadLaunch.start(name: "proxy in") { passage.pump(from: server, to: client, isRequest: false) })
    }

    func set(_ mode: Mode) { state.withLock { $0.mode = mode } }

    /// Both ends get a reset.
    func reset() {
        state.withLock { state in
            // The descriptors are certainly ours while a thread uses them.
            guard state.users > 0, !state.isShut else { return }
            state.isShut = true
            var hard = linger(l_onoff: 1, l_linger: 0)
            for descriptor in [client, server] {
                setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &hard, socklen_t(MemoryLayout<linger>.size))
                shutdown(descriptor, Int32(SHUT_RD))
            }
        }
    }

    private func pump(from source: Int32, to target: Int32, isRequest: Bool) {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = recv(source, &buffer, buffer.count, 0)
            if count < 0 && errno == EINTR { continue }
            network.waitWhileStalled()
            switch state.withLock({ $0.mode }) {
            case .abandoned:
                // Not even an end of the other side is passed on.
                if count > 0 { continue }
                return leave(silently: true)
            case .mute where !isRequest:
                if count > 0 { continue }
                return leave(silently: true)
            case .losing where !isRequest:
                reset()
                return leave(silently: false)
            default: break
            }
            guard count > 0 else { return leave(silently: false) }
            if isRequest, network.claimsAnswer(to: buffer[..<count]) { set(.losing) }
            guard pass(buffer, count, to: target) else { return leave(silently: false) }
        }
    }

    private func pass(_ buffer: [UInt8], _ count: Int, to target: Int32) -> Bool {
        var sent = 0
        while sent < count {
            let step = buffer.withUnsafeBytes { send(target, $0.baseAddress?.advanced(by: sent), count - sent, Int32(MSG_NOSIGNAL)) }
            if step < 0 && errno == EINTR { continue }
            guard step > 0 else { return false }
            sent += step
        }
        return true
    }

    /// A direction has ended, and with it, unless it is to be kept secret, the other.
    private func leave(silently: Bool) {
        state.withLock { state in
            if !silently && !state.isShut {
                state.isShut = true
                shutdown(client, Int32(SHUT_RDWR))
                shutdown(server, Int32(SHUT_RDWR))
            }
            state.users -= 1
            guard state.users == 0 else { return }
            close(client)
            close(server)
        }
        if state.withLock({ $0.users }) == 0 { network.remove(self) }
    }
}

/// Lends the socket address of a port of 127.0.0.1.
public func withLoopback(_ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr = in_addr(s_addr: in_addr_t(0x7f00_0001).bigEndian)
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
}
