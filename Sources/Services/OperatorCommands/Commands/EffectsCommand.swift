import Formats
import JobQueue
import JobQueueRedis
import Outbox

/// `quittance effects …`: calls to the outside and what is known of them; `quittance breakers …`: dependencies that are ill.
enum EffectsCommands {
    static let commands = [list, settle, breakers, reset]

    private static let name = CommandSyntax.Operand.needed("NAME", "as `quittance effects list` shows it")
    private static let key = CommandSyntax.Operand.needed("KEY", "as `quittance effects list` shows it")

    // MARK: Effects

    private static let list = Command(
        CommandSyntax(
            "effects list", "calls to the outside, the latest first, with what is known of them",
            options: [
                .flag("--pending", "only those without a result"),
                .flag("--overdue", "only those without one for over two minutes, which the metric effects_pending counts"),
                .value("--name", "NAME", "only this effect"),
                .value("--limit", "N", "how many, 100 unless given"), .json,
            ],
            notes: [
                "pending: begun; without an owner nobody is at it. done: its result is kept. withdrawn: certainly not carried out. doubtful: "
                    + "nobody knows, and it may not be done twice: find out at the other side, then `quittance effects settle`.",
                "With --json each has its result.",
            ])
    ) { invocation, context in
        let filter = EffectFilter(
            openOnly: invocation.has("--pending") || invocation.has("--overdue"),
            begunBeforeMs: invocation.has("--overdue") ? context.nowMs() - EffectTable.overdueMs : nil, name: invocation.value("--name"),
            limit: try invocation.number("--limit", in: 1...10_000, standard: 100))
        let records = try await context.withDatabase { try await EffectTable(database: $0).list(filter) }
        if invocation.wantsJSON {
            context.output.json(.array(records.map(json)))
        } else {
            var table = Listing(
                ["name", "key", "state", "rule", .number("owners"), "job", "worker", .time("began_at"), "detail"], none: "There are none.")
            for record in records {
                table.add(
                    .string(record.identity.name), .string(record.identity.key), .string(record.state.rawValue), .string(record.rule.rawValue),
                    .int(record.fence), .optional(record.owner?.job), .optional(record.owner?.worker), .int(record.beganAtMs),
                    .optional(record.detail))
            }
            context.output.text(table.text)
        }
        return .ok
    }

    private static func json(_ record: EffectRecord) -> JSON {
        [
            "name": .string(record.identity.name), "key": .string(record.identity.key), "state": .string(record.state.rawValue),
            "rule": .string(record.rule.rawValue), "queue": .optional(record.owner?.queue), "job": .optional(record.owner?.job),
            "worker": .optional(record.owner?.worker), "owners": .int(record.fence), "result": record.result ?? .null,
            "detail": .optional(record.detail), "began_at": .string(Timestamp.rfc3339(record.beganAtMs)),
            "changed_at": .string(Timestamp.rfc3339(record.changedAtMs)),
        ]
    }

    private static let settle = Command(
        CommandSyntax(
            "effects settle", "say what became of a call that nobody knows the result of", operands: [name, key],
            options: [
                .flag("--not-done", "it was not carried out: the next attempt of its job calls again"),
                .value("--done", "RESULT", "it was carried out, with this result as JSON; {} for a call without one"),
                .value("--owners", "N", "only if it has had as many owners as `quittance effects list` showed: nobody tried it again since"),
            ],
            notes: ["Afterwards put its job back: `quittance dead replay`. Whoever is still at the call can enter nothing any more."])
    ) { invocation, context in
        let text = invocation.value("--done")
        guard invocation.has("--not-done") != (text != nil) else { throw UsageError("one of --not-done and --done RESULT is needed") }
        var result: JSON?
        if let text {
            do { result = try JSON(parsing: text) } catch { throw UsageError("--done takes JSON, not '\(text)'") }
        }
        let identity = EffectIdentity(invocation.operands[0], key: invocation.operands[1])
        let (outcome, now) = (result, context.nowMs())
        let owners = invocation.value("--owners") == nil ? nil : Int64(try invocation.number("--owners", in: 0...1_000_000_000, standard: 0))
        let state = try await context.withDatabase { database in
            try await EffectTable(database: database).update(identity) { record -> EffectRecord.State? in
                if let owners, let found = record, found.fence != owners {
                    throw CommandFailure(.failed, "'\(identity)' has had \(found.fence) owners by now and is \(found.state.rawValue): look again")
                }
                if EffectRecord.settle(&record, result: outcome, by: "operator", nowMs: now) { return nil }
                guard let record else { throw CommandFailure(.notFound, "there is no effect '\(identity)'") }
                return record.state
            }
        }
        if let state {
            context.output.text("It is \(state.rawValue) already.\n")
            return .nothingDue
        }
        context.output.text("Settled.\n")
        return .ok
    }

    // MARK: Breakers

    private static let breakers = Command(
        CommandSyntax(
            "breakers list", "the dependencies that were called within the last day, and which of them are ill", options: [.json],
            notes: ["closed: calls pass. open: no call passes before the time of retry. half_open: one call is tried."])
    ) { invocation, context in
        let standings = try await context.withRedis { try await RedisBreakers(connection: $0.connection, prefix: $0.prefix).list() }
        var table = Listing(["dependency", "state", .number("failures"), .time("retry_at")], none: "None was called.")
        for standing in standings {
            table.add(
                .string(standing.dependency), .string(standing.state.rawValue), .int(Int64(standing.failures)), .optional(standing.retryAtMs))
        }
        context.output.listing(table, asJSON: invocation.wantsJSON)
        return .ok
    }

    private static let reset = Command(
        CommandSyntax(
            "breakers reset", "let calls to a dependency pass again", operands: [.needed("DEPENDENCY", "as `quittance breakers list` shows it")])
    ) { invocation, context in
        let dependency = invocation.operands[0]
        try await context.withRedis { redis in
            let store = RedisBreakers(connection: redis.connection, prefix: redis.prefix)
            guard try await store.list().contains(where: { $0.dependency == dependency }) else {
                throw CommandFailure(.notFound, "there is no breaker '\(dependency)'")
            }
            try await store.reset(dependency)
        }
        context.output.text("Closed.\n")
        return .ok
    }
}
