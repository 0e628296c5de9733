/// A worker as its queue sees it: a name for people and an epoch that no other start of it shares. After its lease is lost a worker
/// comes back under a new epoch, so that nothing it still holds from before can be acknowledged.
public struct WorkerIdentity: Sendable, Hashable, CustomStringConvertible {
    public let name: String
    public let epoch: String

    /// - Parameter epoch: 64 random bits by default.
    public init(name: String, epoch: UInt64 = .random(in: .min ... .max)) {
        // It becomes part of keys: nothing in it may break out of them.
        self.name = String(name.prefix(64).map { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) ? $0 : "-" })
        self.epoch = String(epoch, radix: 36)
    }

    public var description: String { "\(name):\(epoch)" }
}

/// Names one claim of one body by one worker.
public typealias ClaimToken = UInt64

/// A body in a worker's hands.
public struct ClaimedJob: Sendable, Equatable {
    public let token: ClaimToken
    public let body: [UInt8]
    /// How often a worker was lost with this body in hand, without an outcome.
    public let redeliveries: Int

    public init(token: ClaimToken, body: [UInt8], redeliveries: Int = 0) {
        self.token = token
        self.body = body
        self.redeliveries = redeliveries
    }
}

/// What becomes of a claimed body. What most jobs come to takes up little room: a step carries hundreds.
public enum StepOperation: Sendable, Equatable {
    /// Finished. `historyOf` names the job whose history is to be forgotten with it, when it may have one.
    /// `flow` is let go with it, `ending` remembered.
    case ack(ClaimToken, historyOf: String? = nil, flow: JobFlow? = nil, ending: JobEnding? = nil)
    /// Again after `delay`, as `body`. `history` is added to the job's, when given.
    indirect case retry(ClaimToken, delay: Duration, body: [UInt8], history: HistoryEntry? = nil)
    /// To the dead set. `flow` is let go with it, `ending` remembered.
    indirect case bury(ClaimToken, record: DeadRecord, history: HistoryEntry? = nil, flow: JobFlow? = nil, ending: JobEnding? = nil)
    /// Back to the head of the queue, untouched: nothing was spent.
    case giveBack(ClaimToken)
    /// Put aside until its kind is resumed; back to the head of the queue when it has been resumed meanwhile.
    case park(ClaimToken, kind: String)

    public var token: ClaimToken {
        switch self {
        case .ack(let token, _, _, _), .retry(let token, _, _, _), .bury(let token, _, _, _, _), .giveBack(let token), .park(let token, _): token
        }
    }
}

/// Everything that a worker tells its queue at once: the outcomes since the last step, and how many more jobs it can take.
public struct StepRequest: Sendable {
    public let worker: WorkerIdentity
    /// At most ``QueueLimits/operationsMax``.
    public let operations: [StepOperation]
    /// 0…``QueueLimits/claimMax``
    public let claimMax: Int

    public init(worker: WorkerIdentity, operations: [StepOperation] = [], claimMax: Int) {
        precondition(operations.count <= QueueLimits.operationsMax, "a step tells at most \(QueueLimits.operationsMax) outcomes")
        self.worker = worker
        self.operations = operations
        self.claimMax = min(claimMax, QueueLimits.claimMax)
    }
}

/// What the queue answers to a step.
public struct StepResult: Sendable {
    /// The worker's lease was taken over: nothing of the request was done, and nothing that it holds is its own any more.
    public var fenced = false
    /// Operations that found their token gone (already done, or owned by somebody else now).
    public var staleTokens = 0
    public var claimed: [ClaimedJob] = []
    /// The queue server's time.
    public var nowMs: Int64 = 0
    /// When the next delayed body is due.
    public var nextDueMs: Int64?
    /// Bodies that are ready and unclaimed.
    public var readyDepth = 0
    /// The queue is paused, or all its workers together hold as many as it allows: asking again makes no sense before the driver's signal.
    public var isHeld = false
    /// Kinds that are to be parked.
    public var pausedKinds: Set<String> = []
    /// Jobs that were cancelled since the worker's last step; of its first step all that are marked.
    public var cancelled: [String] = []
    /// The number of the last cancellation.
    package var lastCancel: Int64 = 0

    public init() {}
}

/// What a driver tells a worker between steps. Called on any thread; must not block.
public enum WorkerSignal: Sendable, Equatable {
    /// There may be something to claim.
    case workWaiting
    /// The lease is lost. The next step will say so too.
    case fenced
}

