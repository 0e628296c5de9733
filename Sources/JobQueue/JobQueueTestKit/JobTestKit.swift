import JobQueue
import Synchronization

/// A whole job system in memory, for tests: the engine itself, with the same state machine, on a clock that only moves when it is turned.
///
/// ```swift
/// let kit = JobTestKit { jobs in
///     jobs.registerJob(parameters: SendEmail.self) { email, _ in outbox.send(email.to) }
/// }
/// try await kit.push(SendEmail(to: "a@example.com"))
/// try await kit.drain()
/// try kit.expectEnqueued(SendEmail.self) { $0.to == "a@example.com" }
/// await kit.shutDown()
/// ```
/// What fails is thrown as ``JobExpectationFailure``, so any test library will do.
public final class JobTestKit: Sendable {
    private struct State {
        /// The process that works now, if any.
        var service: JobService?
        var crashes = 0
    }

    /// What delays, time-outs and leases follow.
    public let clock: TurnedClock
    /// Where the code under test puts its jobs.
    public let queues: TestQueues
    /// What is known of the effects that jobs had; it outlives a crash.
    public let effects: any EffectStore
    /// Steps that attempts have passed, and where the next crash is.
    let path: StepPath
    private let configuration: JobService.Configuration
    private let middleware: [any JobMiddleware]
    private let register: @Sendable (JobService) -> Void
    private let state = Mutex(State())

    /// How long a real second may be waited for something that should happen at once.
    private let patience: Duration

    /// - Parameters:
    ///   - concurrency: jobs at a time. 1 makes the order of everything certain.
    ///   - effects: where `context.effect` records; in memory unless given.
    ///   - random: what jitter is made of, from 0 up to, not including, 1.
    ///   - patience: how long something that should happen at once is waited for; more on a machine with much else to do.
    ///   - register: tells a fresh process what it can do. Called again after each crash.
    public init(
        concurrency: Int = 1, effects: any EffectStore = InMemoryEffects(), random: Double = 0.5, patience: Duration = .seconds(60),
        @JobMiddlewareBuilder middleware: () -> [any JobMiddleware] = { [] },
        register: @escaping @Sendable (JobService) -> Void
    ) {
        let clock = TurnedClock()
        self.clock = clock
        queues = TestQueues(clock: clock.clock)
        path = StepPath()
        self.effects = effects
        configuration = JobService.Configuration(name: "test", concurrency: concurrency, clock: clock.clock, random: { random })
        self.middleware = [path] + middleware()
        self.patience = patience
        self.register = register
    }

    /// How often a process was killed.
    public var crashes: Int { state.withLock { $0.crashes } }
    /// The steps that attempts have passed so far, in order.
    public var passedSteps: [String] { path.passed }

    // MARK: Pushing

    @discardableResult
    public func push<P: JobParameters>(_ parameters: P, options: JobOptions = JobOptions()) async throws -> String
    where P.PaymentRule == PaymentOptional {
        try await producer.push(parameters, options: options)
    }

    @discardableResult
    public func push<P: PaidOnlyParameters>(_ parameters: P, options: JobOptions) async throws -> String {
        try await producer.push(parameters, options: options)
    }

    /// Puts a job on its queue as it is: as another program would, or as a second delivery of the same.
    public func push(_ job: JobEnvelope) async throws { try await queues.driver(of: job.queue).enqueue([EnqueueItem(job)]) }

    private var producer: JobService { JobService(queues: queues, configuration: configuration) }

    // MARK: Running

    /// The next crash: the process is killed as soon as an attempt has passed `step`, with its jobs in hand. ``drain(turning:)`` then lets
    /// the lease run out and goes on with a fresh process.
    public func crashAfter(step: JobTestStep) { path.arm(step) }

    /// Works until nothing is ready and nothing is in hand on the queues that have a registered kind.
    /// - Parameter turning: how far the clock may be turned in all, from one delayed job to the next; not at all by default.
    public func drain(turning limit: Duration = .zero) async throws {
        let endMs = clock.nowMs + limit.wholeMilliseconds
        while true {
            try await settle()
            guard let dueMs = workedDrivers().compactMap(\.nextDueMs).min(), dueMs <= endMs else { return }
            clock.turn(by: .milliseconds(max(0, dueMs - clock.nowMs)))
        }
    }

    /// Turns the clock and works until nothing is left to do at that time.
    public func turn(by duration: Duration) async throws {
        clock.turn(by: duration)
        try await settle()
    }

    /// Ends the process in order, and everything that hangs where one was killed. A kit that is not shut down keeps what it suspended.
    public func shutDown() async {
        path.end()
        let service = state.withLock { state in
            defer { state.service = nil }
            return state.service
        }
        await service?.stop(by: .now + .seconds(5))
    }

    private func settle() async throws {
        let deadline = ContinuousClock.now + patience
        try await startIfNeeded()
        while true {
            if path.takeCrash() {
                try await bury()
                try await startIfNeeded()
            }
            // Its own loop comes a moment later: what is due now shall be there now.
            _ = try await state.withLock { $0.service }?.scheduler?.look()
            var busy = QueueCounts()
            for driver in workedDrivers() {
                let counts = try await driver.counts()
                busy.ready += counts.ready
                busy.inFlight += counts.inFlight
            }
            if busy.ready == 0 && busy.inFlight == 0 && !path.hasCrashed { return }
            guard ContinuousClock.now < deadline else {
                throw JobExpectationFailure(
                    "after \(patience) there are still \(busy.ready) jobs ready and \(busy.inFlight) in hand: "
                        + "does a handler wait for the clock to be turned?")
            }
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    private func startIfNeeded() async throws {
        guard state.withLock({ $0.service == nil }) else { return }
        // Each process knows by itself only of the effects that it has in hand.
        var fresh = configuration
        fresh.effects = Effects(store: effects, owners: LeasedOwners(queues: queues), clock: clock.clock)
        let service = JobService(queues: queues, configuration: fresh) { middleware }
        register(service)
        state.withLock { $0.service = service }
        try await service.start()
    }

    /// The process is gone: its queues learn it when the lease has run out.
    private func bury() async throws {
        let service = state.withLock { state in
            defer { state.service = nil }
            state.crashes += 1
            return state.service
        }
        guard let service else { return }
        for (queue, worker) in service.vanish() { queues.memoryDriver(of: queue).silence(worker) }
        clock.turn(by: QueueLimits.lease)
        for queue in service.workedQueues { try await queues.memoryDriver(of: queue).reclaimExpired() }
    }

    private func workedDrivers() -> [InMemoryDriver] {
        state.withLock { $0.service?.workedQueues ?? [] }.map { queues.memoryDriver(of: $0) }
    }
}

/// Something that a test expected and did not find.
public struct JobExpectationFailure: Error, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
}
