import EventLoop
import Synchronization
import Telemetry

/// The front of the engine: register kinds, push jobs, run. One worker for each queue that has a registered kind.
///
/// ```swift
/// let service = JobService(queues: queues) { Timed() }
/// service.registerJob(parameters: SendEmail.self, retryStrategy: .exponential(attemptsMax: 5)) { email, context in … }
/// try await service.push(SendEmail(to: "a@example.com"))
/// try await service.run()
/// ```
public final class JobService: Service {
    public struct Configuration: Sendable {
        /// For people: shown in listings and history.
        public var name: String
        /// Jobs of one queue at a time.
        public var concurrency: Int
        /// Queues with another limit than ``concurrency``.
        public var concurrencyOfQueue: [String: Int]
        /// Checked at the start; nil checks nothing.
        public var durability: Durability?
        /// Time that running jobs have to finish once ``JobService/run()`` is cancelled.
        public var grace: Duration
        public var clock: JobClock
        public var random: @Sendable () -> Double
        /// Where the effects of jobs are recorded; nil when no kind has any.
        public var effects: Effects?
        public var log: Log

        public init(
            name: String = "jobs", concurrency: Int = 16, concurrencyOfQueue: [String: Int] = [:], durability: Durability? = nil,
            grace: Duration = .seconds(25), clock: JobClock = .system, random: @escaping @Sendable () -> Double = { .random(in: 0..<1) },
            effects: Effects? = nil, log: Log = Log()
        ) {
            self.name = name
            self.concurrency = concurrency
            self.concurrencyOfQueue = concurrencyOfQueue
            self.durability = durability
            self.grace = grace
            self.clock = clock
            self.random = random
            self.effects = effects
            self.log = log
        }
    }

    public var name: String { configuration.name }
    public let queues: any QueueDirectory
    let configuration: Configuration
    var clock: JobClock { configuration.clock }
    private let middleware: [any JobMiddleware]
    private let workers = Mutex<[String: JobWorker]>([:])
    /// The highest level that the queues have been found to keep.
    private let kept = Mutex<Durability?>(nil)
    private let ending = Doorbell()
    let scheduling = Mutex(JobScheduling())

    public init(
        queues: any QueueDirectory, configuration: Configuration = Configuration(),
        @JobMiddlewareBuilder middleware: () -> [any JobMiddleware] = { [] }
    ) {
        self.queues = queues
        self.configuration = configuration
        self.middleware = middleware()
    }

    /// The queues that are worked: those with a registered kind.
    public var workedQueues: [String] { workers.withLock { $0.keys.sorted() } }

    /// The worker of a queue, made when first asked for.
    public func worker(of queue: String) -> JobWorker {
        workers.withLock { workers in
            if let known = workers[queue] { return known }
            var settings = JobWorker.Configuration(
                name: configuration.name, concurrency: configuration.concurrencyOfQueue[queue] ?? configuration.concurrency,
                effects: configuration.effects, clock: configuration.clock, random: configuration.random, log: configuration.log)
            settings.middleware = middleware
            let made = JobWorker(driver: queues.driver(of: queue), configuration: settings)
            workers[queue] = made
            return made
        }
    }

    /// The worker of a queue, when there is one.
    func knownWorker(of queue: String) -> JobWorker? { workers.withLock { $0[queue] } }

    // MARK: Pushing

    /// Puts a job of an ordinary kind on its queue.
    /// - Returns: the job's id.
    /// - Throws: ``ParametersError`` (final), ``QueueDriverError`` (says whether a retry helps), ``DurabilityError``, or what a middleware
    ///   throws.
    @discardableResult
    public func push<P: JobParameters>(_ parameters: P, options: JobOptions = JobOptions()) async throws -> String
    where P.PaymentRule == PaymentOptional {
        try await push(
            JobRequest(parameters, payment: options.payment, unique: options.unique, traceparent: options.traceparent), options)
    }

    /// Puts a job of a paid-only kind on its queue. The options name its payment.
    @discardableResult
    public func push<P: PaidOnlyParameters>(_ parameters: P, options: JobOptions) async throws -> String {
        try await push(
            JobRequest(parameters, payment: options.payment ?? "", unique: options.unique, traceparent: options.traceparent), options)
    }

    /// Puts many jobs of one kind on their queue, a thousand a round trip.
    /// - Returns: their ids, in order.
    @discardableResult
    public func push<P: JobParameters>(contentsOf parameters: [P], options: JobOptions = JobOptions()) async throws -> [String]
    where P.PaymentRule == PaymentOptional {
        let nowMs = configuration.clock.now()
        let jobs = try parameters.map {
            try envelope(JobRequest($0, payment: options.payment, unique: options.unique, traceparent: options.traceparent), options, nowMs)
        }
        if let level = options.durability { try await require(level) }
        for job in jobs { for layer in middleware { try await layer.onPushJob(job) } }
        try await queues.driver(of: P.queue).enqueue(jobs.map { EnqueueItem($0, dueMs: options.dueMs(nowMs: nowMs)) })
        return jobs.map(\.id)
    }

    private func push(_ request: JobRequest, _ options: JobOptions) async throws -> String {
        if let level = options.durability { try await require(level) }
        let nowMs = configuration.clock.now()
        let job = envelope(request, options, nowMs)
        for layer in middleware { try await layer.onPushJob(job) }
        try await queues.driver(of: request.queue).enqueue([EnqueueItem(job, dueMs: options.dueMs(nowMs: nowMs))])
        return job.id
    }

    private func envelope(_ request: JobRequest, _ options: JobOptions, _ nowMs: Int64) -> JobEnvelope {
        var request = request
        request.attemptsMax = options.attemptsMax
        return request.envelope(id: JobRequest.makeID(nowMs: nowMs), nowMs: nowMs)
    }

    /// Asks the queues' server once for each level.
    private func require(_ level: Durability) async throws {
        if let known = kept.withLock({ $0 }), known >= level { return }
        guard let checked = queues as? any DurabilityChecking else {
            throw DurabilityError(level: level, problems: ["these queues cannot say how they keep jobs"])
        }
        try await checked.require(level)
        kept.withLock { $0 = max($0 ?? level, level) }
    }

    // MARK: Running

    /// Works, and schedules what was added for it, until its task is cancelled, then gives running jobs ``Configuration/grace`` to finish. What does not finish goes back to the
    /// head of its queue, without an attempt being spent.
    public func run() async throws {
        try await start()
        await withTaskCancellationHandler {
            await ending.wait()
        } onCancel: {
            ending.ring()
        }
        await stopWorkers(by: .now + configuration.grace)
    }

    public func start() async throws {
        if let level = configuration.durability { try await require(level) }
        for worker in workers.withLock({ Array($0.values) }) { try await worker.start() }
        startScheduling()
    }

    public func stop(by deadline: ContinuousClock.Instant) async {
        ending.ring()
        await stopWorkers(by: deadline)
    }

    private func stopWorkers(by deadline: ContinuousClock.Instant) async {
        await stopScheduling()
        await withTaskGroup { group in
            for worker in workers.withLock({ Array($0.values) }) { group.addTask { await worker.stop(by: deadline) } }
        }
    }

    /// Plays `kill -9`: nothing more is said to any queue.
    /// - Returns: who is gone, with the queue that each worked.
    package func vanish() -> [(queue: String, worker: WorkerIdentity)] {
        scheduling.withLock { $0.running?.cancel() }
        return workers.withLock { Array($0.values) }.map { worker in (worker.queue, worker.vanish()) }
    }
}
