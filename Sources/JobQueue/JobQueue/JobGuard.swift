/// What a guard says about a job.
public enum GuardVerdict: Sendable, Equatable {
    case run
    /// The job is not to be run now or ever: recorded with the reason and taken off the queue.
    case skip(reason: String)
}

/// Asked before every attempt whether the job may run: the engine's one idea of permission. What it is about (in this product: a
/// payment that is still paid) is the guard's business.
public protocol JobGuard: Sendable {
    /// - Throws: when it cannot be known now. The attempt then counts as failed and is retried by the kind's policy.
    func admit(_ job: JobEnvelope) async throws -> GuardVerdict
}
