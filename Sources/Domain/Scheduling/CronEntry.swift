import Database
import Formats
import JobQueue

/// One scheduled piece of work. Its body runs in the scheduler's process and does no more than SQL: what takes time is a job
/// that the body adds to the outbox, in the transaction that finishes the tick.
public struct CronEntry: Sendable {
    /// Such as `reconcile`.
    public let name: String
    /// Five fields, UTC.
    public let expression: String
    public let summary: String
    let body: @Sendable (CronRun, Connection) throws -> String
    let followUp: (@Sendable (CronRun) async throws -> String)?

    /// - Parameters:
    ///   - body: the work; answers a sentence for the record. Throwing undoes everything and fails the tick.
    ///   - followUp: what reaches beyond SQL, after the commit. It may be lost in a crash, so it must be something that a later
    ///     tick finds again.
    public init(
        name: String, expression: String, summary: String, followUp: (@Sendable (CronRun) async throws -> String)? = nil,
        body: @escaping @Sendable (CronRun, Connection) throws -> String
    ) {
        self.name = name
        self.expression = expression
        self.summary = summary
        self.followUp = followUp
        self.body = body
    }
}

/// One run of an entry.
public struct CronRun: Sendable {
    public let entry: String
    /// `2026-11-21T06:00Z`, or a name for an extra run.
    public let tick: String
    public let nowMs: Int64
    /// What makes the run's jobs unique.
    public var cause: String { "cron:\(entry):\(tick)" }
}

/// What became of a tick.
public enum CronResult: Sendable, Equatable {
    case done(tick: String, detail: String)
    /// This tick ran before, here or elsewhere, or is running.
    case alreadyDone(tick: String)
    case failed(tick: String, error: String)
    /// Nothing is due: the entry is paused or has no tick yet.
    case nothingDue
}

/// An entry as listings show it.
public struct CronListing: Sendable {
    public let name: String
    public let expression: String
    public let summary: String
    public let paused: Bool
    public let lastTick: String?
    public let lastOutcome: String?
    public let lastDetail: String?
    public let nextMs: Int64?
}
