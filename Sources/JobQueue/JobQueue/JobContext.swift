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
    /// Names the claim that this attempt lives by.
    public let token: ClaimToken
    /// Where effects outside are recorded, see ``effect(_:key:policy:_:)``; nil when the worker has none.
    public let effects: Effects?
    /// When the attempt is cancelled, by the worker's clock; nil when its kind has no time-out.
    public let deadlineMs: Int64?
    private let baseLog: Log
    /// Where ``report(progress:note:)`` goes; set by the worker.
    var reports: JobReports?

    public init(
        job: JobEnvelope, attempt: Int, isLastAttempt: Bool = false, redeliveries: Int = 0, worker: WorkerIdentity, log: Log,
        deadlineMs: Int64? = nil, token: ClaimToken = 0, effects: Effects? = nil
    ) {
        self.job = job
        self.attempt = attempt
        self.isLastAttempt = isLastAttempt
        self.redeliveries = redeliveries
        self.worker = worker
        baseLog = log
        self.deadlineMs = deadlineMs
        self.token = token
        self.effects = effects
    }

    /// Carries job, kind, attempt and, if any, payment and trace. Made when asked for: most jobs have nothing to say.
    public var log: Log { job.log(baseLog, attempt: attempt) }

    /// The payment of a paid-only job. The engine buries such a job without one before any handler sees it.
    public var payment: String {
        get throws(ParametersError) {
            guard let payment = job.payment else { throw .paymentMissing(kind: job.kind) }
            return payment
        }
    }
}

extension JobEnvelope {
    /// `base` speaking of this job.
    func log(_ base: Log, attempt: Int) -> Log {
        var fields: [String: Log.Value] = ["job": .string(id), "kind": .string(kind), "attempt": .int(Int64(attempt))]
        if let payment { fields["payment"] = .string(payment) }
        if let traceparent { fields["trace"] = .string(Trace(traceparent: traceparent)?.id ?? traceparent) }
        return base.with(fields)
    }
}
