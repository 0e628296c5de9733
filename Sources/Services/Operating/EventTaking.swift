import Database
import Payments

/// Taking up archived events again, or only saying what that would come to.
package enum EventTaking {
    /// What a trial ends with, so that nothing of it stays.
    private struct Trial: Error { let replay: EventReplay }

    /// Each event in a transaction of its own, so that one that fails takes no other with it and no writer waits long.
    package static func once(
        _ id: String, _ events: PaymentEvents, nonce: String, actor: String, isTrial: Bool, nowMs: Int64, _ database: Database
    ) async throws -> EventReplay {
        do {
            return try await database.write { connection in
                let replay = try events.replay(id, nonce: nonce, actor: actor, nowMs: nowMs, in: connection)
                if isTrial { throw Trial(replay: replay) }
                return replay
            }
        } catch let trial as Trial {
            return trial.replay
        }
    }
}
