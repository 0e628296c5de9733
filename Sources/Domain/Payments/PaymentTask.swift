import Database
import JobQueue
import Outbox

/// Something a person has to look at.
public struct PaymentTask: Sendable {
    /// Nil for an effect: it is named by `detail`, and `quittance effects settle` ends it.
    public let id: Int64?
    /// Nil where no payment is concerned.
    public let payment: String?
    public let kind: String
    public let detail: String
    public let createdAtMs: Int64

    package static func open(payment: String, kind: String, detail: String, nowMs: Int64, in connection: Connection) throws {
        try connection.execute(
            """
            INSERT INTO payments_tasks (payment, kind, detail, created_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (payment, kind, detail) DO UPDATE SET closed_at = NULL, created_at = excluded.created_at WHERE closed_at IS NOT NULL
            """, [.text(payment), .text(kind), .text(detail), .integer(nowMs)])
    }

    /// Closes what was open of how a payment stood, but for what it still is.
    static func closeConcerns(
        of payment: String, but current: (kind: String, details: [String]), nowMs: Int64, in connection: Connection
    ) throws {
        for task in try connection.query("SELECT id, kind, detail FROM payments_tasks WHERE payment = $1 AND closed_at IS NULL", [.text(payment)]) {
            let (kind, detail) = (try task.text("kind"), try task.text("detail"))
            guard PaymentState(rawValue: kind) != nil, kind != current.kind || !current.details.contains(detail) else { continue }
            try connection.execute("UPDATE payments_tasks SET closed_at = $2 WHERE id = $1", [.integer(try task.int("id")), .integer(nowMs)])
        }
    }

    /// Closes one task.
    package static func close(payment: String, kind: String, detail: String, nowMs: Int64, in connection: Connection) throws {
        try connection.execute(
            "UPDATE payments_tasks SET closed_at = $4 WHERE payment = $1 AND kind = $2 AND detail = $3 AND closed_at IS NULL",
            [.text(payment), .text(kind), .text(detail), .integer(nowMs)])
    }

    /// The kind of a task for a download link that its customer did not get in time.
    public static let reissueLink = "reissue_link"

    /// Closes all of a kind.
    public static func close(payment: String, kind: String, nowMs: Int64, in connection: Connection) throws {
        try connection.execute(
            "UPDATE payments_tasks SET closed_at = $3 WHERE payment = $1 AND kind = $2 AND closed_at IS NULL",
            [.text(payment), .text(kind), .integer(nowMs)])
    }

    /// How many are open, doubtful effects left out; more than `most` are not counted.
    public static func countOpen(most: Int, in connection: Connection) throws -> Int {
        let row = try connection.first(
            "SELECT COUNT(*) AS n FROM (SELECT 1 FROM payments_tasks WHERE closed_at IS NULL LIMIT $1)", [.integer(Int64(most))])
        return Int(try row?.int("n") ?? 0)
    }

    /// Closes a task that a person has dealt with, with a row of the payment's audit. A task about how a payment stands closes by itself, when it
    /// stands differently.
    /// - Throws: ``PaymentError``: `notFound`, or `notAllowed` where the payment still stands as the task says.
    public static func settle(_ id: Int64, reason: String, actor: String, nowMs: Int64, in connection: Connection) throws {
        guard let row = try connection.first("SELECT * FROM payments_tasks WHERE id = $1 AND closed_at IS NULL", [.integer(id)]) else {
            throw PaymentError.notFound("open task \(id)")
        }
        let payment = try PaymentStore.require(try row.text("payment"), in: connection)
        let kind = try row.text("kind")
        guard PaymentState(rawValue: kind) == nil else {
            throw PaymentError.notAllowed("the task is closed when payment \(payment.id) is \(kind) no more")
        }
        try PaymentAudit.note(payment, actor: actor, source: "task \(id)", detail: "\(kind) dealt with: \(reason)", nowMs: nowMs, in: connection)
        try connection.execute("UPDATE payments_tasks SET closed_at = $2 WHERE id = $1", [.integer(id), .integer(nowMs)])
    }

    /// Open tasks, oldest first, then calls to the outside of which nobody knows whether they were carried out; of one payment or of all.
    public static func open(of payment: String? = nil, limit: Int = 200, in connection: Connection) throws -> [PaymentTask] {
        let tasks = try connection.query(
            "SELECT * FROM payments_tasks WHERE closed_at IS NULL AND ($1 IS NULL OR payment = $1) ORDER BY id LIMIT $2",
            [.optional(payment), .integer(Int64(limit))]
        ).map { row in
            PaymentTask(
                id: try row.int("id"), payment: try row.text("payment"), kind: try row.text("kind"), detail: try row.text("detail"),
                createdAtMs: try row.int("created_at"))
        }
        return tasks + (try doubts(of: payment, limit: limit - tasks.count, in: connection))
    }

    /// Doubtful effects are tasks by being doubtful: no second record could be left behind by a crash.
    private static func doubts(of payment: String?, limit: Int, in connection: Connection) throws -> [PaymentTask] {
        guard limit > 0 else { return [] }
        return try EffectTable.list(EffectFilter(doubtfulOnly: true, limit: limit), in: connection).reversed().compactMap { effect in
            // The job's, or the attempt's where a request wanted it.
            let job = try effect.owner.flatMap { try JobRecord.find($0.job, in: connection) }
            let concerned = try job?.payment ?? PaymentStore.payment(ofAttempt: effect.identity.key, in: connection)
            guard payment == nil || payment == concerned else { return nil }
            return PaymentTask(
                id: nil, payment: concerned, kind: "effect",
                detail: "nobody knows whether \(effect.identity) was carried out (\(effect.detail ?? "no result")): find out there, then "
                    + "`quittance effects settle \(effect.identity)`", createdAtMs: effect.changedAtMs)
        }
    }
}
