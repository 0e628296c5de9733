/// One run of wrk with `Benchmarks/requests.lua`, and what it reported.
struct Wrk: Sendable {
    let requestsPerSecond: Double
    /// Milliseconds.
    let p50: Double
    let p99: Double
    /// Answers other than 2xx and 3xx, and socket errors.
    let failures: Int

    static func run(in arena: Arena, requests file: String, port: Int, connections: Int, seconds: Int) async throws -> Wrk {
        let text = try await arena.run(
            "wrk",
            [
                "-t\(Machine.cores)", "-c\(connections)", "-d\(seconds)s", "--latency", "-s", "Benchmarks/requests.lua",
                "http://127.0.0.1:\(port)", file,
            ], limit: .seconds(seconds + 20))
        guard let result = Wrk(text) else { throw BenchmarkError("wrk's report is not understood: \(text)") }
        return result
    }

    init?(_ report: String) {
        var rate: Double?
        var p50 = 0.0
        var p99 = 0.0
        var failures = 0
        for line in report.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard let first = words.first, let last = words.last else { continue }
            switch first {
            case "Requests/sec:": rate = Double(last)
            case "50%": p50 = Self.milliseconds(last) ?? 0
            case "99%": p99 = Self.milliseconds(last) ?? 0
            case "Non-2xx": failures += Int(last) ?? 0
            case "Socket": failures += words.compactMap { Int($0.prefix { $0.isNumber }) }.reduce(0, +)
            default: break
            }
        }
        guard let rate else { return nil }
        requestsPerSecond = rate
        self.p50 = p50
        self.p99 = p99
        self.failures = failures
    }

    /// `812.00us`, `1.85ms`, `2.01s`.
    private static func milliseconds(_ text: Substring) -> Double? {
        let number = text.prefix { $0.isNumber || $0 == "." }
        guard let value = Double(number) else { return nil }
        switch text.dropFirst(number.count) {
        case "us": return value / 1000
        case "ms": return value
        case "s": return value * 1000
        case "m": return value * 60_000
        default: return nil
        }
    }
}
