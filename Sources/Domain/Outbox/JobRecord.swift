import Database
import Formats
import JobQueue

/// One row of the outbox, as listings show it.
public struct JobRecord: Sendable {
    public enum Outcome: String, Sendable, CaseIterable { case done, skipped, buried, discarded }

    public let sequence: Int64
    public let id: String
    public let queue: String
    public let kind: String
    public let payment: String?
    public let slot: String
    public let createdAtMs: Int64
    public let publishedAtMs: Int64?
    public let finishedAtMs: Int64?
    public let outcome: Outcome?
    public let detail: String?

    private static let columns = "sequence, id, queue, kind, payment, slot, created_at, published_at, finished_at, outcome, detail"

    init(_ row: Row) throws {
        sequence = try row.int("sequence")
        id = try row.text("id")
        queue = try row.text("queue")
        kind = try row.text("kind")
        payment = try row.textOrNil("payment")
        slot = try row.text("slot")
        createdAtMs = try row.int("created_at")
        publishedAtMs = try row.intOrNil("published_at")
        finishedAtMs = try row.intOrNil("finished_at")
        outcome = try row.textOrNil("outcome").flatMap(Outcome.init(rawValue:))
        detail = try row.textOrNil("detail")
    }

    /// The jobs of one payment, oldest first.
    public static func of(payment: String, in connection: Connection) throws -> [JobRecord] {
        try connection.query("SELECT \(columns) FROM outbox_jobs WHERE payment = $1 ORDER BY sequence", [.text(payment)]).map(JobRecord.init)
    }

    /// The record of one job.
    public static func find(_ id: String, in connection: Connection) throws -> JobRecord? {
        try connection.first("SELECT \(columns) FROM outbox_jobs WHERE id = $1", [.text(id)]).map(JobRecord.init)
    }

    /// The slots whose rows have waited for publication since before `cutoffMs`: their programs are silent.
    public static func silentSlots(olderThan cutoffMs: Int64, in connection: Connection) throws -> [String] {
        try connection.query(
            "SELECT DISTINCT slot FROM outbox_jobs WHERE published_at IS NULL AND created_at < $1 ORDER BY slot", [.integer(cutoffMs)]
        ).map { try $0.text("slot") }
    }

    /// Removes records that were finished before `cutoffMs`; at most `limit` a call.
    public static func purge(finishedBefore cutoffMs: Int64, limit: Int, in connection: Connection) throws -> Int {
        try connection.execute(
            """
            DELETE FROM outbox_jobs WHERE sequence IN
              (SELECT sequence FROM outbox_jobs WHERE finished_at IS NOT NULL AND finished_at < $1 ORDER BY finished_at LIMIT $2)
            """, [.integer(cutoffMs), .integer(Int64(limit))])
    }

    /// Marks unfinished rows as not published, for a Redis that has lost its lists or a database that was restored, and begins a
    /// new epoch of numbers. Workers' records make a second delivery harmless.
    public static func markUnpublished(in connection: Connection) throws -> Int {
        try connection.execute("UPDATE outbox_epoch SET epoch = lower(hex(randomblob(8)))")
        return try connection.execute("UPDATE outbox_jobs SET published_at = NULL WHERE finished_at IS NULL AND published_at IS NOT NULL", [])
    }
}

/// A row that waits for publication.
struct UnpublishedJob: Sendable {
    let sequence: Int64
    let queue: String
    let runAtMs: Int64?
    let body: [UInt8]

    /// What the numbers of this database go by.
    static func epoch(in connection: Connection) throws -> String {
        try connection.first("SELECT epoch FROM outbox_epoch")?.text("epoch") ?? ""
    }

    /// What is being left off is not published again: see ``LeavingJob``.
    static func oldest(of slot: String, limit: Int, in connection: Connection) throws -> [UnpublishedJob] {
        let rows = try connection.query(
            """
            SELECT sequence, id, queue, kind, args, payment, unique_key, run_at, traceparent, created_at FROM outbox_jobs
            WHERE slot = $1 AND published_at IS NULL AND NOT EXISTS (SELECT 1 FROM outbox_leaving WHERE job = outbox_jobs.id)
            ORDER BY sequence LIMIT $2
            """, [.text(slot), .integer(Int64(limit))])
        return try rows.map { row in
            let queue = try row.text("queue")
            let envelope = JobEnvelope(
                id: try row.text("id"), kind: try row.text("kind"), queue: queue, args: try JSON(parsing: try row.text("args")),
                payment: try row.textOrNil("payment"), attempt: 0, enqueuedAtMs: try row.int("created_at"),
                unique: try row.textOrNil("unique_key"), traceparent: try row.textOrNil("traceparent"))
            return UnpublishedJob(
                sequence: try row.int("sequence"), queue: queue, runAtMs: try row.intOrNil("run_at"), body: envelope.encoded())
        }
    }

    static func markPublished(_ jobs: ArraySlice<UnpublishedJob>, slot: String, nowMs: Int64, in connection: Connection) throws {
        guard let first = jobs.first, let last = jobs.last else { return }
        try connection.execute(
            "UPDATE outbox_jobs SET published_at = $4 WHERE slot = $1 AND sequence BETWEEN $2 AND $3 AND published_at IS NULL",
            [.text(slot), .integer(first.sequence), .integer(last.sequence), .integer(nowMs)])
    }
}
