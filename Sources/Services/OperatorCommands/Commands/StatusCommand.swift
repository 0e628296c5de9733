import Database
import Formats
import IngestService
import Operating
import Outbox
import Payments
import PaymentsService
import Scheduling
import Settings
import Usage

/// `quittance status`: where everything stands, on one page.
enum StatusCommand {
    static let command = Command(
        CommandSyntax(
            "status", "where everything stands: payments, events, jobs, queues, tasks, spool, usage, scheduled work", options: [.json],
            notes: ["Redis may be away: its part then says so."])
    ) { invocation, context in
        let nowMs = context.nowMs()
        let (books, cron) = try await context.withDatabase { database in
            (try await database.read { try Books($0, nowMs: nowMs) }, try await CronCommands.listing(database, context))
        }
        let queues = try await context.withRedisIfThere { try await ProductQueues.listing($0) }
        let spool = Spooled(folder: context.settings.spoolDirectory)
        if invocation.wantsJSON {
            context.output.json([
                "payments": books.payments.json, "events": books.events.json, "jobs": books.jobs.json, "tasks": .int(books.tasks),
                "queues": queues.value?.json ?? .null, "redis": .optional(queues.problem), "spool": spool.json, "usage": books.usageJSON,
                "cron": cron.json,
            ])
            return .ok
        }
        let parts = [
            ("Payments", books.payments.text), ("Events", books.events.text), ("Job records", books.jobs.text),
            ("Queues", queues.value?.text ?? (queues.problem ?? "") + "\n"), ("Usage", books.usageText),
            ("Scheduled", cron.text),
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
        private let usage: UsageFigures

        init(_ connection: Connection, nowMs: Int64) throws {
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
            usage = try UsageFigures.read(teamsMax: 0, nowMs: nowMs, in: connection)
            tasks = Int64(try PaymentTask.open(limit: TasksCommand.most, in: connection).count)
        }

        /// This UTC month's traffic, storage as it stands, and how the last runs ended.
        var usageJSON: JSON {
            [
                "teams": .int(Int64(usage.teams)), "projects": .int(Int64(usage.projects)), "traffic_bytes": .int(usage.traffic.total),
                "storage_bytes": .int(usage.storage.total), "stale_gauges": .int(Int64(usage.staleGauges)),
                "rejected_samples_24h": .int(usage.rejected.values.reduce(0, +)),
                "runs": .array(
                    usage.runs.map { run in
                        [
                            "kind": .string(run.kind.rawValue), "outcome": .optional(run.outcome?.rawValue),
                            "succeeded_at": .optional(run.succeededAtMs.map(Timestamp.rfc3339)), "duration_ms": .optional(run.durationMs),
                        ]
                    }),
            ]
        }

        var usageText: String {
            let month = "\(ByteFigure.text(usage.traffic.total, language: "en")) of traffic this month"
            let kept = "\(ByteFigure.text(usage.storage.total, language: "en")) of storage"
            let stale = usage.staleGauges > 0 ? ", \(usage.staleGauges) projects with stale storage" : ""
            let rejected = usage.rejected.values.reduce(0, +)
            let refused = rejected > 0 ? ", \(rejected) samples rejected within 24 h" : ""
            let runs = usage.runs.map { "\($0.kind.rawValue) run: \($0.outcome?.rawValue ?? "never")" }.joined(separator: ", ")
            return "\(usage.teams) teams, \(usage.projects) projects, \(month), \(kept)\(stale)\(refused)\n\(runs)\n"
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
