import Database
import Formats
import JobQueue

/// An operator's word that a job is to be left off: cancelled or deleted.
///
/// The queue decides, for only there is a job either claimed or taken away; SQL keeps what was decided. In this order no crash loses a job
/// or lets one come back that was left off:
///
/// 1. The word is written. It changes nothing about the job: who claims it runs it, and its effect counts.
/// 2. The queue takes the job off in one step, which remembers its end, or answers that a worker has it.
/// 3. The record is finished and the word is gone, in one transaction; or the word is withdrawn, since the job went its own way.
///
/// Cut off after the first, the job stands where it stood, and ``settle(in:_:names:olderThanMs:isFinal:nowMs:)`` goes on with the second.
/// Cut off after the second, nothing but its open record could bring it back: adoption and `rebuild-queues` leave out what has a word, and
/// settling finishes the record. (Were the record finished first, a job claimed before the queue is asked would run although it is over.)
/// The word about a job that runs stays until its record is finished: when its worker is lost, and Redis with it, it does not come back.
public struct LeavingJob: Sendable {
    public let job: JobEnvelope
    public let outcome: JobRecord.Outcome
    public let detail: String
    public let saidAtMs: Int64

    /// Words looked at by one call of ``settle(in:_:names:olderThanMs:isFinal:nowMs:)``.
    private static let settledMax: Int64 = 500

    /// - Parameter outcome: `skipped` for a cancelled job, `discarded` for a deleted one.
    public init(_ job: JobEnvelope, as outcome: JobRecord.Outcome, detail: String, saidAtMs: Int64) {
        self.job = job
        self.outcome = outcome
        self.detail = detail
        self.saidAtMs = saidAtMs
    }

    private init(_ row: Row) throws {
        job = try JobEnvelope(decoding: Array(try row.text("body").utf8))
        outcome = try row.text("outcome") == JobRecord.Outcome.discarded.rawValue ? .discarded : .skipped
        detail = try row.text("detail")
        saidAtMs = try row.int("said_at")
    }

    // MARK: The word

    public func say(in connection: Connection) throws {
        try connection.execute(
            """
            INSERT INTO outbox_leaving (job, queue, body, outcome, detail, said_at) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (job) DO UPDATE SET queue = excluded.queue, body = excluded.body, outcome = excluded.outcome,
              detail = excluded.detail, said_at = excluded.said_at
            """,
            [
                .text(job.id), .text(job.queue), .text(String(decoding: job.encoded(), as: UTF8.self)), .text(outcome.rawValue), .text(detail),
                .integer(saidAtMs),
            ])
    }

    /// The words that were said before `cutoffMs`, the oldest first.
    public static func all(saidBefore cutoffMs: Int64, in connection: Connection) throws -> [LeavingJob] {
        try connection.query(
            "SELECT body, outcome, detail, said_at FROM outbox_leaving WHERE said_at < $1 ORDER BY said_at, job LIMIT $2",
            [.integer(cutoffMs), .integer(settledMax)]
        ).map { try LeavingJob($0) }
    }

    /// Keeps what the queue has decided.
    public func decided(_ answer: JobCancellation, nowMs: Int64, in connection: Connection) throws {
        switch answer {
        case .removed, .ended(.cancelled), .ended(.deleted): try kept(nowMs: nowMs, in: connection)
        case .asked: break
        case .ended, .unknown: try withdraw(in: connection)
        }
    }

    /// The job has gone its own way.
    public func withdraw(in connection: Connection) throws {
        try connection.execute("DELETE FROM outbox_leaving WHERE job = $1", [.text(job.id)])
    }

    private func kept(nowMs: Int64, in connection: Connection) throws {
        _ = try Outbox.finish(job, as: outcome, detail: detail, nowMs: nowMs, in: connection)
        // It was on its queue, whether its relay came to write that down or not: it is not put there again.
        try connection.execute(
            "UPDATE outbox_jobs SET published_at = $2 WHERE id = $1 AND published_at IS NULL", [.text(job.id), .integer(nowMs)])
        try withdraw(in: connection)
    }

    // MARK: What was cut off

    /// Carries out the words whose speakers are gone.
    /// - Parameters:
    ///   - names: queues on which a job is looked for beside its own: it may have been moved.
    ///   - cutoffMs: words said since are their speaker's.
    ///   - isFinal: a job that stands nowhere is over. Otherwise its word waits: the job may be between two places.
    /// - Returns: how many records were finished.
    @discardableResult
    public static func settle(
        in database: Database, _ queues: any QueueDirectory, names: [String] = [], olderThanMs cutoffMs: Int64 = .max, isFinal: Bool = false,
        nowMs: Int64
    ) async throws -> Int {
        // What was finished meanwhile, by whomever, needs no word any more.
        let words = try await database.read { try all(saidBefore: cutoffMs, in: $0) }
        guard !words.isEmpty else { return 0 }
        var finished = 0
        for word in words {
            let isOpen = try await database.read { try JobRecord.find(word.job.id, in: $0).map { $0.finishedAtMs == nil } }
            guard isOpen != false else {
                try await database.write { try word.withdraw(in: $0) }
                continue
            }
            var answer = JobCancellation.unknown
            for name in [word.job.queue] + names.filter({ $0 != word.job.queue }) where answer == .unknown {
                answer = try await word.ask(queues.driver(of: name))
            }
            if answer == .unknown && isOpen == true {
                guard isFinal else { continue }
                answer = .ended(.cancelled)
            }
            let decided = answer
            try await database.write { try word.decided(decided, nowMs: nowMs, in: $0) }
            switch decided {
            case .removed, .ended(.cancelled), .ended(.deleted): finished += 1
            default: break
            }
        }
        return finished
    }

    private func ask(_ driver: any QueueDriver) async throws -> JobCancellation {
        if outcome == .skipped { return try await driver.cancel(job.id, reason: detail) }
        if let ended = try await driver.report(ofJob: job.id)?.ending { return .ended(ended.state) }
        while let found = try await driver.find(job: job.id) {
            switch found.place {
            case .dead: return .ended(.dead)
            // A job that runs is not deleted: the word is not for it.
            case .claimed, .woken: return .ended(.done)
            case .moving: return .unknown
            case .ready, .delayed, .waiting, .parked:
                if try await driver.remove(found, ending: JobEnding(job: job.id, state: .deleted, reason: detail)) { return .removed(job) }
            }
        }
        return .unknown
    }
}
