import Formats
import Telemetry

/// From answers to bytes.
extension Connection {
    /// A handler's answer. Ignored when the request is no longer waiting: the client has gone or was refused.
    func answer(_ response: HTTPResponse, to number: UInt64) {
        guard hasOpenExchange, number == exchangeNumber else { return }
        hasOpenExchange = false
        // Answered before the body was read: the rest of it is not wanted.
        let isEarly = phase != .answering
        if isEarly {
            receiver = nil
            awaitsReceiver = false
        }
        let keepAlive = framing.keepAlive && !isEarly && !lane.isStopping
        queue(response, keepAlive: keepAlive)
        if keepAlive {
            phase = .idle
            deadline = lane.now() + lane.idleMax
            lane.markDirty(self)
        } else {
            finish(lingering: isEarly ? Self.lingerTime : Self.briefLingerTime)
        }
    }

    /// No answer is going to come. Ignored when the request is no longer waiting.
    func hangUp(on number: UInt64) {
        guard hasOpenExchange, number == exchangeNumber else { return }
        close()
    }

    /// The server's own answer to what it does not take; the connection ends with it.
    func refuse(_ refusal: Refusal, _ failure: HTTPUploadFailure) {
        hasOpenExchange = false
        if parsed == nil { framing.isHead = false }
        let ending = receiver
        receiver = nil
        awaitsReceiver = false
        queue(refusal.response, keepAlive: false)
        finish()
        ending?.failed(failure)
    }

    private func queue(_ response: HTTPResponse, keepAlive: Bool) {
        framing.keepAlive = keepAlive
        if output.wantsBuffer { output.lend(lane.spareBuffer()) }
        let date = lane.date.current()
        let framing = framing
        var isSound = true
        let sendsBody = !framing.isHead && ResponseEncoder.mayHaveBody(response.status)
        let body = sendsBody && response.file == nil ? response.body : []
        let isLarge = body.count >= OutputQueue.copyMax
        output.append { buffer in
            isSound = ResponseEncoder.appendHead(response, framing: framing, date: date, to: &buffer)
            if isSound && !isLarge { buffer.append(contentsOf: body) }
        }
        guard isSound else {
            lane.server.log.error("an answer's header holds a control character; answered 500 instead")
            return queue(.problem(500, ReasonPhrase.text(for: 500)), keepAlive: keepAlive)
        }
        if isLarge { output.append(large: body) }
        if sendsBody, let file = response.file { output.append(file) }
        lane.server.metrics.count(response.status)
    }
}
