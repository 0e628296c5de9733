import Formats
import JobQueue
import JobQueueRedis
import Operating
import Telemetry

/// `quittance dead …`: what was given up, with its history, and putting it back.
enum DeadCommands {
    static let commands = [list, show, replay, delete, shortReplay]

    private static let which = CommandSyntax.Operand.optional("ID", "as `quittance dead` shows it")
    private static let most = CommandSyntax.Option.value("--limit", "N", "so many of each queue at most, the latest first; all unless given")
    private static let all = CommandSyntax.Option.flag("--all", "everything that is dead on --queue")

    // MARK: Looking

    private static let list = Command(
        CommandSyntax(
            "dead list", "what was given up, the latest first, with its reason",
            options: [JobFilter.queueOption] + JobFilter.options + [
                .value("--limit", "N", "how many of each queue, 50 unless given"),
                .flag("--by-error", "one line for each error: kind and message without numbers and identifiers"), .json,
            ],
            notes: ["With --json each has its history: every failed attempt that is remembered."])
    ) { invocation, context in
        let filter = try JobFilter(invocation, nowMs: context.nowMs(), states: [.dead])
        if invocation.has("--by-error") { return try await listByError(filter, invocation, context) }
        let limit = try invocation.number("--limit", in: 1...1000, standard: 50)
        let found = try await context.withRedis { redis in try await dead(filter.find(redis, limit: limit), redis) }
        if invocation.wantsJSON {
            context.output.json(.array(found.map { json($0.entry, $0.history) }))
        } else {
            var table = Listing(["id", "queue", "kind", "payment", .time("buried_at"), .number("attempts"), "reason"], none: "Nothing is dead.")
            for (entry, history) in found {
                table.add(
                    .string(entry.id), .string(entry.queue), .optional(entry.kind), .optional(entry.payment), .optional(entry.record?.buriedAtMs),
                    .int(Int64(history.count)), .string(Redaction.text(entry.reason ?? "")))
            }
            context.output.text(table.text)
        }
        return .ok
    }

    private static func dead(_ entries: [StandingJob], _ redis: RedisQueues) async throws -> [(entry: StandingJob, history: [HistoryEntry])] {
        var found: [(entry: StandingJob, history: [HistoryEntry])] = []
        for entry in entries {
            let history = entry.record?.job == nil ? [] : try await redis.redisDriver(of: entry.queue).history(ofJob: entry.id)
            found.append((entry, history))
        }
        return found
    }

    private static func json(_ entry: StandingJob, _ history: [HistoryEntry]) -> JSON {
        let history = history.map { failure -> JSON in
            [
                "attempt": .int(Int64(failure.attempt)), "at": .string(Timestamp.rfc3339(failure.atMs)), "worker": .string(failure.worker),
                "reason": .string(Redaction.text(failure.reason)),
            ]
        }
        return [
            "id": .string(entry.id), "queue": .string(entry.queue), "kind": .optional(entry.kind), "payment": .optional(entry.payment),
            "buried_at": .optional(entry.record.map { Timestamp.rfc3339($0.buriedAtMs) }), "reason": .string(Redaction.text(entry.reason ?? "")),
            "worker": .optional(entry.worker), "error": .optional(entry.record?.fingerprint.description), "history": .array(history),
        ]
    }

    private static let show = Command(
        CommandSyntax(
            "dead show", "one that was given up: why, its failed attempts, its body with what is sensitive hidden",
            operands: [.needed("ID", "as `quittance dead` shows it")], options: [JobFilter.queueOption, .json])
    ) { invocation, context in
        let id = invocation.operands[0]
        let filter = try JobFilter(invocation, nowMs: context.nowMs(), states: [.dead])
        let found = try await context.withRedis { redis in
            try await dead([try await one(id, filter, redis)], redis)
        }
        guard let (entry, history) = found.first, let record = entry.record else { return .notFound }
        let body = record.displayBody.map(Redaction.json)
        if invocation.wantsJSON {
            var object = json(entry, history).object ?? JSONObject()
            object["body"] = body ?? .null
            object["bytes"] = .int(Int64(record.body.count))
            context.output.json(.object(object))
            return .ok
        }
        let rows = [
            ("id", entry.id), ("queue", entry.queue), ("kind", entry.kind ?? "-"), ("payment", entry.payment ?? "-"),
            ("buried", PlainTime.text(record.buriedAtMs)), ("worker", record.worker), ("error", record.fingerprint.description),
            ("reason", Redaction.text(record.reason)), ("body", body?.text ?? "no job, \(record.body.count) bytes"),
        ]
        for line in Columns.lines(rows) { context.output.line(line.onOneLine) }
        var attempts = Listing([.number("attempt"), .time("at"), "worker", "reason"], none: "No failed attempt is remembered.")
        for failure in history {
            attempts.add(.int(Int64(failure.attempt)), .int(failure.atMs), .string(failure.worker), .string(Redaction.text(failure.reason)))
        }
        context.output.text("\n" + attempts.text)
        return .ok
    }

