/// How one command is written: its words, its operands and its options.
struct CommandSyntax: Sendable {
    /// `["cron", "run"]`
    let path: [String]
    /// One sentence without a full stop, for the list of commands.
    let summary: String
    let operands: [Operand]
    let options: [Option]
    /// What else there is to know, as paragraphs.
    let notes: [String]

    init(_ path: String, _ summary: String, operands: [Operand] = [], options: [Option] = [], notes: [String] = []) {
        self.path = path.split(separator: " ").map(String.init)
        self.summary = summary
        self.operands = operands
        self.options = options
        self.notes = notes
        precondition((1...2).contains(self.path.count), "a command has one or two words")
    }

    struct Operand: Sendable {
        let name: String
        let isRequired: Bool
        let explanation: String

        static func needed(_ name: String, _ explanation: String) -> Operand { Operand(name: name, isRequired: true, explanation: explanation) }
        static func optional(_ name: String, _ explanation: String) -> Operand { Operand(name: name, isRequired: false, explanation: explanation) }
    }

    struct Option: Sendable {
        /// With its dashes.
        let name: String
        /// What its value is called; nil for a switch.
        let value: String?
        let isRequired: Bool
        let isRepeated: Bool
        let explanation: String

        static func flag(_ name: String, _ explanation: String) -> Option {
            Option(name: name, value: nil, isRequired: false, isRepeated: false, explanation: explanation)
        }
        static func value(_ name: String, _ value: String, _ explanation: String) -> Option {
            Option(name: name, value: value, isRequired: false, isRepeated: false, explanation: explanation)
        }
        static func needed(_ name: String, _ value: String, _ explanation: String) -> Option {
            Option(name: name, value: value, isRequired: true, isRepeated: false, explanation: explanation)
        }
        /// May be given several times.
        static func several(_ name: String, _ value: String, _ explanation: String, isRequired: Bool = false) -> Option {
            Option(name: name, value: value, isRequired: isRequired, isRepeated: true, explanation: explanation)
        }

        static let json = flag("--json", "print JSON instead of text")

        var form: String { value.map { "\(name) \($0)" } ?? name }
    }

    var name: String { path.joined(separator: " ") }

    /// `quittance cron run ENTRY [--now]`
    var usage: String {
        var words = ["quittance"] + path
        words += operands.map { $0.isRequired ? $0.name : "[\($0.name)]" }
        words += options.map { option in
            let form = option.form + (option.isRepeated ? " …" : "")
            return option.isRequired ? form : "[\(form)]"
        }
        return words.joined(separator: " ")
    }

    /// What `--help` prints.
    var help: String {
        var lines = ["Usage: \(usage)", "", summary.prefix(1).uppercased() + summary.dropFirst() + "."]
        let entries = operands.map { ($0.name, $0.explanation) } + options.map { ($0.form, $0.explanation) } + [("--help", "print this text")]
        lines.append("")
        lines += Columns.lines(entries)
        for note in notes { lines += ["", note] }
        return lines.joined(separator: "\n") + "\n"
    }
}

/// Two columns, the first as wide as its widest entry.
enum Columns {
    static func lines(_ entries: [(String, String)]) -> [String] {
        let width = entries.map(\.0.count).max() ?? 0
        return entries.map { "  " + $0.0 + String(repeating: " ", count: width - $0.0.count + 2) + $0.1 }
    }
}
