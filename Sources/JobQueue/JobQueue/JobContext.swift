import Telemetry

/// What a handler knows about the attempt that it is.
public struct JobContext: Sendable {
    public let job: JobEnvelope
    /// Which attempt this is, from 1.
    public let attempt: Int
    /// Whether the policy has no further attempt after this one.
    public let isLastAttempt: Bool
    /// How often a worker was lost with this job in hand, without an outcome. Above 0 the effect may have happened already.
    public let redeliveries: Int
    public let worker: WorkerIdentity
    /// Carries job, kind, attempt and, if any, payment and trace.
    public let log: Log
    /// When the attempt is cancelled, by the worker's clock; nil when its kind has no time-out.
    public let deadlineMs: Int64?

    public init(
        job: JobEnvelope, attempt: Int, isLastAttempt: Bool = false, redeliveries: Int = 0, worker: WorkerIdentity, log: Log,
        deadlineMs: Int64? = nil
    ) {
        self.job = job
        self.attempt = attempt
        self.isLastAttempt = isLastAttempt
        self.redeliveries = redeliveries
        self.worker = worker
        self.log = log
        self.deadlineMs = deadlineMs
    }

    /// The payment of a paid-only job. The engine buries such a job without one before any handler sees it.
    public var payment: String {
        get throws(ParametersError) {
            guard let payment = job.payment else { throw .paymentMissing(kind: job.kind) }
            return payment
        }
    }
}
