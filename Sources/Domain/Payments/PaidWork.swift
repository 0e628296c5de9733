import Database
import Formats
import JobQueue
import Outbox

/// The guard of paid-only jobs: re-reads the payment before every attempt.
public struct PaidGuard: JobGuard {
    private let database: Database
    public init(database: Database) { self.database = database }

    public func admit(_ job: JobEnvelope) async throws -> GuardVerdict {
        guard let payment = job.payment else { return .skip(reason: "the job names no payment") }
        return try await database.read { connection in
            if try Outbox.isFinished(job.id, in: connection) { return .skip(reason: "finished before") }
            guard let found = try PaymentStore.find(payment, in: connection) else { return .skip(reason: "payment \(payment) does not exist") }
            return found.state.allowsPaidWork ? .run : .skip(reason: "payment is \(found.state.rawValue)")
        }
    }
}

/// What became of an effect in SQL.
public enum EffectResult<Value: Sendable>: Sendable {
    case done(Value)
    /// An earlier delivery of the job had the effect: nothing was changed.
    case finishedBefore
    /// The payment is not paid (any more): recorded, nothing else was changed.
    case skipped(String)
}

extension Database {
    /// Has the effect of a paid-only job, once: finishes the job's record, re-reads the payment and runs `body`, all in one
    /// transaction. When `body` throws, the record stays unfinished and the job may be tried again.
    public func paidEffect<Value: Sendable>(
        of job: JobEnvelope, nowMs: Int64, detail: String? = nil, _ body: @escaping @Sendable (Payment, Connection) throws -> Value
    ) async throws -> EffectResult<Value> {
        try await write { connection in
            guard let id = job.payment, let payment = try PaymentStore.find(id, in: connection) else {
                return try Self.skip(job, "the payment does not exist", nowMs: nowMs, in: connection)
            }
            guard payment.state.allowsPaidWork else {
                return try Self.skip(job, "payment is \(payment.state.rawValue)", nowMs: nowMs, in: connection)
            }
            guard try Outbox.finish(job, as: .done, detail: detail, nowMs: nowMs, in: connection) else { return .finishedBefore }
            return .done(try body(payment, connection))
        }
    }

    private static func skip<Value: Sendable>(
        _ job: JobEnvelope, _ reason: String, nowMs: Int64, in connection: Connection
    ) throws -> EffectResult<Value> {
        guard try Outbox.finish(job, as: .skipped, detail: reason, nowMs: nowMs, in: connection) else { return .finishedBefore }
        return .skipped(reason)
    }
}

/// Records in SQL what the engine decides about a job without its handler: skipped by the guard, or buried.
public struct JobOutcomeRecorder: Sendable {
    private let database: Database
    public init(database: Database) { self.database = database }

    public func record(_ job: JobEnvelope, as outcome: JobRecord.Outcome, reason: String, nowMs: Int64) async throws {
        _ = try await database.write { try Outbox.finish(job, as: outcome, detail: String(reason.prefix(1000)), nowMs: nowMs, in: $0) }
    }
}
