import JobQueue
import Outbox
import Scheduling
import Usage

/// The two scheduled pieces of work of metering. A tick adds a job, in the transaction that finishes the tick; worker-usage
/// carries it out, and ``CronReport`` tells what came of it.
public enum UsageEntries {
    public static let storage = "usage-storage"
    public static let limits = "usage-limits"

    /// Whose runs an entry's ticks begin; nil for an entry whose work is done with its tick.
    public static func kind(of entry: String) -> UsageRun.Kind? {
        switch entry {
        case storage: .storage
        case limits: .limits
        default: nil
        }
    }

    static func all(outbox: Outbox) -> [CronEntry] {
        [
            CronEntry(
                name: storage, expression: UsageSchedule.storage, overlap: .allow,
                summary: "measure the storage of every project: Docker and folders"
            ) { run, connection in
                added(try outbox.add(try MeasureStorage(tick: run.tick).request(), nowMs: run.nowMs, in: connection))
            },
            CronEntry(
                name: limits, expression: UsageSchedule.limits, overlap: .allow,
                summary: "compare what every team used with its plan, and tell its people"
            ) { run, connection in
                added(try outbox.add(try CheckLimits(tick: run.tick).request(), nowMs: run.nowMs, in: connection))
            },
        ]
    }

    private static func added(_ job: String?) -> CronWork { CronWork(detail: job.map { "job \($0) added" } ?? "its job was there before", job: job) }
}
