import JobQueue

/// The names of all keys of one queue. All carry the queue's name in braces, so that a cluster keeps them together.
public struct QueueKeys: Sendable, Equatable {
    /// What stands before the opening brace, `QUEUE_PREFIX`.
    public let prefix: String
    public let queue: String

    public init(prefix: String = "quittance:", queue: String) {
        precondition(JobEnvelope.isQueueName(queue), "a queue's name is made of letters, digits, '.', '_' and '-'")
        Self.require(prefix: prefix)
        self.prefix = prefix
        self.queue = queue
    }

    /// Braces in front of a queue's own would make a cluster spread its keys.
    static func require(prefix: String) {
        precondition(!prefix.utf8.contains { $0 == UInt8(ascii: "{") || $0 == UInt8(ascii: "}") }, "a prefix has no braces")
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

    /// Hash: `*` when the queue is paused, `kind:<kind>` for each paused kind, `concurrency` → bodies in hand at most, `cancels` → number of
    /// the last cancellation.
    public var control: String { key("control") }
    /// Hash: worker → bodies in its hands, kept while `concurrency` is set.
    public var inhand: String { key("inhand") }
    /// Hash: unique key → id of the job that has it.
    public var unique: String { key("unique") }
    /// Hash: slot key → jobs that wait for it.
    public var waiting: String { key("waiting") }
    /// Sorted set: id of a cancelled job → number of its mark, about unix ms.
    public var cancels: String { key("cancels") }
    /// Hash: number → `<unix ms> <due or 0> <queue> <body>` of what is on its way to another queue.
    public var moving: String { key("moving") }

    /// Hash: number → `<unix ms> <queue>` of what was announced from another queue, and may still be in that one's `moving`.
    public var arriving: String { key("arriving") }

    /// Set: ids of the jobs that are on their way under a slot key.
    public func slots(_ name: String) -> String { key("slots:" + name) }
    /// List: `<due or 0>:<length of id>:<id><body>` of the jobs that wait for a slot key.
    public func waiting(_ name: String) -> String { key("waiting:" + name) }
    /// Hash: how far a job has come, and what is remembered beyond its end.
    public func report(_ job: String) -> String { key("job:" + job) }
    /// String: a body that came from another queue under this number is here.
    public func arrived(from queue: String, _ number: String) -> String { key("arrived:\(queue):\(number)") }
    /// String: when the next start of a rate key may be, unix ms; expires once that is past.
    public func rate(_ name: String) -> String { key("rate:" + name) }
    /// List of bodies put aside because their kind is paused, the oldest on the left.
    public func parked(_ kind: String) -> String { key("parked:" + kind) }
    /// Hash: token → body in the hands of `worker`.
    public func inflight(_ worker: String) -> String { key("inflight:" + worker) }
    /// List of bodies that a blocking read has set aside for `worker`.
    public func woken(_ worker: String) -> String { key("woken:" + worker) }

    /// The field of `control` that pauses the queue.
    static let controlOfAll = "*"
    static let controlOfConcurrency = "concurrency"
    /// The field of `control` that has the number of the last cancellation.
    static let controlOfCancels = "cancels"
    /// The field of `control` that pauses a kind.
    static func control(ofKind kind: String) -> String { "kind:" + kind }

    private func key(_ name: String) -> String { "\(prefix){\(queue)}:\(name)" }
}
