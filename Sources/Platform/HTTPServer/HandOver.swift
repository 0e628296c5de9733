import CEvent
import EventLoop
import Formats
import Synchronization
import Telemetry

#if canImport(Glibc)
    import Glibc
#endif

/// Passes the listening sockets of a process to its successor, so that a restart refuses no connection.
///
/// Who starts asks over a unix socket, gets the sockets with SCM_RIGHTS, begins to serve, and only then tells the other to drain: from the
/// first to the last moment somebody accepts, and what waits to be accepted waits in sockets that are never closed. A successor that fails
/// on the way changes nothing. Where nobody answers (the first start, or a process that was killed) there is nothing to take over.
///
/// The messages, each one packet of text: `sockets 1 <address>` asks; `sockets 1` with descriptors answers, without any when the other
/// listens elsewhere; `serving` tells the other to drain, and `draining` is its word for it. The connection ends with the old process.
///
/// A process of another user is refused, on both sides. Successors come one at a time, by a lock beside the socket.
public final class HandOver: Sendable {
    private let place: UnixPlace
    private let address: SocketAddress
    private let log: Log
    private let state = Mutex(State())

    private struct State {
        /// Held from asking until serving.
        var lock: Int32?
        /// The connection to whom the sockets come from.
        var predecessor: Int32?
        var desk: Desk?
    }

    /// The longest that a successor may take from the sockets to serving.
    static let patience = Duration.seconds(60)

    /// - Parameters:
    ///   - path: of the unix socket, in a folder that only this user may enter. It is made when it is not there.
    ///   - address: as configured, the same for a process and its successor.
    public init(path: String, address: SocketAddress, log: Log) {
        place = UnixPlace(path: path)
        self.address = address
        self.log = log
    }

    deinit {
        state.withLock { state in
            for descriptor in [state.lock, state.predecessor] { if let descriptor { _ = Glibc.close(descriptor) } }
        }
    }

    // MARK: The successor

    /// Asks a running process for its sockets.
    /// - Returns: the sockets, none when there is nobody to ask or when it listens elsewhere.
    /// - Throws: ``HandOverError`` when who is asked refuses.
    public func take() async throws -> [Int32] {
        try await Self.onOwnThread { try self.takeNow() }
    }

    private func takeNow() throws(HandOverError) -> [Int32] {
        do throws(HandOverError) {
            let lock = try place.lock()
            state.withLock { $0.lock = lock }
        } catch {
            // Serving matters more than being relieved without a gap some day.
            log.warning("listening sockets cannot be handed over", ["reason": .string(error.description)])
            return []
        }
        guard let connection = place.connect() else { return [] }
        guard let peer = PeerProcess(of: connection), peer.isOurs else {
            log.warning("a process of another user offers its listening sockets; they are not taken", ["path": .string(place.path)])
            _ = Glibc.close(connection)
            return []
        }
        Packet.setTimeout(connection, .seconds(10))
        guard Packet("sockets 1 \(address)").send(to: connection), let answer = Packet.receive(from: connection) else {
            _ = Glibc.close(connection)
            log.warning("the process that listens does not hand over its sockets", ["process": .int(Int64(peer.process))])
            return []
        }
        guard answer.text == "sockets 1" else {
            answer.closeDescriptors()
            _ = Glibc.close(connection)
            throw HandOverError("process \(peer.process) hands nothing over: \(answer.text.prefix(100))")
        }
        state.withLock { $0.predecessor = connection }
        log.info("takes over listening", ["from": .int(Int64(peer.process)), "sockets": .int(Int64(answer.descriptors.count))])
        return answer.descriptors
    }