    // MARK: By error

    /// What the failures of one error have in common.
    private struct ErrorGroup {
        let kind: String?
        let latest: DeadRecord
        var count = 0
        var firstMs: Int64
        var queues: Set<String> = []
    }

    private static func listByError(_ filter: JobFilter, _ invocation: Invocation, _ context: CommandContext) async throws -> ExitCode {
        let found = try await context.withRedis { try await filter.find($0, limit: .max) }
        var groups: [ErrorFingerprint: ErrorGroup] = [:]
        for entry in found {
            guard let record = entry.record else { continue }
            var group = groups[record.fingerprint] ?? ErrorGroup(kind: record.kind, latest: record, firstMs: record.buriedAtMs)
            group.count += 1
            group.firstMs = min(group.firstMs, record.buriedAtMs)
            group.queues.insert(entry.queue)
            groups[record.fingerprint] = group
        }
        var listing = Listing(
            ["error", "kind", .number("count"), "queues", .time("first_at"), .time("last_at"), "reason"], none: "Nothing is dead.")
        for (fingerprint, group) in groups.sorted(by: { ($1.value.count, $0.key.description) < ($0.value.count, $1.key.description) }) {
            listing.add(
                .string(fingerprint.description), .optional(group.kind), .int(Int64(group.count)),
                .array(group.queues.sorted().map { .string($0) }), .int(group.firstMs), .int(group.latest.buriedAtMs),
                .string(Redaction.text(group.latest.reason)))
        }
        context.output.listing(listing, asJSON: invocation.wantsJSON)
        return .ok
    }

    // MARK: Changing

    private static let replay = replayCommand("dead replay")
    private static let shortReplay = replayCommand("replay")

    private static func replayCommand(_ path: String) -> Command {
        Command(
            CommandSyntax(
                path, "put what was given up back on its queue, as new", operands: [which],
                options: [all] + JobFilter.options + [most, JobFilter.queueOption, .json],
                notes: [
                    "`--error` with `--limit 5` first tries whether the cause is cured.",
                    "Its record in SQL is opened again first, so that it may have its effect. Effects that were had are not had twice.",
                ])
        ) { invocation, context in
            try await change(invocation, context, done: "is back on") { record, entry, desk in
                try await desk.reopen(record)
                return try await desk.driver(of: entry).replayDead(record)
            }
        }
    }

    private static let delete = Command(
        CommandSyntax(
            "dead delete", "forget what was given up; its record in SQL stays", operands: [which],
            options: [all] + JobFilter.options + [most, JobFilter.queueOption, .json])
    ) { invocation, context in
        try await change(invocation, context, done: "is deleted from") { record, entry, desk in
            try await desk.driver(of: entry).deleteDead(record)
        }
    }

    private static func change(
        _ invocation: Invocation, _ context: CommandContext, done: String,
        _ body: @Sendable (DeadRecord, StandingJob, JobDesk) async throws -> Bool
    ) async throws -> ExitCode {
        let filter = try JobFilter(invocation, nowMs: context.nowMs(), states: [.dead])
        let id = invocation.operand(0)
        let isFiltered = JobFilter.options.contains { invocation.has($0.name) }
        guard [id != nil, invocation.has("--all"), isFiltered].count(where: { $0 }) == 1 else {
            throw UsageError("one of ID, --all and a filter is needed")
        }
        if invocation.has("--all") && !invocation.has("--queue") { throw UsageError("--all needs --queue") }
        let limit = try invocation.number("--limit", in: 1...1_000_000, standard: .max)
        return try await context.withJobs { desk in
            let found = if let id { [try await one(id, filter, desk.redis)] } else { try await filter.find(desk.redis, limit: limit) }
            if let error = invocation.value("--error"), found.isEmpty {
                throw CommandFailure(.notFound, "nothing dead has the error '\(error.onOneLine)'")
            }
            var deeds = Deeds()
            for entry in found {
                guard let record = entry.record else { continue }
                let isDone = try await body(record, entry, desk)
                deeds.add(entry.id, on: entry.queue, isDone ? "\(done) \(entry.queue)" : "was taken by somebody quicker", isDone: isDone)
            }
            return deeds.tell(
                invocation, context.output, none: invocation.has("--all") ? "Nothing is dead on \(filter.queues[0])." : "Nothing such is dead.")
        }
    }

    private static func one(_ id: String, _ filter: JobFilter, _ redis: RedisQueues) async throws -> StandingJob {
        for queue in filter.queues {
            if let found = try await QueueInspection(queue, redis).jobs(in: [.dead], limit: 1, where: { $0.id == id }).first { return found }
        }
        throw CommandFailure(.notFound, "nothing dead has the id '\(id.onOneLine)'")
    }
}
