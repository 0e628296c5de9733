import Formats
import TestSupport
import Testing

@Suite("Alert rules")
struct AlertRuleTests {
    private static let rules = "deploy/prometheus/alerts.yml"

    private static func values(of key: String) throws -> [String] {
        var values: [String] = []
        var isFolded = false
        for line in try SourceTree.lines(rules) {
            let text = line.drop { $0 == " " || $0 == "-" }
            if text.hasPrefix("\(key): ") {
                values.append(String(text.dropFirst(key.count + 2)))
                isFolded = values.last == ">-"
            } else if isFolded && line.hasPrefix("          ") {
                values[values.count - 1] += " " + text
            } else {
                isFolded = false
            }
        }
        return values
    }

    @Test("are accepted by promtool, and each fires when it should and not before")
    func promtool() async throws {
        let check = try await Script.run("promtool check rules \(Self.rules)")
        #expect(check.status == 0, "\(check.output) \(check.errors)")
        let test = try await Script.run("promtool test rules deploy/prometheus/alerts_test.yml")
        #expect(test.status == 0, "\(test.output) \(test.errors)")
        let tested = try SourceTree.text("deploy/prometheus/alerts_test.yml")
        for alert in try Self.values(of: "alert") {
            // Once while it is silent, unless it has no such moment, and once while it fires.
            #expect(tested.contains("alertname: \(alert)\n"), "\(alert) is not seen firing")
        }
    }

    /// The queries of the dashboard's panels.
    private static func dashboard() throws -> [String] {
        let board = try JSON(parsing: Array(try SourceTree.text("deploy/grafana/quittance.json").utf8))
        return (board["panels"]?.array ?? []).flatMap { $0["targets"]?.array ?? [] }.compactMap { $0["expr"]?.string }
    }

    /// Of PromQL itself, among words with an underscore.
    private static let functions: Set<Substring> = ["histogram_quantile", "last_over_time"]

    /// The names of series in a query: of its words outside braces only these, and functions, have an underscore.
    private static func names(in query: String) -> [String] {
        let words = outsideBraces(query).split { !($0.isLetter || $0.isNumber || $0 == "_") }
        return words.filter { $0.contains("_") && !functions.contains($0) }.map(String.init)
    }

    @Test("and the dashboard name only measurements that the programs make")
    func measurements() throws {
        let sources = try SourceTree.files(below: "Sources", ending: ".swift").map { try SourceTree.text($0) }.joined()
        let queries = try Self.dashboard()
        #expect(queries.count > 20)
        let names = Set((try Self.values(of: "expr") + queries).flatMap(Self.names))
        #expect(names.count > 30)
        for name in names {
            let stems = [name] + ["_count", "_sum", "_bucket"].filter { name.hasSuffix($0) }.map { String(name.dropLast($0.count)) }
            #expect(stems.contains { sources.contains("\"\($0)\"") }, "nothing measures \(name)")
        }
    }

    @Test("choose by labels whose values the programs write")
    func labels() throws {
        let sources = try SourceTree.files(below: "Sources", ending: ".swift").map { try SourceTree.text($0) }.joined()
        // Cases whose raw value is their name.
        var cases: Set<Substring> = []
        for line in sources.split(separator: "\n") {
            guard let word = line.firstRange(of: "case ") else { continue }
            cases.formUnion(line[word.upperBound...].split { !($0.isLetter || $0.isNumber) })
        }
        var count = 0
        for expression in try Self.values(of: "expr") {
            // Every second piece between quotes is a label's value; a pattern of ours is words with bars between.
            for (place, piece) in expression.split(separator: "\"", omittingEmptySubsequences: false).enumerated() where place % 2 == 1 {
                // A status of HTTP, or all of a kind: 503, 5..
                for word in piece.split(separator: "|") where word.count != 3 || word.first?.isNumber != true {
                    count += 1
                    #expect(sources.contains("\"\(word)\"") || cases.contains(word), "nothing says \(word): \(expression)")
                }
            }
        }
        #expect(count > 10)
    }

    private static func outsideBraces(_ text: String) -> String {
        var depth = 0
        return text.filter { character in
            if character == "{" { depth += 1 }
            if character == "}" { depth -= 1 }
            return depth == 0
        }
    }

    @Test("are each explained to operators")
    func explained() throws {
        let page = try SourceTree.text("docs/operating.md")
        for alert in try Self.values(of: "alert") { #expect(page.contains("`\(alert)`"), "docs/operating.md says nothing of \(alert)") }
    }
}
