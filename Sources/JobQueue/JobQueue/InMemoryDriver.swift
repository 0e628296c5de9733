import Synchronization

/// A queue in memory, for unit tests: the contract of ``QueueDriver`` on a clock that can be turned. Several workers may share it, as
/// processes share a server.
///
/// A registered worker keeps its lease until ``silence(_:)`` plays its death.
public final class InMemoryDriver: QueueDriver {
    public let queue: String
    private let clock: JobClock
    private let state: Mutex<InMemoryQueue>
    private let alarms = Mutex<[(atMs: Int64, task: Task<Void, Never>)]>([])
    /// Shown each body that is put on the queue by a producer.
    private let onPut: (@Sendable ([UInt8]) -> Void)?

    public convenience init(queue: String, clock: JobClock = .system) { self.init(queue: queue, clock: clock, onPut: nil) }

    package init(queue: String, clock: JobClock, onPut: (@Sendable ([UInt8]) -> Void)?) {
        precondition(JobEnvelope.isQueueName(queue), "a queue's name is made of letters, digits, '.', '_' and '-'")
        self.queue = queue
        self.clock = clock
        self.onPut = onPut
        state = Mutex(InMemoryQueue())
    }

    /// Plays a worker that was killed or frozen: its lease is no longer renewed. A step of it before anybody swept it revives it.
    public func silence(_ worker: WorkerIdentity) {
        let now = clock.now()
        state.withLock { $0.workers[worker.description]?.silentSinceMs = now }
    }

    /// Puts one body on the queue, owning a unique key when one is named.
    /// - Returns: false when another job owns it, and nothing was put.
    func put(_ body: [UInt8], owning unique: (key: String, job: String)?) -> Bool {
        let isPut = change { queue, now in
            if let unique {
                guard queue.uniques[unique.key] == nil else { return false }
                queue.uniques[unique.key] = unique.job
            }
            queue.put(body, dueMs: nil, nowMs: now)
            return true
        }
        if isPut { onPut?(body) }
        return isPut
    }

    /// When the next delayed body is due.
    package var nextDueMs: Int64? { state.withLock { queue in queue.delayed.first.flatMap { queue.entries[$0]?.dueMs } } }

    public func enqueue(_ items: [EnqueueItem]) async throws(QueueDriverError) {
        try Self.check(items.map(\.body))
        if let onPut { for item in items { onPut(item.body) } }
        change { queue, now in
            for item in items { queue.put(item.body, dueMs: item.dueMs, nowMs: now) }
        }
    }

    @discardableResult
    public func publish(slot: String, items: [PublishItem]) async throws(QueueDriverError) -> Int {
        try Self.check(items.map(\.body))
        if let onPut { for item in items { onPut(item.body) } }
        return change { queue, now in
            var fresh = 0
            for item in items where item.sequence > queue.published[slot, default: .min] {
                queue.published[slot] = item.sequence
                queue.put(item.body, dueMs: item.dueMs, nowMs: now)
                fresh += 1
            }
            return fresh
        }
    }

    public func register(_ worker: WorkerIdentity, signal: @escaping @Sendable (WorkerSignal) -> Void) async throws(QueueDriverError) {
        state.withLock { $0.workers[worker.description] = InMemoryQueue.Worker(signal: signal) }
    }

    public func step(_ request: StepRequest) async throws(QueueDriverError) -> StepResult {
        change { queue, now in queue.step(request, nowMs: now) }
    }

    public func admit(_ item: FlowItem) async throws(QueueDriverError) -> Admission {
        try Self.check([item.body])
        return change { queue, now in queue.admit(item, claimed: nil, nowMs: now) }
    }

    public func admit(_ item: FlowItem, claimed token: ClaimToken, by worker: WorkerIdentity) async throws(QueueDriverError) -> Admission {
        change { queue, now in
            guard queue.workers[worker.description]?.held.contains(token) == true else { return .stale }
            return queue.admit(item, claimed: token, nowMs: now)
        }
    }

    public func awaitWork(_ worker: WorkerIdentity) {
        change { queue, _ in queue.workers[worker.description]?.awaiting = true }
    }

