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
                    // What is due is read beside the writers; after a downtime it may be more than one transaction should hold.
                    var report = PlanPeriods.Report()
                    var moved = PlanPeriods.Report()
                    var teams: [String] = []
                    repeat {
                        teams = try await database.read { try periods.due(nowMs: run.nowMs, in: $0) }
                        let due = teams
                        moved = try await database.write { try periods.move(due, nowMs: run.nowMs, in: $0) }
                        report = report + moved
                    } while teams.count >= PlanPeriods.batchMax && !moved.isIdle
                    return "\(report)"
                },
                body: { _, _ in "" })
        ]
    }
}
