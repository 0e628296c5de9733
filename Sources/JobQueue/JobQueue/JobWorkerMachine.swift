/// What a ``JobWorker`` decides, as a pure value: no clock, no task is started and nothing is sent here.
struct JobWorkerMachine {
    enum Phase {
        case running
        /// Nothing new is claimed; what runs may finish.
        case draining
        /// Time is up: what still runs is given back.
        case handingBack
    }

    enum Plan: Equatable {
        case step([StepOperation], claimMax: Int)
        case wait(listen: Bool)
        case end
    }

    /// Why a running attempt was cancelled.
    enum Interruption {
        case timeout
        /// Its job has expired meanwhile.
        case expired
        case shutdown
        case cancelled
    }

    private struct Attempt {
        let body: [UInt8]
        var task: Task<Void, Never>?
        var interruption: Interruption?
        /// Its job is no longer ours: whatever it comes to is ignored. It still takes up its slot.
        var abandoned = false
    }

    let concurrency: Int
    private(set) var phase = Phase.running
    private var attempts = ClaimTable<Attempt>()
    private var outcomes: [StepOperation] = []
    /// The queue may have something that we have not asked for.
    private var worthAsking = true
    /// The driver may have set something aside for us: a step must follow even without a free slot.
    private var signalled = false
    /// The suspect that runs alone.
    private var isolated: ClaimToken?

    private var pace: ClaimPace

    init(concurrency: Int) {
        self.concurrency = concurrency
        pace = ClaimPace(most: concurrency)
    }

    var running: Int { attempts.count }

    /// What to do now.
    mutating func plan() -> Plan {
        switch phase {
        case .running:
            let free = isolated == nil ? max(0, min(concurrency - attempts.count, pace.allowance)) : 0
            guard !outcomes.isEmpty || signalled || (worthAsking && free > 0) else { return .wait(listen: free > 0) }
            return step(claimMax: free)
        case .draining:
            if !outcomes.isEmpty || signalled { return step(claimMax: 0) }
            return attempts.isEmpty ? .end : .wait(listen: false)
        case .handingBack:
            return outcomes.isEmpty ? .end : step(claimMax: 0)
        }
    }

    private mutating func step(claimMax: Int) -> Plan {
        signalled = false
        var told: [StepOperation] = []
        swap(&told, &outcomes)
        if told.count > QueueLimits.operationsMax {
            outcomes = Array(told[QueueLimits.operationsMax...])
            told.removeLast(outcomes.count)
        }
        return .step(told, claimMax: claimMax)
    }

    mutating func workIsWaiting() {
        worthAsking = true
        signalled = true
    }

    /// Takes what a step has claimed.
    /// - Returns: the jobs to start now.
    mutating func accept(_ result: StepResult, claimMax: Int) -> [ClaimedJob] {
        worthAsking = !result.isHeld && (result.readyDepth > 0 || (claimMax > 0 && result.claimed.count == claimMax))
        var starting = result.claimed
        if phase != .running {
            starting = []
        } else if let suspect = result.claimed.first(where: { $0.redeliveries >= QueueLimits.suspectRedeliveries }) {
            // One of these may be what killed its workers: it runs while nothing else is in hand that was not begun before.
            starting = [suspect]
            isolated = suspect.token
        }
        for job in starting { attempts[job.token] = Attempt(body: job.body) }
        if !starting.isEmpty { pace.claimed() }
        if starting.count < result.claimed.count {
            for job in result.claimed where !attempts.contains(job.token) { outcomes.append(.giveBack(job.token)) }
        }
        return starting
    }

    /// Remembers the task of an attempt, unless it has come to its end already.
    /// - Returns: whether the task is to be cancelled at once.
    mutating func started(_ token: ClaimToken, _ task: Task<Void, Never>) -> Bool {
        var isLate = false
        attempts.update(token) { attempt in
            attempt.task = task
            isLate = attempt.interruption != nil || attempt.abandoned
        }
        return isLate
    }

    /// The last job of a claim has begun, so long after it was to.
    mutating func began(after lag: Duration) { pace.began(after: lag) }

    func interruption(of token: ClaimToken) -> Interruption? { attempts[token]?.interruption }

    /// An attempt has come to its end.
    /// - Parameter operation: nil when the claim is gone: there is nothing to tell.
    mutating func finish(_ token: ClaimToken, _ operation: StepOperation?) {
        if isolated == token {
            isolated = nil
            worthAsking = true
        }
        guard let attempt = attempts.remove(token), !attempt.abandoned else { return }
        if let operation { outcomes.append(operation) }
    }

    /// Time is up for one attempt.
    /// - Returns: the task to cancel.
    mutating func interrupt(_ token: ClaimToken, _ interruption: Interruption) -> Task<Void, Never>? {
        guard let attempt = attempts[token], attempt.interruption == nil, !attempt.abandoned else { return nil }
        attempts.update(token) { $0.interruption = interruption }
        return attempt.task
    }

    /// - Returns: the tasks to cancel.
    mutating func cancel(_ jobs: Set<String>) -> [Task<Void, Never>] {
        attempts.keys.compactMap { token in
            guard let attempt = attempts[token], attempt.interruption == nil, !attempt.abandoned,
                let job = try? JobEnvelope(decoding: attempt.body), jobs.contains(job.id)
            else { return nil }
            attempts.update(token) { $0.interruption = .cancelled }
            return attempt.task
        }
    }

    /// The lease is lost: everything in hand is somebody else's.
    /// - Returns: the tasks to cancel.
    mutating func drop() -> [Task<Void, Never>] {
        outcomes = []
        isolated = nil
        worthAsking = true
        return attempts.keys.compactMap { token in
            attempts.update(token) { $0.abandoned = true }
            return attempts[token]?.task
        }
    }

    mutating func drain() { if phase == .running { phase = .draining } }

    /// - Returns: the tasks to cancel.
    mutating func interruptAll() -> [Task<Void, Never>] {
        attempts.keys.compactMap { token in
            attempts.update(token) { $0.interruption = $0.interruption ?? .shutdown }
            return attempts[token]?.task
        }
    }

    mutating func handBack() {
        phase = .handingBack
        for token in attempts.keys.sorted() where attempts[token]?.abandoned == false {
            attempts.update(token) { $0.abandoned = true }
            outcomes.append(.giveBack(token))
        }
    }
}
