import Formats

/// Times in seconds, and what stands at their percentiles.
struct Distribution: Sendable {
    private(set) var values: [Double] = []

    init(_ values: [Double] = []) { self.values = values }

    mutating func add(_ value: Double) { values.append(value) }

    /// The value that so many percent of all do not exceed; 0 of none.
    func percentile(_ percent: Double) -> Double {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return 0 }
        let rank = Int((Double(sorted.count) * percent / 100).rounded(.up))
        return sorted[max(1, min(sorted.count, rank)) - 1]
    }

    var most: Double { values.max() ?? 0 }

    var text: String {
        guard !values.isEmpty else { return "none" }
        let figures = [("p50", percentile(50)), ("p95", percentile(95)), ("p99", percentile(99)), ("max", most)]
        return figures.map { "\($0) \(Number.fixed($1, 2)) s" }.joined(separator: ", ") + " (\(values.count))"
    }

    var json: JSON {
        [
            "count": .int(Int64(values.count)), "p50": Self.number(percentile(50)), "p95": Self.number(percentile(95)),
            "p99": Self.number(percentile(99)), "max": Self.number(most),
        ]
    }

    static func number(_ value: Double) -> JSON { .number(Number.fixed(value, 3)) }
}
