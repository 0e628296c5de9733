import EventLoop
import Formats
import Synchronization
import Telemetry

/// The way to a connection and back to the next one. All on the loop.
extension RedisConnection {
    func begin() {
        guard case .idle = phase else { return }
        // The timers keep the connection until it is closed; so does this, while none of them runs.
        attemptTimer = LoopTimer(on: loop) { [self] in attemptTookTooLong() }
        pauseTimer = LoopTimer(on: loop) { [self] in attempt() }
        attempt()
    }

    /// Ends in phase closed, from any other.
    func end(_ reason: RedisError) {
        if case .closed = phase { return }
        let link = currentLink
        let wasReady = if case .ready = phase { true } else { false }
        phase = .closed(reason)
        published.withLock { state in
            state.isConnected = false
            state.lastError = reason
        }
        attemptTimer?.cancel()
        pauseTimer?.cancel()
        // They hold the connection: without them it may go.
        attemptTimer = nil
        pauseTimer = nil
        if wasReady { for observer in disconnectObservers { observer(reason) } }
        connectObservers = []
        disconnectObservers = []
        link?.shut(reason)
        failWaiting(reason)
        waitingTimer = nil
        tellWaiters(.failure(reason))
    }

    var currentLink: RedisLink? {
        switch phase {
        case .connecting(let link, _), .greeting(let link), .ready(let link): link
        case .idle, .resolving, .pausing, .closed: nil
        }
    }

    // MARK: An attempt

    private func attempt() {
        phase = .resolving
        // One attempt, from the name to the greeting's last answer, gets as long as a command.
        attemptTimer?.start(after: timeout)
        switch address.place {
        case .unix(let path):
            do throws(RedisError) {
                connect(to: [try RedisEndpoint.unix(path)])
            } catch {
                attemptFailed(error)
            }
        case .tcp(let place):
            if case .success(let endpoints) = RedisEndpoint.resolve(host: place.host, port: place.port, numericOnly: true) {
                connect(to: endpoints)
            } else {
                lookUp(place)
            }
        }
    }

    /// Looks a name up on a thread of its own; a look-up that outlasts its attempt serves a later one.
    private func lookUp(_ place: SocketAddress) {
        guard !lookupIsUnderWay else { return }
        lookupIsUnderWay = true
        let loop = self.loop
        RedisEndpoint.lookups.submit {
            let result = RedisEndpoint.resolve(host: place.host, port: place.port, numericOnly: false)
            loop.execute {
                self.lookupIsUnderWay = false
                guard case .resolving = self.phase else { return }
                switch result {
                case .success(let endpoints): self.connect(to: endpoints)
                case .failure(let error): self.attemptFailed(error)
                }
            }
        }
    }

    /// Tries the first of the addresses; the others are tried as it fails.
    private func connect(to endpoints: [RedisEndpoint]) {
        var rest = endpoints
        var failure = RedisError(.connection, "the host has no address", mayHaveBeenExecuted: false)
        while !rest.isEmpty {
            let endpoint = rest.removeFirst()
            do throws(RedisError) {
                let limits = RedisLink.Limits(stuck: stuckLimit, endsAtTimeout: purpose == .blocking)
                var session: TLSSession?
                if let tls = address.tls { session = try TLSSession(tls, host: address.host) }
                let link = try RedisLink(loop: loop, endpoint: endpoint, limits: limits, tls: session)
                phase = .connecting(link, rest: rest)
                link.onEstablished = { [weak self, weak link] in if let link { self?.greet(link) } }
                link.onEnd = { [weak self] reason in self?.linkEnded(reason) }
                return
            } catch {
                failure = error
            }
        }
        attemptFailed(failure)
    }

    private func linkEnded(_ reason: RedisError) {
        switch phase {
        // Another address of the same host shows the same certificate.
        case .connecting(_, let rest) where !rest.isEmpty && reason.kind != .tls: connect(to: rest)
        case .connecting, .greeting: attemptFailed(reason)
        case .ready: lost(reason)
        case .idle, .resolving, .pausing, .closed: break
        }
    }

    private func attemptTookTooLong() {
        let reason = RedisError(.timeout, "no connection within \(timeout)", mayHaveBeenExecuted: false)
        switch phase {
        case .resolving: attemptFailed(reason)
        case .connecting(let link, _) where link.isShakingHands:
            phase = .connecting(link, rest: [])
            link.shut(
                RedisError(.timeout, "no TLS within \(timeout): does the server speak it on this port?", mayHaveBeenExecuted: false))
        case .connecting(let link, _):
            // Not on to the next address: the attempt's time is over.
            phase = .connecting(link, rest: [])
            link.shut(reason)
        case .greeting(let link): link.shut(reason)
        case .idle, .ready, .pausing, .closed: break
        }
    }

