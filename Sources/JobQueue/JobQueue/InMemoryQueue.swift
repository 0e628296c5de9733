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
        /// Numbers of the last cancellation that it was signalled, and that a step has told it.
        var signalledCancel: Int64 = 0
        var heardCancel: Int64 = 0
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
    /// Unique key → id of the job that has it.
    var uniques: [String: String] = [:]
    /// Slot key → ids of the jobs on their way.
    var slots: [String: Set<String>] = [:]
    /// Slot key → entries that wait, with the job's id.
    var waiting: [String: [(id: UInt64, job: String)]] = [:]
    /// Rate key → when its next start may be.
    var rates: [String: Double] = [:]
    var control = QueueControl()
    var parked: [String: [UInt64]] = [:]
    /// Id of a cancelled job → number of its mark, and when that runs out.
    var cancels: [String: (number: Int64, untilMs: Int64)] = [:]
    var lastCancel: Int64 = 0
    /// Job id → what is remembered of it, and until when.
    var reports: [String: (report: JobReport, history: [HistoryEntry], untilMs: Int64)] = [:]
    var departures: [String: Departure] = [:]
    var arrivals: Set<String> = []
    /// When the driver's timer will go off.
    var alarmMs: Int64?
    private var lastNumber: UInt64 = 0

    var counts: QueueCounts {
        QueueCounts(
            ready: ready.count, delayed: delayed.count, inFlight: workers.values.reduce(0) { $0 + $1.held.count }, dead: dead.count,
            workers: workers.count, parked: parked.values.reduce(0) { $0 + $1.count }, waiting: waiting.values.reduce(0) { $0 + $1.count },
            moving: departures.count)
    }

    mutating func number() -> UInt64 {
        lastNumber += 1
        return lastNumber
    }

    mutating func move(_ id: UInt64, _ event: JobLifecycle.Event) {
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

    mutating func delay(_ id: UInt64) {
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
        var parking: [(token: ClaimToken, kind: String)] = []
        for operation in request.operations {
            guard worker.held.remove(operation.token) != nil else {
                result.staleTokens += 1
                continue
            }
            switch operation {
            case .giveBack(let token): returned.append(token)
            case .park(let token, let kind) where control.pausedKinds.contains(kind): parking.append((token, kind))
            case .park(let token, _): returned.append(token)
            default: carryOut(operation, nowMs: nowMs)
            }
        }
        for (token, kind) in parking.sorted(by: { $0.token < $1.token }) {
            move(token, .park)
            parked[kind, default: []].append(token)
        }
        // Each to the head, the one claimed last first: the one claimed first ends up first.
        for token in returned.sorted(by: >) {
            move(token, .giveBack)
            ready.insert(token, at: 0)
        }
        let room = control.concurrency.map { $0 - worker.held.count - workers.values.reduce(0) { $0 + $1.held.count } }
        result.isHeld = control.isPaused || room ?? 1 <= 0
        result.pausedKinds = control.pausedKinds
        result.cancelled = cancels.filter { $0.value.number > worker.heardCancel && $0.value.untilMs > nowMs }.map(\.key)
        worker.heardCancel = lastCancel
        worker.signalledCancel = lastCancel
        result.claimed = result.isHeld ? [] : claim(min(request.claimMax, room ?? .max), for: &worker)
        workers[name] = worker
        result.readyDepth = ready.count
        result.nextDueMs = delayed.first.flatMap { entries[$0]?.dueMs }
        return result
    }

    private mutating func carryOut(_ operation: StepOperation, nowMs: Int64) {
        switch operation {
        case .ack(let token, let job, let flow, let ending):
            if let ending { conclude(ending, nowMs: nowMs) }
            move(token, .ack)
            entries[token] = nil
            if let job { history[job] = nil }
            if let flow { free(flow, nowMs: nowMs) }
        case .retry(let token, let delay, let body, let entry):
            remember(entry)
            move(token, .postpone)
            entries[token]?.body = body
            // Another body is another delivery: what was counted belonged to the attempt that has now an outcome.
            entries[token]?.redeliveries = 0
            entries[token]?.dueMs = nowMs + delay.wholeMilliseconds
            self.delay(token)
            promoteDue(nowMs: nowMs)
        case .bury(let token, let record, let entry, let flow, let ending):
            if let ending { conclude(ending, nowMs: nowMs) }
            remember(entry)
            move(token, .bury)
            entries[token] = nil
            dead.append(record)
            if let flow { free(flow, nowMs: nowMs) }
        case .giveBack, .park: break
        }
    }

    mutating func remember(_ entry: HistoryEntry?) {
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

    // MARK: Flow

    /// - Parameter token: the claim that asks; nil for a job that is put.
    mutating func admit(_ item: FlowItem, claimed token: ClaimToken?, nowMs: Int64) -> Admission {
        let flow = item.flow
        if let token, entries[token]?.state != .claimed { return .stale }
        if let unique = flow.unique, !item.ownsUnique {
            // A claimed copy of the owner itself is run: it may be the only one left.
            if let owner = uniques[unique], token == nil || owner != flow.job { return .duplicate(of: owner) }
            uniques[unique] = flow.job
        }
        var dueMs = item.dueMs ?? 0
        if let rate = flow.rate {
            let mine = max(Double(nowMs), rates[rate.key] ?? 0)
            dueMs = max(dueMs, Int64((mine - rate.toleranceMs).rounded(.down)))
            rates[rate.key] = mine + rate.intervalMs
        }
        let id = token ?? number()
        if token == nil { entries[id] = Entry(body: item.body, state: .ready) } else { entries[id]?.body = item.body }
        if let key = flow.slots, slots[key.key]?.contains(flow.job) != true {
            if slots[key.key]?.count ?? 0 >= key.max {
                takeFromHands(id, .queueUp, otherwise: .waiting, claimed: token != nil)
                entries[id]?.dueMs = dueMs
                waiting[key.key, default: []].append((id, flow.job))
                return .waiting
            }
            slots[key.key, default: []].insert(flow.job)
        }
        if dueMs > nowMs {
            takeFromHands(id, .postpone, otherwise: .delayed, claimed: token != nil)
            entries[id]?.dueMs = dueMs
            delay(id)
            return .delayed(untilMs: dueMs)
        }
        if token == nil { ready.append(id) }
        return .admitted
    }

    /// Moves a claimed body by the table; one that has just been put is where it is.
    private mutating func takeFromHands(_ id: UInt64, _ event: JobLifecycle.Event, otherwise state: JobLifecycle.State, claimed: Bool) {
        guard claimed else {
            entries[id]?.state = state
            return
        }
        move(id, event)
        for name in workers.keys { workers[name]?.held.remove(id) }
    }

    /// Lets a job's keys go and lets in who waits for them.
    mutating func free(_ flow: JobFlow, nowMs: Int64) {
        if let unique = flow.unique, uniques[unique] == flow.job { uniques[unique] = nil }
        guard let key = flow.slots else { return }
        slots[key.key]?.remove(flow.job)
        while slots[key.key]?.count ?? 0 < key.max, let (id, job) = waiting[key.key]?.first {
            waiting[key.key]?.removeFirst()
            slots[key.key, default: []].insert(job)
            if entries[id]?.dueMs ?? 0 > nowMs {
                move(id, .postpone)
                delay(id)
            } else {
                move(id, .admit)
                ready.insert(id, at: 0)
            }
        }
        if slots[key.key]?.isEmpty == true { slots[key.key] = nil }
        if waiting[key.key]?.isEmpty == true { waiting[key.key] = nil }
    }

    mutating func resume(kind: String?) -> Int {
        guard let kind else {
            control.isPaused = false
            return 0
        }
        control.pausedKinds.remove(kind)
        let back = parked.removeValue(forKey: kind) ?? []
        for id in back.reversed() {
            move(id, .resume)
            ready.insert(id, at: 0)
        }
        return back.count
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
        for (name, worker) in workers where worker.signalledCancel < lastCancel && worker.silentSinceMs == nil {
            workers[name]?.signalledCancel = lastCancel
            signals.append(worker.signal)
        }
        guard !control.isPaused, control.concurrency ?? .max > workers.values.reduce(0, { $0 + $1.held.count }) else { return signals }
        var woken = 0
        for (name, worker) in workers where worker.awaiting && worker.silentSinceMs == nil && woken < ready.count {
            workers[name]?.awaiting = false
            signals.append(worker.signal)
            woken += 1
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
        if let job = record.job {
            reports[job] = nil
            cancels[job] = nil
        }
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
