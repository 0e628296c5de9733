import EventLoop
import Synchronization
import Telemetry

/// What becomes of one body of a batch.
public enum BatchOutcome: Sendable, Equatable {
    case ack
    /// The same body again, after this long.
    case retry(after: Duration)
    /// To the dead set.
    case bury(reason: String)
}

/// Hands the bodies of one queue to one closure, a batch at a time: for work that is cheap in bulk, such as one SQL transaction for
/// many events. The engine never reads the bodies.
///
/// A batch's outcomes are told together with the claim of the next. When the closure throws, the same batch is handed to it again
/// after a pause; nothing is lost and nothing overtakes.
public final class BatchWorker: Service {
    /// Outcomes in the order of the bodies, one for each.
    public typealias Handler = @Sendable (_ batch: [ClaimedJob]) async throws -> [BatchOutcome]

    public struct Configuration: Sendable {
        public var name: String
        /// Bodies in one batch at most.
        public var batchMax: Int
        /// The pause after the closure threw, doubled each time up to 30 s.
        public var pause: Duration
        public var clock: JobClock
        public var random: @Sendable () -> Double
        public var log: Log

        public init(
            name: String, batchMax: Int = 200, pause: Duration = .milliseconds(200), clock: JobClock = .system,
            random: @escaping @Sendable () -> Double = { .random(in: 0..<1) }, log: Log = Log()
        ) {
            precondition((1...QueueLimits.claimMax).contains(batchMax), "a batch has 1 to \(QueueLimits.claimMax) bodies")
            self.name = name
            self.batchMax = batchMax
            self.pause = pause
            self.clock = clock
            self.random = random
            self.log = log
        }
    }

    private struct State {
        var stopping = false
        /// Time is up: the batch in hand is given back.
        var handingBack = false
        var batch: Task<[BatchOutcome]?, Never>?
    }

    public let name: String
    let configuration: Configuration
    private let handle: Handler
    private let line: QueueLine
    private let kindMetrics: KindMetrics
    private let state = Mutex(State())
    private let started = Atomic<Bool>(false)
    private let ended = Milestone()

    private static let pauseMax = Duration.seconds(30)

    public init(driver: any QueueDriver, configuration: Configuration, handle: @escaping Handler) {
        name = configuration.name
        self.configuration = configuration
        self.handle = handle
        let signals = SignalRelay()
        line = QueueLine(
            driver: driver, name: configuration.name, clock: configuration.clock, random: configuration.random, log: configuration.log
        ) { signal in signals.relay(signal) }
        kindMetrics = line.metrics.kind("batch")
        line.metrics.watchSlots(1) { [weak self] in self?.state.withLock { $0.batch == nil ? 0 : 1 } ?? 0 }
        signals.connect { [weak self] signal in
            if signal == .fenced { self?.state.withLock { $0.batch }?.cancel() }
            self?.line.bell.ring()
        }
    }

    /// The queue that is worked.
    public var queue: String { line.driver.queue }

    // MARK: Service

    public func start() async throws {
        guard !started.exchange(true, ordering: .acquiringAndReleasing) else { return }
        // Unstructured: it lives until `stop`, which waits for it.
        Task { await self.work() }
    }

    public func stop(by deadline: ContinuousClock.Instant) async {
        guard started.load(ordering: .acquiring) else { return }
        let grace = ContinuousClock.now.duration(to: deadline)
        state.withLock { $0.stopping = true }
        line.close()
        if await ended.wait(until: deadline - min(.seconds(2), grace / 5)) { return }

        let batch = state.withLock { state in
            state.handingBack = true
            return state.batch
        }
        batch?.cancel()
        if await ended.wait(until: deadline - min(.milliseconds(200), grace / 10)) { return }
        // The closure does not listen. What it holds goes back all the same: the process is about to end, and its effects are once in SQL.
        line.abandon()
        await line.retire()
    }

    // MARK: The loop

