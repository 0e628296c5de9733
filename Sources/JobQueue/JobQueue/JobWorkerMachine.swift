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
    private var attempts: [ClaimToken: Attempt] = [:]
    private var outcomes: [StepOperation] = []
    /// The queue may have something that we have not asked for.
    private var worthAsking = true
    /// The driver may have set something aside for us: a step must follow even without a free slot.
    private var signalled = false
    /// The suspect that runs alone.
    private var isolated: ClaimToken?

    init(concurrency: Int) { self.concurrency = concurrency }

    var running: Int { attempts.count }

    /// What to do now.
    mutating func plan() -> Plan {
        switch phase {
        case .running:
            let free = isolated == nil ? max(0, concurrency - attempts.count) : 0
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
        let told = Array(outcomes.prefix(QueueLimits.operationsMax))
        outcomes.removeFirst(told.count)
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
        let kept = Set(starting.map(\.token))
        for job in result.claimed where !kept.contains(job.token) { outcomes.append(.giveBack(job.token)) }
        for job in starting { attempts[job.token] = Attempt(body: job.body) }
        return starting
    }

    /// Remembers the task of an attempt, unless it has come to its end already.
    /// - Returns: whether the task is to be cancelled at once.
    mutating func started(_ token: ClaimToken, _ task: Task<Void, Never>) -> Bool {
        guard let attempt = attempts[token] else { return false }
        attempts[token]?.task = task
        return attempt.interruption != nil || attempt.abandoned
    }

    func interruption(of token: ClaimToken) -> Interruption? { attempts[token]?.interruption }

    /// An attempt has come to its end.
    /// - Parameter operation: nil when the claim is gone: there is nothing to tell.
    mutating func finish(_ token: ClaimToken, _ operation: StepOperation?) {
        if isolated == token {
            isolated = nil
            worthAsking = true
        }
        guard let attempt = attempts.removeValue(forKey: token), !attempt.abandoned else { return }
        if let operation { outcomes.append(operation) }
    }

    /// - Returns: the task to cancel.
    mutating func timeOut(_ token: ClaimToken) -> Task<Void, Never>? {
        guard let attempt = attempts[token], attempt.interruption == nil, !attempt.abandoned else { return nil }
        attempts[token]?.interruption = .timeout
        return attempt.task
    }

    /// - Returns: the tasks to cancel.
    mutating func cancel(_ jobs: Set<String>) -> [Task<Void, Never>] {
        attempts.compactMap { token, attempt in
            guard attempt.interruption == nil, !attempt.abandoned, let job = try? JobEnvelope(decoding: attempt.body), jobs.contains(job.id)
            else { return nil }
            attempts[token]?.interruption = .cancelled
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
            attempts[token]?.abandoned = true
            return attempts[token]?.task
        }
    }

    mutating func drain() { if phase == .running { phase = .draining } }

    /// - Returns: the tasks to cancel.
    mutating func interruptAll() -> [Task<Void, Never>] {
        attempts.keys.compactMap { token in
            if attempts[token]?.interruption == nil { attempts[token]?.interruption = .shutdown }
            return attempts[token]?.task
        }
    }

    mutating func handBack() {
        phase = .handingBack
        for token in attempts.keys.sorted() where attempts[token]?.abandoned == false {
            attempts[token]?.abandoned = true
            outcomes.append(.giveBack(token))
        }
    }
}
