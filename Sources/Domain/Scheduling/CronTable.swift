import Database
import Formats
import JobQueue
import Outbox
import Telemetry

/// The entries and their ticks in SQL.
public struct CronTable: Sendable {
    public let entries: [CronEntry]
    private let database: Database
    /// Who runs, for the record.
    private let runner: String
    private let zones: TimeZoneFolder

    /// A tick older than this is no longer caught up.
    public static let catchUpMs: Int64 = 24 * 60 * 60_000

    public static let migrations = MigrationSet(
        room: "scheduling",
        migrations: [
            Migration(number: 1, name: "cron", sqlite: PackageResources._001_cron_sqlite_sql),
            Migration(number: 2, name: "zones", sqlite: PackageResources._002_zones_sqlite_sql),
        ])

    public init(entries: [CronEntry], database: Database, runner: String, zones: TimeZoneFolder = .system) {
        self.entries = entries
        self.database = database
        self.runner = runner
        self.zones = zones
    }

    /// When an entry is due.
    /// - Throws: `CronError` naming the field, the zone among them, and the rule.
    public func schedule(of entry: CronEntry) throws(CronError) -> CronSchedule { try entry.schedule(zones: zones) }

    /// Whether every entry has a schedule that can be understood, in a zone that is there.
    public func check() throws(CronError) { for entry in entries { _ = try schedule(of: entry) } }

    /// Enters entries that are new, and what has changed of the others. A new schedule counts from now on.
    public func install(nowMs: Int64) async throws {
        try check()
        try await database.write { [entries] connection in
            for entry in entries {
                let bindings: [SQLValue] = [
                    .text(entry.name), .text(entry.expression), .text(entry.zone), .text(entry.catchUp.description),
                    .text(entry.overlap.rawValue), .integer(nowMs),
                ]
                try connection.execute(
                    """
                    INSERT INTO scheduling_entries (name, expression, zone, catch_up, overlap, created_at) VALUES ($1, $2, $3, $4, $5, $6)
                    ON CONFLICT (name) DO UPDATE SET expression = $2, zone = $3, catch_up = $4, overlap = $5,
                      counts_from = CASE WHEN expression <> $2 OR zone <> $3 THEN $6 ELSE counts_from END
                      WHERE expression <> $2 OR zone <> $3 OR catch_up <> $4 OR overlap <> $5
                    """, bindings)
            }
        }
    }

    /// Runs the next tick that is due and did not run yet: after a downtime what the entry's catch-up policy says, one with each call.
    /// - Parameters:
    ///   - nowMs: by a clock that all schedulers share: what is due is not for a machine's own clock to say.
    ///   - retryAfterMs: how long a tick that failed is left alone before it runs again.
    public func runDue(_ entry: CronEntry, nowMs: Int64, retryAfterMs: Int64 = 0) async throws -> CronResult {
        let schedule = try schedule(of: entry)
        let state = try await database.read { connection in
            try connection.first("SELECT paused, created_at, counts_from FROM scheduling_entries WHERE name = $1", [.text(entry.name)])
                .map { (paused: try $0.int("paused") == 1, sinceMs: max(try $0.int("created_at"), try $0.int("counts_from"))) }
        }
        guard let state, !state.paused else { return .nothingDue }
        // A tick from before the entry existed was never due.
        let start = max(state.sinceMs - 60_000, nowMs - Self.catchUpMs) - 1
        var due = entry.catchUp.due(schedule, after: start, nowMs: nowMs)
        // One may wait: the latest.
        if entry.overlap == .queueOne { due = due.suffix(1) }
        guard let latest = due.last else { return .nothingDue }
        if due.count == 1 { return try await run(entry, tick: Self.name(ofTick: latest), dueMs: latest, nowMs: nowMs, retryAfterMs: retryAfterMs) }
        for _ in due {
            let settled = try await settled(entry, since: due[0], failedAfter: nowMs - retryAfterMs)
            guard let open = due.first(where: { !settled.contains(Self.name(ofTick: $0)) }) else { break }
            let result = try await run(entry, tick: Self.name(ofTick: open), dueMs: open, nowMs: nowMs, retryAfterMs: retryAfterMs)
            // Another scheduler was quicker: there may be more to do than this one.
            if case .alreadyDone = result { continue }
            return result
        }
        return .alreadyDone(tick: Self.name(ofTick: latest))
    }

