import CEvent
import EventLoop

#if canImport(Glibc)
    import Glibc
#endif

/// One socket to Redis, from connecting to its end: bytes out, replies in, each matched with the command at the head of the pipeline.
///
/// A command whose time is over fails alone: it stays in the pipeline without its handler, so a late reply is dropped in its place and can
/// never be taken for another's. Confined to its loop. After the end (``shut(_:)``) it does nothing any more.
final class RedisLink {
    struct Limits {
        /// The link is given up when, with a timed-out command at its head, nothing at all has come for this long.
        var stuck: Duration
        /// The link is given up at the first time-out: for a connection that carries one blocking read at a time.
        var endsAtTimeout: Bool
    }

    /// Bytes that may wait to be written; a command beyond is refused.
    static let outgoingBytesMax = 64 << 20
    private static let readBytesMax = 64 << 10

    private let loop: EventLoop
    private let descriptor: Int32
    private let limits: Limits
    private let reader = ReplyReader()
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: readBytesMax, alignment: 16)
    private var readEvent: OpaquePointer?
    private var writeEvent: OpaquePointer?
    private let tls: TLSSession?
    private var isOpen = true
    /// The socket is connected; with TLS the handshake follows.
    private var isConnected = false
    /// Commands may go out.
    private var isEstablished = false

    private var outgoing: [UInt8] = []
    private var outgoingStart = 0
    private var bytesWritten: UInt64 = 0
    /// With TLS, what goes over the wire.
    private var sealed: [UInt8] = []
    private var sealedStart = 0
    private var flushIsDue = false
    private var waitsToWrite = false

    private var pending = PendingCommands()
    /// When something last came, or when the pipeline last stopped being empty.
    private var progress: Int64 = 0
    private var timer: LoopTimer?
    private var timerDeadline = Int64.max

    /// Called once when the connection is there, with TLS when the server has shown who it is.
    var onEstablished: (() -> Void)?
    /// Called once when the link has ended, before the commands under way fail.
    var onEnd: ((RedisError) -> Void)?

    /// Begins to connect.
    convenience init(loop: EventLoop, endpoint: RedisEndpoint, limits: Limits, tls: TLSSession? = nil) throws(RedisError) {
        self.init(loop: loop, connecting: try Self.connecting(to: endpoint), limits: limits, tls: tls)
    }

    private init(loop: EventLoop, connecting descriptor: Int32, limits: Limits, tls: TLSSession?) {
        loop.preconditionOnLoop()
        self.loop = loop
        self.limits = limits
        self.descriptor = descriptor
        self.tls = tls
        let context = Unmanaged.passUnretained(self).toOpaque()
        readEvent = event_new(loop.base, descriptor, Int16(EV_READ | EV_PERSIST), readableCallback, context)
        writeEvent = event_new(loop.base, descriptor, Int16(EV_WRITE), writableCallback, context)
        precondition(readEvent != nil && writeEvent != nil, "out of memory for a socket's events")
        timer = LoopTimer(on: loop) { [weak self] in self?.timeIsOver() }
        event_add(writeEvent, nil)
    }

    /// A socket on its way to `endpoint`; it becomes writable when it is there or has failed.
    private static func connecting(to endpoint: RedisEndpoint) throws(RedisError) -> Int32 {
        let made = socket(endpoint.family, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard made >= 0 else { throw RedisError(.connection, "no socket: \(systemText(errno))", mayHaveBeenExecuted: false) }
        if endpoint.family != AF_UNIX {
            var one: Int32 = 1
            setsockopt(made, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
            setsockopt(made, SOL_SOCKET, SO_KEEPALIVE, &one, socklen_t(MemoryLayout<Int32>.size))
        }
        let result = endpoint.withSocketAddress { connect(made, $0, $1) }
        guard result == 0 || errno == EINPROGRESS else {
            let code = errno
            close(made)
            throw RedisError(.connection, "cannot connect: \(systemText(code))", mayHaveBeenExecuted: false)
        }
        return made
    }

    deinit {
        precondition(!isOpen, "a link is shut before it is let go")
        buffer.deallocate()
    }

    // MARK: Commands

    /// Whether the command at the head has timed out: whatever is sent now waits behind it.
    var isStalled: Bool { pending.first.map { $0.handler == nil } ?? false }
    var isIdle: Bool { pending.isEmpty }
    /// The socket is connected, the handshake of TLS is not over.
    var isShakingHands: Bool { isConnected && !isEstablished }

    /// Puts a command into the pipeline; written at the end of the loop's turn. Refused (false) when too much waits already.
    func submit(_ command: RedisCommand, now: Int64, deadline: Int64, _ handler: @escaping RedisReplyHandler) -> Bool {
        guard outgoing.count - outgoingStart + command.body.count <= Self.outgoingBytesMax else { return false }
        RedisMetrics.countCommand()
        if pending.isEmpty { progress = now }
        command.encode(into: &outgoing)
        let end = bytesWritten + UInt64(outgoing.count - outgoingStart)
        pending.append(PendingCommand(handler: handler, deadline: deadline, end: end))
        if deadline < timerDeadline { setTimer(to: deadline, now: now) }
        if !flushIsDue {
            flushIsDue = true
            loop.atTurnEnd { self.flush() }
        }
        return true
    }

    private func complete(_ handler: RedisReplyHandler, _ result: Result<RedisValue, RedisError>) {
        if case .failure(let error) = result { RedisMetrics.countError(error.kind) }
        handler(result)
    }

    // MARK: Writing

    private func flush() {
        flushIsDue = false
        guard isOpen, isConnected, !waitsToWrite else { return }
        let failure: Int32?
        if let tls {
            do throws(RedisError) {
                try seal(tls)
            } catch {
                return shut(error)
            }
            // Counted when it was sealed: from then on it may arrive.
            var sealedWritten: UInt64 = 0
            failure = Self.push(&sealed, from: &sealedStart, over: descriptor, counting: &sealedWritten)
        } else {
            failure = Self.push(&outgoing, from: &outgoingStart, over: descriptor, counting: &bytesWritten)
        }
        switch failure {
        case nil: break
        case EAGAIN:
            waitsToWrite = true
            event_add(writeEvent, nil)
        case let code?:
            // Redis may have said why before it closed.
            readAvailable()
            shut(RedisError(.connection, "writing failed: \(systemText(code))", mayHaveBeenExecuted: false))
        }
    }

    /// Sends bytes until all are gone or the socket takes no more.
    /// - Returns: the error number that ended it; nil when all are gone.
    private static func push(_ bytes: inout [UInt8], from start: inout Int, over descriptor: Int32, counting written: inout UInt64) -> Int32? {
        while start < bytes.count {
            let count = bytes.withUnsafeBytes { send(descriptor, $0.baseAddress?.advanced(by: start), $0.count - start, Int32(MSG_NOSIGNAL)) }
            if count >= 0 {
                start += count
                written += UInt64(count)
                continue
            }
            let code = errno
            if code == EINTR { continue }
            if start > 1 << 16 {
                bytes.removeSubrange(..<start)
                start = 0
            }
            return code
        }
        bytes.removeAll(keepingCapacity: bytes.capacity <= 1 << 20)
        start = 0
        return nil
    }

    /// Makes commands, once the handshake is over, and whatever TLS itself has to say ready for the wire.
    private func seal(_ tls: TLSSession) throws(RedisError) {
        if isEstablished && !outgoing.isEmpty {
            try tls.write(outgoing)
            bytesWritten += UInt64(outgoing.count)
            outgoing.removeAll(keepingCapacity: outgoing.capacity <= 1 << 20)
        }
        tls.drain(into: &sealed)
    }

    fileprivate func writable() {
        guard isOpen else { return }
        waitsToWrite = false
        if !isConnected {
            var code: Int32 = 0
            var length = socklen_t(MemoryLayout<Int32>.size)
            getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
            guard code == 0 else {
                return shut(RedisError(.connection, "cannot connect: \(systemText(code))", mayHaveBeenExecuted: false))
            }
            isConnected = true
            event_add(readEvent, nil)
            do throws(RedisError) {
                if let tls { try tls.shakeHands() } else { established() }
            } catch {
                return shut(error)
            }
        }
        flush()
    }

    private func established() {
        isEstablished = true
        let onEstablished = self.onEstablished
        self.onEstablished = nil
        onEstablished?()
    }

    // MARK: Reading

    /// Reads what has come, up to a bound, so that the loop's other sockets get their turn.
    fileprivate func readAvailable() {
        for _ in 0..<16 {
            guard isOpen else { return }
            let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
            if count > 0 {
                progress = Monotonic.nanoseconds
                let piece = UnsafeRawBufferPointer(rebasing: buffer[..<count])
                if let tls { unseal(tls, piece) } else { feed(piece) }
                if count < buffer.count { return }
            } else if count == 0 {
                let moment = tls != nil && !isEstablished ? " during the TLS handshake" : ""
                return shut(RedisError(.connection, "Redis closed the connection\(moment)", mayHaveBeenExecuted: false))
            } else if errno == EAGAIN {
                return
            } else if errno != EINTR {
                return shut(RedisError(.connection, "reading failed: \(systemText(errno))", mayHaveBeenExecuted: false))
            }
        }
    }

    private func unseal(_ tls: TLSSession, _ piece: UnsafeRawBufferPointer) {
        tls.take(piece)
        do throws(RedisError) {
            if !isEstablished {
                try tls.shakeHands()
                if tls.isEstablished { established() }
            }
            while isOpen && tls.isEstablished {
                // The piece has been taken: its place is free.
                guard let count = try tls.read(into: buffer) else {
                    return shut(RedisError(.connection, "Redis closed the connection", mayHaveBeenExecuted: false))
                }
                if count == 0 { break }
                feed(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            }
            flush()
        } catch {
            guard isOpen else { return }
            // The server is told why, as far as the socket takes it: its log then says the same as ours.
            tls.drain(into: &sealed)
            var sealedWritten: UInt64 = 0
            _ = Self.push(&sealed, from: &sealedStart, over: descriptor, counting: &sealedWritten)
            shut(error)
        }
    }

    private func feed(_ bytes: UnsafeRawBufferPointer) {
        reader.feed(bytes)
        deliver()
    }

    private func deliver() {
        while isOpen {
            switch reader.next() {
            case .incomplete: return
            case .malformed(let text):
                return shut(RedisError(.protocolError, "not a Redis reply: \(text)", mayHaveBeenExecuted: false))
            case .reply(let value):
                guard let command = pending.popFirst() else {
                    return shut(RedisError(.protocolError, "a reply that nobody asked for", mayHaveBeenExecuted: false))
                }
                guard let handler = command.handler else { continue }
                if case .error(let text) = value {
                    complete(handler, .failure(.server(text)))
                } else {
                    handler(.success(value))
                }
            }
        }
    }

    // MARK: Time

    private func setTimer(to deadline: Int64, now: Int64) {
        timerDeadline = deadline
        timer?.start(after: .nanoseconds(max(deadline - now, 0)))
    }

    private func timeIsOver() {
        guard isOpen else { return }
        timerDeadline = .max
        // When this process was held up, the replies may well be here.
        readAvailable()
        guard isOpen else { return }
        let now = Monotonic.nanoseconds
        let (handlers, nextDeadline) = pending.expire(now: now)
        var next = nextDeadline
        var end: RedisError?
        if isStalled {
            let stuckAt = progress + limits.stuck.nanoseconds
            if limits.endsAtTimeout {
                end = RedisError(.timeout, "no reply in time", mayHaveBeenExecuted: false)
            } else if stuckAt <= now {
                end = RedisError(.timeout, "no reply for \(limits.stuck)", mayHaveBeenExecuted: false)
            }
            next = min(next, stuckAt)
        }
        if let end {
            shut(end)
        } else if next < .max {
            setTimer(to: next, now: now)
        }
        for handler in handlers { complete(handler, .failure(RedisError(.timeout, "no reply in time", mayHaveBeenExecuted: true))) }
    }

    // MARK: The end

    /// Ends the link. Each command under way fails with the same reason, and with whether Redis can have had it whole.
    func shut(_ reason: RedisError) {
        guard isOpen else { return }
        isOpen = false
        event_free(readEvent)
        event_free(writeEvent)
        close(descriptor)
        timer?.cancel()
        timer = nil
        outgoing = []
        sealed = []
        onEstablished = nil
        let failing = pending.takeAll()
        let onEnd = self.onEnd
        self.onEnd = nil
        onEnd?(reason)
        for command in failing {
            guard let handler = command.handler else { continue }
            complete(handler, .failure(reason.with(mayHaveBeenExecuted: command.end <= bytesWritten)))
        }
    }
}

private func readableCallback(_ descriptor: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<RedisLink>.fromOpaque(context).takeUnretainedValue().readAvailable()
}

private func writableCallback(_ descriptor: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<RedisLink>.fromOpaque(context).takeUnretainedValue().writable()
}

/// The system's words for an error number.
func systemText(_ code: Int32) -> String {
    guard let text = strerror(code) else { return "error \(code)" }
    return String(cString: text)
}
