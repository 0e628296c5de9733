import Database
import Formats
import JobQueue
import Outbox

/// The intent to start an attempt at its provider, which is written before the provider is called and settled after it.
///
/// The call belongs to a request, not to a job: nobody comes back to it when its process dies. What became of it is found out where the
/// provider is asked anyway, and what cannot be found out is put before a person.
public enum AttemptIntent {
    /// The name of the effect; its key is the attempt.
    public static let effect = "provider.initiate"
    /// A call to a provider is over after this, one way or the other.
    public static let callMaxMs: Int64 = 60_000
    /// An attempt that is over or known at the provider needs no address to pay at any more, and may not be started once more.
    private static let withoutAddress: JSON = ["references": []]
    private static let notStarted: JSON? = .none

    static func identity(_ attempt: String) -> EffectIdentity { EffectIdentity(effect, key: attempt) }

    /// Whether nobody knows if the attempt was started at its provider. A call that is under way is not known about either.
    public static func isUndecided(_ attempt: String, in connection: Connection) throws -> Bool {
        guard let record = try EffectTable.find(identity(attempt), in: connection) else { return false }
        return record.state == .pending || record.state == .doubtful
    }

    /// Enters what the provider said when it was asked by our reference. A call that may still be under way is left alone.
    /// - Parameter isKnown: whether it says anything of the attempt. When not, a repeated request may start it: its id names one payment
    ///   there, so that even a start that was carried out is not followed by a second payment.
    static func settle(_ attempt: String, isKnown: Bool, nowMs: Int64, in connection: Connection) throws {
        try EffectTable.update(identity(attempt), in: connection) { record in
            guard let found = record, found.state == .pending, found.changedAtMs < nowMs - callMaxMs else { return }
            // What cannot be asked by our reference is not known by it either: that says nothing.
            guard isKnown || found.rule == .ask else { return }
            _ = EffectRecord.settle(&record, result: isKnown ? withoutAddress : notStarted, by: "its provider's answer", nowMs: nowMs)
        }
    }

    /// Looks after calls whose process died long ago: of an attempt that is over nothing more is needed, one whose provider cannot be asked
    /// becomes a task.
    /// - Returns: how many were put before a person.
    public static func resolveAbandoned(nowMs: Int64, limit: Int, in connection: Connection) throws -> Int {
        let filter = EffectFilter(openOnly: true, begunBeforeMs: nowMs - 2 * callMaxMs, name: effect, limit: limit)
        var doubted = 0
        for intent in try EffectTable.list(filter, in: connection) {
            let row = try connection.first("SELECT open FROM payments_attempts WHERE id = $1", [.text(intent.identity.key)])
            let isOver = try row?.int("open") != 1
            try EffectTable.update(intent.identity, in: connection) { record in
                if isOver {
                    _ = EffectRecord.settle(&record, result: withoutAddress, by: "the end of its attempt", nowMs: nowMs)
                } else if intent.rule == .onceThenTask, EffectRecord.doubt(&record, seen: intent, nowMs: nowMs) {
                    doubted += 1
                }
            }
        }
        return doubted
    }
}
