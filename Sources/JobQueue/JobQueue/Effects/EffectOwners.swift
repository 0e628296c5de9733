/// Knows whether the owner of an effect may still be at it.
public protocol EffectOwners: Sendable {
    /// - Parameter sinceMs: when it became the owner.
    func isAlive(_ owner: EffectOwner, sinceMs: Int64) async throws -> Bool
}

/// Owners are workers: alive as long as their lease on their queue is.
public struct LeasedOwners: EffectOwners {
    private let queues: any QueueDirectory

    public init(queues: any QueueDirectory) { self.queues = queues }

    public func isAlive(_ owner: EffectOwner, sinceMs: Int64) async throws -> Bool {
        try await queues.driver(of: owner.queue).leaseLives(owner.worker)
    }
}

/// Owners are requests without a lease: over, one way or the other, after a certain time.
public struct TimedOwners: EffectOwners {
    private let patience: Duration
    private let nowMs: @Sendable () -> Int64

    public init(patience: Duration, nowMs: @escaping @Sendable () -> Int64) {
        self.patience = patience
        self.nowMs = nowMs
    }

    public func isAlive(_ owner: EffectOwner, sinceMs: Int64) async throws -> Bool { nowMs() - sinceMs < patience.wholeMilliseconds }
}
