import Formats

/// One number that a benchmark found, under its name in `.build/bench.json`.
struct Figure: Sendable {
    enum Goal: Sendable {
        case atLeast(Double)
        case atMost(Double)

        func isMet(by value: Double) -> Bool {
            switch self {
            case .atLeast(let bound): value >= bound
            case .atMost(let bound): value <= bound
            }
        }

        var text: String {
            switch self {
            case .atLeast(let bound): "at least \(Number.text(bound))"
            case .atMost(let bound): "at most \(Number.text(bound))"
            }
        }
    }

    let name: String
    let value: Double
    let unit: String
    let goal: Goal?

    init(_ name: String, _ value: Double, _ unit: String, goal: Goal? = nil) {
        self.name = name
        self.value = value
        self.unit = unit
        self.goal = goal
    }
}

/// What a benchmark found, and how it came to it.
struct BenchmarkResult: Sendable {
    var figures: [Figure] = []
    /// Single rounds and whatever else explains the figures.
    var notes: [String] = []
    /// What makes the figures doubtful, such as answers that were no answers.
    var problems: [String] = []
}

enum Number {
    /// Three significant places, or the whole number when it has more; thousands apart.
    static func text(_ value: Double) -> String {
        guard value.isFinite else { return "-" }
        let digits = value.magnitude >= 100 ? 0 : value.magnitude >= 10 ? 1 : value.magnitude >= 1 ? 2 : 3
        let scale = [1.0, 10, 100, 1000][digits]
        let scaled = Int64((value.magnitude * scale).rounded())
        let whole = grouped(scaled / Int64(scale))
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard digits > 0 else { return sign + whole }
        let fraction = String(scaled % Int64(scale))
        return sign + whole + "." + String(repeating: "0", count: digits - fraction.count) + fraction
    }

    private static func grouped(_ value: Int64) -> String {
        var digits = Array(String(value))
        var place = digits.count - 3
        while place > 0 {
            digits.insert(" ", at: place)
            place -= 3
        }
        return String(digits)
    }
}

enum Statistics {
    static func median(_ values: [Double]) -> Double { percentile(values, 50) }

    /// The value that so many percent of all do not exceed; 0 of none.
    static func percentile(_ values: [Double], _ percent: Double) -> Double {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return 0 }
        if percent == 50 && sorted.count % 2 == 0 { return (sorted[sorted.count / 2 - 1] + sorted[sorted.count / 2]) / 2 }
        let rank = Int((Double(sorted.count) * percent / 100).rounded(.up))
        return sorted[max(1, min(sorted.count, rank)) - 1]
    }
}

/// The tables, and the same numbers for machines.
enum Report {
    static func table(_ title: String, _ result: BenchmarkResult) -> String {
        var rows = [["figure", "value", "unit", "goal"]]
        for figure in result.figures {
            let goal = figure.goal.map { "\($0.text): \($0.isMet(by: figure.value) ? "met" : "MISSED")" } ?? ""
            rows.append([figure.name, Number.text(figure.value), figure.unit, goal])
        }
        let widths = (0..<4).map { column in rows.map { $0[column].count }.max() ?? 0 }
        var lines = ["", title]
        lines += result.notes.map { "  " + $0 }
        lines += result.problems.map { "  WRONG: " + $0 }
        for row in rows {
            let name = row[0] + padding(widths[0] - row[0].count)
            let value = padding(widths[1] - row[1].count) + row[1]
            let unit = row[2] + (row[3].isEmpty ? "" : padding(widths[2] - row[2].count))
            lines.append("  \(name)  \(value)  \(unit)" + (row[3].isEmpty ? "" : "  \(row[3])"))
        }
        return lines.joined(separator: "\n")
    }

    private static func padding(_ count: Int) -> String { String(repeating: " ", count: max(0, count)) }

    /// One flat object of numbers.
    static func json(_ figures: [Figure]) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        for figure in figures {
            writer.key(figure.name)
            writer.double((figure.value * 10_000).rounded() / 10_000)
        }
        writer.endObject()
        return writer.bytes + [UInt8(ascii: "\n")]
    }
}
