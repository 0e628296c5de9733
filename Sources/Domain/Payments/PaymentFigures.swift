import Database
import Formats

/// What there is to measure about payments, by provider and state and by the way that customers chose to pay.
public struct PaymentFigures: Sendable, Equatable {
    /// How many payments stand where, by the provider of their latest attempt; empty for those that were never tried.
    public struct Standing: Sendable, Equatable {
        public let provider: String
        public let state: String
        public let count: Int64

        public init(provider: String, state: String, count: Int64) {
            self.provider = provider
            self.state = state
            self.count = count
        }
    }

    public let standings: [Standing]
    /// Attempts by method as it was asked for; empty where the customer chose at the provider.
    public let attemptsByMethod: [String: Int64]

    public init(standings: [Standing], attemptsByMethod: [String: Int64]) {
        self.standings = standings
        self.attemptsByMethod = attemptsByMethod
    }

    /// The states that money came in for, whatever became of it later.
    static let succeeded: Set<PaymentState> = [.paid, .partiallyRefunded, .refunded, .chargedBack]

    /// The share of the payments that came to an end and were paid, 0 to 1; nil before any has.
    public var successRatio: Double? {
        var paid: Int64 = 0
        var ended: Int64 = 0
        for standing in standings {
            guard let state = PaymentState(rawValue: standing.state), !state.isOpen else { continue }
            ended += standing.count
            if Self.succeeded.contains(state) { paid += standing.count }
        }
        return ended > 0 ? Double(paid) / Double(ended) : nil
    }

    public static func read(in connection: Connection) throws -> PaymentFigures {
        let standings = try connection.query(
            "SELECT provider, state, count AS n FROM payments_standings WHERE count > 0 ORDER BY provider, state"
        ).map { Standing(provider: try $0.text("provider"), state: try $0.text("state"), count: try $0.int("n")) }
        var methods: [String: Int64] = [:]
        for row in try connection.query("SELECT method, count AS n FROM payments_methods") {
            methods[try row.text("method")] = try row.int("n")
        }
        return PaymentFigures(standings: standings, attemptsByMethod: methods)
    }
}

/// How the payments of the last 24 hours went, by the method of their latest attempt: what a dashboard sees at once, while a share of all
/// time hardly moves.
public struct PaymentDay: Sendable, Equatable {
    public enum Outcome: String, Sendable, CaseIterable {
        /// Money came in, whatever became of it later.
        case paid
        /// Failed, cancelled or expired.
        case failed
        /// Neither yet: it goes on, or somebody looks at it.
        case open

        init(_ state: PaymentState) {
            switch state {
            case .failed, .cancelled, .expired: self = .failed
            default: self = PaymentFigures.succeeded.contains(state) ? .paid : .open
            }
        }
    }

    private static let dayMs: Int64 = 24 * 60 * 60_000

    /// By method, empty where the customer chose at the provider or never tried; of each method every outcome.
    public let counts: [String: [Outcome: Int64]]

    /// Reads the payments that were begun in the last 24 hours: a range of the primary key, whatever lies before it.
    public static func read(nowMs: Int64, in connection: Connection) throws -> PaymentDay {
        var counts: [String: [Outcome: Int64]] = [:]
        let rows = try connection.query(
            """
            SELECT COALESCE((SELECT a.method FROM payments_attempts a WHERE a.payment = p.id ORDER BY a.number DESC LIMIT 1), '') AS method,
              p.state AS state, COUNT(*) AS n
            FROM payments_payments p WHERE p.id >= $1 AND p.created_at >= $2 GROUP BY 1, 2
            """, [.text("pay_" + ULID.lowest(atMs: nowMs - dayMs)), .integer(nowMs - dayMs)])
        for row in rows {
            guard let state = PaymentState(rawValue: try row.text("state")) else { continue }
            let method = try row.text("method")
            var outcomes = counts[method] ?? Dictionary(uniqueKeysWithValues: Outcome.allCases.map { ($0, Int64(0)) })
            outcomes[Outcome(state), default: 0] += try row.int("n")
            counts[method] = outcomes
        }
        return PaymentDay(counts: counts)
    }
}
