import Cryptography
import Database
import Formats
import JobQueue
import JobQueueRedis
import Outbox

/// `quittance dead …`: what was given up, with its history, and putting it back.
enum DeadCommands {
    static let commands = [list, replay, delete, shortReplay]

    /// Records looked at in one call.
    private static let page = 200
    private static let queueOption = CommandSyntax.Option.value("--queue", "QUEUE", "only this queue; all unless given")
    private static let which = CommandSyntax.Operand.optional("ID", "as `quittance dead` shows it")
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
            options: [queueOption, .value("--limit", "N", "how many of each queue, 50 unless given"), .json],
            notes: ["With --json each has its history: every failed attempt that is remembered."])
    ) { invocation, context in
        let queues = try queues(of: invocation)
        let limit = try invocation.number("--limit", in: 1...1000, standard: 50)
        let found = try await context.withRedis { redis in
            var found: [Found] = []
            for queue in queues {
                found += try await redis.redisDriver(of: queue).dead(offset: 0, limit: limit).map { Found(queue: queue, job: $0) }
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
                    .int(Int64(entry.job.history.count)), .string(record.reason))
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
                "reason": .string(failure.reason),
            ]
        }
        return [
            "id": .string(found.id), "queue": .string(found.queue), "kind": .optional(record.kind), "payment": .optional(record.payment),
            "buried_at": .string(Timestamp.rfc3339(record.buriedAtMs)), "reason": .string(record.reason), "worker": .string(record.worker),
            "history": .array(history),
        ]
    }

    // MARK: Changing

    private static let replay = replayCommand("dead replay")
    private static let shortReplay = replayCommand("replay")

    private static func replayCommand(_ path: String) -> Command {
        Command(
            CommandSyntax(
                path, "put what was given up back on its queue, as new", operands: [which], options: [all, queueOption],
                notes: ["Its record in SQL is opened again first, so that it may have its effect. Effects that were had are not had twice."])
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
            "dead delete", "forget what was given up; its record in SQL stays", operands: [which], options: [all, queueOption])
    ) { invocation, context in
        try await change(invocation, context, done: "is deleted from") { found, redis in
            try await redis.redisDriver(of: found.queue).deleteDead(found.job.record)
        }
    }

    private static func change(
        _ invocation: Invocation, _ context: CommandContext, done: String,
        _ body: @Sendable (Found, RedisQueues) async throws -> Bool
    ) async throws -> ExitCode {
        let queues = try queues(of: invocation)
        let id = invocation.operand(0)
        guard (id == nil) == invocation.has("--all") else { throw UsageError("either ID or --all is needed") }
        if id == nil && !invocation.has("--queue") { throw UsageError("--all needs --queue") }
        return try await context.withRedis { redis in
            let found = try await search(id, in: queues, redis)
            if let id, found.isEmpty { throw CommandFailure(.notFound, "nothing dead has the id '\(id.onOneLine)'") }
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

    /// - Parameter id: nil for all.
    private static func search(_ id: String?, in queues: [String], _ redis: RedisQueues) async throws -> [Found] {
        var found: [Found] = []
        for queue in queues {
            var offset = 0
            while true {
                let jobs = try await redis.redisDriver(of: queue).dead(offset: offset, limit: page)
                let entries = jobs.map { Found(queue: queue, job: $0) }
                if let id {
                    if let match = entries.first(where: { $0.id == id }) { return [match] }
                } else {
                    found += entries
                }
                guard jobs.count == page else { break }
                offset += page
            }
        }
        return found
    }

    private static func queues(of invocation: Invocation) throws(UsageError) -> [String] {
        guard let queue = invocation.value("--queue") else { return ProductQueues.names }
        try ProductQueues.check(queue)
        return [queue]
    }
}
