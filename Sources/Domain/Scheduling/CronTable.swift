import Database
import Formats
import JobQueue

/// The entries and their ticks in SQL.
public struct CronTable: Sendable {
    public let entries: [CronEntry]
    private let database: Database
    /// Who runs, for the record.
    private let runner: String

    /// A tick older than this is no longer caught up.
    public static let catchUpMs: Int64 = 24 * 60 * 60_000

    public static let migrations = MigrationSet(
        room: "scheduling",
        migrations: [Migration(number: 1, name: "cron", sqlite: String(decoding: PackageResources._001_cron_sqlite_sql, as: UTF8.self))])

    public init(entries: [CronEntry], database: Database, runner: String) {
        self.entries = entries
        self.database = database
        self.runner = runner
    }

    /// Enters entries that are new, and changed expressions.
    public func install(nowMs: Int64) async throws {
        try await database.write { [entries] connection in
            for entry in entries {
                _ = try CronExpression(entry.expression)
                try connection.execute(
                    """
                    INSERT INTO scheduling_entries (name, expression, created_at) VALUES ($1, $2, $3)
                    ON CONFLICT (name) DO UPDATE SET expression = $2 WHERE expression <> $2
                    """, [.text(entry.name), .text(entry.expression), .integer(nowMs)])
            }
        }
    }

    /// Runs the latest tick that is due and did not run yet, after a downtime just that one.
    /// - Parameter retryAfterMs: how long a tick that failed is left alone before it runs again.
    public func runDue(_ entry: CronEntry, nowMs: Int64, retryAfterMs: Int64 = 0) async throws -> CronResult {
        let expression = try CronExpression(entry.expression)
        guard let due = expression.previousOrAt(nowMs), nowMs - due <= Self.catchUpMs else { return .nothingDue }
        let state = try await database.read { connection in
            try connection.first("SELECT paused, created_at FROM scheduling_entries WHERE name = $1", [.text(entry.name)])
                .map { (paused: try $0.int("paused") == 1, createdAtMs: try $0.int("created_at")) }
        }
        // A tick from before the entry existed was never due.
        guard let state, !state.paused, due >= state.createdAtMs - 60_000 else { return .nothingDue }
        return try await run(entry, tick: Self.name(ofTick: due), dueMs: due, nowMs: nowMs, retryAfterMs: retryAfterMs)
    }

    /// Runs an extra tick under a name of its own.
    public func runNow(_ entry: CronEntry, nowMs: Int64) async throws -> CronResult {
        try await run(entry, tick: "manual-" + ULID.make(nowMs: nowMs), dueMs: nowMs, nowMs: nowMs)
    }

    /// Pauses or resumes an entry. - Returns: false when there is none of that name.
    public func setPaused(_ paused: Bool, entry: String) async throws -> Bool {
        try await database.write {
            try $0.execute("UPDATE scheduling_entries SET paused = $2 WHERE name = $1", [.text(entry), .integer(paused ? 1 : 0)]) == 1
        }
    }

    /// The tick's row and the whole effect of its body are one transaction: either both are there or neither.
    private func run(_ entry: CronEntry, tick: String, dueMs: Int64, nowMs: Int64, retryAfterMs: Int64 = 0) async throws -> CronResult {
        let result = try await runBody(entry, tick: tick, dueMs: dueMs, nowMs: nowMs, retryAfterMs: retryAfterMs)
        guard case .done(_, let detail) = result, let followUp = entry.followUp else { return result }
        do {
            let further = try await followUp(CronRun(entry: entry.name, tick: tick, nowMs: nowMs))
            return .done(tick: tick, detail: detail.isEmpty ? further : "\(detail), \(further)")
        } catch {
            return try await recordFailure(of: entry, tick: tick, dueMs: dueMs, error: error, nowMs: nowMs, mayUndoOwn: true)
        }
    }

