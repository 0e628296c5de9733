import Formats
import Synchronization

/// All measurements of a process, written out in Prometheus' text format 0.0.4.
///
/// Asking twice for the same name and labels gives the same measurement. Names, labels and kinds are chosen in code, so a
/// clash or a misspelt name is a mistake of ours and ends the program.
public final class MetricRegistry: Sendable {
    public static let shared = MetricRegistry()
    /// The content type of ``prometheusText()``.
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private enum Series: Sendable {
        case counter(Counter)
        case gauge(Gauge)
        case function(@Sendable () -> Double)
        case counterFunction(@Sendable () -> Double)
        case histogram(Histogram)

        var kind: String {
            switch self {
            case .counter, .counterFunction: "counter"
            case .gauge, .function: "gauge"
            case .histogram: "histogram"
            }
        }
    }

    private struct Family: Sendable {
        let help: String
        let kind: String
        /// By the labels as they are written between the braces.
        var series: [String: Series] = [:]
    }

    private let families = Mutex<[String: Family]>([:])

    public init() {}

    public func counter(_ name: String, help: String, labels: [(String, String)] = []) -> Counter {
        guard case .counter(let counter) = series(name, help, labels, { .counter(Counter()) }) else { clash(name) }
        return counter
    }

    public func gauge(_ name: String, help: String, labels: [(String, String)] = []) -> Gauge {
        guard case .gauge(let gauge) = series(name, help, labels, { .gauge(Gauge()) }) else { clash(name) }
        return gauge
    }

    /// A gauge that is asked for its value when it is read. A second registration replaces the first.
    public func gaugeFunction(_ name: String, help: String, labels: [(String, String)] = [], _ value: @escaping @Sendable () -> Double) {
        replace(name, help, labels, .function(value))
    }

    /// A counter that is asked for its value when it is read. A second registration replaces the first.
    public func counterFunction(_ name: String, help: String, labels: [(String, String)] = [], _ value: @escaping @Sendable () -> Double) {
        replace(name, help, labels, .counterFunction(value))
    }

    /// Sets every series of a gauge at once: those that are not among the values, such as a team that is no longer, vanish.
    /// A reader sees either the old set or the new one. Not for a name whose series are also asked for one by one.
    public func gauges(_ name: String, help: String, _ values: [(labels: [(String, String)], value: Double)]) {
        var series: [String: Series] = [:]
        for (labels, value) in values {
            let gauge = Gauge()
            gauge.set(value)
            series[Self.text(of: labels)] = .gauge(gauge)
        }
        families.withLock { families in
            precondition(Self.isName(name), "\(name) is no metric name")
            precondition(families[name].map { $0.kind == "gauge" } ?? true, "\(name) is registered as another kind already")
            families[name] = Family(help: help, kind: "gauge", series: series)
        }
    }

    /// Forgets one series; the measurements that were given out for it go on, unseen.
    public func remove(_ name: String, labels: [(String, String)] = []) {
        let text = Self.text(of: labels)
        families.withLock { _ = $0[name]?.series.removeValue(forKey: text) }
    }

    /// - Parameter buckets: ascending upper bounds; the one above all is added.
    public func histogram(
        _ name: String, help: String, buckets: [Double] = Histogram.durationBuckets, labels: [(String, String)] = []
    ) -> Histogram {
        precondition(zip(buckets, buckets.dropFirst()).allSatisfy { $0 < $1 }, "the buckets of \(name) do not ascend")
        guard case .histogram(let histogram) = series(name, help, labels, { .histogram(Histogram(bounds: buckets)) }) else { clash(name) }
        return histogram
    }

    /// Every measurement, sorted by name and labels.
    public func prometheusText() -> String {
        // Functions are called outside the lock: they may take locks of their own.
        let current = families.withLock { $0 }
        var text = ""
        for (name, family) in current.sorted(by: { $0.key < $1.key }) {
            text += "# HELP \(name) \(Self.escape(family.help, quotes: false))\n# TYPE \(name) \(family.kind)\n"
            for (labels, series) in family.series.sorted(by: { $0.key < $1.key }) {
                Self.write(series, name, labels, to: &text)
            }
        }
        return text
    }

    // MARK: Parts

    private func series(_ name: String, _ help: String, _ labels: [(String, String)], _ make: () -> Series) -> Series {
        let text = Self.text(of: labels)
        return families.withLock { families in
            if let known = families[name]?.series[text] { return known }
            let made = make()
            Self.insert(made, name, help, text, into: &families)
            return made
        }
    }

    private func replace(_ name: String, _ help: String, _ labels: [(String, String)], _ series: Series) {
        let text = Self.text(of: labels)
        families.withLock { Self.insert(series, name, help, text, into: &$0) }
    }

    private static func insert(_ series: Series, _ name: String, _ help: String, _ labels: String, into families: inout [String: Family]) {
        precondition(isName(name), "\(name) is no metric name")
        var family = families[name] ?? Family(help: help, kind: series.kind)
        precondition(family.kind == series.kind, "\(name) is a \(family.kind) already")
        family.series[labels] = series
        families[name] = family
    }

    private func clash(_ name: String) -> Never { preconditionFailure("\(name) is registered as another kind already") }

    private static func write(_ series: Series, _ name: String, _ labels: String, to text: inout String) {
        let braces = labels.isEmpty ? "" : "{\(labels)}"
        switch series {
        case .counter(let counter): text += "\(name)\(braces) \(counter.value)\n"
        case .gauge(let gauge): text += "\(name)\(braces) \(number(gauge.value))\n"
        case .function(let value), .counterFunction(let value): text += "\(name)\(braces) \(number(value()))\n"
        case .histogram(let histogram):
            let state = histogram.snapshot
            let comma = labels.isEmpty ? "" : ","
            var total: Int64 = 0
            for (count, bound) in zip(state.counts, histogram.bounds + [.infinity]) {
                total += count
                text += "\(name)_bucket{\(labels)\(comma)le=\"\(number(bound))\"} \(total)\n"
            }
            text += "\(name)_sum\(braces) \(number(state.sum))\n\(name)_count\(braces) \(total)\n"
        }
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
        return value.description
    }

    private static func text(of labels: [(String, String)]) -> String {
        labels.map { name, value in
            precondition(isName(name) && name != "le" && !name.contains(":"), "\(name) is no label name")
            return "\(name)=\"\(escape(value, quotes: true))\""
        }.joined(separator: ",")
    }

    private static func escape(_ text: String, quotes: Bool) -> String {
        var output: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): output += [byte, byte]
            case UInt8(ascii: "\""): output += quotes ? [UInt8(ascii: "\\"), byte] : [byte]
            case 0x0A: output += [UInt8(ascii: "\\"), UInt8(ascii: "n")]
            default: output.append(byte)
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    private static func isName(_ name: String) -> Bool {
        guard let first = name.utf8.first, !ASCII.isDigit(first) else { return false }
        return name.utf8.allSatisfy { byte in
            ASCII.isDigit(byte) || (0x61...0x7A).contains(ASCII.lowercase(byte)) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ":")
        }
    }
}
