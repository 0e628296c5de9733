import Database
import JobQueue
import JobQueueRedis
import Outbox

/// The queues and the records of their jobs, as whoever changes both has them.
package struct JobDesk: Sendable {
    /// Records written in one transaction.
    private static let batch = 200

    package let redis: RedisQueues
    package let database: Database
    package let nowMs: @Sendable () -> Int64

    package init(redis: RedisQueues, database: Database, nowMs: @escaping @Sendable () -> Int64) {
        self.redis = redis
        self.database = database
        self.nowMs = nowMs
    }

    package func driver(of entry: StandingJob) -> RedisDriver { redis.redisDriver(of: entry.queue) }

    package func record(of job: String) async throws -> JobRecord? { try await database.read { try JobRecord.find(job, in: $0) } }

    /// Leaves a job off wherever it is on its queue. ``LeavingJob`` says why in this order.
    package func cancel(_ job: JobEnvelope, on driver: RedisDriver) async throws -> JobCancellation {
        let word = LeavingJob(job, as: .skipped, detail: JobEnding.cancelled, saidAtMs: nowMs())
        try await database.write { try word.say(in: $0) }
        let answer = try await driver.cancel(job.id)
        let now = nowMs()
        try await database.write { try word.decided(answer, nowMs: now, in: $0) }
        return answer
    }

    /// Takes a buried job's record up again, so that its replay may have its effect.
    package func reopen(_ record: DeadRecord) async throws {
        guard let job = record.job else { return }
        try await database.write { _ = try Outbox.reopen(job, in: $0) }
    }

    /// Deletes jobs that stand on a queue. ``LeavingJob`` says why in this order.
    /// - Returns: how many there were still.
    package func delete(_ entries: [StandingJob], _ reason: String) async throws -> Int {
        let words = "deleted: \(reason)"
        var deleted = 0
        for start in stride(from: 0, to: entries.count, by: Self.batch) {
            let now = nowMs()
            let batch = entries[start..<min(start + Self.batch, entries.count)].compactMap { entry in
                entry.job.map { (entry, LeavingJob($0, as: .discarded, detail: words, saidAtMs: now)) }
            }
            try await database.write { for (_, word) in batch { try word.say(in: $0) } }
            var answers: [JobCancellation] = []
            do {
                for (entry, word) in batch {
                    let ending = JobEnding(job: word.job.id, state: .deleted, reason: words)
                    let isGone = try await driver(of: entry).remove(entry.body, ending: ending)
                    answers.append(isGone ? .removed(word.job) : .unknown)
                }
            } catch {
                // Of the one whose answer is missing nobody knows: its word stays. The queue was not asked about those behind it.
                answers.append(.asked)
                try await keep(answers + Array(repeating: .unknown, count: batch.count - answers.count), of: batch.map(\.1))
                throw error
            }
            try await keep(answers, of: batch.map(\.1))
            deleted += answers.count { $0 != .unknown }
        }
        return deleted
    }

    private func keep(_ answers: [JobCancellation], of words: [LeavingJob]) async throws {
        let now = nowMs()
        try await database.write { for (word, answer) in zip(words, answers) { try word.decided(answer, nowMs: now, in: $0) } }
    }
}
