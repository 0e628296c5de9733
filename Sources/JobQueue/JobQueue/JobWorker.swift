import EventLoop
import Synchronization
import Telemetry

/// Runs the jobs of one queue, each in a task of its own, up to a limit at a time.
///
/// The outcomes of finished jobs are told to the queue together with the next claim, so a batch costs one round trip. A graceful stop
/// stops claiming, lets what runs finish, cancels it shortly before the deadline, and gives back what is left without an attempt
/// being spent. When the lease is lost everything in hand is dropped and the worker comes back under a new identity.
public final class JobWorker: Service {
    public struct Configuration: Sendable {
        /// For people: shown in listings and history. Need not be unique.
        public var name: String
        /// Jobs at a time.
        public var concurrency: Int
        /// Told of every skipped job whose registration names nobody else.
        public var onSkip: JobNotice?
        /// Told of every job before it goes to the dead set. What it throws is logged; the job is buried all the same.
        public var onBury: JobNotice?
        /// Where the effects of this worker's jobs are recorded.
        public var effects: Effects?
        public var clock: JobClock
        /// From 0 up to, not including, 1.
        public var random: @Sendable () -> Double
        public var log: Log
        /// Around each attempt, the outermost first.
        public var middleware: [any JobMiddleware] = []

        public init(
            name: String, concurrency: Int = 16, onSkip: JobNotice? = nil, onBury: JobNotice? = nil,
            effects: Effects? = nil, clock: JobClock = .system, random: @escaping @Sendable () -> Double = { .random(in: 0..<1) }, log: Log = Log()
        ) {
            precondition(concurrency >= 1, "a worker runs at least one job at a time")
            self.name = name
            self.concurrency = concurrency
            self.onSkip = onSkip
            self.onBury = onBury
            self.effects = effects
            self.clock = clock
            self.random = random
            self.log = log
        }
    }

    public let name: String
    let configuration: Configuration
    let line: QueueLine
    /// Of jobs that no handler is known for: one name for all, since anything can push any kind.
    let unknownKind: KindMetrics
    private let machine: Mutex<JobWorkerMachine>
    private let handlers = Mutex<[String: JobHandler]>([:])
    /// What ``handlers`` holds once the worker has started.
    private let table = AtomicLazyReference<HandlerTable>()
    private let pausedKinds = Mutex<Set<String>>([])
    /// When this worker put a kind aside that it does not know.
    let parkings = Mutex<[UnhandledKind: Int64]>([:])
    /// Kinds that this worker brings back from aside.
    let unparkings = Mutex<[UnhandledKind: Unparking]>([:])
    /// Spares jobs the lock while no kind is paused.
    private let anyKindPaused = Atomic<Bool>(false)
    let cancelled = CancelledJobs()
    let reports: JobReports
    private let started = Atomic<Bool>(false)
    /// How far the queue server's clock is ahead of ours, as of the last step.
    private let aheadMs = Atomic<Int64>(0)
    private let ended = Milestone()

    public init(driver: any QueueDriver, configuration: Configuration) {
        name = configuration.name
        self.configuration = configuration
        machine = Mutex(JobWorkerMachine(concurrency: configuration.concurrency))
        let signals = SignalRelay()
        line = QueueLine(
            driver: driver, name: configuration.name, clock: configuration.clock, random: configuration.random, log: configuration.log
        ) { signal in signals.relay(signal) }
        unknownKind = line.metrics.kind("unknown")
        reports = JobReports(driver: driver, clock: configuration.clock, log: configuration.log)
        line.metrics.watchSlots(configuration.concurrency) { [weak self] in self?.running ?? 0 }
        signals.connect { [weak self] _ in
            self?.machine.withLock { $0.workIsWaiting() }
            self?.line.bell.ring()
        }
    }

    /// The queue that is worked.
    public var queue: String { line.driver.queue }
    /// Jobs that run now.
    public var running: Int { machine.withLock { $0.running } }

    /// Whether it has been told to stop: nothing new is claimed.
    public var isStopping: Bool { machine.withLock { $0.phase != .running } }

    func add(_ handler: JobHandler) {
        let known = handler.wrapped(in: configuration.middleware).with(metrics: line.metrics.kind(handler.kind))
        precondition(!started.load(ordering: .acquiring), "kinds are registered before the worker starts")
        handlers.withLock { handlers in
            precondition(handlers[known.kind] == nil, "the kind \(known.kind) is registered twice")
            handlers[known.kind] = known
        }
    }

    func handler(of kind: String) -> JobHandler? {
        if let table = table.load() { return table[kind] }
        return handlers.withLock { $0[kind] }
    }

    /// The queue server's time, by which jobs expire: the clocks of two machines may differ by more than a job's life.
    var queueNowMs: Int64 { configuration.clock.now() + aheadMs.load(ordering: .relaxed) }

    // MARK: Service