    /// Serving: offers the sockets to the next successor, and tells the predecessor, if there is one, to drain.
    /// - Parameters:
    ///   - lend: lends the sockets that are to be handed over.
    ///   - onHandedOver: a successor serves, so this process is to drain. Called once, on a thread of its own.
    ///   - onPredecessorGone: the predecessor has ended. Called at most once, on a thread of its own.
    public func serve(
        lend: @escaping @Sendable ((_ listeners: [Int32]) -> Void) -> Void, onHandedOver: @escaping @Sendable () -> Void,
        onPredecessorGone: @escaping @Sendable () -> Void
    ) async {
        await Self.onOwnThread {
            let desk = self.openDesk(lend: lend, onHandedOver: onHandedOver)
            let (lock, predecessor) = self.state.withLock { state in
                defer { (state.lock, state.predecessor) = (nil, nil) }
                state.desk = desk
                return (state.lock, state.predecessor)
            }
            desk?.start()
            if let predecessor { self.relieve(predecessor, then: onPredecessorGone) }
            if let lock { _ = Glibc.close(lock) }
        }
    }

    private func openDesk(
        lend: @escaping @Sendable ((_ listeners: [Int32]) -> Void) -> Void, onHandedOver: @escaping @Sendable () -> Void
    ) -> Desk? {
        do throws(HandOverError) {
            return Desk(listener: try place.listen(), address: address, log: log, lend: lend, onHandedOver: onHandedOver)
        } catch {
            log.warning("listening sockets cannot be handed over", ["reason": .string(error.description)])
            return nil
        }
    }

    private func relieve(_ predecessor: Int32, then onGone: @escaping @Sendable () -> Void) {
        if !Packet("serving").send(to: predecessor) || Packet.receive(from: predecessor)?.text != "draining" {
            log.warning("the process that served before does not say that it drains")
        }
        let thread = ThreadLaunch.start(name: "predecessor") {
            Packet.setTimeout(predecessor, .zero)
            while Packet.receive(from: predecessor) != nil {}
            _ = Glibc.close(predecessor)
            onGone()
        }
        pthread_detach(thread)
    }

    /// Offers nothing any more. A successor that was told so binds for itself.
    public func close() async {
        let desk = state.withLock { state in
            defer { state.desk = nil }
            return state.desk
        }
        guard let desk else { return }
        await Self.onOwnThread { desk.stop() }
    }

    /// Everything here blocks: not on Swift's shared pool.
    private static func onOwnThread(_ body: @escaping @Sendable () -> Void) async {
        await withCheckedContinuation { continuation in
            pthread_detach(
                ThreadLaunch.start(name: "hand-over") {
                    body()
                    continuation.resume()
                })
        }
    }

    private static func onOwnThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            pthread_detach(ThreadLaunch.start(name: "hand-over") { continuation.resume(with: Result { try body() }) })
        }
    }
}

/// Why sockets could not be handed over. A retry helps once the other process has ended.
public struct HandOverError: Error, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
    init(_ operation: String, _ path: String, _ number: Int32) { description = "\(operation) \(path): \(String(cString: strerror(number)))" }
}

/// The side that offers: a thread that waits for a successor.
///
/// `@unchecked Sendable`: `thread` is set before `stop` can be called; all else is constant or belongs to the thread.
private final class Desk: @unchecked Sendable {
    private let listener: Int32
    private let address: SocketAddress
    private let log: Log
    private let lend: @Sendable ((_ listeners: [Int32]) -> Void) -> Void
    private let onHandedOver: @Sendable () -> Void
    private let wake: Int32
    private var thread: pthread_t?

    init(
        listener: Int32, address: SocketAddress, log: Log, lend: @escaping @Sendable ((_ listeners: [Int32]) -> Void) -> Void,
        onHandedOver: @escaping @Sendable () -> Void
    ) {
        self.listener = listener
        self.address = address
        self.log = log
        self.lend = lend
        self.onHandedOver = onHandedOver
        wake = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
    }

    deinit {
        close(listener)
        close(wake)
    }

    func start() { thread = ThreadLaunch.start(name: "hand-over desk") { self.run() } }

    func stop() {
        var one: UInt64 = 1
        _ = write(wake, &one, MemoryLayout<UInt64>.size)
        if let thread { pthread_join(thread, nil) }
        thread = nil
    }

    private func run() {
        while wait(for: listener, .seconds(86_400)) != .asked {
            let connection = accept(listener, nil, nil)
            guard connection >= 0 else { continue }
            _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
            guard serve(connection) else {
                close(connection)
                continue
            }
            // Left open: its end is how the successor sees ours.
            return onHandedOver()
        }
    }