    private func work() async {
        var open = await line.open()
        var outcomes: [StepOperation] = []
        // Stands alone once everything that was claimed with it is given back.
        var suspect: ClaimedJob?
        while open {
            let stopping = state.withLock { $0.stopping }
            if stopping && outcomes.isEmpty && suspect == nil { break }
            switch await line.step(outcomes, claimMax: stopping || suspect != nil ? 0 : configuration.batchMax) {
            case .abandoned: open = false
            case .fenced:
                (outcomes, suspect) = ([], nil)
                open = await line.open()
            case .result(let result):
                outcomes = []
                if let alone = suspect {
                    suspect = nil
                    outcomes = await perform([alone])
                } else if !result.claimed.isEmpty {
                    (outcomes, suspect) = sort(result.claimed)
                    let batch = suspect == nil ? result.claimed.filter { $0.redeliveries < QueueLimits.redeliveriesMax } : []
                    if !batch.isEmpty { outcomes += await perform(batch) }
                } else if !stopping && (result.readyDepth == 0 || result.isHeld) {
                    line.listen()
                    await line.bell.wait()
                }
            }
        }
        await line.retire()
        ended.reach()
    }

    /// Buries what was redelivered too often. One of the others may be what killed its workers: it is to be handled alone, so that it
    /// can be convicted, and the others are out of this worker's hands by then, so that they are not blamed.
    private func sort(_ claimed: [ClaimedJob]) -> (outcomes: [StepOperation], suspect: ClaimedJob?) {
        let worker = line.identity
        var outcomes: [StepOperation] = []
        let suspect = claimed.first { (QueueLimits.suspectRedeliveries..<QueueLimits.redeliveriesMax).contains($0.redeliveries) }
        for job in claimed {
            if job.redeliveries >= QueueLimits.redeliveriesMax {
                outcomes.append(bury(job, "redelivered \(job.redeliveries) times without an outcome", worker: worker))
            } else if let suspect, job.token != suspect.token {
                outcomes.append(.giveBack(job.token))
            }
        }
        return (outcomes, suspect)
    }

    private func perform(_ batch: [ClaimedJob]) async -> [StepOperation] {
        let worker = line.identity
        kindMetrics.started.add(Int64(batch.count))
        guard let outcomes = await outcomes(of: batch) else { return batch.map { .giveBack($0.token) } }
        precondition(outcomes.count == batch.count, "a batch's handler says one outcome for each body")
        return zip(batch, outcomes).map { job, outcome in
            switch outcome {
            case .ack: .ack(job.token)
            case .retry(let delay): .retry(job.token, delay: delay, body: job.body)
            case .bury(let reason): bury(job, reason, worker: worker)
            }
        }
    }

    /// Calls the closure until it says something.
    /// - Returns: nil when there is no time left for that.
    private func outcomes(of batch: [ClaimedJob]) async -> [BatchOutcome]? {
        let task = Task { await self.persist(with: batch) }
        let tooLate = state.withLock { state in
            state.batch = task
            return state.handingBack
        }
        if tooLate { task.cancel() }
        defer { state.withLock { $0.batch = nil } }
        return await task.value
    }

    private func persist(with batch: [ClaimedJob]) async -> [BatchOutcome]? {
        let beganMs = configuration.clock.now()
        var pause = configuration.pause
        while true {
            do {
                let outcomes = try await handle(batch)
                line.metrics.batch.observe(Double(configuration.clock.now() - beganMs) / 1000)
                kindMetrics.done.add(Int64(batch.count))
                return outcomes
            } catch {
                if Task.isCancelled || state.withLock({ $0.stopping }) { return nil }
                configuration.log.warning(
                    "batch failed, tried again", ["queue": .string(queue), "bodies": .int(Int64(batch.count)), "error": .string("\(error)")])
                try? await configuration.clock.sleep(pause / 2 + pause / 2 * configuration.random())
                if Task.isCancelled { return nil }
                pause = min(pause * 2, Self.pauseMax)
            }
        }
    }

    private func bury(_ job: ClaimedJob, _ reason: String, worker: WorkerIdentity) -> StepOperation {
        kindMetrics.buried.add()
        configuration.log.error("body buried", ["queue": .string(queue), "reason": .string(reason)])
        let record: DeadRecord
        if let envelope = try? JobEnvelope(decoding: job.body) {
            record = DeadRecord(burying: envelope, body: job.body, reason: reason, nowMs: configuration.clock.now(), worker: worker)
        } else {
            record = DeadRecord(buryingOpaque: job.body, reason: reason, nowMs: configuration.clock.now(), worker: worker)
        }
        return .bury(job.token, record: record)
    }
}
