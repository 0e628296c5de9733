import Database
import Formats
import JobQueue
import JobQueueRedis
import Operating
import Outbox

/// `quittance jobs cancel|retry|move|delete`: by id, or all that a filter means.
enum JobsChanging {
    static let commands = [cancel, retry, move, delete]

    private static let which = CommandSyntax.Operand.optional("ID", "a job's id, as listings and logs show it; or a filter")
    private static let most = CommandSyntax.Option.value("--limit", "N", "so many of each queue at most; all unless given")
    private static let dryRun = CommandSyntax.Option.flag("--dry-run", "only say which jobs are meant")
    private static let filter = [JobFilter.queueOption] + JobFilter.options + [JobFilter.stateOption, most, dryRun, .json]
    /// The states of jobs that are nobody's.
    private static let standing: [StandingJob.State] = [.ready, .delayed, .waiting, .parked]

    // MARK: Cancel

    private static let cancel = Command(
        CommandSyntax(
            "jobs cancel", "leave jobs off: what waits is gone, what runs is stopped within about a second", operands: [which], options: filter,
            notes: [
                "A running job is stopped by its worker, unless it ends before; it is not retried. Its record in SQL says skipped: cancelled. "
                    + "Keys of unique and serial jobs are let go."
            ])
    ) { invocation, context in
        try await change(invocation, context, states: [.inFlight] + standing) { entry, desk, deeds in
            guard let job = entry.job else { return deeds.add(entry.id, on: entry.queue, "is no job", isDone: false) }
            switch try await desk.cancel(job, on: desk.driver(of: entry)) {
            case .removed: deeds.add(job.id, on: entry.queue, "is cancelled")
            case .asked: deeds.add(job.id, on: entry.queue, "runs, its worker is told")
            case .ended(let state): deeds.add(job.id, on: entry.queue, "has ended before: \(state.rawValue)", isDone: false)
            case .unknown: deeds.add(job.id, on: entry.queue, "has moved on", isDone: false)
            }
        }
    }

    // MARK: Retry

    private static let retry = Command(
        CommandSyntax(
            "jobs retry", "try jobs now: what is delayed goes to the head of its queue, what is dead goes back as new", operands: [which],
            options: filter, notes: ["`--error` with `--limit 5` first tries whether the cause is cured."])
    ) { invocation, context in
        try await change(invocation, context, states: [.delayed, .dead]) { entry, desk, deeds in
            let driver = desk.driver(of: entry)
            if let record = entry.record {
                try await desk.reopen(record)
                let isBack = try await driver.replayDead(record)
                return deeds.add(entry.id, on: entry.queue, isBack ? "is back on \(entry.queue)" : "has moved on", isDone: isBack)
            }
            let isReady = try await driver.hasten(entry.body)
            deeds.add(entry.id, on: entry.queue, isReady ? "is tried now" : "has moved on", isDone: isReady)
        }
    }

    // MARK: Move

    private static let move = Command(
        CommandSyntax(
            "jobs move", "move jobs to another queue, with their due time and history", operands: [which],
            options: [.needed("--to", "QUEUE", "where they go")] + filter,
            notes: ["Nothing is lost or doubled when this program is stopped between: a worker of either queue ends what was begun."])
    ) { invocation, context in
        let destination = invocation.value("--to") ?? ""
        try ProductQueues.check(destination)
        return try await change(invocation, context, states: standing) { entry, desk, deeds in
            guard entry.job != nil else { return deeds.add(entry.id, on: entry.queue, "is no job", isDone: false) }
            let isThere = entry.queue == destination
            let isMoved = try await desk.redis.move(entry.body, from: entry.queue, to: destination)
            deeds.add(
                entry.id, on: entry.queue, isMoved ? "is on \(destination)" : isThere ? "was there already" : "has moved on", isDone: isMoved)
        }
    }

    // MARK: Delete

    private static let delete = Command(
        CommandSyntax(
            "jobs delete", "delete jobs that stand on a queue; their records in SQL say why", operands: [which],
            options: [.needed("--reason", "TEXT", "why, for those who ask later")] + filter,
            notes: ["What runs is not deleted: see `quittance jobs cancel`. What is dead: see `quittance dead delete`."])
    ) { invocation, context in
        let reason = invocation.value("--reason") ?? ""
        return try await change(invocation, context, states: standing) { entry, desk, deeds in
            let isGone = try await desk.delete([entry], reason) == 1
            deeds.add(entry.id, on: entry.queue, isGone ? "is deleted" : entry.job == nil ? "is no job" : "has moved on", isDone: isGone)
        }
    }

    // MARK: Which

    /// - Parameter states: those in which the command can do something.
    private static func change(
        _ invocation: Invocation, _ context: CommandContext, states: [StandingJob.State],
        _ body: @Sendable (StandingJob, JobDesk, inout Deeds) async throws -> Void
    ) async throws -> ExitCode {
        let id = invocation.operand(0)
        guard (id != nil) != JobFilter.isGiven(invocation) || (id != nil && invocation.has("--queue")) else {
            throw UsageError("either ID or a filter is needed")
        }
        let filter = try JobFilter(invocation, nowMs: context.nowMs(), states: states)
        let limit = try invocation.number("--limit", in: 1...1_000_000, standard: .max)
        return try await context.withJobs { desk in
            try await LeavingJob.settle(in: desk.database, desk.redis, nowMs: context.nowMs())
            let found: [StandingJob]
            if let id {
                found = [try await one(id, in: filter.queues, desk, states: states)]
            } else {
                found = try await filter.find(desk.redis, limit: limit)
            }
            var deeds = Deeds()
            for entry in found {
                if invocation.has("--dry-run") {
                    deeds.add(entry.id, on: entry.queue, "is \(entry.state.rawValue) on \(entry.queue)")
                } else {
                    try await body(entry, desk, &deeds)
                }
            }
            return deeds.tell(invocation, context.output, none: "No such job stands on a queue.")
        }
    }

    private static func one(
        _ id: String, in queues: [String], _ desk: JobDesk, states: [StandingJob.State]
    ) async throws -> StandingJob {
        for queue in queues {
            guard let body = try await desk.redis.redisDriver(of: queue).find(job: id) else { continue }
            let entry = StandingJob(queue: queue, body)
            guard states.contains(entry.state) else {
                throw CommandFailure(.nothingDue, "\(id.onOneLine) is \(entry.state.rawValue) on \(queue)")
            }
            return entry
        }
        for queue in queues {
            guard let ended = try await desk.redis.redisDriver(of: queue).report(ofJob: id)?.ending else { continue }
            throw CommandFailure(.nothingDue, "\(id.onOneLine) has ended before: \(ended.state.rawValue)")
        }
        if let outcome = try await desk.record(of: id)?.outcome {
            throw CommandFailure(.nothingDue, "\(id.onOneLine) has ended before: \(outcome.rawValue)")
        }
        throw CommandFailure(.notFound, "no job '\(id.onOneLine)' stands on a queue")
    }
}

extension CommandContext {
    /// Lends the queues together with the records of their jobs.
    func withJobs<Value>(_ body: (JobDesk) async throws -> Value) async throws -> Value {
        try await withDatabase { database in
            try await withRedis { redis in try await body(JobDesk(redis: redis, database: database, nowMs: nowMs)) }
        }
    }
}
