/// A kind of job as a type of its own, with what it needs as stored properties: the other way beside a closure.
///
/// ```swift
/// struct EmailJob: AsyncJob {
///     let mailer: Mailer
///     func dequeue(_ context: JobContext, _ payload: SendEmail) async throws { try await mailer.send(to: payload.to) }
/// }
/// service.registerJob(EmailJob(mailer: mailer))
/// ```
public protocol AsyncJob<Payload>: Sendable {
    associatedtype Payload: JobParameters

    /// Does the job. What it throws is retried by ``retryStrategy``, unless the error says otherwise.
    func dequeue(_ context: JobContext, _ payload: Payload) async throws
    /// Told of each failed attempt with its error, before the next one is arranged.
    func error(_ context: JobContext, _ error: any Error, _ payload: Payload) async throws

    var retryStrategy: RetryPolicy { get }
    /// The attempt is cancelled then, and counts as failed.
    var timeout: Duration? { get }
}

extension AsyncJob {
    public func error(_ context: JobContext, _ error: any Error, _ payload: Payload) async throws {}
    public var retryStrategy: RetryPolicy { .standard }
    public var timeout: Duration? { nil }

    func handle(_ payload: Payload, _ context: JobContext) async throws -> JobOutcome {
        do {
            try await dequeue(context, payload)
            return .done
        } catch {
            try await self.error(context, error, payload)
            throw error
        }
    }
}

extension RetryPolicy {
    /// What a job gets that asks for nothing else: ten attempts over about an hour, with full jitter.
    public static let standard = exponential(base: .seconds(2), factor: 2, cap: .seconds(900), jitter: .full, attemptsMax: 10)
}
