import Outbox
import Payments
import Scheduling

/// The entry that asks about references which lead to no payment.
enum UnmatchedEntry {
    static func entry(outbox: Outbox) -> CronEntry {
        CronEntry(name: "unmatched", expression: "* * * * *", summary: "ask providers whose the references are that lead to no payment") {
            run, connection in
            "\(try ParkedReferences.askDue(outbox: outbox, nowMs: run.nowMs, in: connection)) asked about"
        }
    }
}
