import Database
import Formats
import Outbox
import Payments

/// The entries that every installation has.
public enum StandardEntries {
    /// Finished job records and ticks are kept this long: 90 days. Events and answers have a time of their own.
    public static let keepMs: Int64 = 90 * 24 * 60 * 60_000
    /// Rows removed by one tick, so that a purge never holds the writer for long.
    static let purgeMax = 5000
    /// Attempts looked at by one tick.
    static let reconcileMax = 1000

    /// A slot whose rows have waited this long is silent.
    static let silentMs: Int64 = 30_000
    /// Who wanted a job left off has written down by then what became of it, or is gone.
    static let leavingMs: Int64 = 60_000

    /// Removes what a room keeps for a while only: at most `limit` rows; answers how many.
    public typealias Purge = @Sendable (_ nowMs: Int64, _ limit: Int, Connection) throws -> Int

    /// - Parameters:
    ///   - keepEventsMs: how long events, quarantined ones among them, and providers' answers are kept.
    ///   - purges: of the rooms that this one does not know, with the word for what they remove.
    public static func all(
        reconciliation: Reconciliation, relay: OutboxRelay, database: Database, keepEventsMs: Int64 = keepMs,
        purges: [(what: String, purge: Purge)]
    ) -> [CronEntry] {
        [reconcile(reconciliation), compareBooks(reconciliation), sweep(relay, database), purge(purges, keepEventsMs: keepEventsMs)]
    }

    /// Publishes the jobs of programs that went away between commit and publication.
    static func sweep(_ relay: OutboxRelay, _ database: Database) -> CronEntry {
        CronEntry(
            name: "outbox-sweep", expression: "* * * * *", summary: "publish jobs left behind by programs that went away",
            followUp: { run in
                let slots = try await database.read { try JobRecord.silentSlots(olderThan: run.nowMs - silentMs, in: $0) }
                var published = 0
                for slot in slots { published += try await relay.adopt(slot: slot) }
                let left = try await relay.settleLeaving(olderThanMs: run.nowMs - leavingMs, nowMs: run.nowMs)
                return "\(published) jobs of \(slots.count) slots published" + (left == 0 ? "" : ", \(left) left off")
            },
            body: { _, _ in "" })
    }

    /// Asks the providers about payments that wait, each when its ladder says so, and looks after what holds money without an end.
    static func reconcile(_ reconciliation: Reconciliation) -> CronEntry {
        CronEntry(
            name: "reconcile", expression: "*/5 * * * *", runsAtStart: true,
            summary: "ask providers about payments that wait, after 2, 5, 15 and 60 minutes, 6 hours and a day"
        ) { run, connection in
            let findings = try reconciliation.findings(minimumAgeMs: 0, onlyDue: true, nowMs: run.nowMs, limit: reconcileMax, in: connection)
            let (asked, givenUp) = try reconciliation.carryOut(findings, cause: run.cause, nowMs: run.nowMs, in: connection)
            let doubtful = try AttemptIntent.resolveAbandoned(nowMs: run.nowMs, limit: reconcileMax, in: connection)
            let late = try Refunds.watch(nowMs: run.nowMs, limit: reconcileMax, in: connection)
            return "\(asked) asked, \(givenUp) given up" + (doubtful == 0 ? "" : ", \(doubtful) for a person")
                + (late == 0 ? "" : ", \(late) refunds overdue")
        }
    }

    /// Compares what is booked with what providers list, where they do.
    static func compareBooks(_ reconciliation: Reconciliation) -> CronEntry {
        CronEntry(name: "reconcile-books", expression: "40 2 * * *", summary: "compare what is booked of two days with what providers list") {
            run, connection in
            "\(try reconciliation.compareBooks(cause: run.cause, nowMs: run.nowMs, in: connection)) providers' lists asked for"
        }
    }

    /// Small and often: what falls due in a minute is removed in it, and no tick holds the writer for long.
    static func purge(_ others: [(what: String, purge: Purge)], keepEventsMs: Int64) -> CronEntry {
        let own: [(what: String, purge: Purge)] = [
            ("jobs", { now, limit, connection in try JobRecord.purge(finishedBefore: now - keepMs, limit: limit, in: connection) }),
            (
                "events",
                { now, limit, connection in
                    let old = try EventRecord.purge(receivedBefore: now - keepEventsMs, limit: limit, in: connection)
                    let cutoffMs = now - min(EventRecord.unprovenKeepMs, keepEventsMs)
                    return try old + EventRecord.purgeUnproven(receivedBefore: cutoffMs, limit: limit, in: connection)
                }
            ),
            ("answers", { now, limit, connection in try ProviderAnswers.purge(receivedBefore: now - keepEventsMs, limit: limit, in: connection) }),
            ("ticks", { now, limit, connection in try CronTable.purge(dueBefore: now - keepMs, limit: limit, in: connection) }),
            (
                "effects",
                { now, limit, connection in
                    try EffectTable.purge(settledBefore: now - EffectTable.keepMs, limit: limit, in: connection)
                }
            ),
        ]
        return CronEntry(
            name: "purge", expression: "* * * * *", summary: "remove job records, events, answers, ticks and effects when their time is over"
        ) { run, connection in
            let counts = try (own + others).map { "\(try $0.purge(run.nowMs, purgeMax, connection)) \($0.what)" }
            return counts.joined(separator: ", ") + " removed"
        }
    }
}
