/// What a handler says when it has come to its end.
public enum JobOutcome: Sendable, Equatable {
    /// The work is finished; the job leaves the queue.
    case done
    /// The work is not to be done (any more). Recorded with its reason, never a failure; the job leaves the queue.
    case skipped(reason: String)
    /// The attempt failed; the policy decides on the next one, or `after` when given.
    case retry(after: Duration?, reason: String)
    /// Not yet: come back later, without an attempt being spent.
    case snooze(Duration)
    /// No retry helps: to the dead set, with the history.
    case bury(reason: String)
    /// To be forgotten, logged only.
    case discard(reason: String)
}

/// What an error asks of the engine.
public enum JobDisposition: Sendable, Equatable {
    /// A retry may help. `after` comes from the other side, such as a `Retry-After`; nil leaves the delay to the policy.
    case retry(after: Duration?)
    /// No retry helps.
    case bury
    /// Not the job's fault: later, without an attempt being spent.
    case snooze(Duration)
    /// The job has lost its sense.
    case discard
}

/// The error to throw from a handler that knows what is to become of its job.
public struct JobFailure: Error, Equatable, CustomStringConvertible {
    public let disposition: JobDisposition
    /// Goes into the history and the log: no secrets.
    public let reason: String

    public init(_ disposition: JobDisposition, reason: String) {
        self.disposition = disposition
        self.reason = reason
    }

    /// A retry may help.
    public static func retry(after: Duration? = nil, _ reason: String) -> JobFailure { JobFailure(.retry(after: after), reason: reason) }
    /// No retry helps.
    public static func bury(_ reason: String) -> JobFailure { JobFailure(.bury, reason: reason) }
    /// Later, without an attempt being spent.
    public static func snooze(_ delay: Duration, _ reason: String) -> JobFailure { JobFailure(.snooze(delay), reason: reason) }
    /// The job has lost its sense.
    public static func discard(_ reason: String) -> JobFailure { JobFailure(.discard, reason: reason) }

    public var description: String { reason }
}

/// An error of any room that says by itself whether a retry helps, without knowing the engine's ``JobFailure``.
public protocol JobErrorClassifying: Error {
    var jobDisposition: JobDisposition { get }
}

extension JobOutcome {
    /// What an error thrown by a handler comes to. An error that says nothing is retried by the policy.
    init(thrown error: any Error) {
        let disposition: JobDisposition
        switch error {
        case let failure as JobFailure: disposition = failure.disposition
        case let classified as any JobErrorClassifying: disposition = classified.jobDisposition
        default: disposition = .retry(after: nil)
        }
        let reason = String("\(error)".prefix(HistoryEntry.reasonLengthMax))
        switch disposition {
        case .retry(let after): self = .retry(after: after, reason: reason)
        case .bury: self = .bury(reason: reason)
        case .snooze(let delay): self = .snooze(delay)
        case .discard: self = .discard(reason: reason)
        }
    }
}
