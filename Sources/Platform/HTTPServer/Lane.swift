import CEvent
import EventLoop
import Formats
import Synchronization
import Telemetry

#if canImport(Glibc)
    import Glibc
#endif

/// The part of a server that lives on one loop: its listening sockets, its connections and the memory they share.
///
/// `@unchecked Sendable`: touched on `loop` only, except for the constants set by `init`.
final class Lane: @unchecked Sendable {
    let loop: EventLoop
    let server: ServerParts
    let heads = HeadReader()
    /// Where every socket of this loop is read into.
    let input: UnsafeMutableRawBufferPointer
    var date = DateHeader()
    private(set) var isStopping = false
    /// Of a lane that stops: milliseconds that a silent connection may still ask.
    private(set) var patience: Int64 = 0

    let requestMax: Int64
    let uploadMax: Int64
    let idleMax: Int64
    /// For a connection that has not sent a byte yet.
    let silenceMax: Int64

    private let listeners: [Int32]
    private var acceptEvents: [OpaquePointer] = []
    private var listenerReferences = 0
    private var acceptPause: LoopTimer?
    private var connections: [Connection] = []
    private var refusedConnections = 0
    private var spareBuffers: [[UInt8]] = []
    private var dirty: [Connection] = []
    private var spareDirty: [Connection] = []
    private var isFlushPlanned = false
    private var sweep: LoopTimer?
    private let sweepInterval: Duration
    private var deadlineTimer: LoopTimer?
    private var onEmpty: (() -> Void)?

    private static let inputSize = 64 * 1024
    private static let spareBuffersMax = 256
    private static let spareBufferSize = 4 * 1024
    private static let acceptsPerTurn = 64
    /// Connections over the limit that are told so; more of them are just closed.
    private static let refusedConnectionsMax = 128

    /// - Parameter listeners: usually one; several where a process with more loops has handed over its own.
    init(loop: EventLoop, listeners: [Int32], server: ServerParts) {
        self.loop = loop
        self.listeners = listeners
        self.server = server
        input = .allocate(byteCount: Self.inputSize, alignment: 16)
        let configuration = server.configuration
        requestMax = configuration.requestDeadline.milliseconds
        uploadMax = configuration.uploadDeadline.milliseconds
        idleMax = configuration.idleTimeout.milliseconds
        silenceMax = min(requestMax, idleMax)
        let shortest = min(requestMax, uploadMax, idleMax, Connection.briefLingerTime)
        sweepInterval = .milliseconds(max(5, min(500, shortest / 8)))
    }

    deinit { input.deallocate() }

    // MARK: Accepting

    func open() {
        loop.preconditionOnLoop()
        ignoreBrokenPipes()
        for listener in listeners {
            // Retained until the lane is empty again: the loop may call it at any time.
            let event = event_new(
                loop.base, listener, Int16(EV_READ | EV_PERSIST), acceptableCallback, Unmanaged.passRetained(self).toOpaque())
            guard let event else { preconditionFailure("out of memory for a listener") }
            acceptEvents.append(event)
            event_add(event, nil)
        }
    }

