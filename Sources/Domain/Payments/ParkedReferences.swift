import Database
import Formats
import JobQueue
import Outbox
import ProviderPort

/// References that lead to no attempt of ours, at providers that can tell whose one is: parked, and asked about a few times, ever more rarely.
///
/// An attempt whose own reference becomes known takes up the events that named it by itself; this is for those that never do, since the
/// answer to a start was lost or the customer paid by another way than ours. Few are kept of each provider and few are asked about at a
/// time, so that any number of made-up ones costs a bounded number of calls.
public enum ParkedReferences {
    /// What is kept of one provider.
    static let perProviderMax: Int64 = 100
    /// What is asked about of one provider in one tick.
    static let perTickMax = 5
    /// From parking to the first question, and from each to the next.
    static let delaysMs: [Int64] = [1, 2, 5, 15, 60, 360].map { $0 * 60_000 }
    /// How long one is remembered, so that it is not asked about anew each time it is told.
    static let keepMs: Int64 = 7 * 86_400_000

    /// Parks what an event names, as far as the provider can tell whose it is.
    static func park(_ references: [ProviderReference], of event: ProviderEvent, kinds: [String], nowMs: Int64, in connection: Connection) throws {
        let isProven = event.trust != .unproven
        for reference in references where kinds.contains(reference.kind) {
            let known = try connection.execute(
                "UPDATE payments_parked SET proven = MAX(proven, $3) WHERE provider = $1 AND value = $2",
                [.text(event.provider), .text(reference.value), .bool(isProven)])
            guard known == 0, try hasRoom(event.provider, isProven: isProven, in: connection) else { continue }
            try connection.execute(
                """
                INSERT INTO payments_parked (provider, value, kind, mode, proven, next_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
                ON CONFLICT DO NOTHING
                """,
                [
                    .text(event.provider), .text(reference.value), .text(reference.kind), .text(event.mode), .bool(isProven),
                    .integer(nowMs + delaysMs[0]), .integer(nowMs),
                ])
        }
    }

    /// As with an attempt's: what is proved takes the place of what is not, and that only the place of what was asked about for nothing.
    private static func hasRoom(_ provider: String, isProven: Bool, in connection: Connection) throws -> Bool {
        let row = try connection.first("SELECT COUNT(*) AS n FROM payments_parked WHERE provider = $1", [.text(provider)])
        guard try row?.int("n") ?? 0 >= perProviderMax else { return true }
        return try connection.execute(
            """
            DELETE FROM payments_parked WHERE provider = $1 AND value = (SELECT value FROM payments_parked
              WHERE provider = $1 AND (asked > 0 OR $2 = 1) AND (proven = 0 OR asked > 0 AND $2 = 1) ORDER BY proven, asked DESC, created_at LIMIT 1)
            """, [.text(provider), .bool(isProven)]) == 1
    }

    /// Adds the questions that are due, and forgets what is over.
    /// - Returns: how many are asked about.
    public static func askDue(outbox: Outbox, nowMs: Int64, in connection: Connection) throws -> Int {
        try connection.execute(
            """
            DELETE FROM payments_parked WHERE created_at < $1 OR EXISTS (SELECT 1 FROM payments_references r
              WHERE r.provider = payments_parked.provider AND r.value = payments_parked.value)
            """, [.integer(nowMs - keepMs)])
        var asked = 0
        let providers = try connection.query("SELECT DISTINCT provider FROM payments_parked WHERE next_at <= $1 ORDER BY provider", [.integer(nowMs)])
        for provider in try providers.map({ try $0.text("provider") }) {
            let due = try connection.query(
                """
                SELECT * FROM payments_parked WHERE provider = $1 AND next_at <= $2 AND asked < $3 ORDER BY proven DESC, asked, next_at LIMIT $4
                """, [.text(provider), .integer(nowMs), .integer(Int64(delaysMs.count)), .integer(Int64(perTickMax))])
            for row in due {
                let (value, before) = (try row.text("value"), try row.int("asked"))
                let question = IdentifyReference(
                    provider: provider, mode: try row.text("mode"), reference: try row.text("kind"), value: value)
                try outbox.add(
                    try JobRequest(question, unique: "identify:\(provider):\(value):\(try row.int("created_at")):\(before)"), nowMs: nowMs,
                    in: connection)
                let rung = min(Int(before) + 1, delaysMs.count - 1)
                try connection.execute(
                    "UPDATE payments_parked SET asked = asked + 1, next_at = $3 WHERE provider = $1 AND value = $2",
                    [.text(provider), .text(value), .integer(nowMs + delaysMs[rung])])
                asked += 1
            }
        }
        return asked
    }

