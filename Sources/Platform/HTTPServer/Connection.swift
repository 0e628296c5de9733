import CEvent
import EventLoop
import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// One client's connection: a state machine driven by its socket, its handler's answers and the lane's sweep.
///
/// Bytes are parsed where the socket put them, in the lane's buffer; only what is left over (half a head, requests sent ahead)
/// is copied into `pending`. While a request is being answered nothing is read: the read event stays armed, since most
/// clients stay silent and two system calls a request are saved, and is taken away the first time it fires.
///
/// `@unchecked Sendable`: every member is touched on the lane's loop only. ``Exchange`` hops there before it calls.
final class Connection: @unchecked Sendable {
    enum Phase {
        /// Between requests, or before the first one.
        case idle
        case head, body, chunked
        /// A handler has the request.
        case answering
        /// An answer that goes on and on; the connection ends with it.
        case streaming
        /// The last answer is on its way out, then the connection ends.
        case flushing
        /// Our side is closed; what the client still sends is thrown away so that it gets to read the answer.
        case lingering
        case closed
    }

    /// Answers waiting for a client that does not read, before its next request is looked at.
    static let outputMax = 256 * 1024
    /// What a client may send on after it was refused.
    static let lingerBytesMax = 64 * 1024 * 1024
    static let lingerTime: Int64 = 2000
    /// The same after an ordinary last answer, when nothing more is known to come.
    static let briefLingerTime: Int64 = 500

    let lane: Lane
    let remoteAddress: String
    let descriptor: Int32
    /// Whether it counts towards the connection limit; one that was refused for it does not.
    let isCounted: Bool
    /// Its place in the lane's list.
    var index = -1
    var deadline: Int64

    var phase = Phase.idle
    var readEvent: OpaquePointer?
    var writeEvent: OpaquePointer?
    var isReadArmed = false
    var isWriteArmed = false
    var isConsuming = false
    var isDirty = false
    var inputEnded = false

    // The request being read.
    var pending: [UInt8] = []
    var searched = 0
    var skippedBlankLine = false
    var parsed: ParsedHead?
    var body: [UInt8] = []
    var bodyLeft = 0
    var bodyLimit = 0
    var chunks = ChunkDecoder()
    var receiver: (any HTTPBodyReceiver)?
    var bodyIsComplete = false
    /// The receiver has a piece and has not asked for more.
    var awaitsReceiver = false
    var awaitingSince: Int64 = 0

    // The request being answered.
    var exchangeNumber: UInt64 = 0
    var hasOpenExchange = false
    var framing = ResponseEncoder.Framing(keepAlive: true, version10: false, isHead: false)

    /// Told once when the answer in pieces under way has ended.
    var streamEnded: (@Sendable (HTTPStreamEnd) -> Void)?
    /// Told once when all that was streamed has left, or will not.
    var streamDrained: (@Sendable (Bool) -> Void)?

    var output = OutputQueue()
    var lingerTime = Connection.lingerTime
    var lingeredBytes = 0

    init(lane: Lane, descriptor: Int32, remoteAddress: String, isCounted: Bool) {
        self.lane = lane
        self.descriptor = descriptor
        self.remoteAddress = remoteAddress
        self.isCounted = isCounted
        deadline = lane.now() + lane.silenceMax
        readEvent = event_new(
            lane.loop.base, descriptor, Int16(EV_READ | EV_PERSIST), readableCallback, Unmanaged.passUnretained(self).toOpaque())
        resumeReading()
    }

    deinit { precondition(phase == .closed, "a connection must be closed before it is forgotten") }

    /// Ends the connection at once.
    func close() {
        guard phase != .closed else { return }
        phase = .closed
        if let readEvent { event_free(readEvent) }
        if let writeEvent { event_free(writeEvent) }
        readEvent = nil
        writeEvent = nil
        _ = Glibc.close(descriptor)
        hasOpenExchange = false
        output.removeAll()
        pending = []
        forgetRequest()
        endUpload(.clientLeft)
        tellStreamEnd(.clientLeft)
        lane.forget(self)
    }

    /// Tells a receiver that its body will not be complete.
    func endUpload(_ failure: HTTPUploadFailure) {
        guard let ending = receiver else { return }
        receiver = nil
        awaitsReceiver = false
        ending.failed(failure)
    }

    func forgetRequest() {
        parsed = nil
        body = []
        bodyIsComplete = false
        searched = 0
        skippedBlankLine = false
    }

    // MARK: Reading on and off

    func pauseReading() {
        guard isReadArmed, let readEvent else { return }
        event_del(readEvent)
        isReadArmed = false
    }

    func resumeReading() {
        guard !isReadArmed, !inputEnded, let readEvent else { return }
        event_add(readEvent, nil)
        isReadArmed = true
    }

    /// Whether bytes of the client are welcome now.
    var wantsInput: Bool {
        switch phase {
        case .idle: output.count < Self.outputMax
        case .head, .body, .chunked: !awaitsReceiver
        case .lingering, .streaming: true
        case .answering, .flushing, .closed: false
        }
    }

    // MARK: Events