    /// Unlike `send`, `sendfile` cannot be told to leave the signal of a closed socket out: on this thread it is an error code only.
    private func ignoreBrokenPipes() {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    fileprivate func acceptable(_ listener: Int32) {
        for _ in 0..<Self.acceptsPerTurn {
            var peer = sockaddr_storage()
            let descriptor = quittance_accept(listener, &peer)
            if descriptor >= 0 {
                admit(descriptor, PeerAddress.text(peer))
                continue
            }
            switch errno {
            case EINTR, ECONNABORTED, EPROTO: continue
            case EMFILE, ENFILE, ENOBUFS, ENOMEM: return pauseAccepting()
            default: return
            }
        }
    }

    /// Out of descriptors or memory: a level-triggered event would spin, so the listeners rest for a moment.
    private func pauseAccepting() {
        server.log.warning("accepting pauses: the system gives no descriptor or memory")
        for event in acceptEvents { event_del(event) }
        let timer = LoopTimer(on: loop) { [self] in
            for event in acceptEvents { event_add(event, nil) }
        }
        timer.start(after: .milliseconds(100))
        acceptPause = timer
    }

    private func admit(_ descriptor: Int32, _ remoteAddress: String) {
        let isCounted = server.metrics.connections.load(ordering: .relaxed) < server.configuration.connectionLimit
        if !isCounted && refusedConnections >= Self.refusedConnectionsMax {
            server.metrics.count(503)
            close(descriptor)
            return
        }
        let connection = Connection(lane: self, descriptor: descriptor, remoteAddress: remoteAddress, isCounted: isCounted)
        connection.index = connections.count
        connections.append(connection)
        startSweeping()
        if isCounted {
            server.metrics.connectionOpened()
        } else {
            refusedConnections += 1
            connection.refuse(.tooManyConnections, .clientLeft)
        }
    }

    // MARK: Connections

    func forget(_ connection: Connection) {
        let last = connections.removeLast()
        if last !== connection {
            connections[connection.index] = last
            last.index = connection.index
        }
        if connection.isCounted { server.metrics.connectionClosed() } else { refusedConnections -= 1 }
        if isStopping && connections.isEmpty { finishStop() }
    }

    func markDirty(_ connection: Connection) {
        guard !connection.isDirty else { return }
        connection.isDirty = true
        dirty.append(connection)
        guard !isFlushPlanned else { return }
        isFlushPlanned = true
        loop.atTurnEnd { self.flush() }
    }

    private func flush() {
        isFlushPlanned = false
        var batch = spareDirty
        spareDirty = []
        swap(&batch, &dirty)
        for connection in batch { connection.turnEnded() }
        batch.removeAll(keepingCapacity: true)
        spareDirty = batch
    }

    func spareBuffer() -> [UInt8] {
        if let buffer = spareBuffers.popLast() { return buffer }
        var buffer: [UInt8] = []
        buffer.reserveCapacity(1024)
        return buffer
    }

    func takeBuffer(of output: inout OutputQueue) {
        guard let buffer = output.takeBuffer(capacityMax: Self.spareBufferSize), spareBuffers.count < Self.spareBuffersMax else { return }
        spareBuffers.append(buffer)
    }

    // MARK: Time

    /// Milliseconds of the system's coarse monotonic clock: a few nanoseconds to read, right to a few milliseconds.
    func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }

    /// One timer looks at all deadlines, so that a request costs no timer operation. It rests while there is no connection.
    private func startSweeping() {
        guard sweep == nil else { return }
        let timer = LoopTimer(on: loop) { [self] in expire() }
        sweep = timer
        timer.start(after: sweepInterval)
    }

    private func expire() {
        let now = now()
        // Backwards: closing a connection moves the last one into its place.
        for index in stride(from: connections.count - 1, through: 0, by: -1) where index < connections.count {
            let connection = connections[index]
            if connection.deadline <= now { connection.expire() }
        }
        if connections.isEmpty { sweep = nil } else { sweep?.start(after: sweepInterval) }
    }

    // MARK: Stopping

    /// Stops accepting, lets requests under way finish, and calls `whenEmpty` once no connection is left, at the latest after
    /// `grace`.
    /// - Parameter patience: how long a silent connection may still ask.
    func stop(within grace: Duration, patience: Duration, whenEmpty: @escaping () -> Void) {
        loop.preconditionOnLoop()
        guard !isStopping else { return whenEmpty() }
        // Who has connected in good faith is served once more.
        if !acceptEvents.isEmpty { for listener in listeners { acceptable(listener) } }
        isStopping = true
        self.patience = patience.milliseconds
        onEmpty = whenEmpty
        acceptPause?.cancel()
        acceptPause = nil
        for event in acceptEvents { event_free(event) }
        listenerReferences = acceptEvents.count
        acceptEvents = []
        for listener in listeners { close(listener) }
        for connection in connections { connection.stopGently(patience: self.patience) }
        guard !connections.isEmpty else { return finishStop() }
        let timer = LoopTimer(on: loop) { [self] in
            for connection in connections { connection.close() }
        }
        deadlineTimer = timer
        timer.start(after: grace)
    }

    private func finishStop() {
        guard let whenEmpty = onEmpty else { return }
        onEmpty = nil
        deadlineTimer?.cancel()
        deadlineTimer = nil
        sweep?.cancel()
        sweep = nil
        whenEmpty()
        // The references that `open` took for the listening sockets.
        for _ in 0..<listenerReferences { Unmanaged.passUnretained(self).release() }
    }
}

private func acceptableCallback(_ descriptor: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<Lane>.fromOpaque(context).takeUnretainedValue().acceptable(descriptor)
}
