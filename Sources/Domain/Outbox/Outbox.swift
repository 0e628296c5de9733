import Database
import Formats
import JobQueue
import Telemetry

/// The jobs that a transaction causes, written in the same transaction, so that there is never one without the other.
///
/// Every program slot (`worker-payments.0`) adds rows under its own name; its ``OutboxRelay`` publishes them after the
/// commit. A row is also the job's record: see ``finish(_:as:detail:nowMs:in:)``.
public struct Outbox: Sendable {
    /// Program and process number, unique among the running processes.
    public let slot: String
    private let committed: @Sendable () -> Void

    /// - Parameter committed: called after each commit that added rows; wakes the relay.
    public init(slot: String, committed: @escaping @Sendable () -> Void = {}) {
        self.slot = slot
        self.committed = committed
    }

    public static let migrations = MigrationSet(
        room: "outbox",
        migrations: [
            Migration(number: 1, name: "jobs", sqlite: PackageResources._001_jobs_sqlite_sql),
            Migration(number: 2, name: "effects", sqlite: PackageResources._002_effects_sqlite_sql),
            Migration(number: 3, name: "leaving", sqlite: PackageResources._003_leaving_sqlite_sql),
        ])

    /// Adds a job.
    /// - Returns: the job's id, or nil when a job with the same unique key is already there, finished or not.
    @discardableResult
    public func add(_ request: JobRequest, nowMs: Int64, in connection: Connection) throws -> String? {
        let id = "job_" + ULID.make(nowMs: nowMs)
        let changed = try connection.execute(
            """
            INSERT INTO outbox_jobs (id, queue, kind, args, payment, unique_key, run_at, traceparent, slot, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (unique_key) DO NOTHING
            """,
            [
                .text(id), .text(request.queue), .text(request.kind), .text(request.args.text), .optional(request.payment),
                .optional(request.unique), .optional(request.runAtMs), .optional(request.traceparent ?? Trace.current?.child().traceparent),
                .text(slot), .integer(nowMs),
            ])
        guard changed == 1 else { return nil }
        connection.afterCommit(committed)
        return id
    }

    /// Records the outcome of a job, once. To be called in the transaction of the job's effect, before the effect.
    ///
    /// A job that an outside producer pushed has no row yet; it gets one here.
    /// - Returns: false when the job was finished before: its effect must not be repeated.
    public static func finish(
        _ job: JobEnvelope, as outcome: JobRecord.Outcome, detail: String? = nil, nowMs: Int64, in connection: Connection
    ) throws -> Bool {
        let update = "UPDATE outbox_jobs SET finished_at = $2, outcome = $3, detail = $4 WHERE id = $1 AND finished_at IS NULL"
        let bindings: [SQLValue] = [.text(job.id), .integer(nowMs), .text(outcome.rawValue), .optional(detail)]
        if try connection.execute(update, bindings) == 1 { return true }
        let adopted = try connection.execute(
            """
            INSERT INTO outbox_jobs (id, queue, kind, args, payment, slot, created_at, published_at)
            VALUES ($1, $2, $3, $4, $5, 'outside', $6, $6) ON CONFLICT (id) DO NOTHING
            """,
            [.text(job.id), .text(job.queue), .text(job.kind), .text(job.args.text), .optional(job.payment), .integer(nowMs)])
        guard adopted == 1 else { return false }
        return try connection.execute(update, bindings) == 1
    }

    /// Whether the job was finished before. Without a row it was not.
    public static func isFinished(_ job: String, in connection: Connection) throws -> Bool {
        try connection.first("SELECT 1 AS found FROM outbox_jobs WHERE id = $1 AND finished_at IS NOT NULL", [.text(job)]) != nil
    }

    /// Takes a buried job up again, so that a replay of it may have its effect.
    public static func reopen(_ job: String, in connection: Connection) throws -> Bool {
        // A word of before is not for its second life.
        try connection.execute("DELETE FROM outbox_leaving WHERE job = $1", [.text(job)])
        return try connection.execute(
            "UPDATE outbox_jobs SET finished_at = NULL, outcome = NULL, detail = NULL WHERE id = $1 AND outcome = 'buried'", [.text(job)]) == 1
    }

    /// Leaves a job off for good that has not been done yet: one that was skipped is not taken up again either.
    /// - Returns: false when it was done before, or never there.
    @discardableResult
    public static func leaveOff(unique: String, because reason: String, nowMs: Int64, in connection: Connection) throws -> Bool {
        try connection.execute(
            """
            UPDATE outbox_jobs SET finished_at = COALESCE(finished_at, $3), outcome = 'skipped', detail = $2
            WHERE unique_key = $1 AND (finished_at IS NULL OR outcome = 'skipped')
            """, [.text(unique), .text(reason), .integer(nowMs)]) == 1
    }

    /// Takes up again what was skipped of a payment for one of these reasons, and publishes it anew: the same jobs, under the same ids and
    /// unique keys. What was done stays done, and what was skipped for anything else stays left off.
    /// - Returns: how many jobs.
    @discardableResult
    public func resume(of payment: String, skippedFor reasons: Set<String>, nowMs: Int64, in connection: Connection) throws -> Int {
        let skipped = try connection.query(
            """
            SELECT id, queue, kind, args, unique_key, traceparent, detail FROM outbox_jobs WHERE payment = $1 AND outcome = 'skipped'
            ORDER BY sequence
            """, [.text(payment)]
        ).filter { reasons.contains(try $0.textOrNil("detail") ?? "") }
        for job in skipped {
            let id = SQLValue.text(try job.text("id"))
            try connection.execute("DELETE FROM outbox_leaving WHERE job = $1", [id])
            // A new row: queues skip numbers that are not above a slot's last, and the old number may be another slot's.
            try connection.execute("DELETE FROM outbox_jobs WHERE id = $1", [id])
            try connection.execute(
                """
                INSERT INTO outbox_jobs (id, queue, kind, args, payment, unique_key, traceparent, slot, created_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                """,
                [
                    id, .text(try job.text("queue")), .text(try job.text("kind")), .text(try job.text("args")), .text(payment),
                    .optional(try job.textOrNil("unique_key")), .optional(try job.textOrNil("traceparent")), .text(slot), .integer(nowMs),
                ])
        }
        if !skipped.isEmpty { connection.afterCommit(committed) }
        return skipped.count
    }
}
