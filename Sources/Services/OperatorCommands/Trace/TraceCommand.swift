import Database
import Formats
import JobQueue
import JobQueueRedis
import Operating
import Outbox
import Settings

/// `quittance trace`: the whole life of one payment.
enum TraceCommand {
    static let command = Command(
        CommandSyntax(
            "trace", "the whole life of a payment: attempts, events, states, ledger, jobs, documents, messages, tasks",
            operands: [.needed("PAYMENT", "a payment, job, attempt, provider's reference, inquiry, team or order number")], options: [.json],
            notes: ["Times are UTC. Telephone numbers and mail addresses are masked."])
    ) { invocation, context in
        let word = invocation.operands[0]
        let providers = context.settings.providers.keys.sorted()
        let found = try await context.withDatabase { database in
            try await database.read { connection in
                try PaymentSearch.find(word, providers: providers, in: connection).map { try PaymentLife(of: $0, in: connection) }
            }
        }
        guard var life = found else { throw CommandFailure(.notFound, "no payment, job, reference, inquiry, team or order is '\(word.onOneLine)'") }
        try await addHistories(to: &life, context)
        if invocation.wantsJSON { context.output.json(life.json) } else { context.output.text(life.text) }
        return .ok
    }

    /// Redis is asked only about jobs that are not done, and may be away.
    private static func addHistories(to life: inout PaymentLife, _ context: CommandContext) async throws {
        let jobs = life.jobsWithHistory
        guard !jobs.isEmpty else { return }
        let answer = try await context.withRedisIfThere { queues in
            var histories: [String: [HistoryEntry]] = [:]
            for job in jobs {
                let history = try await queues.redisDriver(of: job.queue).history(ofJob: job.id)
                if !history.isEmpty { histories[job.id] = history }
            }
            return histories
        }
        life.histories = answer.value ?? [:]
        life.redisProblem = answer.problem
    }
}