    /// What waits, by provider: how many, and how many of them will be asked about again.
    public static func counts(in connection: Connection) throws -> [(provider: String, parked: Int64, waiting: Int64)] {
        try connection.query(
            "SELECT provider, COUNT(*) AS n, SUM(asked < $1) AS waiting FROM payments_parked GROUP BY provider ORDER BY provider",
            [.integer(Int64(delaysMs.count))]
        ).map { (try $0.text("provider"), try $0.int("n"), try $0.int("waiting")) }
    }
}

/// `payment.identify`: asks a provider whose a reference is. What cannot be asked now is asked with the next rung.
public struct IdentifyReference: JobParameters {
    public static let kind = "payment.identify"
    public static let queue = "payments"

    public let provider: String
    public let mode: String
    /// Its kind.
    public let reference: String
    public let value: String

    public static let retry = RetryPolicy.exponential(base: .seconds(1), factor: 2, cap: .seconds(60), jitter: .equal, attemptsMax: 5)
}

extension PaymentVerification {
    /// Carries out ``IdentifyReference``: an attempt that the provider names is asked about, and the events that told the reference are its.
    public func identify(_ parameters: IdentifyReference, job: JobEnvelope, nowMs: @Sendable () -> Int64) async throws -> JobOutcome {
        let reference = ProviderReference(parameters.reference, parameters.value)
        var told: ProviderNotice?
        var detail = "nobody's"
        do {
            guard let adapter = events.providers.known(parameters.provider) else { throw ProviderError(.misconfigured, "the provider is off here") }
            told = try await gates.pass(provider: parameters.provider, attempt: "\(parameters.provider)/\(parameters.value)") {
                try await adapter.identify(reference, over: transport)
            }
        } catch let error as ProviderError {
            // Held back, it was not asked.
            guard error.kind != .held else { throw error }
            detail = error.description
        }
        let now = nowMs()
        let (notice, said) = (told, detail)
        try await database.write { [events] connection in
            let ours = notice?.references.filter { $0.kind == "ours" } ?? []
            let found = try PaymentStore.attempt(of: ours, provider: parameters.provider, in: connection)
            let attempt = found.flatMap { $0.mode == parameters.mode ? $0 : nil }
            guard try Outbox.finish(job, as: .done, detail: attempt.map { "of attempt \($0.id)" } ?? said, nowMs: now, in: connection) else { return }
            if let attempt { try events.take(reference, for: attempt, nowMs: now, in: connection) }
        }
        return .done
    }
}

extension PaymentEvents {
    /// A reference that its provider ties to an attempt: asked about once more as that attempt's, since only such an answer moves money.
    fileprivate func take(_ reference: ProviderReference, for attempt: PaymentAttempt, nowMs: Int64, in connection: Connection) throws {
        let place: [SQLValue] = [.text(attempt.provider), .text(reference.value)]
        try UnverifiedReferences.add(reference, attempt: attempt, isProven: true, nowMs: nowMs, in: connection)
        let events = try connection.query("SELECT event FROM payments_unmatched WHERE provider = $1 AND value = $2", place)
        for event in try events.map({ try $0.text("event") }) {
            try connection.execute(
                """
                UPDATE payments_events SET outcome = 'verifying', detail = NULL, attempt = $2, payment = $3 WHERE id = $1 AND outcome = 'unmatched'
                """, [.text(event), .text(attempt.id), .text(attempt.payment)])
            try connection.execute("DELETE FROM payments_unmatched WHERE event = $1", [.text(event)])
        }
        try connection.execute("DELETE FROM payments_parked WHERE provider = $1 AND value = $2", place)
        let cause = "identified:\(reference.value)"
        try VerifyPayment.ask(about: attempt, cause: cause, outbox: facts.outbox, nowMs: nowMs, in: connection)
    }
}
