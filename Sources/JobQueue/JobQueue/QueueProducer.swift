/// One job or other body on its way to a queue. The engine never looks into it here.
public struct EnqueueItem: Sendable, Equatable {
    public let body: [UInt8]
    /// Not before this unix time in milliseconds, by the queue server's clock; at once when nil or past.
    public let dueMs: Int64?

    public init(body: [UInt8], dueMs: Int64? = nil) {
        self.body = body
        self.dueMs = dueMs
    }

    /// A job. Its `queue` must be the producer's.
    public init(_ job: JobEnvelope, dueMs: Int64? = nil) {
        self.init(body: job.encoded(), dueMs: dueMs)
    }
}

/// One numbered body of a slot.
public struct PublishItem: Sendable, Equatable {
    /// Greater than all numbers that the slot has given to this queue before.
    public let sequence: Int64
    public let body: [UInt8]
    public let dueMs: Int64?

    public init(sequence: Int64, body: [UInt8], dueMs: Int64? = nil) {
        self.sequence = sequence
        self.body = body
        self.dueMs = dueMs
    }
}

/// The putting side of one queue.
public protocol QueueProducer: Sendable {
    /// The queue's name.
    var queue: String { get }

    /// Puts bodies at the end of the queue, in order, all or none.
    ///
    /// After a ``QueueDriverError`` with `mayHaveHappened` the bodies may be there: sending again can double them. Where that matters
    /// use ``publish(slot:items:)``.
    func enqueue(_ items: [EnqueueItem]) async throws(QueueDriverError)

    /// Puts numbered bodies at the end of the queue, skipping those whose number is not greater than the last one that `slot` has
    /// published to this queue: a relay that died between pushing and marking may push again, and nothing is there twice.
    /// - Parameter items: in ascending order of their numbers.
    /// - Returns: how many were new.
    @discardableResult
    func publish(slot: String, items: [PublishItem]) async throws(QueueDriverError) -> Int

    /// Puts one job with keys on the queue, among those that wait for their key, or nowhere when its unique key is taken.
    func admit(_ item: FlowItem) async throws(QueueDriverError) -> Admission
}

/// Gives the driver of each queue: what a relay or a command line needs that serves several queues.
public protocol QueueDirectory: Sendable {
    func driver(of queue: String) -> any QueueDriver
}

/// A queue server could not do what was asked.
public struct QueueDriverError: Error, CustomStringConvertible {
    public enum Code: Sendable, Equatable {
        /// No connection, a time-out, or a server that is starting: a retry helps.
        case unavailable
        /// The server refuses writes for now (full, read-only, disk error): a retry helps once somebody has mended it.
        case refused
        /// What was asked can never work (a body over the limit, a broken script).
        case invalid
    }

    public let code: Code
    public let message: String
    /// Whether the request may have been carried out although the answer is missing.
    public let mayHaveHappened: Bool

    public init(_ code: Code, _ message: String, mayHaveHappened: Bool = false) {
        self.code = code
        self.message = message
        self.mayHaveHappened = mayHaveHappened
    }

    public var isTransient: Bool { code != .invalid }
    public var description: String { message }
}

extension QueueDriverError: JobErrorClassifying {
    public var jobDisposition: JobDisposition { isTransient ? .retry(after: nil) : .bury }
}

/// Named maxima of every queue.
public enum QueueLimits {
    /// Largest body, events included (10 MB in base64, and room for the rest).
    public static let bodyBytesMax = 16 << 20
    /// Largest parameters of a job at its request: what is larger belongs in a table or a file, and its id in the job. Bodies that are no
    /// jobs, such as events and batches of samples, are bounded by ``bodyBytesMax`` alone.
    public static let argsBytesMax = 64 << 10
    /// Most bodies in one call of `enqueue` or `publish`; more are sent in several.
    public static let enqueueBatchMax = 1000
    /// Most bodies claimed by one step.
    public static let claimMax = 512
    /// A claim stops growing once it holds this many bytes.
    public static let claimBytesMax = 8 << 20
    /// Most outcomes told by one step.
    public static let operationsMax = 1000
    /// Largest result of a job that is kept.
    public static let resultBytesMax = 64 << 10
    /// Attempts remembered in the history of a job.
    public static let historyMax = 10
    /// Redeliveries without an outcome after which a job is buried.
    public static let redeliveriesMax = 5
    /// Redeliveries after which a job runs alone, so that a crash convicts the right one.
    public static let suspectRedeliveries = 2
    /// How long a worker owns its jobs after its last sign of life.
    public static let lease: Duration = .seconds(3)
}
