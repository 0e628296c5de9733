import Telemetry

/// Called when a job was not run, or was given up, so that the product can record it with the reason.
public typealias JobNotice = @Sendable (_ job: JobEnvelope, _ reason: String) async throws -> Void

/// How one kind of job is done. Made by ``JobWorker``'s `register`. An object: it is looked up for every job, and all that it holds need
/// not be counted each time.
final class JobHandler: Sendable {
    typealias Run = @Sendable (JobEnvelope, JobContext) async throws -> JobOutcome

    let kind: String
    let retry: RetryPolicy
    let timeout: Duration?
    let onSkip: JobNotice?
    /// How long the end of such a job is remembered, with its result.
    let keepResult: Duration?
    /// What the worker that takes the handler on counts.
    let metrics: KindMetrics?
    /// The newest version of the parameters that it reads.
    let schemaVersion: Int
    let run: Run

    convenience init<P: JobParameters>(
        _ type: P.Type, retry: RetryPolicy, permission: (any JobGuard)?, timeout: Duration?, onSkip: JobNotice?, keepResult: Duration? = nil,
        handle: @escaping @Sendable (P, JobContext) async throws -> JobOutcome
    ) {
        precondition(P.upcastersAreComplete, "\(P.self) has version \(P.schemaVersion) but its upcasters do not lead there")
        self.init(
            kind: P.kind, retry: retry, timeout: timeout, onSkip: onSkip, keepResult: keepResult, metrics: nil, schemaVersion: P.schemaVersion
        ) { job, context in
            // Read before the guard is asked: what cannot be read needs no permission to be buried.
            let parameters = try job.parameters(as: P.self)
            if let permission, case .skip(let reason) = try await permission.admit(job) { return .skipped(reason: reason) }
            return try await handle(parameters, context)
        }
    }

    /// A kind whose results are kept.
    convenience init<P: JobParameters, Output: Encodable & Sendable>(
        keeping kept: Duration, _ type: P.Type, retry: RetryPolicy, permission: (any JobGuard)?, timeout: Duration?,
        _ execute: @escaping @Sendable (P, JobContext) async throws -> Output
    ) {
        self.init(type, retry: retry, permission: permission, timeout: timeout, onSkip: nil, keepResult: kept) { parameters, context in
            context.reports?.keep(JobResult(try await execute(parameters, context)), context.token)
            return .done
        }
    }

    private init(
        kind: String, retry: RetryPolicy, timeout: Duration?, onSkip: JobNotice?, keepResult: Duration?, metrics: KindMetrics?,
        schemaVersion: Int, run: @escaping Run
    ) {
        self.kind = kind
        self.retry = retry
        self.timeout = timeout
        self.onSkip = onSkip
        self.keepResult = keepResult
        self.metrics = metrics
        self.schemaVersion = schemaVersion
        self.run = run
    }

    /// Whether the job's parameters are of a version that is known here. A newer one waits for a worker that knows it.
    func understands(_ job: JobEnvelope) -> Bool { job.argsVersion <= schemaVersion }

    /// The same kind, counted or done otherwise.
    func with(metrics: KindMetrics? = nil, run: Run? = nil) -> JobHandler {
        JobHandler(
            kind: kind, retry: retry, timeout: timeout, onSkip: onSkip, keepResult: keepResult, metrics: metrics ?? self.metrics,
            schemaVersion: schemaVersion, run: run ?? self.run)
    }
}

/// The handlers of a worker that has started: nothing is added any more, so that looking one up takes no lock.
final class HandlerTable: Sendable {
    private let handlers: [String: JobHandler]

    init(_ handlers: [String: JobHandler]) { self.handlers = handlers }

    subscript(_ kind: String) -> JobHandler? { handlers[kind] }
}

extension ParametersError: JobErrorClassifying {
    public var jobDisposition: JobDisposition { .bury }
}

