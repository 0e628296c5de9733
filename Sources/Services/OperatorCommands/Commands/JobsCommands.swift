import Database
import Formats
import JobQueue
import JobQueueRedis
import Operating
import Outbox
import RedisClient
import Telemetry

/// `quittance jobs …`: the jobs on the queues, and the life of one.
enum JobsCommands {
    static let commands = [list, show]

    // MARK: Many

    private static let list = Command(
        CommandSyntax(
            "jobs list", "the jobs that stand on the queues, in the order in which they will be claimed",
            options: [JobFilter.queueOption] + JobFilter.options + [
                JobFilter.stateOption, .value("--limit", "N", "how many of each queue, 50 unless given"), .json,
            ],
            notes: [
                "Bodies that are no jobs, such as events, are listed without id and kind. At most \(QueueInspection.scanMax) bodies are looked at in "
                    + "one state of a queue.",
                "With --json each has its parameters; what a log would mask is masked.",
            ])
    ) { invocation, context in
        let filter = try JobFilter(invocation, nowMs: context.nowMs(), states: [.inFlight, .ready, .waiting, .parked, .delayed, .dead])
        let limit = try invocation.number("--limit", in: 1...10_000, standard: 50)
        let found = try await context.withRedis { try await filter.find($0, limit: limit) }
        if invocation.wantsJSON {
            context.output.json(.array(found.map(json)))
        } else {
            var table = Listing(
                ["id", "queue", "kind", "state", .number("attempt"), "payment", .time("enqueued_at"), .time("due_at"), "worker"],
                none: "No such job stands on a queue.")
            for entry in found {
                table.add(
                    .optional(entry.job?.id), .string(entry.queue), .optional(entry.job?.kind), .string(entry.state.rawValue),
                    .optional(entry.job.map { Int64($0.attempt) }), .optional(entry.job?.payment), .optional(entry.enqueuedAtMs),
                    .optional(entry.dueMs), .optional(entry.worker))
            }
            context.output.text(table.text)
        }
        return .ok
    }

    private static func json(_ entry: StandingJob) -> JSON {
        let job = entry.job
        var object = JSONObject()
        object["id"] = JSON.optional(job?.id)
        object["queue"] = JSON.string(entry.queue)
        object["kind"] = JSON.optional(job?.kind)
        object["state"] = JSON.string(entry.state.rawValue)
        object["attempt"] = JSON.optional(job.map { Int64($0.attempt) })
        object["payment"] = JSON.optional(job?.payment)
        object["enqueued_at"] = JSON.optional(entry.enqueuedAtMs.map(Timestamp.rfc3339))
        object["due_at"] = JSON.optional(entry.dueMs.map(Timestamp.rfc3339))
        object["worker"] = JSON.optional(entry.worker)
        object["reason"] = JSON.optional(entry.reason.map { Redaction.text($0) })
        object["unique"] = JSON.optional(job?.unique)
        object["traceparent"] = JSON.optional(job?.traceparent)
        object["bytes"] = JSON.int(Int64(entry.body.body.count))
        object["args"] = job.map { Redaction.json($0.displayArgs) } ?? JSON.null
        return .object(object)
    }

    // MARK: One

    private static let show = Command(
        CommandSyntax(
            "jobs show", "one job: where it stands, its record, its failed attempts",
            operands: [.needed("ID", "a job's id, as listings and logs show it")], options: [.json],
            notes: [
                "Redis may be away: the record is then all there is.",
                "progress: what its handler has told. ended: how it ended, where that is remembered: cancelled and deleted jobs, and kinds that keep "
                    + "results.",
            ])
    ) { invocation, context in
        let id = invocation.operands[0]
        let record = try await context.withDatabase { database in try await database.read { try JobRecord.find(id, in: $0) } }
        let answer = try await context.withRedisIfThere { redis in
            // It may have been moved to another queue than its record says.
            let first = record.map { [$0.queue] } ?? []
            return try await search(id, in: first + ProductQueues.names.filter { !first.contains($0) }, redis)
        }
        let standing = answer.value?.standing
        let report = answer.value?.report
        guard record != nil || standing != nil || report != nil else {
            if let problem = answer.problem { throw CommandFailure(.failed, problem) }
            throw CommandFailure(.notFound, "there is no job '\(id.onOneLine)'")
        }
        let history = answer.value?.history ?? []
        if invocation.wantsJSON {
            context.output.json([
                "id": .string(id), "record": record.map(json) ?? .null, "standing": standing.map(json) ?? .null,
                "progress": report.flatMap(progress) ?? .null, "ended": report?.ending.map(json) ?? .null, "history": .array(history.map(json)),
                "redis": .optional(answer.problem),
            ])
        } else {
            write(id, record, standing, report, history, problem: answer.problem, to: context.output)
        }
        return .ok
    }

    private static func search(
        _ id: String, in queues: [String], _ redis: RedisQueues
    ) async throws -> (standing: StandingJob?, report: JobReport?, history: [HistoryEntry]) {
        var (report, history): (JobReport?, [HistoryEntry]) = (nil, [])
        for queue in queues {
            let driver = redis.redisDriver(of: queue)
            let found = try await driver.find(job: id)
            history += try await driver.history(ofJob: id)
            if let known = try await driver.report(ofJob: id) { report = known }
            if let found { return (StandingJob(queue: queue, found), report, history) }
        }
        return (nil, report, history)
    }

