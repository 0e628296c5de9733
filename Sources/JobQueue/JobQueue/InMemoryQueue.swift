/// What ``InMemoryDriver`` keeps: a pure value, every move of a body checked against ``JobLifecycle``.
struct InMemoryQueue {
    struct Entry {
        var body: [UInt8]
        var state: JobLifecycle.State
        var redeliveries = 0
        var dueMs: Int64 = 0
    }

    struct Worker {
        let signal: @Sendable (WorkerSignal) -> Void
        var held: Set<ClaimToken> = []
        var awaiting = false
        var silentSinceMs: Int64?
    }

    /// Every body that is ready, claimed or delayed. A claim's token is its entry's number: it is given anew for each claim.
    var entries: [UInt64: Entry] = [:]
    /// The head first.
    var ready: [UInt64] = []
    var delayed: [UInt64] = []
    var workers: [String: Worker] = [:]
    var dead: [DeadRecord] = []
    var history: [String: [HistoryEntry]] = [:]
    var published: [String: Int64] = [:]
    /// When the driver's timer will go off.
    var alarmMs: Int64?
    private var lastNumber: UInt64 = 0

    var counts: QueueCounts {
        QueueCounts(
            ready: ready.count, delayed: delayed.count, inFlight: workers.values.reduce(0) { $0 + $1.held.count }, dead: dead.count,
            workers: workers.count)
    }

    private mutating func number() -> UInt64 {
        lastNumber += 1
        return lastNumber
    }

    private mutating func move(_ id: UInt64, _ event: JobLifecycle.Event) {
        guard let state = entries[id]?.state, let next = JobLifecycle.next(state, event) else {
            preconditionFailure("\(event) may not happen to a body that is \(entries[id]?.state.rawValue ?? "gone")")
        }
        entries[id]?.state = next
    }

    // MARK: Putting

    mutating func put(_ body: [UInt8], dueMs: Int64?, nowMs: Int64) {
        let id = number()
        if let dueMs, dueMs > nowMs {
            entries[id] = Entry(body: body, state: .delayed, dueMs: dueMs)
            delay(id)
        } else {
            entries[id] = Entry(body: body, state: .ready)
            ready.append(id)
        }
    }

    private mutating func delay(_ id: UInt64) {
        delayed.append(id)
        delayed.sort { entries[$0]?.dueMs ?? 0 < entries[$1]?.dueMs ?? 0 }
    }

    mutating func promoteDue(nowMs: Int64) {
        while let id = delayed.first, let due = entries[id]?.dueMs, due <= nowMs {
            delayed.removeFirst()
            move(id, .due)
            ready.append(id)
        }
    }

    // MARK: The step

    mutating func step(_ request: StepRequest, nowMs: Int64) -> StepResult {
        var result = StepResult()
        result.nowMs = nowMs
        let name = request.worker.description
        guard var worker = workers.removeValue(forKey: name) else {
            result.fenced = true
            return result
        }
        worker.silentSinceMs = nil
        worker.awaiting = false
        var returned: [ClaimToken] = []
        for operation in request.operations {
            guard worker.held.remove(operation.token) != nil else {
                result.staleTokens += 1
                continue
            }
            if case .giveBack(let token) = operation { returned.append(token) } else { carryOut(operation, nowMs: nowMs) }
        }
        // Each to the head, the one claimed last first: the one claimed first ends up first.
        for token in returned.sorted(by: >) {
            move(token, .giveBack)
            ready.insert(token, at: 0)
        }
        result.claimed = claim(request.claimMax, for: &worker)
        workers[name] = worker
        result.readyDepth = ready.count
        result.nextDueMs = delayed.first.flatMap { entries[$0]?.dueMs }
        return result
    }

    private mutating func carryOut(_ operation: StepOperation, nowMs: Int64) {
        switch operation {
        case .ack(let token, let job):
            move(token, .ack)
            entries[token] = nil
            if let job { history[job] = nil }
        case .retry(let token, let delay, let body, let entry):
            remember(entry)
            move(token, .postpone)
            entries[token]?.body = body
            // Another body is another delivery: what was counted belonged to the attempt that has now an outcome.
            entries[token]?.redeliveries = 0
            entries[token]?.dueMs = nowMs + delay.wholeMilliseconds
            self.delay(token)
            promoteDue(nowMs: nowMs)
        case .bury(let token, let record, let entry):
            remember(entry)
            move(token, .bury)
            entries[token] = nil
            dead.append(record)
        case .giveBack: break
        }
    }

    private mutating func remember(_ entry: HistoryEntry?) {
        guard let entry else { return }
        history[entry.job, default: []].append(entry)
        history[entry.job] = history[entry.job]?.suffix(QueueLimits.historyMax)
    }

    private mutating func claim(_ limit: Int, for worker: inout Worker) -> [ClaimedJob] {
        var claimed: [ClaimedJob] = []
        var bytes = 0
        while claimed.count < limit, bytes < QueueLimits.claimBytesMax, !ready.isEmpty {
            let id = ready.removeFirst()
            move(id, .claim)
            // A new number for a new claim, so that an old token means nothing.
            let token = number()
            guard let entry = entries.removeValue(forKey: id) else { continue }
            entries[token] = entry
            worker.held.insert(token)
            bytes += entry.body.count
            claimed.append(ClaimedJob(token: token, body: entry.body, redeliveries: entry.redeliveries))
        }
        return claimed
    }

    // MARK: Leases

    mutating func reclaimExpired(nowMs: Int64) -> [ReclaimedWorker] {
        let lost = workers.filter { $0.value.silentSinceMs.map { nowMs - $0 >= QueueLimits.lease.wholeMilliseconds } ?? false }
        return lost.map { name, worker in
            worker.signal(.fenced)
            return ReclaimedWorker(worker: name, jobs: release(name, countingRedelivery: true))
        }
    }

    @discardableResult
    mutating func release(_ name: String, countingRedelivery: Bool) -> Int {
        guard let worker = workers.removeValue(forKey: name) else { return 0 }
        for token in worker.held.sorted(by: >) {
            move(token, countingRedelivery ? .leaseLost : .giveBack)
            if countingRedelivery { entries[token]?.redeliveries += 1 }
            ready.insert(token, at: 0)
        }
        return worker.held.count
    }

    // MARK: Waking

    /// One waiting worker for each ready body.
    mutating func takeSignals() -> [@Sendable (WorkerSignal) -> Void] {
        var signals: [@Sendable (WorkerSignal) -> Void] = []
        for (name, worker) in workers where worker.awaiting && worker.silentSinceMs == nil && signals.count < ready.count {
            workers[name]?.awaiting = false
            signals.append(worker.signal)
        }
        return signals
    }

    /// When a timer must be set: something is due before the one that runs, if any.
    mutating func alarmToSet() -> Int64? {
        guard let due = delayed.first.flatMap({ entries[$0]?.dueMs }), due < alarmMs ?? .max else { return nil }
        alarmMs = due
        return due
    }

    // MARK: The dead

    mutating func replay(_ record: DeadRecord) -> Bool {
        guard let place = dead.firstIndex(where: { $0.bytes == record.bytes }) else { return false }
        dead.remove(at: place)
        let id = number()
        entries[id] = Entry(body: record.replayBody, state: .ready)
        ready.append(id)
        return true
    }

    mutating func delete(_ record: DeadRecord) -> Bool {
        guard let place = dead.firstIndex(where: { $0.bytes == record.bytes }) else { return false }
        dead.remove(at: place)
        if let job = record.job { history[job] = nil }
        return true
    }
}

extension Duration {
    /// Rounded up, so that nothing is due early.
    package var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
    }
}
