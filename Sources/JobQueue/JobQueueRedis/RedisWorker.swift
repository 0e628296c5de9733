import EventLoop
import JobQueue
import RedisClient
import Synchronization
import Telemetry

/// One registered worker on the loop's thread: its heartbeat, its timers and its blocking reads. No job can hold these up.
///
/// `@unchecked Sendable`: everything but `ledger`, `isHeld` and `heardCancel` is confined to the loop.
final class RedisWorker: @unchecked Sendable {
    /// A sign of life is given this often, well within a second.
    static let beat = Duration.milliseconds(900)
    /// A blocking read begins only so soon after a sign of life that it ends within the lease.
    static let freshness = QueueLimits.lease - WorkWaiter.patience

    let identity: WorkerIdentity
    let ledger = Mutex(ClaimLedger())
    /// Nothing can be claimed, as the last answer had it: waiting for a body would only move it to and fro.
    let isHeld = Atomic<Bool>(false)
    /// The number of the last cancellation that a step has told.
    let heardCancel = Atomic<Int64>(0)

    private let connection: RedisConnection
    private let keys: QueueKeys
    private let reclaimer: Reclaimer
    private let signal: @Sendable (WorkerSignal) -> Void
    /// Ends what was begun by somebody who is gone.
    private let finishMoves: @Sendable (_ nowMs: Int64) -> Void
    /// Deletes dead records that are too old or too many.
    private let trimDead: @Sendable (_ nowMs: Int64) -> Void
    private let log: Log
    private let blocking: RedisConnection
    private let wake: RedisConnection
    private var waiter: WorkWaiter?
    private var listener: WakeListener?
    private var beatTimer: LoopTimer?
    private var dueTimer: LoopTimer?
    /// When it rings, while it runs.
    private var dueAt: ContinuousClock.Instant?
    private var isRenewing = false
    private var renewAgain = false
    /// Somebody waits for work while nothing can be claimed.
    private var waitsForEndOfHold = false
    private var isFrozen = false
    private var isEnded = false
    /// When the last sign of life that was answered had been sent.
    private var lastSign: ContinuousClock.Instant
    private var silenceReported = false
    /// When this worker was last told that jobs are aside for want of a handler.
    private var unhandledTold: ContinuousClock.Instant?
    private static let unhandledPause = Duration.seconds(5)
    /// When this worker last looked for dead records to trim.
    private var trimmedAt: ContinuousClock.Instant?
    private static let trimPause = Duration.seconds(60)

    init(
        identity: WorkerIdentity, connection: RedisConnection, keys: QueueKeys, reclaimer: Reclaimer, log: Log,
        registeredAt: ContinuousClock.Instant, finishMoves: @escaping @Sendable (_ nowMs: Int64) -> Void,
        trimDead: @escaping @Sendable (_ nowMs: Int64) -> Void, signal: @escaping @Sendable (WorkerSignal) -> Void
    ) {
        self.identity = identity
        self.connection = connection
        self.keys = keys
        self.reclaimer = reclaimer
        self.finishMoves = finishMoves
        self.trimDead = trimDead
        self.signal = signal
        self.log = log
        lastSign = registeredAt
        func reader(_ purpose: String) -> RedisConnection {
            RedisConnection(
                loop: connection.loop, address: connection.address, name: "\(connection.name)-\(purpose)", timeout: connection.timeout,
                purpose: .blocking, log: log)
        }
        blocking = reader("work")
        wake = reader("wake")
    }

    // MARK: Life, on the loop

    func begin() {
        let waiter = WorkWaiter(
            connection: blocking, commander: connection, source: keys.ready, destination: keys.woken(identity.description),
            isFresh: { [weak self] in self?.isFresh ?? false }, onWork: { [signal] in signal(.workWaiting) })
        let listener = WakeListener(connection: wake, key: keys.wake) { [weak self] in self?.renew() }
        self.waiter = waiter
        self.listener = listener
        waiter.begin()
        listener.begin()
        dueTimer = LoopTimer(on: connection.loop) { [weak self] in
            self?.dueAt = nil
            self?.renew()
        }
        let timer = LoopTimer(on: connection.loop) { [weak self] in
            guard let self else { return }
            beatTimer?.start(after: Self.beat)
            renew()
        }
        beatTimer = timer
        timer.start(after: Self.beat)
    }

    func awaitWork() {
        guard !isEnded, !isFrozen else { return }
        waitsForEndOfHold = isHeld.load(ordering: .acquiring)
        if !waitsForEndOfHold { waiter?.arm() }
    }

    /// No sign of life any more, as if the process stood still.
    func freeze() {
        isFrozen = true
        beatTimer?.cancel()
        dueTimer?.cancel()
        dueAt = nil
    }

    func thaw() {
        isFrozen = false
        renew()
        beatTimer?.start(after: Self.beat)
    }

    /// As if the process were gone: its sockets are closed, nothing is said.
    func vanish() {
        stopTimers()
        waiter?.vanish()
        listener?.end()
    }

    /// Ends signs of life and reads; `done` is called once no read can set anything aside any more.
    func end(_ done: @escaping () -> Void) {
        stopTimers()
        listener?.end()
        guard let waiter else { return done() }
        waiter.end(done)
    }

    /// There is a connection again: the lease has not been renewed for a while, and nobody was told of what came meanwhile.
    func reconnected() { renew() }

    private func stopTimers() {
        isEnded = true
        beatTimer?.cancel()
        dueTimer?.cancel()
    }

