import Database

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