    public func retire(_ worker: WorkerIdentity) async {
        change { queue, _ in queue.release(worker.description, countingRedelivery: false) }
    }

    @discardableResult
    public func reclaimExpired() async throws(QueueDriverError) -> [ReclaimedWorker] {
        change { queue, now in queue.reclaimExpired(nowMs: now) }
    }

    public func leaseLives(_ worker: String) async throws(QueueDriverError) -> Bool {
        change { queue, _ in queue.workers[worker] != nil }
    }

    public func counts() async throws(QueueDriverError) -> QueueCounts { change { queue, _ in queue.counts } }

    public func control() async throws(QueueDriverError) -> QueueControl { change { queue, _ in queue.control } }

    public func pause(kind: String?) async throws(QueueDriverError) {
        change { queue, _ in
            guard let kind else { return queue.control.isPaused = true }
            queue.control.pausedKinds.insert(kind)
            // One of them may know it.
            if UnhandledKind(parkedAs: kind) != nil { for worker in queue.workers.values { worker.signal(.workWaiting) } }
        }
    }

    @discardableResult
    public func resume(kind: String?) async throws(QueueDriverError) -> Int { change { queue, _ in queue.resume(kind: kind) } }

    public func setConcurrency(_ limit: Int?) async throws(QueueDriverError) { change { queue, _ in queue.control.concurrency = limit } }

    public func peek(limit: Int) async throws(QueueDriverError) -> [[UInt8]] {
        change { queue, _ in queue.ready.prefix(limit).map { queue.entries[$0]?.body ?? [] } }
    }

    public func dead(offset: Int, limit: Int) async throws(QueueDriverError) -> [DeadJob] {
        change { queue, _ in
            queue.dead.reversed().dropFirst(offset).prefix(limit).map { record in
                DeadJob(record: record, history: record.job.flatMap { queue.history[$0] } ?? [])
            }
        }
    }

    public func replayDead(_ record: DeadRecord) async throws(QueueDriverError) -> Bool {
        change { queue, _ in queue.replay(record) }
    }

    public func deleteDead(_ record: DeadRecord) async throws(QueueDriverError) -> Bool {
        change { queue, _ in queue.delete(record) }
    }

    public func history(ofJob id: String) async throws(QueueDriverError) -> [HistoryEntry] {
        change { queue, _ in queue.history[id] ?? queue.reports[id]?.history ?? [] }
    }

    // MARK: Shell

    /// Changes the queue after what is due has come, wakes those who wait, and sets the timer for what is due next.
    @discardableResult
    func change<Value: Sendable>(_ body: (inout sending InMemoryQueue, Int64) -> Value) -> Value {
        let now = clock.now()
        let (value, signals, alarmMs) = state.withLock { queue in
            _ = queue.reclaimExpired(nowMs: now)
            queue.promoteDue(nowMs: now)
            let value = body(&queue, now)
            let signals = queue.takeSignals()
            return (value, signals, queue.alarmToSet())
        }
        for signal in signals { signal(.workWaiting) }
        if let alarmMs { setAlarm(atMs: alarmMs, nowMs: now) }
        return value
    }

    private func setAlarm(atMs: Int64, nowMs: Int64) {
        // Ends with the driver: on a clock that is turned by hand it might sleep for ever.
        let alarm = Task { [weak self, clock] in
            do { try await clock.sleep(.milliseconds(max(0, atMs - nowMs))) } catch { return }
            guard let self else { return }
            self.state.withLock { $0.alarmMs = nil }
            self.change { _, _ in }
        }
        alarms.withLock { alarms in
            alarms.removeAll { $0.atMs <= nowMs }
            alarms.append((atMs, alarm))
        }
    }

    deinit { for alarm in alarms.withLock({ $0 }) { alarm.task.cancel() } }

    private static func check(_ bodies: [[UInt8]]) throws(QueueDriverError) {
        if bodies.contains(where: { $0.count > QueueLimits.bodyBytesMax }) {
            throw QueueDriverError(.invalid, "a body has at most \(QueueLimits.bodyBytesMax) bytes")
        }
    }
}
