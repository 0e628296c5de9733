import Database
import JobQueue
import Outbox
import Telemetry

/// Carries out a scheduled run once, and records what it did.
public struct UsageRunner: Sendable {
    private let database: Database
    private let log: Log
    private let nowMs: @Sendable () -> Int64

    public init(database: Database, log: Log, nowMs: @escaping @Sendable () -> Int64) {
        self.database = database
        self.log = log
        self.nowMs = nowMs
    }

    /// Runs `body` unless the run of this tick is done, and records its report and the end of the job in one transaction. A run that
    /// throws is recorded as failed, and thrown on: the job's policy decides what follows.
    public func run(
        _ kind: UsageRun.Kind, tick: String, job: JobEnvelope, _ body: @Sendable () async throws -> UsageRun.Report
    ) async throws -> JobOutcome {
        let begun = nowMs()
        let isNew = try await database.write { connection in
            try !Outbox.isFinished(job.id, in: connection) && UsageRun.begin(kind, tick: tick, job: job.id, nowMs: begun, in: connection)
        }
        guard isNew else { return .skipped(reason: "the run \(kind.rawValue) \(tick) is done") }
        let report: UsageRun.Report
        do {
            report = try await body()
        } catch {
            try await end(kind, tick, as: .failed, UsageRun.Report(items: 0, errors: 1, detail: "\(error)"))
            throw error
        }
        guard !report.isWorthRetrying else {
            try await end(kind, tick, as: .failed, report)
            throw JobFailure.retry(report.detail)
        }
        try await end(kind, tick, as: .done, report, of: job)
        log.info(
            "usage run done",
            [
                "run": .string(kind.rawValue), "tick": .string(tick), "items": .int(Int64(report.items)), "errors": .int(Int64(report.errors)),
                "duration_ms": .int(nowMs() - begun), "detail": .string(report.detail),
            ])
        return .done
    }

    /// - Parameter job: finished with the run, in the same transaction; nil leaves it to its policy.
    private func end(
        _ kind: UsageRun.Kind, _ tick: String, as outcome: UsageRun.Outcome, _ report: UsageRun.Report, of job: JobEnvelope? = nil
    ) async throws {
        let ended = nowMs()
        try await database.write { connection in
            try UsageRun.end(kind, tick: tick, as: outcome, report, nowMs: ended, in: connection)
            if let job { _ = try Outbox.finish(job, as: .done, detail: report.detail, nowMs: ended, in: connection) }
        }
    }
}