extension JobWorker {
    /// Says how jobs of an ordinary kind are done. Before the worker starts.
    /// - Parameters:
    ///   - permission: asked before every attempt, when given.
    ///   - timeout: the attempt is cancelled then, and counts as failed.
    ///   - onSkip: told of every skipped job instead of the worker's own ``Configuration/onSkip``.
    public func register<P: JobParameters>(
        _ type: P.Type, retry: RetryPolicy, guard permission: (any JobGuard)? = nil, timeout: Duration? = nil, onSkip: JobNotice? = nil,
        _ handle: @escaping @Sendable (P, JobContext) async throws -> JobOutcome
    ) where P.PaymentRule == PaymentOptional {
        add(JobHandler(type, retry: retry, permission: permission, timeout: timeout, onSkip: onSkip, handle: handle))
    }

    /// Says how jobs of a paid-only kind are done: a guard is not optional here. Before the worker starts.
    public func register<P: PaidOnlyParameters>(
        _ type: P.Type, retry: RetryPolicy, guard permission: any JobGuard, timeout: Duration? = nil, onSkip: JobNotice? = nil,
        _ handle: @escaping @Sendable (P, JobContext) async throws -> JobOutcome
    ) {
        add(JobHandler(type, retry: retry, permission: permission, timeout: timeout, onSkip: onSkip, handle: handle))
    }

    /// Says by a closure how jobs of an ordinary kind are done: returning is `done`. Before the worker starts.
    public func registerJob<P: JobParameters>(
        parameters: P.Type, retryStrategy: RetryPolicy = .standard, guard permission: (any JobGuard)? = nil, timeout: Duration? = nil,
        _ execute: @escaping @Sendable (P, JobContext) async throws -> Void
    ) where P.PaymentRule == PaymentOptional {
        register(parameters, retry: retryStrategy, guard: permission, timeout: timeout) { parameters, context in
            try await execute(parameters, context)
            return .done
        }
    }

    /// Says by a closure how jobs of an ordinary kind are done, and keeps what it returns. Before the worker starts.
    /// - Parameter keepResult: how long the job's end is remembered, with the result as JSON of at most 64 KiB; see ``JobHandle``.
    public func registerJob<P: JobParameters, Output: Encodable & Sendable>(
        parameters: P.Type, retryStrategy: RetryPolicy = .standard, guard permission: (any JobGuard)? = nil, timeout: Duration? = nil,
        keepResult: Duration, _ execute: @escaping @Sendable (P, JobContext) async throws -> Output
    ) where P.PaymentRule == PaymentOptional {
        add(JobHandler(keeping: keepResult, parameters, retry: retryStrategy, permission: permission, timeout: timeout, execute))
    }

    /// Says by a closure how jobs of a paid-only kind are done, and keeps what it returns. Before the worker starts.
    public func registerJob<P: PaidOnlyParameters, Output: Encodable & Sendable>(
        parameters: P.Type, retryStrategy: RetryPolicy = .standard, guard permission: any JobGuard, timeout: Duration? = nil,
        keepResult: Duration, _ execute: @escaping @Sendable (P, JobContext) async throws -> Output
    ) {
        add(JobHandler(keeping: keepResult, parameters, retry: retryStrategy, permission: permission, timeout: timeout, execute))
    }

    /// Says by a closure how jobs of a paid-only kind are done. Before the worker starts.
    public func registerJob<P: PaidOnlyParameters>(
        parameters: P.Type, retryStrategy: RetryPolicy = .standard, guard permission: any JobGuard, timeout: Duration? = nil,
        _ execute: @escaping @Sendable (P, JobContext) async throws -> Void
    ) {
        register(parameters, retry: retryStrategy, guard: permission, timeout: timeout) { parameters, context in
            try await execute(parameters, context)
            return .done
        }
    }

    /// Says by a type how jobs of an ordinary kind are done. Before the worker starts.
    public func registerJob<J: AsyncJob>(_ job: J, guard permission: (any JobGuard)? = nil) where J.Payload.PaymentRule == PaymentOptional {
        register(J.Payload.self, retry: job.retryStrategy, guard: permission, timeout: job.timeout) { try await job.handle($0, $1) }
    }

    /// Says by a type how jobs of a paid-only kind are done. Before the worker starts.
    public func registerJob<J: AsyncJob>(_ job: J, guard permission: any JobGuard) where J.Payload: PaidOnlyParameters {
        register(J.Payload.self, retry: job.retryStrategy, guard: permission, timeout: job.timeout) { try await job.handle($0, $1) }
    }
}

