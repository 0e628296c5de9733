import Cryptography
import Formats
import JobQueue
import JobQueueRedis
import Operating

/// `quittance queues …`
enum QueuesCommands {
    static let commands = [list, show, pause, resume, limit, drain, clear]

    private static let name = CommandSyntax.Operand.needed("QUEUE", "as `quittance queues` shows it")
    private static let kind = CommandSyntax.Option.value("--kind", "KIND", "only jobs of this kind")

    // MARK: Looking

    private static let list = Command(
        CommandSyntax(
            "queues list", "what waits on each queue, what is in hand, what is dead, and how many workers there are", options: [.json],
            notes: [
                "ready: nobody works on it. delayed: due later, mostly retries. in flight: in a worker's hands. dead: given up, see "
                    + "`quittance dead`."
            ])
    ) { invocation, context in
        let listing = try await context.withRedis { try await ProductQueues.listing($0) }
        context.output.listing(listing, asJSON: invocation.wantsJSON)
        return .ok
    }

    private static let show = Command(
        CommandSyntax(
            "queues show", "one queue: what stands where, what operators have said, how old the next job is", operands: [name], options: [.json],
            notes: [
                "waiting: the slots of its key are taken. parked: its kind is paused, or no worker has known it yet. moving: on its way to",
                "another queue.",
            ])
    ) { invocation, context in
        let queue = try queue(invocation)
        let (counts, control, next) = try await context.withRedis { redis in
            let driver = redis.redisDriver(of: queue)
            return (try await driver.counts(), try await driver.control(), try await driver.peek(limit: 1).first)
        }
        let made = next.flatMap { try? JobEnvelope(decoding: $0) }.flatMap { $0.enqueuedAtMs > 0 ? $0.enqueuedAtMs : nil }
        let ageMs = made.map { max(0, context.nowMs() - $0) }
        let numbers: [(String, Int)] = [
            ("ready", counts.ready), ("delayed", counts.delayed), ("waiting", counts.waiting), ("parked", counts.parked),
            ("in_flight", counts.inFlight), ("moving", counts.moving), ("dead", counts.dead), ("workers", counts.workers),
        ]
        if invocation.wantsJSON {
            var object: JSONObject = ["queue": .string(queue)]
            for (key, number) in numbers { object[key] = .int(Int64(number)) }
            object["oldest_age_ms"] = .optional(ageMs)
            object["paused"] = .bool(control.isPaused)
            object["paused_kinds"] = .array(control.operatorPausedKinds.map { .string($0) })
            object["unknown_kinds"] = .array(
                control.unhandledKinds.map { ["kind": .string($0.kind), "version": .int(Int64(clamping: $0.version))] })
            object["limit"] = .optional(control.concurrency.map { Int64($0) })
            context.output.json(.object(object))
        } else {
            var rows = [("queue", queue)] + numbers.map { ($0.0.replacing("_", with: " "), "\($0.1)") }
            rows.append(("oldest", ageMs.map(PlainTime.age) ?? "-"))
            rows.append(("paused", control.isPaused ? "yes" : "no"))
            let unknown = control.unhandledKinds.map { "\($0.kind), version \($0.version)" }
            rows.append(("paused kinds", control.operatorPausedKinds.isEmpty ? "-" : control.operatorPausedKinds.joined(separator: ", ")))
            rows.append(("unknown kinds", unknown.isEmpty ? "-" : unknown.joined(separator: "; ")))
            rows.append(("limit", control.concurrency.map(String.init) ?? "-"))
            for line in Columns.lines(rows) { context.output.line(line.onOneLine) }
        }
        return .ok
    }

    private static func queue(_ invocation: Invocation) throws -> String {
        let name = invocation.operands[0]
        try ProductQueues.check(name)
        return name
    }

    // MARK: Holding

    private static let pause = Command(
        CommandSyntax(
            "queues pause", "hand nothing over, or no job of a kind, until it is resumed; what runs is finished", operands: [name],
            options: [kind, .json], notes: ["Jobs of a paused kind are put aside when they are claimed. No attempt is spent."])
    ) { invocation, context in try await hold(invocation, context, true) }

    private static let resume = Command(
        CommandSyntax(
            "queues resume", "go on; jobs that were put aside come back to the head of the queue", operands: [name], options: [kind, .json])
    ) { invocation, context in try await hold(invocation, context, false) }

    private static func hold(_ invocation: Invocation, _ context: CommandContext, _ isPausing: Bool) async throws -> ExitCode {
        let queue = try queue(invocation)
        let kind = invocation.value("--kind")
        let (was, back) = try await context.withRedis { redis in
            let driver = redis.redisDriver(of: queue)
            let control = try await driver.control()
            let was = kind.map { control.pausedKinds.contains($0) } ?? control.isPaused
            if isPausing { try await driver.pause(kind: kind) }
            return (was, isPausing ? 0 : try await driver.resume(kind: kind))
        }
        let what = kind.map { "\($0) on \(queue)" } ?? queue
        if invocation.wantsJSON {
            context.output.json([
                "queue": .string(queue), "kind": .optional(kind), "paused": .bool(isPausing), "changed": .bool(was != isPausing),
                "brought_back": .int(Int64(back)),
            ])
        } else {
            let word = isPausing ? "paused" : "running"
            context.output.line("\(what) \(was == isPausing ? "was already" : "is now") \(word)" + (back > 0 ? ", \(back) came back" : ""))
        }
        return was == isPausing ? .nothingDue : .ok
    }

