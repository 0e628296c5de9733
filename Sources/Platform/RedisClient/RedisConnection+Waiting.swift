import EventLoop

/// A command that waits for a connection.
struct WaitingCommand {
    let command: RedisCommand
    let deadline: Int64
    let handler: RedisReplyHandler
}

/// A caller that waits for a connection, with the timer of its patience.
struct ConnectionWaiter {
    let body: (Result<RedisConnection.Connected, RedisError>) -> Void
    let timer: LoopTimer
}

/// Commands sent while there is no connection, and callers that wait for one.
extension RedisConnection {
    /// Keeps a command until there is a connection, or refuses it.
    func hold(_ command: RedisCommand, deadline: Int64, _ reply: @escaping RedisReplyHandler) {
        if case .closed(let reason) = phase { return refuse(reply, reason) }
        guard waitsForConnection else { return refuse(reply, notConnected) }
        guard waiting.count < Self.waitingMax else { return refuse(reply, .tooMuchWaits) }
        waiting.append(WaitingCommand(command: command, deadline: deadline, handler: reply))
        if deadline < waitingTimerDeadline { watchWaiting(until: deadline) }
    }

    /// Fails a command soon, but not within the call that sent it: a caller that tries again at once cannot hold the loop up.
    func refuse(_ reply: @escaping RedisReplyHandler, _ reason: RedisError) {
        refused.append((reply, reason))
        // The timer holds the connection until all have been told, be it closed or not.
        if refused.count == 1 { LoopTimer(on: loop) { [self] in failRefused() }.start(after: .zero) }
    }

    private func failRefused() {
        let failing = refused
        refused = []
        for (reply, reason) in failing {
            RedisMetrics.countError(reason.kind)
            reply(.failure(reason))
        }
    }

    /// Sends what has waited, with what is left of its time. Only in phase ready.
    func sendWaiting() {
        let sending = takeWaiting()
        let now = Monotonic.nanoseconds
        for item in sending {
            guard case .ready(let link) = phase else {
                hold(item.command, deadline: item.deadline, item.handler)
                continue
            }
            precondition(purpose == .shared || link.isIdle, "a connection for blocking reads carries one command at a time")
            if !link.submit(item.command, now: now, deadline: item.deadline, item.handler) { refuse(item.handler, .tooMuchWaits) }
        }
    }

    func failWaiting(_ reason: RedisError) {
        for item in takeWaiting() { refuse(item.handler, reason) }
    }

    private func takeWaiting() -> [WaitingCommand] {
        defer { waiting = [] }
        waitingTimer?.cancel()
        waitingTimerDeadline = .max
        return waiting
    }

    private func watchWaiting(until deadline: Int64) {
        waitingTimerDeadline = deadline
        let timer = waitingTimer ?? LoopTimer(on: loop) { [weak self] in self?.expireWaiting() }
        waitingTimer = timer
        timer.start(after: .nanoseconds(max(deadline - Monotonic.nanoseconds, 0)))
    }

    private func expireWaiting() {
        let now = Monotonic.nanoseconds
        let cause = notConnected
        let reason = cause.kind == .connection ? RedisError(.timeout, "no connection in time; \(cause.message)", mayHaveBeenExecuted: false) : cause
        for item in waiting where item.deadline <= now { refuse(item.handler, reason) }
        waiting.removeAll { $0.deadline <= now }
        waitingTimerDeadline = .max
        if let next = waiting.map(\.deadline).min() { watchWaiting(until: next) }
    }

    func addWaiter(within limit: Duration, _ body: @escaping (Result<Connected, RedisError>) -> Void) {
        waitersMade += 1
        let number = waitersMade
        let timer = LoopTimer(on: loop) { [weak self] in
            guard let self, let waiter = waiters.removeValue(forKey: number) else { return }
            waiter.body(.failure(notConnected))
        }
        waiters[number] = ConnectionWaiter(body: body, timer: timer)
        timer.start(after: limit)
    }

    func tellWaiters(_ result: Result<Connected, RedisError>) {
        let telling = waiters.values
        waiters = [:]
        for waiter in telling {
            waiter.timer.cancel()
            waiter.body(result)
        }
    }

    var notConnected: RedisError {
        let reason = lastError.map { ": \($0.message)" } ?? ""
        // Where waiting does not help the kind says so.
        let kind = lastError.flatMap { $0.isAccessRefusal || $0.kind == .tls ? $0.kind : nil } ?? .connection
        return RedisError(kind, "not connected to \(address.placeText)\(reason)", mayHaveBeenExecuted: false)
    }
}
