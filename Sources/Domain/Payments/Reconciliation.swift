import Database
import Formats
import JobQueue
import Outbox
import ProviderPort

/// When an attempt that still waits is asked about: at 2, 5, 15 and 60 minutes, 6 hours and then daily, gently, because
/// providers promise no retry of a lost notification and dislike polling.
public enum ReconciliationLadder {
    private static let minutes: [Int64] = [2, 5, 15, 60, 360, 1440]

    /// Milliseconds from one check to the next.
    public static func delayMs(afterChecks checks: Int64) -> Int64 {
        minutes[min(Int(checks), minutes.count - 1)] * 60_000
    }

    /// An attempt that still waits after this long is given up: 3 days.
    public static let giveUpAfterMs: Int64 = 3 * 24 * 60 * 60_000
}

/// Finds attempts that should have been heard of and asks their providers, through `payment.verify` jobs.
public struct Reconciliation: Sendable {
    private let facts: PaymentFacts
    private let providers: ProviderRegistry

    public init(facts: PaymentFacts, providers: ProviderRegistry) {
        self.facts = facts
        self.providers = providers
    }

    /// One attempt that a run looks at.
    public struct Finding: Sendable {
        public enum Action: String, Sendable { case ask, giveUp = "give_up", none }
        public let payment: String
        public let attempt: String
        public let provider: String
        public let ageMs: Int64
        public let action: Action
    }

    /// Looks at waiting attempts.
    /// - Parameters:
    ///   - minimumAgeMs: younger attempts are left alone.
    ///   - onlyDue: whether an attempt's own ladder is respected; a run by hand asks about all of them.
    public func findings(minimumAgeMs: Int64, onlyDue: Bool, nowMs: Int64, limit: Int, in connection: Connection) throws -> [Finding] {
        try connection.query(
            """
            SELECT * FROM payments_attempts WHERE open = 1 AND created_at <= $1 AND ($2 = 0 OR next_check_at <= $3)
            ORDER BY next_check_at LIMIT $4
            """, [.integer(nowMs - minimumAgeMs), .integer(onlyDue ? 1 : 0), .integer(nowMs), .integer(Int64(limit))]
        ).map { row in
            let attempt = try PaymentAttempt(row)
            let age = nowMs - attempt.createdAtMs
            let askable = providers.known(attempt.provider)?.capabilities.hasStatus ?? false
            let action: Finding.Action = age > ReconciliationLadder.giveUpAfterMs ? .giveUp : askable ? .ask : .none
            return Finding(payment: attempt.payment, attempt: attempt.id, provider: attempt.provider, ageMs: age, action: action)
        }
    }

    /// Carries out what was found. `cause` makes the jobs unique: one cron tick asks once.
    /// - Returns: how many providers are going to be asked, and attempts given up.
    public func carryOut(_ findings: [Finding], cause: String, nowMs: Int64, in connection: Connection) throws -> (asked: Int, givenUp: Int) {
        var asked = 0
        var givenUp = 0
        for finding in findings {
            let attempt = try PaymentStore.requireAttempt(finding.attempt, in: connection)
            switch finding.action {
            case .ask:
                if try facts.outbox.add(try VerifyPayment.request(attempt: attempt, cause: cause), nowMs: nowMs, in: connection) != nil { asked += 1 }
            case .giveUp:
                let notice = ProviderNotice(references: [], claim: .expired, errorText: "no answer of the provider for three days")
                let source = PaymentFacts.Source(actor: "reconciliation", reference: cause)
                try facts.record(notice, attempt: attempt, source: source, nowMs: nowMs, in: connection)
                givenUp += 1
            case .none: break
            }
            try connection.execute(
                "UPDATE payments_attempts SET checks = checks + 1, next_check_at = $2 + $3 WHERE id = $1 AND open = 1",
                [.text(attempt.id), .integer(nowMs), .integer(try delay(of: attempt.id, in: connection))])
        }
        return (asked, givenUp)
    }

    private func delay(of attempt: String, in connection: Connection) throws -> Int64 {
        let row = try connection.first("SELECT checks FROM payments_attempts WHERE id = $1", [.text(attempt)])
        return ReconciliationLadder.delayMs(afterChecks: try row?.int("checks") ?? 0)
    }
}
