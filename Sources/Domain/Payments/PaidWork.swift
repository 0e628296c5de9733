import Database
import Formats
import JobQueue
import Outbox

extension PaymentState {
    /// Why paid-only work of a payment in this state is skipped. By exactly these words such jobs are told from others that were skipped,
    /// and taken up again when the payment is paid after all.
    public var skipReason: String { "payment is \(rawValue)" }

    /// The words of all states that allow no paid-only work.
    static let skipReasons = Set(allCases.filter { !$0.allowsPaidWork }.map(\.skipReason))
}

/// The guard of paid-only jobs: re-reads the payment before every attempt.
public struct PaidGuard: JobGuard {
    static let finishedBefore = "finished before"
    private let database: Database
    public init(database: Database) { self.database = database }

    public func admit(_ job: JobEnvelope) async throws -> GuardVerdict {
        guard let payment = job.payment else { return .skip(reason: "the job names no payment") }
        return try await database.read { connection in
            if try Outbox.isFinished(job.id, in: connection) { return .skip(reason: Self.finishedBefore) }
            guard let found = try PaymentStore.find(payment, in: connection) else { return .skip(reason: "payment \(payment) does not exist") }
            return found.state.allowsPaidWork ? .run : .skip(reason: found.state.skipReason)
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
                return try Self.skip(job, payment.state.skipReason, nowMs: nowMs, in: connection)
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

    /// - Throws: ``JobFailure`` where a job was skipped for its payment's state and the payment is paid meanwhile: it is to be tried again.
    public func record(_ job: JobEnvelope, as outcome: JobRecord.Outcome, reason: String, nowMs: Int64) async throws {
        // It has its record already; one that was taken up again since is not skipped for what was true of its first life.
        if outcome == .skipped && reason == PaidGuard.finishedBefore { return }
        let isPaid = try await database.write { connection in
            if outcome == .skipped, PaymentState.skipReasons.contains(reason), let payment = job.payment,
                try PaymentStore.find(payment, in: connection)?.state.allowsPaidWork == true
            {
                return true
            }
            _ = try Outbox.finish(job, as: outcome, detail: String(reason.prefix(1000)), nowMs: nowMs, in: connection)
            return false
        }
        if isPaid { throw JobFailure.snooze(.seconds(1), "the payment is paid by now") }
    }
}
