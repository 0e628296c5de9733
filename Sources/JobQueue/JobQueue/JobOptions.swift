/// How one job is put on its queue.
public struct JobOptions: Sendable, Equatable {
    /// Not before this unix time in milliseconds, by the queue server's clock.
    public var delayUntilMs: Int64?
    /// The payment that the job is done for. Required by paid-only kinds.
    public var payment: String?
    /// The key under which the job wants to be the only one.
    public var unique: String?
    /// W3C trace context.
    public var traceparent: String?
    /// What must be true of the queue's server before the job is sent; nil asks nothing.
    public var durability: Durability?

    public init(
        delayUntilMs: Int64? = nil, payment: String? = nil, unique: String? = nil, traceparent: String? = nil, durability: Durability? = nil
    ) {
        self.delayUntilMs = delayUntilMs
        self.payment = payment
        self.unique = unique
        self.traceparent = traceparent
        self.durability = durability
    }

    /// Not before this unix time in milliseconds.
    public static func delayUntil(ms: Int64) -> JobOptions { JobOptions(delayUntilMs: ms) }
}