/// How many bodies are where.
public struct QueueCounts: Sendable, Equatable {
    public var ready = 0
    public var delayed = 0
    public var inFlight = 0
    public var dead = 0
    public var workers = 0
    /// Put aside because their kind is paused.
    public var parked = 0
    /// Waiting for a slot of their key.
    public var waiting = 0
    /// On their way to another queue.
    public var moving = 0

    public init(
        ready: Int = 0, delayed: Int = 0, inFlight: Int = 0, dead: Int = 0, workers: Int = 0, parked: Int = 0, waiting: Int = 0, moving: Int = 0
    ) {
        self.moving = moving
        self.parked = parked
        self.waiting = waiting
        self.ready = ready
        self.delayed = delayed
        self.inFlight = inFlight
        self.dead = dead
        self.workers = workers
    }
}

/// One queue on one server: the seam between the engine and what keeps the jobs. The contract tests say what each driver must do.
///
/// A driver keeps the lease of a registered worker alive by itself, on a thread that no job can block, sweeps the leases of its peers
/// and moves delayed bodies when they are due, all by the server's time. A worker calls ``step(_:)`` one at a time.
public protocol QueueDriver: QueueProducer, QueueOperating {
    /// Makes `worker` known with a fresh lease, which the driver renews from now on.
    func register(_ worker: WorkerIdentity, signal: @escaping @Sendable (WorkerSignal) -> Void) async throws(QueueDriverError)

    /// Fences, carries out the operations, renews the lease and claims, in one atomic round trip.
    func step(_ request: StepRequest) async throws(QueueDriverError) -> StepResult

    /// Asks for one ``WorkerSignal/workWaiting`` as soon as there is something to claim. Asking again changes nothing.
    ///
    /// A body may already have been set aside for this worker when the signal comes: a step must follow, even one that claims nothing.
    func awaitWork(_ worker: WorkerIdentity)

    /// Asks whether a claimed job with keys may be run. Unless it is ``Admission/admitted`` or ``Admission/duplicate(of:)`` the claim is gone.
    func admit(_ item: FlowItem, claimed token: ClaimToken, by worker: WorkerIdentity) async throws(QueueDriverError) -> Admission

    /// Takes the worker off, with what it still holds going back to the head of the queue unspent. Also for a worker that was fenced,
    /// to let go of what was kept for it here. Does what it can without a connection: the lease then runs out by itself.
    func retire(_ worker: WorkerIdentity) async

    /// Puts back what workers held whose lease has run out. Drivers do this by themselves; here for operators and tests.
    /// - Returns: the workers that were swept.
    @discardableResult
    func reclaimExpired() async throws(QueueDriverError) -> [ReclaimedWorker]

    /// Whether a worker, written as its identity writes itself, is registered here and its lease has not run out.
    func leaseLives(_ worker: String) async throws(QueueDriverError) -> Bool

    func counts() async throws(QueueDriverError) -> QueueCounts

    /// What operators have said about the queue.
    func control() async throws(QueueDriverError) -> QueueControl

    /// Claims nothing more; with a kind, puts aside what is claimed of it, no attempt spent. What runs is finished.
    func pause(kind: String?) async throws(QueueDriverError)

    /// Ends a pause. What was put aside of a kind comes back to the head of the queue.
    /// - Returns: how many came back.
    @discardableResult
    func resume(kind: String?) async throws(QueueDriverError) -> Int

    /// Allows all workers together at most `limit` bodies in hand; nil for any number.
    func setConcurrency(_ limit: Int?) async throws(QueueDriverError)

    /// The bodies that would be claimed next, the first first.
    func peek(limit: Int) async throws(QueueDriverError) -> [[UInt8]]

    /// Buried bodies, the latest first, each with its history.
    func dead(offset: Int, limit: Int) async throws(QueueDriverError) -> [DeadJob]

    /// Puts a buried body back on the queue: a job as new (attempt 0), anything else as it was.
    /// - Returns: false when it was not buried (any more).
    func replayDead(_ record: DeadRecord) async throws(QueueDriverError) -> Bool

    /// - Returns: false when it was not buried (any more).
    func deleteDead(_ record: DeadRecord) async throws(QueueDriverError) -> Bool

    /// What happened to a job so far: its last attempts, the oldest first. Empty when none has failed.
    func history(ofJob id: String) async throws(QueueDriverError) -> [HistoryEntry]
}

/// A worker that was swept.
public struct ReclaimedWorker: Sendable, Equatable {
    public let worker: String
    /// Bodies that went back to the head of the queue.
    public let jobs: Int

    public init(worker: String, jobs: Int) {
        self.worker = worker
        self.jobs = jobs
    }
}
