import Database
import Formats
import JobQueue

/// One scheduled piece of work. Its body runs in the scheduler's process and does no more than SQL: what takes time is a job
/// that the body adds to the outbox, in the transaction that finishes the tick.
public struct CronEntry: Sendable {
    /// Such as `reconcile`.
    public let name: String
    /// Five fields.
    public let expression: String
    /// By whose clocks: `UTC`, `Africa/Abidjan`.
    public let zone: String
    public let catchUp: CronCatchUp
    public let overlap: CronOverlap
    public let summary: String
    /// Whether it runs once more whenever a scheduler starts: for what should not wait for the next tick after a downtime.
    public let runsAtStart: Bool
    let body: @Sendable (CronRun, Connection) throws -> CronWork
    let followUp: (@Sendable (CronRun) async throws -> String)?

    /// An entry whose work is done with its tick: no two runs of it can overlap.
    /// - Parameters:
    ///   - body: the work; answers a sentence for the record. Throwing undoes everything and fails the tick.
    ///   - followUp: what reaches beyond SQL, after the commit. It may be lost in a crash, so it must be something that a later
    ///     tick finds again.
    public init(
        name: String, expression: String, zone: String = "UTC", catchUp: CronCatchUp = .latest, runsAtStart: Bool = false, summary: String,
        followUp: (@Sendable (CronRun) async throws -> String)? = nil, body: @escaping @Sendable (CronRun, Connection) throws -> String
    ) {
        self.name = name
        self.expression = expression
        self.zone = zone
        self.catchUp = catchUp
        overlap = .allow
        self.runsAtStart = runsAtStart
        self.summary = summary
        self.body = { CronWork(detail: try body($0, $1)) }
        self.followUp = followUp
    }

    /// An entry whose tick adds a job.
    /// - Parameters:
    ///   - overlap: what becomes of a tick when the job of the tick before has not come to its end.
    ///   - adding: adds the job to the outbox. Throwing undoes everything and fails the tick.
    public init(
        name: String, expression: String, zone: String = "UTC", catchUp: CronCatchUp = .latest, overlap: CronOverlap, summary: String,
        adding: @escaping @Sendable (CronRun, Connection) throws -> CronWork
    ) {
        self.name = name
        self.expression = expression
        self.zone = zone
        self.catchUp = catchUp
        self.overlap = overlap
        runsAtStart = false
        self.summary = summary
        body = adding
        followUp = nil
    }

    /// When it is due.
    /// - Throws: `CronError` naming the field and the rule.
    public func schedule(zones: TimeZoneFolder = .system) throws(CronError) -> CronSchedule {
        try .cron(expression, zone: zone, zones: zones)
    }
}

/// What a tick has done.
public struct CronWork: Sendable, Equatable {
    /// A sentence for the record.
    public let detail: String
    /// The job that was added, if any.
    public let job: String?

    public init(detail: String, job: String? = nil) {
        self.detail = detail
        self.job = job
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
    /// The job of the tick before has not come to its end, and the entry lets no two run at a time.
    case skipped(tick: String, reason: String)
    /// Nothing is due: the entry is paused, has no tick yet, or its tick waits for the end of the job before.
    case nothingDue
}

/// An entry as listings show it.
public struct CronListing: Sendable {
    public let name: String
    public let expression: String
    public let zone: String
    public let catchUp: CronCatchUp
    public let overlap: CronOverlap
    public let summary: String
    public let paused: Bool
    public let lastTick: String?
    public let lastOutcome: String?
    public let lastDetail: String?
    public let nextMs: Int64?
}