    private func runBody(
        _ entry: CronEntry, tick: String, dueMs: Int64, nowMs: Int64, retryAfterMs: Int64
    ) async throws -> CronResult {
        let runner = runner
        do {
            return try await database.write { connection in
                let claimed = try connection.execute(
                    """
                    INSERT INTO scheduling_ticks (entry, tick, due_at, started_at, runner) VALUES ($1, $2, $3, $4, $5)
                    ON CONFLICT (entry, tick) DO UPDATE SET started_at = $4, runner = $5, finished_at = NULL, outcome = NULL, detail = NULL
                      WHERE outcome = 'failed' AND started_at <= $6
                    """,
                    [.text(entry.name), .text(tick), .integer(dueMs), .integer(nowMs), .text(runner), .integer(nowMs - retryAfterMs)])
                guard claimed == 1 else { return .alreadyDone(tick: tick) }
                let detail = try entry.body(CronRun(entry: entry.name, tick: tick, nowMs: nowMs), connection)
                try Self.finish(entry.name, tick, "done", detail, nowMs: nowMs, in: connection)
                return .done(tick: tick, detail: detail)
            }
        } catch {
            return try await recordFailure(of: entry, tick: tick, dueMs: dueMs, error: error, nowMs: nowMs)
        }
    }

    /// The failed body took its row with it, so another scheduler may have run the tick since: what is done stays done.
    /// - Parameter mayUndoOwn: whether the tick that this runner itself has just entered as done becomes a failed one.
    private func recordFailure(
        of entry: CronEntry, tick: String, dueMs: Int64, error: any Error, nowMs: Int64, mayUndoOwn: Bool = false
    ) async throws -> CronResult {
        let text = String("\(error)".prefix(500))
        let runner = runner
        return try await database.write { connection in
            let recorded = try connection.execute(
                """
                INSERT INTO scheduling_ticks (entry, tick, due_at, started_at, finished_at, outcome, detail, runner)
                VALUES ($1, $2, $3, $4, $4, 'failed', $5, $6)
                ON CONFLICT (entry, tick) DO UPDATE SET started_at = $4, finished_at = $4, outcome = 'failed', detail = $5, runner = $6
                  WHERE outcome IS NOT 'done' OR ($7 = 1 AND runner = $6)
                """,
                [
                    .text(entry.name), .text(tick), .integer(dueMs), .integer(nowMs), .text(text), .text(runner), .integer(mayUndoOwn ? 1 : 0),
                ])
            return recorded == 1 ? .failed(tick: tick, error: text) : .alreadyDone(tick: tick)
        }
    }

    private static func finish(
        _ entry: String, _ tick: String, _ outcome: String, _ detail: String, nowMs: Int64, in connection: Connection
    ) throws {
        try connection.execute(
            "UPDATE scheduling_ticks SET finished_at = $3, outcome = $4, detail = $5 WHERE entry = $1 AND tick = $2",
            [.text(entry), .text(tick), .integer(nowMs), .text(outcome), .text(detail)])
    }

    /// Every entry with its last and next tick.
    public func listing(nowMs: Int64) async throws -> [CronListing] {
        try await database.read { [entries] connection in
            try entries.map { entry in
                let row = try connection.first(
                    "SELECT tick, outcome, detail FROM scheduling_ticks WHERE entry = $1 ORDER BY due_at DESC, started_at DESC LIMIT 1",
                    [.text(entry.name)])
                let paused = try connection.first("SELECT paused FROM scheduling_entries WHERE name = $1", [.text(entry.name)])?.int("paused")
                return CronListing(
                    name: entry.name, expression: entry.expression, summary: entry.summary, paused: paused == 1,
                    lastTick: try row?.text("tick"), lastOutcome: try row?.textOrNil("outcome"), lastDetail: try row?.textOrNil("detail"),
                    nextMs: try CronExpression(entry.expression).next(after: nowMs))
            }
        }
    }

    static func purge(dueBefore cutoffMs: Int64, limit: Int, in connection: Connection) throws -> Int {
        try connection.execute(
            "DELETE FROM scheduling_ticks WHERE rowid IN (SELECT rowid FROM scheduling_ticks WHERE due_at < $1 ORDER BY due_at LIMIT $2)",
            [.integer(cutoffMs), .integer(Int64(limit))])
    }

    /// `2026-11-21T06:00Z`
    public static func name(ofTick ms: Int64) -> String { String(Timestamp.rfc3339(ms).prefix(16)) + "Z" }
}
