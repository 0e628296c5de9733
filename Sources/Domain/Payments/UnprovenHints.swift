import Database
import JobQueue
import Outbox

/// Questions to a provider that are asked only because somebody says so without any proof. Anybody can say so, any number of times: soon at
/// first, then ever more rarely, an attempt is asked about for that, and what is said meanwhile shares the next question.
public enum UnprovenHints {
    /// From one such question about an attempt to the next.
    static let delaysMs: [Int64] = [0, 15_000, 60_000, 120_000, 300_000, 900_000, 3_600_000, 21_600_000]

    /// Has the provider asked about an attempt, now or when it is time again.
    public static func ask(about attempt: PaymentAttempt, cause: String, outbox: Outbox, nowMs: Int64, in connection: Connection) throws {
        guard let row = try connection.first("SELECT hints, hinted_at FROM payments_attempts WHERE id = $1", [.text(attempt.id)]) else { return }
        let (hints, last) = (try row.int("hints"), try row.intOrNil("hinted_at"))
        // A question that is to come is about this as well.
        if let last, last > nowMs { return }
        let dueMs = max(nowMs, (last ?? nowMs) + delaysMs[min(Int(hints), delaysMs.count - 1)])
        var request = try VerifyPayment.request(attempt: attempt, cause: cause, isHint: true)
        if dueMs > nowMs { request.runAtMs = dueMs }
        guard try outbox.add(request, nowMs: nowMs, in: connection) != nil else { return }
        try connection.execute(
            "UPDATE payments_attempts SET hints = hints + 1, hinted_at = $2 WHERE id = $1", [.text(attempt.id), .integer(dueMs)])
    }
}
