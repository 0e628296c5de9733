import Formats

/// A job that is wanted, before it has an id and a time: what rooms put into their outbox or hand to a producer.
public struct JobRequest: Sendable, Equatable {
    public let kind: String
    public let queue: String
    /// Always an object.
    public let args: JSON
    public let payment: String?
    /// The key under which the job wants to be the only one.
    public var unique: String?
    /// Not before this time; at once when nil.
    public var runAtMs: Int64?
    /// W3C trace context.
    public var traceparent: String?
    /// How many jobs with one key may be on their way at a time.
    public var slots: JobSlots?
    /// How often jobs with one key may start.
    public var rate: JobRate?
    /// Not run any more from this time on.
    public var expiresAtMs: Int64?
    /// Attempts in all, where the job asks for fewer than its kind's policy allows.
    public var attemptsMax: Int?

    /// A request of an ordinary kind.
    /// - Throws: ``ParametersError`` when the parameters cannot be written as a JSON object.
    public init<P: JobParameters>(
        _ parameters: P, payment: String? = nil, unique: String? = nil, runAtMs: Int64? = nil, traceparent: String? = nil
    ) throws(ParametersError) where P.PaymentRule == PaymentOptional {
        try self.init(encoding: parameters, payment: payment, unique: unique, runAtMs: runAtMs, traceparent: traceparent)
    }

    /// A request of a paid-only kind: the payment cannot be left out.
    /// - Throws: ``ParametersError`` when the parameters cannot be written as a JSON object, or the payment is empty.
    public init<P: PaidOnlyParameters>(
        _ parameters: P, payment: String, unique: String? = nil, runAtMs: Int64? = nil, traceparent: String? = nil
    ) throws(ParametersError) {
        guard !payment.isEmpty else { throw .paymentMissing(kind: P.kind) }
        try self.init(encoding: parameters, payment: payment, unique: unique, runAtMs: runAtMs, traceparent: traceparent)
    }

    private init<P: JobParameters>(
        encoding parameters: P, payment: String?, unique: String?, runAtMs: Int64?, traceparent: String?
    ) throws(ParametersError) {
        precondition(JobEnvelope.isQueueName(P.queue), "\(P.self) names a queue that keys cannot carry")
        kind = P.kind
        queue = P.queue
        args = try parameters.arguments()
        self.payment = payment
        self.unique = unique
        self.runAtMs = runAtMs
        self.traceparent = traceparent
    }

    /// A fresh job id.
    public static func makeID(nowMs: Int64) -> String { "job_" + ULID.make(nowMs: nowMs) }

    /// The job of this request.
    /// - Parameter id: unique among all jobs, `job_<ULID>`; see ``makeID(nowMs:)``.
    public func envelope(id: String, nowMs: Int64) -> JobEnvelope {
        JobEnvelope(
            id: id, kind: kind, queue: queue, args: args, payment: payment, attempt: 0, enqueuedAtMs: nowMs, unique: unique,
            traceparent: traceparent, slots: slots, rate: rate, expiresAtMs: expiresAtMs,
            unknown: attemptsMax.map { [JobEnvelope.attemptsMaxField($0)] } ?? [])
    }
}

extension JobEnvelope {
    private static let attemptsMaxName = "attempts_max"

    static func attemptsMaxField(_ count: Int) -> UnknownField { UnknownField(name: attemptsMaxName, value: .int(Int64(count))) }

    /// Attempts in all that the job asks for; nil where its kind's policy alone decides.
    public var attemptsMax: Int? {
        guard let count = unknown.first(where: { $0.name == Self.attemptsMaxName })?.value.int, count >= 1 else { return nil }
        return Int(clamping: count)
    }

    /// A job of any kind, for tests that deliver the same one more than once.
    package init<P: JobParameters>(testing parameters: P, payment: String?, nowMs: Int64) throws(ParametersError) {
        if P.PaymentRule.isRequired && payment == nil { throw .paymentMissing(kind: P.kind) }
        self.init(
            id: JobRequest.makeID(nowMs: nowMs), kind: P.kind, queue: P.queue, args: try parameters.arguments(), payment: payment,
            enqueuedAtMs: nowMs)
    }
}