    private static func progress(_ report: JobReport) -> JSON? {
        guard let progress = report.progress else { return nil }
        return [
            "fraction": .number("\(progress.fraction)"), "done": .optional(progress.done), "total": .optional(progress.total),
            "note": .optional(progress.note.map(Redaction.text)), "attempt": .int(Int64(progress.attempt)),
            "at": .optional(report.progressAtMs.map(Timestamp.rfc3339)),
        ]
    }

    private static func json(_ ended: JobReport.Ended) -> JSON {
        [
            "state": .string(ended.state.rawValue), "at": .string(Timestamp.rfc3339(ended.atMs)),
            "reason": .optional(ended.reason.map(Redaction.text)),
            "result": ended.result.flatMap { try? JSON(parsing: $0) }.map { Redaction.json($0.redactedForDisplay) } ?? .null,
        ]
    }

    private static func json(_ record: JobRecord) -> JSON {
        [
            "queue": .string(record.queue), "kind": .string(record.kind), "payment": .optional(record.payment),
            "created_at": .string(Timestamp.rfc3339(record.createdAtMs)), "published_at": .optional(record.publishedAtMs.map(Timestamp.rfc3339)),
            "finished_at": .optional(record.finishedAtMs.map(Timestamp.rfc3339)), "outcome": .optional(record.outcome?.rawValue),
            "detail": .optional(record.detail.map(Redaction.text)),
        ]
    }

    private static func json(_ failure: HistoryEntry) -> JSON {
        [
            "attempt": .int(Int64(failure.attempt)), "at": .string(Timestamp.rfc3339(failure.atMs)), "worker": .string(failure.worker),
            "reason": .string(Redaction.text(failure.reason)),
        ]
    }

    private static func write(
        _ id: String, _ record: JobRecord?, _ standing: StandingJob?, _ report: JobReport?, _ history: [HistoryEntry], problem: String?,
        to output: CommandOutput
    ) {
        var rows = [("id", id)]
        rows.append(("kind", record?.kind ?? standing?.job?.kind ?? "-"))
        rows.append(("queue", record?.queue ?? standing?.queue ?? "-"))
        rows.append(("payment", record?.payment ?? standing?.job?.payment ?? "-"))
        if let record {
            rows.append(("created", PlainTime.text(record.createdAtMs)))
            rows.append(("published", record.publishedAtMs.map(PlainTime.text) ?? "not yet"))
            rows.append(("finished", record.finishedAtMs.map(PlainTime.text) ?? "not yet"))
            if let outcome = record.outcome { rows.append(("outcome", outcome.rawValue)) }
            if let detail = record.detail { rows.append(("detail", Redaction.text(detail))) }
        } else {
            rows.append(("record", "none in SQL"))
        }
        rows.append(("stands", standing.map { "\($0.state.rawValue) on \($0.queue)" } ?? problem ?? "on no queue"))
        if let due = standing?.dueMs { rows.append(("due", PlainTime.text(due))) }
        if let worker = standing?.worker { rows.append(("worker", worker)) }
        if let attempt = standing?.job?.attempt { rows.append(("attempts spent", "\(attempt)")) }
        if let args = standing?.job?.displayArgs { rows.append(("parameters", Redaction.json(args).text)) }
        if let progress = report?.progress {
            let units = progress.total.map { ", \(progress.done ?? 0) of \($0)" } ?? ""
            let note = progress.note.map { ": " + Redaction.text($0) } ?? ""
            rows.append(("progress", "\(Int(progress.fraction * 100)) %\(units)\(note)"))
        }
        if let ended = report?.ending {
            rows.append(("ended", "\(ended.state.rawValue) \(PlainTime.text(ended.atMs))" + (ended.reason.map { ": " + Redaction.text($0) } ?? "")))
        }
        for line in Columns.lines(rows.map { ($0.0, $0.1) }) { output.line(line.onOneLine) }
        var attempts = Listing([.number("attempt"), .time("at"), "worker", "reason"], none: "No failed attempt is remembered.")
        for failure in history {
            attempts.add(
                .int(Int64(failure.attempt)), .int(failure.atMs), .string(failure.worker), .string(Redaction.text(failure.reason)))
        }
        output.text("\n" + attempts.text)
    }
}

/// `quittance workers`: who works which queue.
enum WorkersCommands {
    static let commands = [list]

    private static let list = Command(
        CommandSyntax(
            "workers list", "the workers of every queue, with what they have in hand",
            options: [.value("--queue", "QUEUE", "only this queue; all unless given"), .json],
            notes: ["lease_ms: how long the worker owns its jobs from now on, by Redis' clock. Below 0 it is lost, and its peers take its jobs back."]
        )
    ) { invocation, context in
        let queues = try ProductQueues.named(invocation.value("--queue"))
        let listing = try await context.withRedis { redis in
            var listing = Listing(["queue", "worker", .number("in_flight"), .number("lease_ms")], none: "No worker is registered.")
            for queue in queues {
                for worker in try await QueueInspection(queue, redis).workers() {
                    let time = try await redis.connection.call("TIME").array ?? []
                    guard time.count == 2, let seconds = time[0].int, let micros = time[1].int else {
                        throw CommandFailure(.failed, "Redis does not tell its time")
                    }
                    listing.add(
                        .string(worker.queue), .string(worker.name), .int(worker.inHand), .int(worker.leaseMs - seconds * 1000 - micros / 1000))
                }
            }
            return listing
        }
        context.output.listing(listing, asJSON: invocation.wantsJSON)
        return .ok
    }
}