    /// The ticks that need no run (any more, or just now).
    private func settled(_ entry: CronEntry, since dueMs: Int64, failedAfter cutoffMs: Int64) async throws -> Set<String> {
        try await database.read { connection in
            let rows = try connection.query(
                """
                SELECT tick FROM scheduling_ticks WHERE entry = $1 AND due_at >= $2 AND (outcome IS NULL OR outcome <> 'failed' OR started_at > $3)
                """, [.text(entry.name), .integer(dueMs), .integer(cutoffMs)])
            return Set(try rows.map { try $0.text("tick") })
        }
    }

    /// Runs an extra tick under a name of its own.
    public func runNow(_ entry: CronEntry, nowMs: Int64) async throws -> CronResult {
        try await run(entry, tick: "manual-" + ULID.make(nowMs: nowMs), dueMs: nowMs, nowMs: nowMs, isExtra: true)
    }

    /// Runs an extra tick because a scheduler has started, unless somebody has paused the entry.
    public func runAtStart(_ entry: CronEntry, nowMs: Int64) async throws -> CronResult {
        let isPaused = try await database.read { connection in
            try connection.first("SELECT paused FROM scheduling_entries WHERE name = $1", [.text(entry.name)])?.int("paused") == 1
        }
        return isPaused ? .nothingDue : try await runNow(entry, nowMs: nowMs)
    }

    /// Pauses or resumes an entry.
    /// - Parameter nowMs: of a resumption: ticks from more than a minute before do not come back.
    /// - Returns: false when there is none of that name.
    public func setPaused(_ paused: Bool, entry: String, nowMs: Int64 = 0) async throws -> Bool {
        try await database.write {
            try $0.execute(
                """
                UPDATE scheduling_entries SET paused = $2,
                  counts_from = CASE WHEN paused = 1 AND $2 = 0 AND counts_from < $3 THEN $3 ELSE counts_from END
                WHERE name = $1
                """, [.text(entry), .integer(paused ? 1 : 0), .integer(nowMs)]) == 1
        }
    }

    /// The tick's row and the whole effect of its body are one transaction: either both are there or neither.
    private func run(
        _ entry: CronEntry, tick: String, dueMs: Int64, nowMs: Int64, retryAfterMs: Int64 = 0, isExtra: Bool = false
    ) async throws -> CronResult {
        let result = try await runBody(entry, tick: tick, dueMs: dueMs, nowMs: nowMs, retryAfterMs: retryAfterMs, isExtra: isExtra)
        guard case .done(_, let detail) = result else { return result }
        if !isExtra { CronMetrics.late(entry.name).observe(.milliseconds(max(0, nowMs - dueMs))) }
        guard let followUp = entry.followUp else { return result }
        do {
            let further = try await followUp(CronRun(entry: entry.name, tick: tick, nowMs: nowMs))
            return .done(tick: tick, detail: detail.isEmpty ? further : "\(detail), \(further)")
        } catch {
            return try await recordFailure(of: entry, tick: tick, dueMs: dueMs, error: error, nowMs: nowMs, mayUndoOwn: true)
        }
    }

