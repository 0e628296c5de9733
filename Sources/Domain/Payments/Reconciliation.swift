import Database
import Formats
import JobQueue
import Outbox
import ProviderPort

/// When an attempt that still waits is asked about: after 2, 5, 15 and 60 minutes, 6 hours and a day, each counted from the question before,
/// because providers promise no retry of a lost notification. Whoever dislikes being polled is spared the first two.
public enum ReconciliationLadder {
    private static let minutes: [Int64] = [2, 5, 15, 60, 360, 1440]
    private static let earlyRungs = 2

    /// Milliseconds from one check to the next.
    public static func delayMs(afterChecks checks: Int64, politely: Bool = false) -> Int64 {
        let rung = Int(checks) + (politely ? earlyRungs : 0)
        return minutes[min(rung, minutes.count - 1)] * 60_000
    }

    /// An attempt that still waits after all rungs, which takes 31 hours and 22 minutes, and a little for the last answer to come in, is given
    /// up: 34 hours after its start, unless its provider is known to take longer.
    public static let giveUpAfterMs: Int64 = 34 * 3_600_000

    /// How old an attempt may become.
    static func patienceMs(_ capabilities: ProviderCapabilities?) -> Int64 { capabilities?.giveUpAfterMs ?? giveUpAfterMs }