    private func attemptFailed(_ reason: RedisError) {
        attemptTimer?.cancel()
        published.withLock { $0.lastError = reason }
        let fields: [String: Log.Value] = ["redis": .string(address.placeText), "error": .string(reason.message)]
        if reason.isAccessRefusal || reason.kind == .tls {
            // No outage that passes: said once more where one had been reported.
            if reportedMending != reason.kind { log.error("redis refuses us, somebody must mend it", fields) }
            reportedMending = reason.kind
        } else if !wasReported {
            log.warning("redis cannot be reached", fields)
        }
        wasReported = true
        pause()
    }

    private func lost(_ reason: RedisError) {
        published.withLock { state in
            state.isConnected = false
            state.lastError = reason
        }
        phase = .pausing
        wasReported = true
        log.warning("redis connection lost", ["redis": .string(address.placeText), "error": .string(reason.message)])
        for observer in disconnectObservers { observer(reason) }
        // An observer may have closed the connection.
        if case .pausing = phase { pause() }
    }

    private func pause() {
        phase = .pausing
        pauseTimer?.start(after: backoff.next(random: Double.random(in: 0..<1)))
    }

    // MARK: The greeting

    /// Says who we are and asks who Redis is, in one write.
    private func greet(_ link: RedisLink) {
        guard case .connecting(let current, _) = phase, current === link else { return }
        phase = .greeting(link)
        if let password = address.password {
            let command = address.username.map { RedisCommand("AUTH", $0, password) } ?? RedisCommand("AUTH", password)
            // Redis may repeat a command in its refusal; this one must not come into a log.
            submit(command, to: link, isSecret: true) { _ in }
        }
        submit(RedisCommand("CLIENT", "SETNAME", clientName), to: link, mayBeForbidden: true) { _ in }
        if address.database != 0 { submit(RedisCommand("SELECT", address.database), to: link) { _ in } }
        submit(RedisCommand("INFO", "server"), to: link, mayBeForbidden: true) { [weak self] information in
            self?.becomeReady(link, runID: information.flatMap(Self.runID(in:)))
        }
    }

    /// Sends one command of the greeting; a refusal ends the link, unless it is one by the user's rights and `mayBeForbidden`.
    private func submit(
        _ command: RedisCommand, to link: RedisLink, mayBeForbidden: Bool = false, isSecret: Bool = false, _ done: @escaping (RedisValue?) -> Void
    ) {
        // The attempt's own time bounds it.
        let accepted = link.submit(command, now: Monotonic.nanoseconds, deadline: .max) { [weak self, weak link] result in
            guard let self, let link, case .greeting(let current) = phase, current === link else { return }
            switch result {
            case .success(let value): done(value)
            case .failure(let error) where mayBeForbidden && error.serverCode == "NOPERM": done(nil)
            case .failure(let error):
                if let code = error.serverCode, isSecret || error.isAccessRefusal {
                    link.shut(.refusedGreeting(code: code, user: address.username))
                } else {
                    link.shut(RedisError(.connection, isSecret ? "no answer to the password" : error.message, mayHaveBeenExecuted: false))
                }
            }
        }
        precondition(accepted, "the greeting is far below the limit")
    }

    private func becomeReady(_ link: RedisLink, runID: String?) {
        attemptTimer?.cancel()
        backoff.reset()
        phase = .ready(link)
        let connected = published.withLock { state in
            let before = state.connected
            let isOtherRun = if let before { runID == nil || before.runID != runID } else { false }
            let connected = Connected(generation: (before?.generation ?? 0) + 1, runID: runID, isOtherRun: isOtherRun)
            state.connected = connected
            state.isConnected = true
            state.lastError = nil
            return connected
        }
        if connected.generation > 1 { RedisMetrics.countReconnect() }
        reportedMending = nil
        if wasReported {
            wasReported = false
            log.info("redis connected again", ["redis": .string(address.placeText), "generation": .int(connected.generation)])
        }
        for observer in connectObservers { observer(connected) }
        tellWaiters(.success(connected))
        if case .ready = phase { sendWaiting() }
    }

    private static func runID(in information: RedisValue) -> String? {
        guard let text = information.string else { return nil }
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("run_id:") }
        return line.map { String($0.dropFirst("run_id:".count)) }
    }

    /// The name without what CLIENT SETNAME refuses.
    private var clientName: String {
        String(decoding: name.utf8.map { (0x21...0x7e).contains($0) ? $0 : UInt8(ascii: "-") }, as: UTF8.self)
    }
}

extension RedisAddress {
    /// Whom a certificate must name.
    var host: String {
        switch place {
        case .tcp(let place): place.host
        case .unix: "localhost"
        }
    }

    /// Where, without who: fit for logs.
    var placeText: String {
        switch place {
        case .tcp(let place): place.description
        case .unix(let path): path
        }
    }
}
