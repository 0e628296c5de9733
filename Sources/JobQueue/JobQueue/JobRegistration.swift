import Telemetry

/// Called when a job was not run, or was given up, so that the product can record it with the reason.
public typealias JobNotice = @Sendable (_ job: JobEnvelope, _ reason: String) async throws -> Void

/// How one kind of job is done. Made by ``JobWorker``'s `register`.
struct JobHandler: Sendable {
    let kind: String
    let retry: RetryPolicy
    let timeout: Duration?
    let onSkip: JobNotice?
    /// Set by the worker that takes the handler on.
    var metrics: KindMetrics?
    let run: @Sendable (JobEnvelope, JobContext) async throws -> JobOutcome

    init<P: JobParameters>(
        _ type: P.Type, retry: RetryPolicy, permission: (any JobGuard)?, timeout: Duration?, onSkip: JobNotice?,
        handle: @escaping @Sendable (P, JobContext) async throws -> JobOutcome
    ) {
        kind = P.kind
        self.retry = retry
        self.timeout = timeout
        self.onSkip = onSkip
        run = { job, context in
            // Read before the guard is asked: what cannot be read needs no permission to be buried.
            let parameters = try job.parameters(as: P.self)
            if let permission, case .skip(let reason) = try await permission.admit(job) { return .skipped(reason: reason) }
            return try await handle(parameters, context)
        }
    }
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
}
