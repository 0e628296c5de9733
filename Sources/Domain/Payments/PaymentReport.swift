import Money

/// How payments of one currency went over some days. Each counts on the day on which it was begun, with what has become of it since.
public struct PaymentReport: Sendable {
    /// What is told of some payments.
    public struct Line: Sendable, Equatable {
        public internal(set) var sums = PaymentSums.Sums()
        /// Those that came to an end, and of these those that money came in for, whatever became of it later.
        public internal(set) var ended: Int64 = 0
        public internal(set) var succeeded: Int64 = 0

        /// 0 to 1; nil before any has come to an end.
        public var successRatio: Double? { ended > 0 ? Double(succeeded) / Double(ended) : nil }
        /// From its begin to its payment; nil before any was paid.
        public var meanWaitMs: Int64? { sums.paidCount > 0 ? sums.waitMs / sums.paidCount : nil }

        mutating func add(_ sums: PaymentSums.Sums, state: String) {
            self.sums += sums
            guard let state = PaymentState(rawValue: state), !state.isOpen else { return }
            ended += sums.count
            if PaymentFigures.succeeded.contains(state) { succeeded += sums.count }
        }
    }

    public let currency: Currency
    /// Of every day of the period, the oldest first, by its number since 1970.
    public let days: [(day: Int64, line: Line)]
    public let whole: Line
    /// What most was paid for or by comes first.
    public let byProvider: [(provider: String, line: Line)]
    public let byWay: [(provider: String, method: String, network: String, line: Line)]
    public let byPurpose: [(purpose: String, line: Line)]

    private struct Way: Hashable {
        let provider: String
        let method: String
        let network: String
    }

    fileprivate init(_ sums: PaymentSums, currency: Currency, days range: ClosedRange<Int64>) {
        var byDay: [Int64: Line] = [:]
        var whole = Line()
        var providers: [String: Line] = [:]
        var ways: [Way: Line] = [:]
        var purposes: [String: Line] = [:]
        for day in range {
            for (key, sums) in sums.days[day]?.figures ?? [:] where key.currency == currency.code {
                byDay[day, default: Line()].add(sums, state: key.state)
                whole.add(sums, state: key.state)
                providers[key.provider, default: Line()].add(sums, state: key.state)
                ways[Way(provider: key.provider, method: key.method, network: key.network), default: Line()].add(sums, state: key.state)
                purposes[key.purpose, default: Line()].add(sums, state: key.state)
            }
        }
        self.currency = currency
        self.whole = whole
        days = range.map { ($0, byDay[$0] ?? Line()) }
        func order(_ line: Line, _ name: String) -> (Int64, Int64, String) { (-line.sums.captured, -line.sums.count, name) }
        byProvider = providers.sorted { order($0.value, $0.key) < order($1.value, $1.key) }.map { ($0.key, $0.value) }
        byPurpose = purposes.sorted { order($0.value, $0.key) < order($1.value, $1.key) }.map { ($0.key, $0.value) }
        byWay = ways.sorted {
            order($0.value, "\($0.key.provider) \($0.key.method) \($0.key.network)")
                < order($1.value, "\($1.key.provider) \($1.key.method) \($1.key.network)")
        }.map { ($0.key.provider, $0.key.method, $0.key.network, $0.value) }
    }
}

extension PaymentSums {
    /// The currencies of the last days, what most was begun in first.
    public func currencies(days count: Int, nowMs: Int64) -> [Currency] {
        var found: [String: Int64] = [:]
        for day in Self.range(count, nowMs) {
            for (key, sums) in days[day]?.figures ?? [:] { found[key.currency, default: 0] += sums.count }
        }
        return found.sorted { (-$0.value, $0.key) < (-$1.value, $1.key) }.compactMap { try? Currency(code: $0.key) }
    }

    /// The last days, today among them; at most as many as figures are kept of.
    public func report(_ currency: Currency, days count: Int, nowMs: Int64) -> PaymentReport {
        PaymentReport(self, currency: currency, days: Self.range(count, nowMs))
    }

    /// All that is told apart of the last days, in order.
    public func figures(days count: Int, nowMs: Int64) -> [(day: Int64, key: FigureKey, sums: Sums)] {
        Self.range(count, nowMs).flatMap { day in
            (days[day]?.figures ?? [:]).map { (day, $0.key, $0.value) }.sorted { Self.order($0.1) < Self.order($1.1) }
        }
    }

    private static func range(_ count: Int, _ nowMs: Int64) -> ClosedRange<Int64> {
        let today = nowMs / dayMs
        return (today - min(Int64(max(1, count)), figureDays) + 1)...today
    }

    private static func order(_ key: FigureKey) -> String {
        [key.currency, key.provider, key.method, key.network, key.purpose, key.state].joined(separator: "\u{1}")
    }
}
