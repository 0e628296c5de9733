import Database
import Formats
import JobQueue
import Outbox

/// The job of the play: works for a while, fails as often as it was told to, and then has one effect in SQL.
struct ChaosJob: JobParameters {
    static let kind = "chaos.effect"
    static let queue = "chaos"

    let number: Int
    let runMs: Int
    /// Attempts that fail before one succeeds.
    let failures: Int
    /// It also has an effect outside, before the one in SQL.
    let callsOutside: Bool
}

/// The effects in SQL. The first commit of a job's effect wins, as everywhere in the product: ``Outbox/finish(_:as:detail:nowMs:in:)``
/// decides, and the unique constraint stands behind it as a net that nothing should ever fall into.
enum ChaosEffects {
    static let migrations = MigrationSet(
        room: "chaos",
        migrations: [
            Migration(
                number: 1, name: "effects",
                sqlite: """
                    CREATE TABLE chaos_effects (
                        job TEXT NOT NULL UNIQUE,
                        number INTEGER NOT NULL,
                        worker TEXT NOT NULL,
                        began_ns INTEGER NOT NULL,
                        at_ns INTEGER NOT NULL
                    ) STRICT;
                    CREATE TABLE chaos_refusals (
                        job TEXT NOT NULL,
                        worker TEXT NOT NULL,
                        at_ns INTEGER NOT NULL
                    ) STRICT;
                    CREATE INDEX chaos_effects_began ON chaos_effects (began_ns);
                    CREATE TABLE chaos_probes (at_ns INTEGER NOT NULL) STRICT;
                    """)
        ])

    static let everyMigration = [Outbox.migrations, migrations]

    /// Has the effect, or finds that another attempt has had it and counts the refusal.
    static func have(_ job: JobEnvelope, number: Int, worker: WorkerIdentity, beganNs: Int64, in connection: Connection) throws {
        guard try Outbox.finish(job, as: .done, nowMs: WallClock.nowMs, in: connection) else {
            try connection.execute(
                "INSERT INTO chaos_refusals VALUES ($1, $2, $3)", [.text(job.id), .text(worker.description), .integer(Monotonic.nowNs)])
            return
        }
        try connection.execute(
            "INSERT INTO chaos_effects VALUES ($1, $2, $3, $4, $5)",
            [.text(job.id), .integer(Int64(number)), .text(worker.description), .integer(beganNs), .integer(Monotonic.nowNs)])
    }
}