    private static let limit = Command(
        CommandSyntax(
            "queues limit", "let all workers of a queue together hold at most so many jobs",
            operands: [name, .needed("N", "1 or more, or none")], options: [.json])
    ) { invocation, context in
        let queue = try queue(invocation)
        let word = invocation.operands[1]
        let limit = Int(word)
        guard word == "none" || limit.map({ (1...1_000_000).contains($0) }) == true else {
            throw UsageError("N is a whole number from 1 to 1000000, or none, not '\(word)'")
        }
        let before = try await context.withRedis { redis in
            let driver = redis.redisDriver(of: queue)
            let before = try await driver.control().concurrency
            try await driver.setConcurrency(limit)
            return before
        }
        if invocation.wantsJSON {
            context.output.json([
                "queue": .string(queue), "limit": .optional(limit.map { Int64($0) }), "before": .optional(before.map { Int64($0) }),
            ])
        } else {
            context.output.line("\(queue): \(limit.map { "at most \($0) at a time" } ?? "no limit")")
        }
        return before == limit ? .nothingDue : .ok
    }

    // MARK: Emptying

    private static let drain = Command(
        CommandSyntax(
            "queues drain", "wait until everything that stands on a queue now has come to its end", operands: [name],
            options: [
                kind, .value("--timeout", "TIME", "give up after 90s, 15m or 6h; 10m unless given"),
                .flag("--without-delayed", "what is due later is not waited for"), .json,
            ],
            notes: [
                "Whoever puts jobs on the queue is not stopped: what comes after the command has begun is not waited for. A job that is retried has "
                    + "not come to its end; one that is dead has. Workers must run, and the queue must not be paused.",
                "Exit code 5: not all have ended within the time.",
            ])
    ) { invocation, context in
        let queue = try queue(invocation)
        let deadline = ContinuousClock.now + .milliseconds(try invocation.age("--timeout") ?? 600_000)
        let kind = invocation.value("--kind")
        let places: [StandingJob.State] = [.inFlight, .waiting, .parked, .delayed, .ready]
        let states = invocation.has("--without-delayed") ? places.filter { $0 != .delayed } : places
        let (all, left) = try await context.withRedis { redis in
            let inspection = QueueInspection(queue, redis)
            func standing(_ states: [StandingJob.State]) async throws -> Set<String> {
                Set(try await inspection.jobs(in: states, limit: .max) { kind == nil || $0.kind == kind }.map(\.id))
            }
            let all = try await standing(states)
            if !all.isEmpty && !invocation.wantsJSON { context.output.line("waiting for \(all.count) on \(queue)") }
            var left = all
            while !left.isEmpty, ContinuousClock.now < deadline {
                try await Task.sleep(for: min(.milliseconds(200 + left.count / 10), .seconds(5)))
                // Twice: between two looks at the places of a queue a job can pass from one behind to one in front.
                left.formIntersection(try await standing(places).union(try await standing(places)))
            }
            return (all.count, left.count)
        }
        if invocation.wantsJSON {
            context.output.json(["queue": .string(queue), "kind": .optional(kind), "ended": .int(Int64(all - left)), "left": .int(Int64(left))])
        } else if all == 0 {
            context.output.line("Nothing stands on \(queue).")
        } else {
            context.output.line("\(all - left) of \(all) on \(queue) have come to their end")
        }
        return left > 0 ? .underWay : all == 0 ? .nothingDue : .ok
    }

    private static let clear = Command(
        CommandSyntax(
            "queues clear", "delete every job that stands on a queue; their records in SQL say why", operands: [name],
            options: [
                .needed("--reason", "TEXT", "why, for those who ask later"), kind, .flag("--dry-run", "only say how many"), .json,
            ],
            notes: ["What runs, what is dead, and bodies that are no jobs, such as events, stay."])
    ) { invocation, context in
        let queue = try queue(invocation)
        let (kind, reason) = (invocation.value("--kind"), invocation.value("--reason") ?? "")
        let count = try await context.withJobs { desk in
            let found = try await QueueInspection(queue, desk.redis).jobs(in: [.waiting, .parked, .delayed, .ready], limit: .max) {
                $0.job != nil && (kind == nil || $0.kind == kind)
            }
            return invocation.has("--dry-run") ? found.count : try await desk.delete(found, reason)
        }
        let isDry = invocation.has("--dry-run")
        if invocation.wantsJSON {
            context.output.json([
                "queue": .string(queue), "kind": .optional(kind), "deleted": .int(isDry ? 0 : Int64(count)), "meant": .int(Int64(count)),
            ])
        } else {
            context.output.line("\(count) jobs \(isDry ? "would be" : "are") deleted from \(queue)")
        }
        return count > 0 ? .ok : .nothingDue
    }
}
