import EventLoop
import JobQueue
import RedisClient
import Synchronization
import Telemetry

/// One queue on Redis (6.2 or later; 7 is what it is tried on): lists, hashes and sorted sets as `docs/wire-format.md` has them, moved by
/// the scripts in `Scripts/`.
///
/// Steps and signs of life share one pipelined connection; each registered worker has two more for its blocking reads. After a lost
/// connection everything comes back by itself, and what was told without an answer is compared with what Redis has.
public final class RedisDriver: PulsedDriver {
    public let keys: QueueKeys
    let connection: RedisConnection
    let metrics: QueueMetrics
    let deadRetention: DeadRetention
    let log: Log
    let reclaimer: Reclaimer
    private let workers = Mutex<[WorkerIdentity: RedisWorker]>([:])
    private let nextToken = Atomic<UInt64>(1)

    /// - Parameters:
    ///   - connection: started, and shared with whoever likes. Best with `waitsForConnection`.
    ///   - deadRetention: what the workers registered here leave of the dead.
    public init(
        connection: RedisConnection, prefix: String = "quittance:", queue: String, deadRetention: DeadRetention = .usual, log: Log = Log("queue")
    ) {
        precondition(connection.purpose == .shared, "a driver's connection is pipelined")
        self.connection = connection
        self.log = log
        self.deadRetention = deadRetention
        keys = QueueKeys(prefix: prefix, queue: queue)
        metrics = QueueMetrics(queue: queue)
        reclaimer = Reclaimer(connection: connection, keys: keys, metrics: metrics, log: log)
        reclaimer.begin()
        connection.onConnect { [weak self] connected in
            guard connected.generation > 1 else { return }
            for worker in self?.workers.withLock({ Array($0.values) }) ?? [] { worker.reconnected() }
        }
    }

    public var queue: String { keys.queue }
    public var pulse: QueuePulse { metrics.pulse }

    // MARK: Producing

    public func enqueue(_ items: [EnqueueItem]) async throws(QueueDriverError) {
        for chunk in try Self.chunks(items, size: { $0.body.count }) {
            if chunk.allSatisfy({ $0.dueMs == nil }) {
                var command = RedisCommand("LPUSH", reserving: chunk.reduce(64) { $0 + $1.body.count + 16 })
                command.append(keys.ready)
                for item in chunk { command.append(item.body) }
                do { _ = try await connection.perform(command) } catch { throw QueueDriverError(error) }
            } else {
                var call = RedisScriptCall(QueueScripts.enqueue, keys: [keys.ready, keys.delayed, keys.wake])
                for item in chunk {
                    call.append(item.dueMs ?? 0)
                    call.append(item.body)
                }
                _ = try await run(call)
            }
            metrics.enqueued.add(Int64(chunk.count))
        }
    }

    @discardableResult
    public func publish(slot: String, items: [PublishItem]) async throws(QueueDriverError) -> Int {
        var fresh = 0
        for chunk in try Self.chunks(items, size: { $0.body.count }) {
            var call = RedisScriptCall(QueueScripts.publish, keys: [keys.published, keys.ready, keys.delayed, keys.wake])
            call.append(slot)
            for item in chunk {
                call.append(item.sequence)
                call.append(item.dueMs ?? 0)
                call.append(item.body)
            }
            guard let count = try await run(call).int else { throw .unexpected("publish") }
            fresh += Int(count)
            metrics.enqueued.add(count)
        }
        return fresh
    }

    /// Pieces that one command carries: bounded in number and in bytes.
    private static func chunks<Item>(_ items: [Item], size: (Item) -> Int) throws(QueueDriverError) -> [ArraySlice<Item>] {
        var chunks: [ArraySlice<Item>] = []
        var start = 0
        var bytes = 0
        for (index, item) in items.enumerated() {
            let length = size(item)
            guard length <= QueueLimits.bodyBytesMax else {
                throw QueueDriverError(.invalid, "a body has at most \(QueueLimits.bodyBytesMax) bytes, this has \(length)")
            }
            if index > start && (index - start == QueueLimits.enqueueBatchMax || bytes + length > QueueLimits.claimBytesMax) {
                chunks.append(items[start..<index])
                start = index
                bytes = 0
            }
            bytes += length
        }
        if start < items.count { chunks.append(items[start...]) }
        return chunks
    }