    /// Begins to work. Does not wait for the queue's server: while that is away the worker keeps trying.
    public func start() async throws {
        guard !started.exchange(true, ordering: .acquiringAndReleasing) else { return }
        _ = table.storeIfNil(HandlerTable(handlers.withLock { $0 }))
        // Unstructured: it lives until `stop`, which waits for it.
        Task { await self.work() }
    }

    public func stop(by deadline: ContinuousClock.Instant) async {
        guard started.load(ordering: .acquiring) else { return }
        let grace = ContinuousClock.now.duration(to: deadline)
        machine.withLock { $0.drain() }
        line.close()
        if await ended.wait(until: deadline - min(.seconds(2), grace / 5)) { return }

        for task in machine.withLock({ $0.interruptAll() }) { task.cancel() }
        if await ended.wait(until: deadline - min(.milliseconds(500), grace / 10)) { return }

        machine.withLock { $0.handBack() }
        line.bell.ring()
        if await ended.wait(until: deadline) { return }
        line.abandon()
    }

    /// Plays `kill -9`: nothing more is said to the queue, which finds out when the lease runs out.
    package func vanish() -> WorkerIdentity {
        line.vanish()
        machine.withLock { machine in
            machine.drain()
            machine.handBack()
        }
        line.bell.ring()
        return line.identity
    }

    // MARK: The loop

    private func work() async {
        var open = await line.open()
        while open {
            switch machine.withLock({ $0.plan() }) {
            case .step(let operations, let claimMax):
                switch await line.step(operations, claimMax: claimMax) {
                case .result(let result):
                    if result.nowMs > 0 { aheadMs.store(result.nowMs - configuration.clock.now(), ordering: .relaxed) }
                    note(result.pausedKinds)
                    if !result.cancelled.isEmpty { cancelRunning(result.cancelled) }
                    begin(machine.withLock { $0.accept(result, claimMax: claimMax) })
                case .fenced:
                    for task in machine.withLock({ $0.drop() }) { task.cancel() }
                    open = await line.open()
                case .abandoned: open = false
                }
            case .wait(let listen):
                if listen { line.listen() }
                await line.bell.wait()
            case .end: open = false
            }
        }
        await line.retire()
        ended.reach()
    }

    /// Remembered for what this step has claimed: a kind is paused or not when its job is claimed.
    private func note(_ kinds: Set<String>) {
        guard anyKindPaused.load(ordering: .acquiring) || !kinds.isEmpty else { return }
        pausedKinds.withLock { $0 = kinds }
        anyKindPaused.store(!kinds.isEmpty, ordering: .releasing)
        unpark(kinds)
    }

    /// Whether fewer kinds than may be are aside.
    var canParkAnotherKind: Bool { pausedKinds.withLock { $0.count } < Self.parkedKindsMax }

    func isPaused(_ kind: String) -> Bool {
        anyKindPaused.load(ordering: .acquiring) && pausedKinds.withLock { $0.contains(kind) }
    }

    /// Cancels those of these jobs that run here; the others are remembered for when they are claimed.
    private func cancelRunning(_ jobs: [String]) {
        cancelled.note(jobs, nowMs: configuration.clock.now())
        for task in machine.withLock({ $0.cancel(Set(jobs)) }) { task.cancel() }
    }

    private func begin(_ jobs: [ClaimedJob]) {
        guard !jobs.isEmpty else { return }
        let worker = line.identity
        let claimedAt = ContinuousClock.now
        let last = jobs[jobs.count - 1].token
        let tasks = jobs.map { job in
            let isLast = job.token == last
            return (
                job.token,
                Task {
                    if isLast { self.lastBegan(since: claimedAt) }
                    self.finish(job, await self.attempt(job, worker: worker))
                }
            )
        }
        let late = machine.withLock { machine in tasks.filter { machine.started($0.0, $0.1) } }
        for (_, task) in late { task.cancel() }
    }

    private func lastBegan(since claimedAt: ContinuousClock.Instant) {
        machine.withLock { $0.began(after: claimedAt.duration(to: .now)) }
        line.bell.ring()
    }

    private func finish(_ job: ClaimedJob, _ operation: StepOperation?) {
        machine.withLock { $0.finish(job.token, operation) }
        line.bell.ring()
    }

    func interruption(of token: ClaimToken) -> JobWorkerMachine.Interruption? { machine.withLock { $0.interruption(of: token) } }

    func interrupt(_ token: ClaimToken, _ interruption: JobWorkerMachine.Interruption) {
        machine.withLock { $0.interrupt(token, interruption) }?.cancel()
    }
}

/// Lets a driver's signals reach an object that is made after the line that carries them.
final class SignalRelay: Sendable {
    private let target = Mutex<(@Sendable (WorkerSignal) -> Void)?>(nil)

    func connect(_ body: @escaping @Sendable (WorkerSignal) -> Void) { target.withLock { $0 = body } }
    func relay(_ signal: WorkerSignal) { target.withLock { $0 }?(signal) }
}
