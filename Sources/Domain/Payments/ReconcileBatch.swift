import Database
import Formats
import JobQueue
import Money
import Outbox
import ProviderPort

/// `payment.reconcile`: has a provider list a stretch of time, so that one call answers for many attempts; only those that the list says
/// nothing of are asked about one by one.
public struct ReconcileBatch: JobParameters {
    public static let kind = "payment.reconcile"
    public static let queue = "payments"

    public let provider: String
    public let fromMs: Int64
    public let toMs: Int64
    /// Those that wait to be heard of.
    public let attempts: [String]
    /// Whether what is booked of that time is compared too: what the list lacks of it is asked about.
    public let comparesBooks: Bool
    public let cause: String

    public static let retry = RetryPolicy.exponential(base: .seconds(5), factor: 2, cap: .seconds(300), jitter: .equal, attemptsMax: 8)

    /// How far the provider's clock and ours may be apart.
    static let marginMs: Int64 = 15 * 60_000
    /// Attempts of one job.
    static let attemptsMax = 200

    static func request(
        _ provider: String, from fromMs: Int64, to toMs: Int64, attempts: [String] = [], comparesBooks: Bool = false, cause: String, part: Int = 0
    ) throws -> JobRequest {
        try JobRequest(
            ReconcileBatch(
                provider: provider, fromMs: fromMs, toMs: toMs, attempts: attempts, comparesBooks: comparesBooks, cause: cause),
            unique: "reconcile:\(provider):\(cause):\(part)")
    }
}

/// Carries out ``ReconcileBatch``.
public struct BatchReconciliation: Sendable {
    private let database: Database
    private let facts: PaymentFacts
    private let providers: ProviderRegistry
    private let transport: any ProviderTransport

    /// Pages of one list: what is behind them is asked about one by one.
    static let pagesMax = 40
    /// A list that fails so often is done without.
    static let listAttempts = 3
    /// Rows that are compared in one transaction.
    private static let rowsAtOnce = 100
    /// What is booked and not listed, asked about by one job.
    private static let missingMax = 100

    public init(database: Database, facts: PaymentFacts, providers: ProviderRegistry, transport: any ProviderTransport) {
        self.database = database
        self.facts = facts
        self.providers = providers
        self.transport = transport
    }

    public func run(_ parameters: ReconcileBatch, job: JobEnvelope, attempt: Int, nowMs: @Sendable () -> Int64) async throws -> JobOutcome {
        guard let adapter = providers.known(parameters.provider) else {
            throw ProviderError(.misconfigured, "provider \(parameters.provider) is off here")
        }
        var heard: Set<String> = []
        do {
            for page in try await pages(parameters, adapter) {
                let now = nowMs()
                heard.formUnion(try await enter(page, parameters, job, nowMs: now))
            }
        } catch let error as ProviderError {
            // A list that cannot be had is no reason to leave anybody waiting.
            guard error.kind != .held, !error.retryHelps || attempt >= Self.listAttempts else { throw error }
        }
        let (now, listed) = (nowMs(), heard)
        try await database.write { [facts] connection in
            guard try Outbox.finish(job, as: .done, detail: "\(listed.count) listed", nowMs: now, in: connection) else { return }
            let missing = parameters.comparesBooks ? try Self.booked(parameters, in: connection).filter { !listed.contains($0) } : []
            let waiting = try parameters.attempts.filter { try !listed.contains($0) && PaymentStore.requireAttempt($0, in: connection).isOpen }
            for id in waiting + missing.prefix(Self.missingMax) {
                let attempt = try PaymentStore.requireAttempt(id, in: connection)
                let request = try VerifyPayment.request(attempt: attempt, cause: parameters.cause, reconciles: true)
                try facts.outbox.add(request, nowMs: now, in: connection)
            }
        }
        return .done
    }

    private func pages(_ parameters: ReconcileBatch, _ adapter: any PaymentProvider) async throws -> [[ProviderNotice]] {
        var rows: [ProviderNotice] = []
        var cursor: String?
        for _ in 0..<Self.pagesMax {
            let query = HistoryQuery(fromMs: parameters.fromMs, toMs: parameters.toMs, cursor: cursor)
            let page = try await adapter.history(query, over: transport)
            rows += page.notices
            guard let next = page.next else { break }
            cursor = next
        }
        return stride(from: 0, to: rows.count, by: Self.rowsAtOnce).map { Array(rows[$0..<min($0 + Self.rowsAtOnce, rows.count)]) }
    }

    /// Enters what is listed of attempts of ours.
    /// - Returns: those that the provider has said something of.
    private func enter(_ rows: [ProviderNotice], _ parameters: ReconcileBatch, _ job: JobEnvelope, nowMs: Int64) async throws -> Set<String> {
        try await database.write { [facts] connection in
            var heard: Set<String> = []
            let source = PaymentFacts.Source(actor: "provider:\(parameters.provider)", reference: job.id)
            for row in rows {
                guard let attempt = try PaymentStore.attempt(of: row.references, provider: parameters.provider, in: connection) else { continue }
                // A list need not name a currency: what is no sum of this payment is asked about by itself.
                let owed = try PaymentStore.require(attempt.payment, in: connection).amount
                guard row.amount.map({ $0.currency == owed.currency }) ?? true else { continue }
                let outcome = try facts.reconcile(row, attempt: attempt, source: source, nowMs: nowMs, in: connection)
                if row.claim != .unknown { try PaymentStore.noteAnswer(row, of: attempt.id, in: connection) }
                try AttemptIntent.settle(attempt.id, isKnown: row.claim != .unknown, nowMs: nowMs, in: connection)
                if outcome != .unknown || FactClaim(row.claim) != nil { heard.insert(attempt.id) }
            }
            return heard
        }
    }

    /// What was booked as come in by attempts of that time. Those at its edges may be listed as of another time.
    private static func booked(_ parameters: ReconcileBatch, in connection: Connection) throws -> [String] {
        try connection.query(
            """
            SELECT a.id FROM payments_attempts a WHERE a.provider = $1 AND a.created_at >= $2 AND a.created_at <= $3
              AND EXISTS (SELECT 1 FROM payments_facts f WHERE f.payment = a.payment AND f.attempt = a.id AND f.claim = 'captured')
            ORDER BY a.created_at LIMIT 10000
            """,
            [
                .text(parameters.provider), .integer(parameters.fromMs + ReconcileBatch.marginMs),
                .integer(parameters.toMs - ReconcileBatch.marginMs),
            ]
        ).map { try $0.text("id") }
    }
}