    // MARK: Working

    public func register(_ worker: WorkerIdentity, signal: @escaping @Sendable (WorkerSignal) -> Void) async throws(QueueDriverError) {
        let sentAt = ContinuousClock.now
        let name = worker.description
        _ = try await run(
            RedisScriptCall(
                QueueScripts.register, keys: [keys.leases, keys.inflight(name)],
                arguments: [name, QueueLimits.lease.wholeMilliseconds]))
        let registered = RedisWorker(
            identity: worker, connection: connection, keys: keys, reclaimer: reclaimer, log: log, registeredAt: sentAt,
            finishMoves: { [weak self] nowMs in self?.finishMovesLater(nowMs: nowMs) },
            trimDead: { [weak self] nowMs in self?.trimDeadLater(nowMs: nowMs) }, signal: signal)
        workers.withLock { $0[worker] = registered }
        connection.loop.execute { registered.begin() }
    }

    public func step(_ request: StepRequest) async throws(QueueDriverError) -> StepResult {
        guard let worker = workers.withLock({ $0[request.worker] }) else {
            var gone = StepResult()
            gone.fenced = true
            return gone
        }
        let generation = connection.generation
        var operations = request.operations
        if worker.ledger.withLock({ $0.needsComparing(generation: generation) }) {
            let actual = try await tokens(heldBy: request.worker)
            operations = worker.ledger.withLock { $0.compare(actual, request.operations, generation: generation) }
        }
        let firstToken = nextToken.wrappingAdd(UInt64(QueueLimits.claimMax), ordering: .relaxed).oldValue
        let call = StepCall(operations).call(
            worker: request.worker.description, keys: keys, claimMax: request.claimMax, firstToken: firstToken,
            heard: worker.heardCancel.load(ordering: .acquiring))
        worker.ledger.withLock { $0.begin() }
        let sentAt = ContinuousClock.now
        do throws(QueueDriverError) {
            let result = try StepCall.result(try await run(call), firstToken: firstToken)
            let told = operations
            worker.ledger.withLock { $0.succeeded(told, result, generation: generation) }
            metrics.pulse.beat()
            worker.isHeld.store(result.isHeld, ordering: .releasing)
            if !result.fenced { worker.heardCancel.store(result.lastCancel, ordering: .releasing) }
            if !result.fenced, let nextDueMs = result.nextDueMs {
                connection.loop.execute { worker.stepped(nextDueMs: nextDueMs, nowMs: result.nowMs, sentAt: sentAt) }
            }
            return result
        } catch {
            let told = operations
            worker.ledger.withLock { $0.failed(told, mayHaveHappened: error.mayHaveHappened) }
            throw error
        }
    }

    public func admit(_ item: FlowItem) async throws(QueueDriverError) -> Admission {
        guard item.body.count <= QueueLimits.bodyBytesMax else {
            throw QueueDriverError(.invalid, "a body has at most \(QueueLimits.bodyBytesMax) bytes, this has \(item.body.count)")
        }
        return try Self.admission(try await run(admitCall(item, token: "", worker: "")))
    }

    public func admit(_ item: FlowItem, claimed token: ClaimToken, by worker: WorkerIdentity) async throws(QueueDriverError) -> Admission {
        guard let asking = workers.withLock({ $0[worker] }) else { return .stale }
        do throws(QueueDriverError) {
            let admission = try Self.admission(try await run(admitCall(item, token: String(token), worker: worker.description)))
            switch admission {
            case .admitted, .duplicate: break
            case .waiting, .delayed, .stale: asking.ledger.withLock { $0.gone(token) }
            }
            return admission
        } catch {
            if error.mayHaveHappened { asking.ledger.withLock { $0.doubt() } }
            throw error
        }
    }

