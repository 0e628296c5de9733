import Database
import Formats
import IngestService
import Outbox
import Payments
import PaymentsService
import Scheduling
import Settings

/// `quittance status`: where everything stands, on one page.
enum StatusCommand {
    static let command = Command(
        CommandSyntax(
            "status", "where everything stands: payments, events, jobs, queues, tasks, spool, scheduled work", options: [.json],
            notes: ["Redis may be away: its part then says so."])
    ) { invocation, context in
        let (books, cron) = try await context.withDatabase { database in
            (try await database.read { try Books($0) }, try await CronCommands.listing(database, context))
        }
        let queues = try await context.withRedisIfThere { try await ProductQueues.listing($0) }
        let spool = Spooled(folder: context.settings.spoolDirectory)
        if invocation.wantsJSON {
            context.output.json([
                "payments": books.payments.json, "events": books.events.json, "jobs": books.jobs.json, "tasks": .int(books.tasks),
                "queues": queues.value?.json ?? .null, "redis": .optional(queues.problem), "spool": spool.json, "cron": cron.json,
            ])
            return .ok
        }
        let parts = [
            ("Payments", books.payments.text), ("Events", books.events.text), ("Job records", books.jobs.text),
            ("Queues", queues.value?.text ?? (queues.problem ?? "") + "\n"), ("Scheduled", cron.text),
        ]
        for (title, text) in parts { context.output.text("\(title)\n\(text)\n") }
        context.output.line("Open tasks: \(books.tasks)")
        context.output.line("Spool: \(spool.text)")
        return .ok
    }

    /// What SQL has to say.
    private struct Books: Sendable {
        let payments: Listing
        let events: Listing
        let jobs: Listing
        let tasks: Int64

        init(_ connection: Connection) throws {
            var payments = Listing(["state", .number("count")], none: "No payments.")
            for (state, count) in try PaymentStore.counts(in: connection) { payments.add(.string(state.rawValue), .int(count)) }
            var events = Listing(["outcome", .number("count")], none: "No events.")
            for (outcome, count) in try EventRecord.counts(in: connection) { events.add(.string(outcome), .int(count)) }
            var jobs = Listing(
                ["queue", .number("unfinished"), .number("unpublished"), .number("buried")], none: "Nothing is unfinished, nothing is buried.")
            for standing in try JobStanding.all(in: connection) {
                jobs.add(.string(standing.queue), .int(standing.unfinished), .int(standing.unpublished), .int(standing.buried))
            }
            self.payments = payments
            self.events = events
            self.jobs = jobs
            tasks = Int64(try PaymentTask.open(limit: TasksCommand.most, in: connection).count)
        }
    }
}

/// Events that wait on ingest's disk for Redis.
struct Spooled {
    /// Files of more than this together are not counted, only weighed.
    private static let countedBytesMax: Int64 = 64 << 20

    private let isVisible: Bool
    private let bytes: Int64
    private let events: Int64?

    init(folder: String) {
        let files = Folders.names(in: folder)?.filter { $0.hasPrefix("spool-") }
        isVisible = files != nil
        bytes = (files ?? []).reduce(0) { $0 + (Folders.size(of: "\(folder)/\($1)") ?? 0) }
        events = bytes <= Self.countedBytesMax ? (try? EventLogReader.events(in: folder, prefix: "spool-")).map { Int64($0.count) } : nil
    }

    var json: JSON { isVisible ? ["bytes": .int(bytes), "events": .optional(events)] : .null }

    var text: String {
        guard isVisible else { return "not visible from here" }
        if bytes == 0 { return "empty" }
        return events.map { "\($0) events" } ?? "\(bytes >> 20) MiB"
    }
}
