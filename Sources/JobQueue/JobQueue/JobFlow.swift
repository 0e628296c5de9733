import Formats

/// How many jobs with one key may be on their way at a time, across all workers of the queue. Those beyond wait in the key's own list, in
/// the order in which they were admitted; each end of one lets the next one in. Waiting for a retry counts as being on its way.
public struct JobSlots: Sendable, Equatable {
    public let key: String
    public let max: Int

    public init(key: String, max: Int) {
        precondition(max >= 1, "a key lets at least one job in")
        self.key = key
        self.max = max
    }
}

/// How often jobs with one key may start. A job's time is reserved when it is admitted; until then it is delayed.
public struct JobRate: Sendable, Equatable {
    public let key: String
    /// Starts within ``perMs``, evenly apart.
    public let count: Int
    public let perMs: Int64
    /// Starts that may follow each other at once after a pause.
    public let burst: Int

    public init(key: String, count: Int, perMs: Int64, burst: Int = 1) {
        precondition(count >= 1 && perMs >= 1 && burst >= 1, "a rate has at least one start, in at least a millisecond")
        self.key = key
        self.count = count
        self.perMs = perMs
        self.burst = burst
    }

    /// Between two starts.
    package var intervalMs: Double { Double(perMs) / Double(count) }
    /// How much before its own time a start may come.
    package var toleranceMs: Double { Double(burst - 1) * intervalMs }
}

/// The keys by which the flow of a job is held: what its queue is asked when it is admitted, and told when it has come to its end.
/// An object, since each outcome has room for one and few jobs have it.
public final class JobFlow: Sendable, Equatable {
    /// The job's id.
    public let job: String
    public let unique: String?
    public let slots: JobSlots?
    public let rate: JobRate?

    public init(job: String, unique: String? = nil, slots: JobSlots? = nil, rate: JobRate? = nil) {
        self.job = job
        self.unique = unique
        self.slots = slots
        self.rate = rate
    }

    public static func == (one: JobFlow, other: JobFlow) -> Bool {
        one.job == other.job && one.unique == other.unique && one.slots == other.slots && one.rate == other.rate
    }
}

/// A job on its way to being admitted.
public struct FlowItem: Sendable, Equatable {
    /// The job as it is put on the queue: marked with what it will have been admitted to.
    public let body: [UInt8]
    public let flow: JobFlow
    /// Not before this unix time in milliseconds, by the queue server's clock.
    public let dueMs: Int64?
    /// The unique key is its own already.
    public let ownsUnique: Bool

    /// Nil for a job without keys, or one that was admitted before.
    public init?(_ job: JobEnvelope, dueMs: Int64? = nil) {
        guard let flow = job.flow, job.admitted != .wholly else { return nil }
        var marked = job
        if dueMs != nil && (flow.slots != nil || flow.rate != nil) {
            // Only its name is kept until it is due: a slot would be held idle, and a start reserved too early.
            self.flow = JobFlow(job: flow.job, unique: flow.unique)
            marked.admitted = .uniquely
        } else {
            self.flow = flow
            marked.admitted = .wholly
        }
        body = marked.encoded()
        self.dueMs = dueMs
        ownsUnique = job.admitted == .uniquely
    }
}

/// What a queue says to a job with keys.
public enum Admission: Sendable, Equatable {
    /// It goes its way: it stands on the queue or, where a worker asked, it may be run.
    case admitted
    /// A job of another id (or, for one newly put, the same) has this unique key and has not come to its end: nothing was put.
    case duplicate(of: String)
    /// It waits in its key's list.
    case waiting
    /// It is delayed until its reserved start or its due time.
    case delayed(untilMs: Int64)
    /// The claim is not the worker's (any more): nothing was done.
    case stale
}

/// What became of an enqueued job.
public struct EnqueuedJob: Sendable, Equatable {
    /// Its id, or that of the job that has its unique key.
    public let id: String
    /// Whether it was put; false when another one has its unique key.
    public let isNew: Bool

    public init(id: String, isNew: Bool) {
        self.id = id
        self.isNew = isNew
    }
}

/// What an operator has said about a queue.
public struct QueueControl: Sendable, Equatable {
    /// Nothing is claimed.
    public var isPaused = false
    /// Kinds that are put aside when they are claimed.
    public var pausedKinds: Set<String> = []
    /// Bodies in the hands of all workers together, at most; nil for any number.
    public var concurrency: Int?

    public init() {}

    public init(isPaused: Bool = false, pausedKinds: Set<String> = [], concurrency: Int? = nil) {
        self.isPaused = isPaused
        self.pausedKinds = pausedKinds
        self.concurrency = concurrency
    }
}

extension JobEnvelope {
    /// How far the queue has admitted a job with keys.
    public enum Admitted: Int64, Sendable {
        case no = 0
        /// The unique key is its own; slots and rates have not been asked.
        case uniquely = 1
        case wholly = 2
    }

    /// The keys that hold its flow; nil when there are none.
    public var flow: JobFlow? {
        guard unique != nil || slots != nil || rate != nil else { return nil }
        return JobFlow(job: id, unique: unique, slots: slots, rate: rate)
    }

    /// The job as it is to stand on its queue again: the very bytes that were claimed unless it has been admitted since.
    func encoded(as claimed: ClaimedJob) -> [UInt8] { flow == nil ? claimed.body : encoded() }

    /// What is to be let go at its end: nothing that was never asked for.
    package var flowToEnd: JobFlow? {
        switch admitted {
        case .no: nil
        case .uniquely: unique.map { JobFlow(job: id, unique: $0) }
        case .wholly: flow
        }
    }
}

extension QueueProducer {
    /// Puts one job on the queue, or finds the one that has its unique key.
    ///
    /// After a ``QueueDriverError`` with `mayHaveHappened` the job may be there. One with a unique key can be sent again: the answer is
    /// its own id then.
    @discardableResult
    public func enqueue(_ job: JobEnvelope, dueMs: Int64? = nil) async throws(QueueDriverError) -> EnqueuedJob {
        guard let item = FlowItem(job, dueMs: dueMs) else {
            try await enqueue([EnqueueItem(job, dueMs: dueMs)])
            return EnqueuedJob(id: job.id, isNew: true)
        }
        if case .duplicate(let other) = try await admit(item) { return EnqueuedJob(id: other, isNew: false) }
        return EnqueuedJob(id: job.id, isNew: true)
    }
}
