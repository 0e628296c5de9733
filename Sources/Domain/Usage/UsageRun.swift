import Database

/// One run of a scheduled piece of work, with what it did.
public struct UsageRun: Sendable, Equatable {
    public enum Kind: String, Sendable, CaseIterable { case storage, limits }
    public enum Outcome: String, Sendable { case running, done, failed }

    /// What a run came to.
    public struct Report: Sendable, Equatable {
        /// Volumes, images and folders measured, or teams looked at.
        public var items: Int
        public var errors: Int
        public var detail: String
        /// Whether running again may mend the errors: the run is then recorded as failed, and its job tried again.
        public var isWorthRetrying: Bool

        public init(items: Int, errors: Int, detail: String, isWorthRetrying: Bool = false) {
            self.items = items
            self.errors = errors
            self.detail = detail
            self.isWorthRetrying = isWorthRetrying
        }
    }

    public let kind: Kind
    public let tick: String
    public let job: String
    public let startedAtMs: Int64
    public let finishedAtMs: Int64?
    public let outcome: Outcome
    public let items: Int
    public let errors: Int
    public let durationMs: Int64?
    public let detail: String

    init(_ row: Row) throws {
        kind = Kind(rawValue: try row.text("kind")) ?? .storage
        tick = try row.text("tick")
        job = try row.text("job")
        startedAtMs = try row.int("started_at")
        finishedAtMs = try row.intOrNil("finished_at")
        outcome = Outcome(rawValue: try row.text("outcome")) ?? .failed
        items = Int(try row.int("items"))
        errors = Int(try row.int("errors"))
        durationMs = try row.intOrNil("duration_ms")
        detail = try row.text("detail")
    }

    /// Enters a run, or begins one anew that failed or whose worker went away.
    /// - Returns: false when the run is done: it is not to be repeated.
    public static func begin(_ kind: Kind, tick: String, job: String, nowMs: Int64, in connection: Connection) throws -> Bool {
        try connection.execute(
            """
            INSERT INTO usage_runs (kind, tick, job, started_at, outcome) VALUES ($1, $2, $3, $4, 'running')
            ON CONFLICT (kind, tick) DO UPDATE SET job = $3, started_at = $4, finished_at = NULL, outcome = 'running', items = 0, errors = 0,
              duration_ms = NULL, detail = '' WHERE outcome <> 'done'
            """, [.text(kind.rawValue), .text(tick), .text(job), .integer(nowMs)]) == 1
    }

    /// Ends a run. What is done stays done.
    public static func end(_ kind: Kind, tick: String, as outcome: Outcome, _ report: Report, nowMs: Int64, in connection: Connection) throws {
        try connection.execute(
            """
            UPDATE usage_runs SET outcome = $3, finished_at = $4, duration_ms = MAX(0, $4 - started_at), items = $5, errors = $6, detail = $7
            WHERE kind = $1 AND tick = $2 AND outcome <> 'done'
            """,
            [
                .text(kind.rawValue), .text(tick), .text(outcome.rawValue), .integer(nowMs), .int(report.items), .int(report.errors),
                .text(String(report.detail.prefix(2000))),
            ])
    }

    public static func find(_ kind: Kind, tick: String, in connection: Connection) throws -> UsageRun? {
        try connection.first("SELECT * FROM usage_runs WHERE kind = $1 AND tick = $2", [.text(kind.rawValue), .text(tick)]).map(UsageRun.init)
    }

    /// The last runs, the latest first.
    /// - Parameter kind: nil for all.
    public static func list(_ kind: Kind? = nil, limit: Int, in connection: Connection) throws -> [UsageRun] {
        try connection.query(
            "SELECT * FROM usage_runs WHERE $1 IS NULL OR kind = $1 ORDER BY started_at DESC, tick DESC LIMIT $2",
            [.optional(kind?.rawValue), .int(limit)]
        ).map(UsageRun.init)
    }

    /// Whether a run of this kind that began at or after a moment has come to a good end.
    static func isDone(_ kind: Kind, since ms: Int64, in connection: Connection) throws -> Bool {
        try connection.first(
            "SELECT 1 AS found FROM usage_runs WHERE kind = $1 AND started_at >= $2 AND outcome = 'done' LIMIT 1",
            [.text(kind.rawValue), .integer(ms)]) != nil
    }
}
