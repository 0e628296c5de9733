import Formats

/// From bytes to requests.
extension Connection {
    /// Takes what the socket gave.
    func take(_ fresh: UnsafeRawBufferPointer) {
        guard pending.isEmpty else {
            pending.append(contentsOf: fresh)
            return takePending()
        }
        let used = consume(fresh)
        if used < fresh.count && keepsInput { pending = Array(fresh[used...]) }
    }

    /// Takes what was left over earlier.
    func takePending() {
        // Moved out: `pending` must not be under access while a handler runs.
        var waiting: [UInt8] = []
        swap(&waiting, &pending)
        let used = waiting.withUnsafeBytes { consume($0) }
        guard keepsInput, used < waiting.count else { return }
        waiting.removeFirst(used)
        pending = waiting
    }

    private var keepsInput: Bool {
        switch phase {
        case .idle, .head, .body, .chunked, .answering: true
        case .streaming, .flushing, .lingering, .closed: false
        }
    }

    /// Reads requests until the bytes are used up or one of them has to wait.
    /// - Returns: the number of bytes used.
    private func consume(_ bytes: UnsafeRawBufferPointer) -> Int {
        isConsuming = true
        defer { isConsuming = false }
        var offset = 0
        while offset < bytes.count && wantsInput && phase != .lingering && phase != .streaming {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
            do throws(Refusal) {
                let used = try phase == .idle || phase == .head ? readHead(rest) : readBody(rest)
                if used == 0 { break }
                offset += used
            } catch {
                refuse(error, error.status == 413 ? .tooLarge : .malformed)
            }
        }
        return offset
    }

    // MARK: Head

    private func readHead(_ bytes: UnsafeRawBufferPointer) throws(Refusal) -> Int {
        // One empty line before a request, or after the one before, is an old client's habit.
        if !skippedBlankLine && searched == 0 && bytes.count > 1 && bytes[0] == 13 && bytes[1] == 10 {
            skippedBlankLine = true
            phase = .idle
            return 2
        }
        if phase == .idle {
            phase = .head
            deadline = lane.now() + lane.requestMax
        }
        switch HeadReader.findEnd(bytes, from: searched) {
        case .malformed: throw .malformed("a line must end with CR LF")
        case .missing(let offset):
            guard bytes.count <= lane.server.configuration.headerLimit else { throw .headTooLarge }
            searched = offset
            return 0
        case .at(let end):
            guard end <= lane.server.configuration.headerLimit else { throw .headTooLarge }
            let parsed = try lane.heads.read(UnsafeRawBufferPointer(rebasing: bytes[..<end]), remoteAddress: remoteAddress)
            self.parsed = parsed
            searched = 0
            skippedBlankLine = false
            try begin(parsed, bodyHasArrived: bytes.count > end)
            return end
        }
    }

    /// The head is known: decides how the body is taken, or that there is none.
    private func begin(_ parsed: ParsedHead, bodyHasArrived: Bool) throws(Refusal) {
        framing = ResponseEncoder.Framing(keepAlive: parsed.keepAlive, version10: parsed.version10, isHead: parsed.head.verb == .head)
        var length = 0
        if case .length(let told) = parsed.framing { length = told }
        let isChunked = parsed.framing == .chunked
        let hasBody = isChunked || length > 0
        if hasBody {
            bodyLimit = max(0, lane.server.configuration.bodyLimit(parsed.head))
            guard length <= bodyLimit else { throw .bodyTooLarge }
            phase = isChunked ? .chunked : .body
            bodyLeft = length
            if isChunked { chunks = ChunkDecoder() }
        }
        if let receiver = lane.server.streaming?(parsed.head) {
            beginUpload(receiver, hasBody: hasBody)
        } else if !hasBody {
            dispatch(parsed)
        }
        let goesOn = phase == .body || phase == .chunked
        if goesOn && parsed.expectsContinue && !parsed.version10 && !bodyHasArrived {
            output.append { ResponseEncoder.append("HTTP/1.1 100 Continue\r\n\r\n", to: &$0) }
            lane.markDirty(self)
        }
    }

    // MARK: Body

    private func readBody(_ bytes: UnsafeRawBufferPointer) throws(Refusal) -> Int {
        let used: Int
        if phase == .chunked {
            used = try chunks.decode(bytes, into: &body, limit: bodyLimit)
            bodyIsComplete = chunks.isDone
        } else {
            used = min(bytes.count, bodyLeft)
            keep(UnsafeRawBufferPointer(rebasing: bytes[..<used]))
            bodyLeft -= used
            bodyIsComplete = bodyLeft == 0
        }
        if receiver != nil {
            handOnPiece()
            if bodyIsComplete && !awaitsReceiver && receiver != nil { finishBody() }
        } else if bodyIsComplete, let parsed {
            dispatch(parsed)
        }
        return used
    }

    /// A body that is all there is copied once into an array of its size; otherwise room grows with what arrives, so that a
    /// large Content-Length alone costs nothing.
    private func keep(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        if body.isEmpty && bytes.count == bodyLeft {
            body = Array(unsafeUninitializedCapacity: bytes.count) { buffer, count in
                UnsafeMutableRawBufferPointer(buffer).copyMemory(from: bytes)
                count = bytes.count
            }
        } else {
            body.append(contentsOf: UnsafeRawBufferPointer(start: base, count: bytes.count))
        }
    }

    /// Gives the whole request to the handler.
    private func dispatch(_ parsed: ParsedHead) {
        var whole: [UInt8] = []
        swap(&whole, &body)
        forgetRequest()
        phase = .answering
        deadline = .max
        lane.server.handler(HTTPRequest(head: parsed.head, body: whole), HTTPResponder(exchange: openExchange()))
    }

    private func openExchange() -> Exchange {
        exchangeNumber += 1
        hasOpenExchange = true
        return Exchange(connection: self, number: exchangeNumber)
    }

    // MARK: Bodies in pieces

    private func beginUpload(_ receiver: any HTTPBodyReceiver, hasBody: Bool) {
        self.receiver = receiver
        deadline = lane.now() + lane.uploadMax
        if !hasBody {
            phase = .body
            bodyLeft = 0
            bodyIsComplete = true
        }
        receiver.begin(HTTPUpload(exchange: openExchange()))
        // The receiver may have answered already.
        if !hasBody && self.receiver != nil { finishBody() }
    }

    private func handOnPiece() {
        guard !body.isEmpty, let receiver else { return }
        var piece: [UInt8] = []
        swap(&piece, &body)
        awaitsReceiver = true
        awaitingSince = lane.now()
        receiver.receive(piece)
    }

    /// The receiver has dealt with its piece.
    func continueUpload(_ number: UInt64) {
        guard number == exchangeNumber, awaitsReceiver else { return }
        awaitsReceiver = false
        deadline += lane.now() - awaitingSince
        if !isConsuming { lane.markDirty(self) }
    }

    /// Every byte of the body has been handed on.
    func finishBody() {
        guard let complete = receiver else { return }
        receiver = nil
        forgetRequest()
        phase = .answering
        deadline = .max
        complete.end()
    }
}
