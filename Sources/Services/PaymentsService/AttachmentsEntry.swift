import Drafts
import JobQueue
import Outbox
import Scheduling

/// The entry that has the files of inquiries removed which nobody paid for. Its ticks add a job: worker-drafts has the files.
enum AttachmentsEntry {
    static func entry(outbox: Outbox) -> CronEntry {
        CronEntry(
            name: "attachments", expression: "25 3 * * *", overlap: .skip, summary: "remove files of inquiries that nobody paid for"
        ) { run, connection in
            let job = try outbox.add(try PurgeAttachments(tick: run.tick).request(), nowMs: run.nowMs, in: connection)
            return CronWork(detail: job.map { "job \($0) added" } ?? "its job was there before", job: job)
        }
    }
}
