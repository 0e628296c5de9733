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
                followUp: { run in "\(try await periods.run(on: database, nowMs: run.nowMs))" },
                body: { _, _ in "" })
        ]
    }
}