    private func runBody(
        _ entry: CronEntry, tick: String, dueMs: Int64, nowMs: Int64, retryAfterMs: Int64, isExtra: Bool
    ) async throws -> CronResult {
        let runner = runner
        do {
            return try await database.write { connection in
                if !isExtra, let result = try Self.overlap(of: entry, tick: tick, dueMs: dueMs, runner: runner, nowMs: nowMs, in: connection) {
                    return result
                }
                let claimed = try connection.execute(
                    """
                    INSERT INTO scheduling_ticks (entry, tick, due_at, started_at, runner) VALUES ($1, $2, $3, $4, $5)
                    ON CONFLICT (entry, tick) DO UPDATE SET started_at = $4, runner = $5, finished_at = NULL, outcome = NULL, detail = NULL
                      WHERE outcome = 'failed' AND started_at <= $6
                    """,
                    [.text(entry.name), .text(tick), .integer(dueMs), .integer(nowMs), .text(runner), .integer(nowMs - retryAfterMs)])
                guard claimed == 1 else { return .alreadyDone(tick: tick) }
                let work = try entry.body(CronRun(entry: entry.name, tick: tick, nowMs: nowMs), connection)
                try connection.execute(
                    "UPDATE scheduling_ticks SET finished_at = $3, outcome = 'done', detail = $4, job = $5 WHERE entry = $1 AND tick = $2",
                    [.text(entry.name), .text(tick), .integer(nowMs), .text(work.detail), .optional(work.job)])
                return .done(tick: tick, detail: work.detail)
            }
        } catch {
            return try await recordFailure(of: entry, tick: tick, dueMs: dueMs, error: error, nowMs: nowMs)
        }
    }

    /// What becomes of a tick while the last job of its entry is at work; nil when it may run.
    private static func overlap(
        of entry: CronEntry, tick: String, dueMs: Int64, runner: String, nowMs: Int64, in connection: Connection
    ) throws -> CronResult? {
        guard entry.overlap != .allow else { return nil }
        let known = try connection.first(
            "SELECT outcome FROM scheduling_ticks WHERE entry = $1 AND tick = $2", [.text(entry.name), .text(tick)])
        if let known, try known.textOrNil("outcome") != "failed" { return .alreadyDone(tick: tick) }
        let last = try connection.first(
            "SELECT job FROM scheduling_ticks WHERE entry = $1 AND job IS NOT NULL ORDER BY started_at DESC LIMIT 1", [.text(entry.name)])
        guard let job = try last?.text("job"), let record = try JobRecord.find(job, in: connection), record.finishedAtMs == nil else { return nil }
        guard entry.overlap == .skip else { return .nothingDue }
        let reason = "\(job) is still at work"
        try connection.execute(
            """
            INSERT INTO scheduling_ticks (entry, tick, due_at, started_at, finished_at, outcome, detail, runner)
            VALUES ($1, $2, $3, $4, $4, 'skipped', $5, $6)
            ON CONFLICT (entry, tick) DO UPDATE SET started_at = $4, finished_at = $4, outcome = 'skipped', detail = $5, runner = $6
            """, [.text(entry.name), .text(tick), .integer(dueMs), .integer(nowMs), .text(reason), .text(runner)])
        return .skipped(tick: tick, reason: reason)
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
                  WHERE outcome IS NULL OR outcome = 'failed' OR ($7 = 1 AND outcome = 'done' AND runner = $6)
                """,
                [
                    .text(entry.name), .text(tick), .integer(dueMs), .integer(nowMs), .text(text), .text(runner), .integer(mayUndoOwn ? 1 : 0),
                ])
            return recorded == 1 ? .failed(tick: tick, error: text) : .alreadyDone(tick: tick)
        }
    }

    /// Every entry with its last and next tick.
    public func listing(nowMs: Int64) async throws -> [CronListing] {
        let next = try entries.map { try schedule(of: $0).next(after: nowMs) }
        return try await database.read { [entries] connection in
            try zip(entries, next).map { entry, nextMs in
                let row = try connection.first(
                    "SELECT tick, outcome, detail FROM scheduling_ticks WHERE entry = $1 ORDER BY due_at DESC, started_at DESC LIMIT 1",
                    [.text(entry.name)])
                let paused = try connection.first("SELECT paused FROM scheduling_entries WHERE name = $1", [.text(entry.name)])?.int("paused")
                return CronListing(
                    name: entry.name, expression: entry.expression, zone: entry.zone, catchUp: entry.catchUp, overlap: entry.overlap,
                    summary: entry.summary, paused: paused == 1,
                    lastTick: try row?.text("tick"), lastOutcome: try row?.textOrNil("outcome"), lastDetail: try row?.textOrNil("detail"),
                    nextMs: nextMs)
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