extension JobService {
    /// Says how jobs of an ordinary kind are done, with every outcome. Before the service starts.
    public func register<P: JobParameters>(
        _ type: P.Type, retry: RetryPolicy = .standard, guard permission: (any JobGuard)? = nil, timeout: Duration? = nil,
        _ handle: @escaping @Sendable (P, JobContext) async throws -> JobOutcome
    ) where P.PaymentRule == PaymentOptional {
        worker(of: P.queue).register(type, retry: retry, guard: permission, timeout: timeout, handle)
    }

    /// Says how jobs of a paid-only kind are done, with every outcome. Before the service starts.
    public func register<P: PaidOnlyParameters>(
        _ type: P.Type, retry: RetryPolicy = .standard, guard permission: any JobGuard, timeout: Duration? = nil,
        _ handle: @escaping @Sendable (P, JobContext) async throws -> JobOutcome
    ) {
        worker(of: P.queue).register(type, retry: retry, guard: permission, timeout: timeout, handle)
    }

    /// Says by a closure how jobs of an ordinary kind are done: returning is `done`. Before the service starts.
    public func registerJob<P: JobParameters>(
        parameters: P.Type, retryStrategy: RetryPolicy = .standard, guard permission: (any JobGuard)? = nil, timeout: Duration? = nil,
        _ execute: @escaping @Sendable (P, JobContext) async throws -> Void
    ) where P.PaymentRule == PaymentOptional {
        worker(of: P.queue).registerJob(parameters: parameters, retryStrategy: retryStrategy, guard: permission, timeout: timeout, execute)
    }

    /// Says by a closure how jobs of an ordinary kind are done, and keeps what it returns. Before the service starts.
    /// - Parameter keepResult: how long the job's end is remembered, with the result as JSON of at most 64 KiB; see ``JobHandle``.
    public func registerJob<P: JobParameters, Output: Encodable & Sendable>(
        parameters: P.Type, retryStrategy: RetryPolicy = .standard, guard permission: (any JobGuard)? = nil, timeout: Duration? = nil,
        keepResult: Duration, _ execute: @escaping @Sendable (P, JobContext) async throws -> Output
    ) where P.PaymentRule == PaymentOptional {
        worker(of: P.queue).registerJob(
            parameters: parameters, retryStrategy: retryStrategy, guard: permission, timeout: timeout, keepResult: keepResult, execute)
    }

    /// Says by a closure how jobs of a paid-only kind are done, and keeps what it returns. Before the service starts.
    public func registerJob<P: PaidOnlyParameters, Output: Encodable & Sendable>(
        parameters: P.Type, retryStrategy: RetryPolicy = .standard, guard permission: any JobGuard, timeout: Duration? = nil,
        keepResult: Duration, _ execute: @escaping @Sendable (P, JobContext) async throws -> Output
    ) {
        worker(of: P.queue).registerJob(
            parameters: parameters, retryStrategy: retryStrategy, guard: permission, timeout: timeout, keepResult: keepResult, execute)
    }

    /// Says by a closure how jobs of a paid-only kind are done. Before the service starts.
    public func registerJob<P: PaidOnlyParameters>(
        parameters: P.Type, retryStrategy: RetryPolicy = .standard, guard permission: any JobGuard, timeout: Duration? = nil,
        _ execute: @escaping @Sendable (P, JobContext) async throws -> Void
    ) {
        worker(of: P.queue).registerJob(parameters: parameters, retryStrategy: retryStrategy, guard: permission, timeout: timeout, execute)
    }

    /// Says by a type how jobs of an ordinary kind are done. Before the service starts.
    public func registerJob<J: AsyncJob>(_ job: J, guard permission: (any JobGuard)? = nil) where J.Payload.PaymentRule == PaymentOptional {
        worker(of: J.Payload.queue).registerJob(job, guard: permission)
    }

    /// Says by a type how jobs of a paid-only kind are done. Before the service starts.
    public func registerJob<J: AsyncJob>(_ job: J, guard permission: any JobGuard) where J.Payload: PaidOnlyParameters {
        worker(of: J.Payload.queue).registerJob(job, guard: permission)
    }
}
