import JobQueue

/// The names of all keys of one queue. All carry the queue's name in braces, so that a cluster keeps them together.
public struct QueueKeys: Sendable, Equatable {
    /// What stands before the opening brace, `QUEUE_PREFIX`.
    public let prefix: String
    public let queue: String

    public init(prefix: String = "quittance:", queue: String) {
        precondition(JobEnvelope.isQueueName(queue), "a queue's name is made of letters, digits, '.', '_' and '-'")
        precondition(!prefix.utf8.contains { $0 == UInt8(ascii: "{") || $0 == UInt8(ascii: "}") }, "a prefix has no braces")
        self.prefix = prefix
        self.queue = queue
    }

    /// List of bodies nobody works on; producers LPUSH, workers take from the right.
    public var ready: String { key("ready") }
    /// Sorted set: body → when it is due, unix ms.
    public var delayed: String { key("delayed") }
    /// List of at most one element, pushed when a delayed body becomes the earliest.
    public var wake: String { key("wake") }
    /// Sorted set: worker → when its lease runs out, unix ms.
    public var leases: String { key("leases") }
    /// Sorted set: `<round>:<worker>` → when to look for what a late blocking read left behind.
    public var retired: String { key("retired") }
    /// Sorted set: record of a buried body → when it was buried, unix ms.
    public var dead: String { key("dead") }
    /// Hash: job id → its failed attempts, one JSON object a line.
    public var history: String { key("history") }
    /// Hash: SHA-1 of a body → how often its worker was lost.
    public var redeliveries: String { key("redeliveries") }
    /// Hash: slot → last number published.
    public var published: String { key("published") }

    /// Hash: token → body in the hands of `worker`.
    public func inflight(_ worker: String) -> String { key("inflight:" + worker) }
    /// List of bodies that a blocking read has set aside for `worker`.
    public func woken(_ worker: String) -> String { key("woken:" + worker) }

    private func key(_ name: String) -> String { "\(prefix){\(queue)}:\(name)" }
}