    func readable() {
        guard wantsInput else { return pauseReading() }
        let buffer = lane.input
        let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
        if count > 0 {
            let fresh = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            phase == .lingering || phase == .streaming ? discard(count) : take(fresh)
        } else if count == 0 {
            endOfInput()
        } else if errno != EAGAIN && errno != EINTR {
            close()
        }
    }

    func writable() { flush() }

    /// Called once at the end of a turn in which something was queued or set free.
    func turnEnded() {
        isDirty = false
        flush()
    }

    private func endOfInput() {
        inputEnded = true
        pauseReading()
        goOn()
    }

    /// The client has closed its side and `pending` has been looked at: what it asked is still answered, half a request is not.
    private func settleEnd() {
        switch phase {
        case .idle where pending.isEmpty: output.isEmpty ? close() : finish()
        case .idle, .head, .body, .chunked:
            // Otherwise it is we who wait: for room in the output or for the receiver.
            if wantsInput { refuse(.endedEarly, .clientLeft) }
        // Whoever listens keeps its side open.
        case .lingering, .streaming: close()
        case .answering, .flushing, .closed: break
        }
    }

    private func discard(_ count: Int) {
        lingeredBytes += count
        if lingeredBytes > (phase == .streaming ? Self.streamInputMax : Self.lingerBytesMax) { close() }
    }

    // MARK: Ending

    /// Sends what is queued, then ends the connection. Unless the client has closed its side, what it still sends is drained
    /// first: bytes that arrive at a closed socket make the system reset the connection and throw our answer away.
    func finish(lingering time: Int64 = Connection.lingerTime) {
        phase = .flushing
        lingerTime = time
        pending = []
        forgetRequest()
        deadline = lane.now() + lane.idleMax
        lane.markDirty(self)
    }

    private func flushed() {
        guard !inputEnded else { return close() }
        shutdown(descriptor, Int32(SHUT_WR))
        phase = .lingering
        deadline = lane.now() + lingerTime
        resumeReading()
    }

    private func flush() {
        guard phase != .closed else { return }
        let before = output.count
        switch output.drain(to: descriptor) {
        case .failed: return close()
        case .blocked:
            if output.count < before && (phase == .idle || phase == .flushing) { deadline = lane.now() + lane.idleMax }
            if phase == .streaming && (output.count < before || deadline == .max) { deadline = lane.now() + lane.idleMax }
            armWriting()
        case .drained:
            disarmWriting()
            lane.takeBuffer(of: &output)
            if phase == .flushing { return flushed() }
            if phase == .streaming {
                deadline = .max
                tellStreamDrained(true)
            }
            // A long answer was under way when the server was asked to stop.
            if phase == .idle && lane.isStopping { deadline = min(deadline, lane.now() + lane.patience) }
        }
        goOn()
    }

    /// Looks at bytes that waited for an answer to leave or for a receiver, then at the socket again.
    private func goOn() {
        if bodyIsComplete && !awaitsReceiver && receiver != nil { finishBody() }
        if wantsInput && !pending.isEmpty { takePending() }
        if inputEnded { settleEnd() } else if wantsInput { resumeReading() }
    }

    private func armWriting() {
        guard !isWriteArmed else { return }
        if writeEvent == nil {
            writeEvent = event_new(
                lane.loop.base, descriptor, Int16(EV_WRITE | EV_PERSIST), writableCallback, Unmanaged.passUnretained(self).toOpaque())
        }
        event_add(writeEvent, nil)
        isWriteArmed = true
    }

    private func disarmWriting() {
        guard isWriteArmed else { return }
        event_del(writeEvent)
        isWriteArmed = false
    }

    /// The sweep found the deadline passed.
    func expire() {
        switch phase {
        // Of a server that stops: a request may have arrived just now.
        case .idle where lane.isStopping && output.isEmpty: stopGently(patience: 0)
        case .idle, .flushing, .lingering: close()
        case .streaming: cutStream(.clientTooSlow)
        case .head: refuse(.deadlinePassed, .deadlinePassed)
        case .body, .chunked:
            // The receiver's own slowness is not the client's.
            if !awaitsReceiver { refuse(.deadlinePassed, .deadlinePassed) }
        case .answering, .closed: break
        }
    }

    /// The server stops: a silent connection ends, a request under way is answered first.
    /// - Parameter patience: milliseconds that a silent one may still ask; a close just when it does would look like a failure.
    func stopGently(patience: Int64) {
        // An answer without an end would hold the server up for nothing: its client connects anew, to whoever serves then.
        if phase == .streaming { return isWriteArmed ? cutStream(.serverStopped) : endStream(.serverStopped) }
        guard phase == .idle && output.isEmpty else { return }
        // A request may have arrived that the loop has not looked at.
        readable()
        guard phase == .idle && output.isEmpty && pending.isEmpty else { return }
        if patience > 0 { deadline = min(deadline, lane.now() + patience) } else { close() }
    }
}

private func readableCallback(_ descriptor: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<Connection>.fromOpaque(context).takeUnretainedValue().readable()
}

private func writableCallback(_ descriptor: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<Connection>.fromOpaque(context).takeUnretainedValue().writable()
}