    private enum Waited { case ready, asked, nothing }

    private func wait(for descriptor: Int32, _ limit: Duration) -> Waited {
        var sources = [pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0), pollfd(fd: wake, events: Int16(POLLIN), revents: 0)]
        let count = poll(&sources, 2, Int32(limit.milliseconds))
        if sources[1].revents != 0 { return .asked }
        return count > 0 ? .ready : .nothing
    }

    /// - Returns: whether the successor serves.
    private func serve(_ connection: Int32) -> Bool {
        Packet.setTimeout(connection, .seconds(10))
        guard let peer = PeerProcess(of: connection), peer.isOurs else {
            log.warning("a process of another user asked for the listening sockets")
            // Its question is read first: a close before that would throw the answer away.
            if wait(for: connection, .milliseconds(200)) == .ready { Packet.receive(from: connection)?.closeDescriptors() }
            _ = Packet("refused: another user").send(to: connection)
            return false
        }
        guard wait(for: connection, .seconds(10)) == .ready, let question = Packet.receive(from: connection) else { return false }
        let parts = question.text.split(separator: " ")
        question.closeDescriptors()
        guard parts.count == 3, parts[0] == "sockets", parts[1] == "1" else {
            _ = Packet("refused: not understood").send(to: connection)
            return false
        }
        var isSent = false
        lend { listeners in
            isSent = Packet("sockets 1", descriptors: parts[2] == address.description ? listeners : []).send(to: connection)
        }
        // Until it serves nothing has changed here: it may fail and go.
        guard isSent, wait(for: connection, HandOver.patience) == .ready, Packet.receive(from: connection)?.text == "serving" else {
            log.warning("a successor took the listening sockets and does not serve", ["process": .int(Int64(peer.process))])
            return false
        }
        _ = Packet("draining").send(to: connection)
        log.info("a successor serves", ["process": .int(Int64(peer.process))])
        return true
    }
}

/// Who is at the other end of a unix socket.
private struct PeerProcess {
    let process: Int32
    private let user: UInt32

    init?(of connection: Int32) {
        var process: Int32 = 0
        var user: UInt32 = 0
        guard quittance_peer(connection, &process, &user) == 0 else { return nil }
        self.process = process
        self.user = user
    }

    var isOurs: Bool { user == geteuid() }
}

/// One message: a line of text, and descriptors.
private struct Packet {
    let text: String
    let descriptors: [Int32]

    init(_ text: String, descriptors: [Int32] = []) {
        self.text = text
        self.descriptors = descriptors
    }

    func closeDescriptors() { for descriptor in descriptors { close(descriptor) } }

    func send(to connection: Int32) -> Bool {
        let bytes = Array(text.utf8)
        while true {
            let count = quittance_send_message(connection, bytes, bytes.count, descriptors, Int32(descriptors.count))
            if count < 0 && errno == EINTR { continue }
            return count == bytes.count
        }
    }

    /// nil at the end, when nothing comes in time, and on any failure.
    static func receive(from connection: Int32) -> Packet? {
        var bytes = [UInt8](repeating: 0, count: 512)
        var descriptors = [Int32](repeating: -1, count: Int(QUITTANCE_DESCRIPTORS_MAX))
        var number: Int32 = 0
        while true {
            let count = quittance_receive_message(connection, &bytes, bytes.count, &descriptors, &number)
            if count < 0 && errno == EINTR { continue }
            let packet = Packet(String(decoding: bytes[..<max(0, count)], as: UTF8.self), descriptors: Array(descriptors[..<Int(number)]))
            if count > 0 { return packet }
            packet.closeDescriptors()
            return nil
        }
    }

    /// Of each read and write; zero waits without end.
    static func setTimeout(_ connection: Int32, _ limit: Duration) {
        var time = limit.timeval
        let length = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(connection, Int32(SOL_SOCKET), Int32(SO_RCVTIMEO), &time, length)
        setsockopt(connection, Int32(SOL_SOCKET), Int32(SO_SNDTIMEO), &time, length)
    }
}