    private func admitCall(_ item: FlowItem, token: String, worker: String) -> RedisScriptCall {
        let flow = item.flow
        var call = RedisScriptCall(
            QueueScripts.admit,
            keys: [
                keys.ready, keys.delayed, keys.wake, keys.unique, keys.inflight(worker), keys.waiting, keys.slots(flow.slots?.key ?? ""),
                keys.waiting(flow.slots?.key ?? ""), keys.rate(flow.rate?.key ?? ""),
            ])
        call.append(token)
        call.append(item.dueMs ?? 0)
        call.append(item.body)
        call.append(flow.job)
        call.append(flow.unique ?? "")
        call.append(item.ownsUnique ? 1 : 0)
        call.append(flow.slots?.key ?? "")
        call.append(flow.slots?.max ?? 0)
        call.append(flow.rate.map { "\($0.intervalMs)" } ?? "0")
        call.append(flow.rate.map { "\($0.toleranceMs)" } ?? "0")
        return call
    }

    private static func admission(_ reply: RedisValue) throws(QueueDriverError) -> Admission {
        switch reply[0]?.string {
        case "ADMITTED": return .admitted
        case "WAITING": return .waiting
        case "STALE": return .stale
        case "DUPLICATE": if let owner = reply[1]?.string { return .duplicate(of: owner) }
        case "DELAYED": if let untilMs = reply[1]?.int { return .delayed(untilMs: untilMs) }
        default: break
        }
        throw .unexpected("admit")
    }

    private func tokens(heldBy worker: WorkerIdentity) async throws(QueueDriverError) -> Set<ClaimToken> {
        let reply: RedisValue
        do { reply = try await connection.call("HKEYS", keys.inflight(worker.description)) } catch { throw QueueDriverError(error) }
        return Set((reply.array ?? []).compactMap { $0.string.flatMap { ClaimToken($0) } })
    }

    public func awaitWork(_ worker: WorkerIdentity) {
        guard let worker = workers.withLock({ $0[worker] }) else { return }
        connection.loop.execute { worker.awaitWork() }
    }

    public func retire(_ worker: WorkerIdentity) async {
        guard let leaving = workers.withLock({ $0.removeValue(forKey: worker) }) else { return }
        let loop = connection.loop
        await withCheckedContinuation { continuation in
            loop.execute { leaving.end { continuation.resume() } }
        }
        // Without a connection the lease runs out by itself.
        guard connection.isConnected else { return }
        _ = try? await run(reclaimer.release(worker.description, "retired"))
    }

    @discardableResult
    public func reclaimExpired() async throws(QueueDriverError) -> [ReclaimedWorker] {
        guard reclaimer.maySweep else { return [] }
        let time: RedisValue
        do { time = try await connection.call("TIME") } catch { throw QueueDriverError(error) }
        guard let seconds = time[0]?.int, let micros = time[1]?.int else { throw .unexpected("TIME") }
        let nowMs = seconds * 1000 + micros / 1000
        let listed: RedisValue
        do { listed = try await connection.call("ZRANGEBYSCORE", keys.leases, "-inf", nowMs) } catch { throw QueueDriverError(error) }
        var reclaimed: [ReclaimedWorker] = []
        for worker in (listed.array ?? []).compactMap(\.string) {
            let reply = try await run(reclaimer.release(worker, "expired"))
            if let jobs = reclaimer.noteReclaimed(worker, reply) { reclaimed.append(ReclaimedWorker(worker: worker, jobs: jobs)) }
        }
        return reclaimed
    }

    // MARK: Doors for tests

    /// Plays a process that stands still: no sign of life until ``thaw(_:)``.
    package func freeze(_ worker: WorkerIdentity) async {
        guard let worker = workers.withLock({ $0[worker] }) else { return }
        await connection.loop.run { worker.freeze() }
    }

    package func thaw(_ worker: WorkerIdentity) {
        guard let worker = workers.withLock({ $0[worker] }) else { return }
        connection.loop.execute { worker.thaw() }
    }

    /// Plays a process that was killed: nothing is said, sockets are closed.
    package func abandon(_ worker: WorkerIdentity) async {
        guard let gone = workers.withLock({ $0.removeValue(forKey: worker) }) else { return }
        await connection.loop.run { gone.vanish() }
    }

    func run(_ call: RedisScriptCall) async throws(QueueDriverError) -> RedisValue {
        do { return try await connection.run(call) } catch { throw QueueDriverError(error) }
    }
}
