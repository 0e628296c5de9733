import EventLoop
import Telemetry

/// Why an answer in pieces is over.
public enum HTTPStreamEnd: Sendable, Equatable {
    /// By ``HTTPStream/end()``.
    case ended
    case clientLeft
    /// What was sent piled up, or nothing of it was taken for too long.
    case clientTooSlow
    case serverStopped
}

/// An answer under way whose body is sent piece by piece, from any thread. A client that has gone meanwhile is no error.
///
/// A client that does not keep up is cut off rather than waited for: what waits for it is at most 64 KiB. When the server stops, every
/// stream ends at once.
public struct HTTPStream: Sendable {
    let connection: Connection
    let number: UInt64

    /// Sends one more piece.
    public func send(_ piece: [UInt8]) {
        let (connection, number) = (connection, number)
        onLoop { connection.send(piece, to: number) }
    }

    /// Sends one more piece and waits until the system has taken all that was sent: for long answers, whose client sets the pace.
    /// - Returns: false when the client has gone, or the answer is over.
    public func sendInTurn(_ piece: [UInt8]) async -> Bool {
        let (connection, number) = (connection, number)
        return await withCheckedContinuation { continuation in
            onLoop {
                guard connection.isStreaming(number) else { return continuation.resume(returning: false) }
                // What is sent is not cut off before all of it was handed over.
                connection.streamDrained = { continuation.resume(returning: $0) }
                connection.send(piece, to: number)
                if connection.output.isEmpty { connection.tellStreamDrained(true) }
            }
        }
    }

    /// Ends the answer, and the connection with it.
    public func end() {
        let (connection, number) = (connection, number)
        onLoop { if number == connection.exchangeNumber { connection.endStream(.ended) } }
    }

    /// Ends the connection in the middle of the answer, so that nobody takes what came for the whole.
    public func cut() {
        let (connection, number) = (connection, number)
        onLoop { if connection.phase == .streaming, number == connection.exchangeNumber { connection.cutStream(.ended) } }
    }

    private func onLoop(_ body: @escaping @Sendable () -> Void) {
        let loop = connection.lane.loop
        if loop.isOnLoop { body() } else { loop.execute(body) }
    }
}

extension HTTPResponder {
    /// Answers with a head and the first piece of a body that goes on: in chunks, or to the connection's end for HTTP/1.0.
    /// - Parameters:
    ///   - response: status, headers and the first piece.
    ///   - onEnd: called once, on the loop, when the answer is over, whoever ended it.
    public func stream(_ response: HTTPResponse, onEnd: @escaping @Sendable (HTTPStreamEnd) -> Void) -> HTTPStream {
        let (connection, number) = (exchange.connection, exchange.number)
        let isFirst = exchange.claim()
        let loop = connection.lane.loop
        let begin: @Sendable () -> Void = {
            if isFirst { connection.beginStream(response, to: number, onEnd) } else { onEnd(.ended) }
        }
        if loop.isOnLoop { begin() } else { loop.execute(begin) }
        return HTTPStream(connection: connection, number: number)
    }
}

extension Connection {
    /// What may wait for a client that reads too slowly.
    static let streamOutputMax = 64 * 1024
    /// What a client may send while it listens.
    static let streamInputMax = 64 * 1024

    func beginStream(_ response: HTTPResponse, to number: UInt64, _ onEnd: @escaping @Sendable (HTTPStreamEnd) -> Void) {
        guard hasOpenExchange, number == exchangeNumber else { return onEnd(.clientLeft) }
        hasOpenExchange = false
        if phase != .answering {
            receiver = nil
            awaitsReceiver = false
        }
        framing.keepAlive = false
        framing.streams = true
        pending = []
        forgetRequest()
        if output.wantsBuffer { output.lend(lane.spareBuffer()) }
        let (framing, date) = (framing, lane.date.current())
        var isSound = true
        output.append { isSound = ResponseEncoder.appendHead(response, framing: framing, date: date, to: &$0) }
        guard isSound else {
            lane.server.log.error("a stream's header holds a control character; its client was cut off")
            onEnd(.ended)
            return close()
        }
        lane.server.metrics.count(response.status)
        streamEnded = onEnd
        phase = .streaming
        deadline = .max
        lingeredBytes = 0
        guard !framing.isHead, ResponseEncoder.mayHaveBody(response.status) else { return endStream(.ended) }
        send(response.body, to: number)
        guard phase == .streaming else { return }
        if lane.isStopping { return endStream(.serverStopped) }
        lane.markDirty(self)
    }

    func send(_ piece: [UInt8], to number: UInt64) {
        // An empty chunk would say that the body is over.
        guard phase == .streaming, number == exchangeNumber, !piece.isEmpty else { return }
        guard output.count + piece.count <= Self.streamOutputMax else { return cutStream(.clientTooSlow) }
        if output.wantsBuffer { output.lend(lane.spareBuffer()) }
        let inChunks = !framing.version10
        output.append { buffer in
            if inChunks { ResponseEncoder.append(chunk: piece, to: &buffer) } else { buffer.append(contentsOf: piece) }
        }
        lane.markDirty(self)
    }

    /// Ends the body as it should end.
    func endStream(_ end: HTTPStreamEnd) {
        guard phase == .streaming else { return }
        if !framing.version10 && !framing.isHead { output.append { ResponseEncoder.append("0\r\n\r\n", to: &$0) } }
        finish(lingering: Self.briefLingerTime)
        tellStreamEnd(end)
    }

    /// Ends the connection in the middle of the body.
    func cutStream(_ end: HTTPStreamEnd) {
        tellStreamEnd(end)
        close()
    }

    func isStreaming(_ number: UInt64) -> Bool { phase == .streaming && number == exchangeNumber && streamDrained == nil }

    func tellStreamDrained(_ goesOn: Bool) {
        guard let drained = streamDrained else { return }
        streamDrained = nil
        drained(goesOn)
    }

    func tellStreamEnd(_ end: HTTPStreamEnd) {
        tellStreamDrained(false)
        guard let told = streamEnded else { return }
        streamEnded = nil
        told(end)
    }
}
