/// How one job is put on its queue.
public struct JobOptions: Sendable, Equatable {
    /// Not before this unix time in milliseconds, by the queue server's clock.
    public var delayUntilMs: Int64?
    /// The same as a moment, which may count from the push: `.now + .seconds(60)`. Where both are given this one holds.
    public var delayUntil: JobTime?
    /// Attempts after the first one; never more than the kind's policy allows. Nil leaves it to the policy.
    public var maxRetryCount: Int?
    /// The payment that the job is done for. Required by paid-only kinds.
    public var payment: String?
    /// The key under which the job wants to be the only one.
    public var unique: String?
    /// W3C trace context.
    public var traceparent: String?
    /// What must be true of the queue's server before the job is sent; nil asks nothing.
    public var durability: Durability?

    public init(
        delayUntilMs: Int64? = nil, delayUntil: JobTime? = nil, payment: String? = nil, unique: String? = nil, traceparent: String? = nil,
        durability: Durability? = nil, maxRetryCount: Int? = nil
    ) {
        precondition(maxRetryCount ?? 0 >= 0, "a job is not tried less than once")
        self.delayUntil = delayUntil
        self.maxRetryCount = maxRetryCount
        self.delayUntilMs = delayUntilMs
        self.payment = payment
        self.unique = unique
        self.traceparent = traceparent
        self.durability = durability
    }

    /// Not before this unix time in milliseconds.
    public static func delayUntil(ms: Int64) -> JobOptions { JobOptions(delayUntilMs: ms) }
    /// Not before this moment: `.delayUntil(.now + .seconds(60))`.
    public static func delayUntil(_ time: JobTime) -> JobOptions { JobOptions(delayUntil: time) }

    func dueMs(nowMs: Int64) -> Int64? { delayUntil?.unixMs(nowMs: nowMs) ?? delayUntilMs }
    var attemptsMax: Int? { maxRetryCount.map { $0 + 1 } }
}