    private var isFresh: Bool { ContinuousClock.now - lastSign < Self.freshness }

    /// What a step has shown.
    func stepped(nextDueMs: Int64?, nowMs: Int64, sentAt: ContinuousClock.Instant) {
        guard !isEnded else { return }
        lastSign = max(lastSign, sentAt)
        wakeUp(atMs: nextDueMs, nowMs: nowMs)
    }

    // MARK: Signs of life

    /// Renews the lease, moves what is due, and looks after the peers.
    private func renew() {
        guard !isEnded, !isFrozen else { return }
        guard !isRenewing else {
            renewAgain = true
            return
        }
        isRenewing = true
        let sentAt = ContinuousClock.now
        let (steps, stepping) = ledger.withLock { ($0.steps, $0.isStepping) }
        let call = RedisScriptCall(
            QueueScripts.renew,
            keys: [
                keys.leases, keys.inflight(identity.description), keys.delayed, keys.ready, keys.retired, keys.control, keys.inhand,
                keys.woken(identity.description), keys.moving, keys.arriving,
            ],
            arguments: [identity.description, QueueLimits.lease.wholeMilliseconds, QueueLimits.claimBytesMax])
        connection.run(call) { [self] result in
            isRenewing = false
            guard !isEnded, !isFrozen else { return }
            switch result {
            case .success(let reply): renewed(reply, sentAt: sentAt, steps: stepping ? -1 : steps)
            case .failure(let error): notRenewed(error)
            }
            if renewAgain {
                renewAgain = false
                renew()
            }
        }
    }

    private func renewed(_ reply: RedisValue, sentAt: ContinuousClock.Instant, steps: Int) {
        guard let parts = reply.array, let nowMs = parts.count > 1 ? parts[1].int : nil else {
            return log.error("redis answered something unexpected to renew", fields)
        }
        guard parts.count == 13, let nextDueMs = parts[2].int, let late = parts[3].int, let count = parts[4].int, let expiryMs = parts[5].int,
            let expired = parts[6].array, let sweeps = parts[7].array,
            let held = parts[8].int, let claimable = parts[9].int, let lastCancel = parts[10].int, let moving = parts[11].int,
            let unhandled = parts[12].int
        else {
            // Fenced: no further sign of life can bring the lease back.
            stopTimers()
            return signal(.fenced)
        }
        isHeld.store(held == 1, ordering: .releasing)
        if held == 0 && waitsForEndOfHold { awaitWork() }
        let now = ContinuousClock.now
        lastSign = max(lastSign, sentAt)
        silenceReported = false
        reclaimer.renewed(took: now - sentAt, hadRunOut: late == 1, now: now)
        reclaimer.sweep(expired: expired.compactMap(\.string), retired: sweeps.compactMap(\.string), now: now)
        // A peer's lease that runs out before our next sign of life shows a peer in trouble: look at that very moment.
        // So is one whose lease has run out while nobody may sweep: at the end of that time.
        let sweepMs = expired.isEmpty ? nil : reclaimer.quietLeft(now: now).map { nowMs + $0.wholeMilliseconds + 1 }
        wakeUp(atMs: [nextDueMs < 0 ? .max : nextDueMs, expiryMs <= nowMs ? .max : expiryMs + 1, sweepMs ?? .max].min(), nowMs: nowMs)
        if ledger.withLock({ $0.counted(Int(count), askedAtStep: steps) }) {
            log.warning("bodies in hand differ from what redis has, compared at the next step", fields)
            signal(.workWaiting)
        }
        if moving > 0 { finishMoves(nowMs) }
        if trimmedAt.map({ now - $0 > Self.trimPause }) ?? true {
            trimmedAt = now
            trimDead(nowMs)
        }
        // A step tells which kinds: this worker may know one of them. It does not at most of these steps, so they are few.
        if unhandled == 1 && unhandledTold.map({ now - $0 > Self.unhandledPause }) ?? true {
            unhandledTold = now
            signal(.workWaiting)
        }
        // A step tells which jobs: one of them may be in hand.
        if lastCancel > heardCancel.load(ordering: .acquiring) { signal(.workWaiting) }
        waiter?.read()
        // Somebody should have been told long ago: his blocking read hangs on a dead connection, or it was answered after he had gone.
        if claimable > 0 && held == 0 && waiter?.disarm() == true { signal(.workWaiting) }
    }

    private func notRenewed(_ error: RedisError) {
        reclaimer.renewalFailed(now: .now)
        guard ContinuousClock.now - lastSign > .seconds(10), !silenceReported, connection.isConnected else { return }
        // Connected, and yet nothing gets through: the one state that nobody else would see.
        silenceReported = true
        log.error("no sign of life got through for 10 s", fields.merging(["error": .string(error.message)]) { $1 })
    }

    /// Looks again when something is due before the next sign of life.
    private func wakeUp(atMs: Int64?, nowMs: Int64) {
        guard let atMs, atMs != .max, atMs - nowMs < Self.beat.wholeMilliseconds else { return }
        let pause = Duration.milliseconds(max(0, atMs - nowMs))
        let now = ContinuousClock.now
        // What is due sooner is not put off: that look finds the later one again.
        if let dueAt, dueAt <= now + pause { return }
        dueAt = now + pause
        dueTimer?.start(after: pause)
    }

    private var fields: [String: Log.Value] { ["queue": .string(keys.queue), "worker": .string(identity.description)] }
}
