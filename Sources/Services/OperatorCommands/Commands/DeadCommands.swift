import Cryptography
import Database
import Formats
import JobQueue
import JobQueueRedis
import Outbox
import Telemetry

/// `quittance dead …`: what was given up, with its history, and putting it back.
enum DeadCommands {
    static let commands = [list, replay, delete, shortReplay]

    /// Records looked at in one call.
    private static let page = 200
    private static let queueOption = CommandSyntax.Option.value("--queue", "QUEUE", "only this queue; all unless given")
    private static let which = CommandSyntax.Operand.optional("ID", "as `quittance dead` shows it")
    private static let error = CommandSyntax.Option.value("--error", "ERROR", "everything of one error, as `quittance dead --by-error` names it")
    private static let most = CommandSyntax.Option.value("--limit", "N", "with --all or --error: so many at most, the latest first")
    private static let all = CommandSyntax.Option.flag("--all", "everything that is dead on --queue")

    private struct Found: Sendable {
        let queue: String
        let job: DeadJob

        /// The job's id; for a body that is no job, the beginning of its record's digest.
        var id: String { job.record.job ?? "body-" + Hex.encode(Array(Digest.sha256(job.record.bytes).prefix(6))) }
    }

    // MARK: Looking

    private static let list = Command(
        CommandSyntax(
            "dead list", "what was given up, the latest first, with its reason",
            options: [
                queueOption, .value("--limit", "N", "how many of each queue, 50 unless given"), error,
                .flag("--by-error", "one line for each error: kind and message without numbers and identifiers"), .json,
            ],
            notes: ["With --json each has its history: every failed attempt that is remembered."])
    ) { invocation, context in
        let queues = try ProductQueues.named(invocation.value("--queue"))
        if invocation.has("--by-error") { return try await listByError(queues, invocation, context) }
        let limit = try invocation.number("--limit", in: 1...1000, standard: 50)
        let found = try await context.withRedis { redis in
            var found: [Found] = []
            for queue in queues {
                found += try await search(in: [queue], redis, limit: limit) { isOfError(invocation, $0) }
            }
            return found
        }
        if invocation.wantsJSON {
            context.output.json(.array(found.map(json)))
        } else {
            var table = Listing(["id", "queue", "kind", "payment", .time("buried_at"), .number("attempts"), "reason"], none: "Nothing is dead.")
            for entry in found {
                let record = entry.job.record
                table.add(
                    .string(entry.id), .string(entry.queue), .optional(record.kind), .optional(record.payment), .int(record.buriedAtMs),
                    .int(Int64(entry.job.history.count)), .string(Redaction.text(record.reason)))
            }
            context.output.text(table.text)
        }
        return .ok
    }

    private static func json(_ found: Found) -> JSON {
        let record = found.job.record
        let history = found.job.history.map { failure -> JSON in
            [
                "attempt": .int(Int64(failure.attempt)), "at": .string(Timestamp.rfc3339(failure.atMs)), "worker": .string(failure.worker),
                "reason": .string(Redaction.text(failure.reason)),
            ]
        }
        return [
            "id": .string(found.id), "queue": .string(found.queue), "kind": .optional(record.kind), "payment": .optional(record.payment),
            "buried_at": .string(Timestamp.rfc3339(record.buriedAtMs)), "reason": .string(Redaction.text(record.reason)),
            "worker": .string(record.worker), "error": .string(record.fingerprint.description), "history": .array(history),
        ]
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

    private static func listByError(_ queues: [String], _ invocation: Invocation, _ context: CommandContext) async throws -> ExitCode {
        let found = try await context.withRedis { try await search(in: queues, $0, limit: .max) { isOfError(invocation, $0) } }
        var groups: [ErrorFingerprint: ErrorGroup] = [:]
        for entry in found {
            let record = entry.job.record
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

    private static func isOfError(_ invocation: Invocation, _ found: Found) -> Bool {
        guard let error = invocation.value("--error") else { return true }
        return found.job.record.fingerprint.description == error
    }

    // MARK: Changing

    private static let replay = replayCommand("dead replay")
    private static let shortReplay = replayCommand("replay")

    private static func replayCommand(_ path: String) -> Command {
        Command(
            CommandSyntax(
                path, "put what was given up back on its queue, as new", operands: [which], options: [all, error, most, queueOption],
                notes: [
                    "`--error` with `--limit 5` first tries whether the cause is cured.",
                    "Its record in SQL is opened again first, so that it may have its effect. Effects that were had are not had twice.",
                ])
        ) { invocation, context in
            try await change(invocation, context, done: "is back on") { found, redis in
                if let job = found.job.record.job {
                    _ = try await context.withDatabase { database in try await database.write { try Outbox.reopen(job, in: $0) } }
                }
                return try await redis.redisDriver(of: found.queue).replayDead(found.job.record)
            }
        }
    }

    private static let delete = Command(
        CommandSyntax(
            "dead delete", "forget what was given up; its record in SQL stays", operands: [which], options: [all, error, most, queueOption])
    ) { invocation, context in
        try await change(invocation, context, done: "is deleted from") { found, redis in
            try await redis.redisDriver(of: found.queue).deleteDead(found.job.record)
        }
    }

    private static func change(
        _ invocation: Invocation, _ context: CommandContext, done: String,
        _ body: @Sendable (Found, RedisQueues) async throws -> Bool
    ) async throws -> ExitCode {
        let queues = try ProductQueues.named(invocation.value("--queue"))
        let id = invocation.operand(0)
        let error = invocation.value("--error")
        guard [id != nil, invocation.has("--all"), error != nil].count(where: { $0 }) == 1 else {
            throw UsageError("one of ID, --all and --error is needed")
        }
        if invocation.has("--all") && !invocation.has("--queue") { throw UsageError("--all needs --queue") }
        let limit = try id != nil ? 1 : invocation.number("--limit", in: 1...1_000_000, standard: .max)
        return try await context.withRedis { redis in
            let found = try await search(in: queues, redis, limit: limit) { entry in
                if let id { entry.id == id } else { isOfError(invocation, entry) }
            }
            if let id, found.isEmpty { throw CommandFailure(.notFound, "nothing dead has the id '\(id.onOneLine)'") }
            if let error, found.isEmpty { throw CommandFailure(.notFound, "nothing dead has the error '\(error.onOneLine)'") }
            var changed = 0
            for entry in found {
                guard try await body(entry, redis) else { continue }
                changed += 1
                context.output.line("\(entry.id) \(done) \(entry.queue)")
            }
            if changed == 0 { context.output.line(found.isEmpty ? "Nothing is dead on \(queues[0])." : "Somebody else was quicker.") }
            return changed > 0 ? .ok : .nothingDue
        }
    }

    private static func search(
        in queues: [String], _ redis: RedisQueues, limit: Int, where isWanted: (Found) -> Bool
    ) async throws -> [Found] {
        var found: [Found] = []
        for queue in queues {
            var offset = 0
            while found.count < limit {
                let jobs = try await redis.redisDriver(of: queue).dead(offset: offset, limit: page)
                found += jobs.map { Found(queue: queue, job: $0) }.filter(isWanted).prefix(limit - found.count)
                guard jobs.count == page else { break }
                offset += page
            }
        }
        return found
    }
}
