import EventLoop
import Formats
import RedisClient
import Synchronization
import Telemetry

/// Makes an event durable: onto its Redis list, or into the spool when Redis is down, slow, refusing or forgetful. One per
/// loop and list; everything happens on the loop's thread.
///
/// `@unchecked Sendable`: its variables are touched on the loop's thread only, which `store` and the timers are called on.
final class EventStore: @unchecked Sendable {
    enum Outcome: Sendable { case stored, unavailable }

    /// An event and whoever waits for it to be durable.
    private struct Waiting {
        let event: [UInt8]
        let done: (Outcome) -> Void
    }

    private let loop: EventLoop
    private let redis: RedisConnection
    private let key: String
    private let refusedPrefix: String
    private let counters: StoredList.Counters
    private let journal: Journal
    private let spool: Spool
    private let log: Log
    /// Redis answers in time and keeps what it is given, by its last sign.
    private var healthy = false
    /// Redis itself promises stable storage (`appendfsync always`), so that its answer is enough.
    private var redisSyncs = false
    private var draining = false
    /// What this turn of the loop has brought.
    private var gathered: [Waiting] = []
    private let published = Atomic<Bool>(false)
    /// Who waits for Redis to take events.
    private var hopeful: [() -> Void] = []

    /// Bytes of events in one command, unless a single event has more.
    static let commandBytesMax = 1 << 20
    /// Redis is slow beyond this.
    static let timeout = Duration.seconds(2)

    /// - Parameter redis: may serve other stores too; whoever made it starts it.
    init(loop: EventLoop, redis: RedisConnection, list: StoredList, queuePrefix: String, journal: Journal, spool: Spool, log: Log) {
        self.loop = loop
        self.redis = redis
        key = "\(queuePrefix){\(list.name)}:ready"
        counters = list.counters
        refusedPrefix = queuePrefix + "{refused}:"
        self.journal = journal
        self.spool = spool
        self.log = log
    }

    /// Whether Redis takes events as of now; from any thread.
    var isHealthy: Bool { published.load(ordering: .relaxed) }

    /// Whether an event can be made durable as of now, there or here; from any thread.
    var canKeep: Bool { isHealthy || !spool.isFailing }

    /// Calls back on the loop once Redis takes events; at once when it does. On the loop.
    func whenHealthy(_ done: @escaping () -> Void) {
        loop.preconditionOnLoop()
        if healthy { done() } else { hopeful.append(done) }
    }

    /// Follows the connection's life from now on.
    func start() {
        redis.onConnect { [self] _ in loop.execute { self.inspect() } }
        redis.onDisconnect { [self] _ in loop.execute { self.setHealthy(false) } }
    }

    // MARK: Storing

    /// Keeps the event and says so on the loop's thread, later.
    func store(_ event: [UInt8], _ done: @escaping (Outcome) -> Void) {
        loop.preconditionOnLoop()
        gathered.append(Waiting(event: event, done: done))
        if gathered.count == 1 { loop.atTurnEnd { self.turnEnded() } }
    }

    /// The events of one turn travel together: one entry for the journal, one command, one reply.
    private func turnEnded() {
        var batch: [Waiting] = []
        swap(&batch, &gathered)
        if healthy && !redisSyncs { return pushAfterSync(batch) }
        journal.append(batch.map(\.event))
        if healthy { push(batch) } else { intoSpool(batch) }
    }

    private func finish(_ batch: some Sequence<Waiting>, _ outcome: Outcome) {
        for waiting in batch { waiting.done(outcome) }
    }

    private func push(_ batch: [Waiting]) {
        var start = 0
        while start < batch.count {
            var bytes = batch[start].event.count
            var end = start + 1
            while end < batch.count, bytes + batch[end].event.count <= Self.commandBytesMax {
                bytes += batch[end].event.count
                end += 1
            }
            push(batch[start..<end], bytes: bytes)
            start = end
        }
    }

    /// One LPUSH takes all events or none, in their order.
    private func push(_ batch: ArraySlice<Waiting>, bytes: Int) {
        var command = RedisCommand("LPUSH", reserving: key.utf8.count + bytes + batch.count * 16 + 64)
        command.append(key)
        for waiting in batch { command.append(waiting.event) }
        redis.send(command, timeout: Self.timeout) { [self] result in
            switch result {
            case .success(.integer):
                counters.pushed.add(Int64(batch.count))
                finish(batch, .stored)
            case .success(let other): refused("\(other.errorText ?? "an answer that is no number")", batch)
            case .failure(let error): refused("\(error)", batch)
            }
        }
    }

