import Database
import Formats
import JobQueue
import JobQueueRedis
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
            options: [
                .value("--queue", "QUEUE", "only this queue; all unless given"), .value("--kind", "KIND", "only this kind"),
                .value("--state", "STATE", "only ready, delayed, in_flight or dead"),
                .value("--limit", "N", "how many of each queue, 50 unless given"), .json,
            ],
            notes: [
                "Bodies that are no jobs, such as events, are listed without id and kind. At most \(QueueInspection.scanMax) bodies are looked at in "
                    + "one state of a queue.",
                "With --json each has its parameters; what a log would mask is masked.",
            ])
    ) { invocation, context in
        let queues = try ProductQueues.named(invocation.value("--queue"))
        let kind = invocation.value("--kind")
        let state = try invocation.choice("--state", of: StandingJob.State.allCases.map(\.rawValue)).flatMap(StandingJob.State.init(rawValue:))
        let limit = try invocation.number("--limit", in: 1...10_000, standard: 50)
        let found = try await context.withRedis { redis in
            var found: [StandingJob] = []
            for queue in queues {
                found += try await QueueInspection(queue, redis).jobs(in: state.map { [$0] } ?? [.inFlight, .ready, .delayed, .dead], limit: limit) {
                    kind == nil || $0.job?.kind == kind
                }
            }
            return found
        }
        if invocation.wantsJSON {
            context.output.json(.array(found.map(json)))
        } else {
            var table = Listing(
                ["id", "queue", "kind", "state", .number("attempt"), "payment", .time("enqueued_at"), .time("due_at"), "worker"],
                none: "No such job stands on a queue.")
            for entry in found {
                table.add(
                    .optional(entry.job?.id), .string(entry.queue), .optional(entry.job?.kind), .string(entry.state.rawValue),
                    .optional(entry.job.map { Int64($0.attempt) }), .optional(entry.job?.payment), .optional(enqueuedAt(entry)),
                    .optional(entry.dueMs), .optional(entry.worker))
            }
            context.output.text(table.text)
        }
        return .ok
    }

    private static func enqueuedAt(_ entry: StandingJob) -> Int64? { entry.job.flatMap { $0.enqueuedAtMs > 0 ? $0.enqueuedAtMs : nil } }

    private static func json(_ entry: StandingJob) -> JSON {
        let job = entry.job
        var object = JSONObject()
        object["id"] = JSON.optional(job?.id)
        object["queue"] = JSON.string(entry.queue)
        object["kind"] = JSON.optional(job?.kind)
        object["state"] = JSON.string(entry.state.rawValue)
        object["attempt"] = JSON.optional(job.map { Int64($0.attempt) })
        object["payment"] = JSON.optional(job?.payment)
        object["enqueued_at"] = JSON.optional(enqueuedAt(entry).map(Timestamp.rfc3339))
        object["due_at"] = JSON.optional(entry.dueMs.map(Timestamp.rfc3339))
        object["worker"] = JSON.optional(entry.worker)
        object["reason"] = JSON.optional(entry.reason.map { Redaction.text($0) })
        object["unique"] = JSON.optional(job?.unique)
        object["traceparent"] = JSON.optional(job?.traceparent)
        object["bytes"] = JSON.int(Int64(entry.bytes))
        object["args"] = job.map { Redaction.json($0.args.redactedForDisplay) } ?? JSON.null
        return .object(object)
    }

    // MARK: One

    private static let show = Command(
        CommandSyntax(
            "jobs show", "one job: where it stands, its record, its failed attempts",
            operands: [.needed("ID", "a job's id, as listings and logs show it")], options: [.json],
            notes: ["Redis may be away: the record is then all there is. Without a record every queue is searched."])
    ) { invocation, context in
        let id = invocation.operands[0]
        let record = try await context.withDatabase { database in try await database.read { try JobRecord.find(id, in: $0) } }
        let answer = try await context.withRedisIfThere { redis in
            try await search(id, in: record.map { [$0.queue] } ?? ProductQueues.names, redis)
        }
        let standing = answer.value?.standing
        guard record != nil || standing != nil else {
            if let problem = answer.problem { throw CommandFailure(.failed, problem) }
            throw CommandFailure(.notFound, "there is no job '\(id.onOneLine)'")
        }
        let history = answer.value?.history ?? []
        if invocation.wantsJSON {
            context.output.json([
                "id": .string(id), "record": record.map(json) ?? .null, "standing": standing.map(json) ?? .null,
                "history": .array(history.map(json)), "redis": .optional(answer.problem),
            ])
        } else {
            write(id, record, standing, history, problem: answer.problem, to: context.output)
        }
        return .ok
    }

    private static func search(
        _ id: String, in queues: [String], _ redis: RedisQueues
    ) async throws -> (standing: StandingJob?, history: [HistoryEntry]) {
        var history: [HistoryEntry] = []
        for queue in queues {
            let found = try await QueueInspection(queue, redis).jobs(in: [.inFlight, .delayed, .dead, .ready], limit: 1) { $0.job?.id == id }
            history += try await redis.redisDriver(of: queue).history(ofJob: id)
            if let standing = found.first { return (standing, history) }
        }
        return (nil, history)
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
        _ id: String, _ record: JobRecord?, _ standing: StandingJob?, _ history: [HistoryEntry], problem: String?, to output: CommandOutput
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
        if let args = standing?.job?.args { rows.append(("parameters", Redaction.json(args.redactedForDisplay).text)) }
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