    /// When an attempt is looked at next: to be asked about, or at the end of its time to be given up.
    static func nextCheckMs(afterChecks checks: Int64, createdAtMs: Int64, nowMs: Int64, _ capabilities: ProviderCapabilities?) -> Int64 {
        let delay = delayMs(afterChecks: checks, politely: capabilities?.discouragesPolling ?? false)
        return min(nowMs + delay, createdAtMs + patienceMs(capabilities))
    }
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
            let capabilities = providers.known(attempt.provider)?.capabilities
            let isOld = age >= ReconciliationLadder.patienceMs(capabilities)
            let action: Finding.Action = isOld ? .giveUp : capabilities?.hasStatus == true ? .ask : .none
            return Finding(payment: attempt.payment, attempt: attempt.id, provider: attempt.provider, ageMs: age, action: action)
        }
    }

    /// Carries out what was found. `cause` makes the jobs unique: one cron tick asks once. Several attempts of a provider that lists its
    /// payments are asked about by its list.
    /// - Returns: about how many attempts providers are going to be asked, and how many were given up.
    public func carryOut(_ findings: [Finding], cause: String, nowMs: Int64, in connection: Connection) throws -> (asked: Int, givenUp: Int) {
        let (listed, new) = try askByList(findings, cause: cause, nowMs: nowMs, in: connection)
        var asked = new
        var givenUp = 0
        for finding in findings {
            let attempt = try PaymentStore.requireAttempt(finding.attempt, in: connection)
            // What was heard of since it was found waits no more.
            guard attempt.isOpen else { continue }
            switch finding.action {
            case .ask:
                if listed.contains(attempt.id) { break }
                let request = try VerifyPayment.request(attempt: attempt, cause: cause, reconciles: true)
                if try facts.outbox.add(request, nowMs: nowMs, in: connection) != nil { asked += 1 }
            case .giveUp:
                try giveUp(attempt, cause: cause, nowMs: nowMs, in: connection)
                givenUp += 1
            case .none: break
            }
            try connection.execute(
                "UPDATE payments_attempts SET checks = checks + 1, next_check_at = $2 WHERE id = $1 AND open = 1",
                [.text(attempt.id), .integer(try nextCheckMs(of: attempt, nowMs: nowMs, in: connection))])
        }
        return (asked, givenUp)
    }

    /// - Returns: the attempts that lists are going to be read for, and how many of them this call has added.
    private func askByList(
        _ findings: [Finding], cause: String, nowMs: Int64, in connection: Connection
    ) throws -> (listed: Set<String>, new: Int) {
        var listed: Set<String> = []
        var new = 0
        for (name, mine) in Dictionary(grouping: findings.filter { $0.action == .ask }, by: \.provider) {
            guard mine.count >= Self.listFrom, providers.known(name)?.capabilities.hasHistory == true else { continue }
            let ordered = mine.sorted { $0.ageMs > $1.ageMs }
            for (part, start) in stride(from: 0, to: ordered.count, by: ReconcileBatch.attemptsMax).enumerated() {
                let chunk = ordered[start..<min(start + ReconcileBatch.attemptsMax, ordered.count)]
                let oldest = nowMs - (chunk.first?.ageMs ?? 0)
                let request = try ReconcileBatch.request(
                    name, from: oldest - ReconcileBatch.marginMs, to: nowMs, attempts: chunk.map(\.attempt), cause: cause, part: part)
                if try facts.outbox.add(request, nowMs: nowMs, in: connection) != nil { new += chunk.count }
                listed.formUnion(chunk.map(\.attempt))
            }
        }
        return (listed, new)
    }

    /// Has every provider that lists its payments list those of the last two days, and compares what is booked.
    /// - Returns: how many are going to be read.
    public func compareBooks(cause: String, nowMs: Int64, in connection: Connection) throws -> Int {
        var asked = 0
        for (adapter, _) in providers.all where adapter.capabilities.hasHistory {
            let request = try ReconcileBatch.request(
                adapter.name, from: nowMs - Self.comparedMs, to: nowMs, comparesBooks: true, cause: cause)
            if try facts.outbox.add(request, nowMs: nowMs, in: connection) != nil { asked += 1 }
        }
        return asked
    }

    /// From so many attempts on a list is cheaper than questions.
    static let listFrom = 2
    /// How far back the books are compared each day.
    static let comparedMs: Int64 = 2 * 86_400_000

    /// Nobody pays any more what its provider says is not paid. What its provider does not say that of may be paid all the same: the attempt
    /// is closed, and a person is told.
    private func giveUp(_ attempt: PaymentAttempt, cause: String, nowMs: Int64, in connection: Connection) throws {
        if let doubt = try doubt(about: attempt, in: connection) {
            let detail = "attempt \(attempt.id): \(attempt.provider) \(doubt); look there before the customer pays again"
            try PaymentTask.open(payment: attempt.payment, kind: "unresolved", detail: detail, nowMs: nowMs, in: connection)
        }
        let notice = ProviderNotice(references: [], claim: .expired, errorText: "it waited to the end of its time")
        let source = PaymentFacts.Source(actor: "reconciliation", reference: cause)
        try facts.record(notice, attempt: attempt, source: source, nowMs: nowMs, in: connection)
    }

    /// Why an attempt that waits may be paid nevertheless; nil where its provider says that it is not, or knows nothing of payments.
    private func doubt(about attempt: PaymentAttempt, in connection: Connection) throws -> String? {
        switch try PaymentStore.lastAnswer(of: attempt.id, in: connection) {
        case .processing: return "was at it still when it answered last"
        case .unknown: return "answered last what tells neither that it was paid nor that it was not"
        case .some: return nil
        case nil: break
        }
        if providers.known(attempt.provider)?.capabilities.hasStatus == true { return "never answered what became of it" }
        let told = try PaymentFacts.facts(of: attempt.payment, in: connection)
        return told.contains { $0.attempt == attempt.id && $0.claim == .processing } ? "was at it when it was last heard of" : nil
    }

    /// When an attempt is looked at after this time.
    private func nextCheckMs(of attempt: PaymentAttempt, nowMs: Int64, in connection: Connection) throws -> Int64 {
        let before = try connection.first("SELECT checks FROM payments_attempts WHERE id = $1", [.text(attempt.id)])?.int("checks") ?? 0
        return ReconciliationLadder.nextCheckMs(
            afterChecks: before + 1, createdAtMs: attempt.createdAtMs, nowMs: nowMs, providers.known(attempt.provider)?.capabilities)
    }
}