    /// Redis may lose what it was given last: the journal has it on stable storage first.
    private func pushAfterSync(_ batch: [Waiting]) {
        let box = LoopBound(batch)
        journal.append(batch.map(\.event)) { [self] kept in
            loop.execute {
                if kept { self.push(box.value) } else { self.intoSpool(box.value) }
            }
        }
    }

    private func refused(_ reason: String, _ batch: ArraySlice<Waiting>) {
        if healthy { log.warning("redis does not take events, spooling", ["reason": .string(reason)]) }
        setHealthy(false)
        intoSpool(batch)
    }

    private func intoSpool(_ batch: some Sequence<Waiting>) {
        for waiting in batch {
            let box = LoopBound(waiting)
            spool.append(waiting.event) { [self] kept in
                loop.execute {
                    (kept ? self.counters.spooled : self.counters.lost).add()
                    self.finish(CollectionOfOne(box.value), kept ? .stored : .unavailable)
                }
            }
        }
    }

    /// Keeps a refusal for staff, if Redis is there; nothing depends on it.
    func keep(_ refusal: RefusalRecord) {
        guard healthy else { return }
        let list = refusedPrefix + refusal.source
        redis.send(RedisCommand("LPUSH", list, refusal.encoded()), timeout: Self.timeout) { _ in }
        redis.send(RedisCommand("LTRIM", list, 0, RefusalRecord.kept - 1), timeout: Self.timeout) { _ in }
    }

    // MARK: Redis' health

    /// Asks how durable Redis is; a server that does not tell is taken for forgetful.
    private func inspect() {
        redis.send(RedisCommand("CONFIG", "GET", "appendfsync"), timeout: Self.timeout) { [self] result in
            var policy = "unknown"
            if case .success(.array(let pair)) = result, pair.count == 2, let value = pair[1].string { policy = value }
            redis.send(RedisCommand("CONFIG", "GET", "appendonly"), timeout: Self.timeout) { [self] result in
                var isOn = false
                if case .success(.array(let pair)) = result, pair.count == 2 { isOn = pair[1].string == "yes" }
                redisSyncs = isOn && policy == "always"
                if !redisSyncs { log.info("redis does not sync each write: the journal does", ["appendfsync": .string(policy)]) }
                probe()
            }
        }
    }

    /// Called every half second on the loop: looks whether a sick Redis is back, and drains the spool when it is well.
    func tend() {
        if !healthy && redis.isConnected { probe() }
        if spoolOwner && (!healthy || spool.isFailing) { spool.probe() }
        if healthy { drain() }
    }

    /// A write that leaves nothing behind: shows that Redis answers *and* takes writes.
    private func probe() {
        let probeKey = key + ":probe"
        redis.send(RedisCommand("SET", probeKey, "1", "PX", "1000"), timeout: Self.timeout) { [self] result in
            if case .success(let value) = result, value.errorText == nil { setHealthy(true) }
        }
    }

    private func setHealthy(_ value: Bool) {
        if value && !healthy { log.info("redis takes events") }
        healthy = value
        published.store(value, ordering: .relaxed)
        guard value, !hopeful.isEmpty else { return }
        let waiting = hopeful
        hopeful = []
        for done in waiting { done() }
    }

    // MARK: Draining

    private func drain() {
        guard !draining, spool.count > 0, spoolOwner else { return }
        draining = true
        spool.next { [self] events in loop.execute { self.drain(events) } }
    }

    /// Only one loop drains, so that the order is kept.
    var spoolOwner = false

    private func drain(_ events: [[UInt8]]) {
        guard !events.isEmpty, healthy else {
            draining = false
            return
        }
        var command = RedisCommand("LPUSH", key)
        for event in events { command.append(event) }
        redis.send(command, timeout: Self.timeout) { [self] result in
            draining = false
            guard case .success(.integer) = result else { return setHealthy(false) }
            counters.drained.add(Int64(events.count))
            spool.markPushed()
            drain()
        }
    }
}

/// Carries a loop-bound closure through another thread and back. `@unchecked Sendable`: it is only called on its loop.
struct LoopBound<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}
