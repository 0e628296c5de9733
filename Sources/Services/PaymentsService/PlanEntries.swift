import Database
import Outbox
import Plans
import Scheduling

/// The entry that moves plans on at the end of their periods.
enum PlanEntries {
    static func all(outbox: Outbox, database: Database) -> [CronEntry] {
        let periods = PlanPeriods(outbox: outbox)
        return [
            CronEntry(
                name: "plans-renewal", expression: "*/5 * * * *", runsAtStart: true,
                summary: "remind of the end of paid periods, and end those that nobody paid on",
                followUp: { run in
                    // After a downtime there may be more than one transaction should hold.
                    var report = PlanPeriods.Report(isFull: true)
                    while report.isFull {
                        report = report + (try await database.write { try periods.run(nowMs: run.nowMs, in: $0) })
                    }
                    return "\(report)"
                },
                body: { _, _ in "" })
        ]
    }
}
