/// A command line that was understood.
struct Invocation: Sendable {
    let command: Command
    let operands: [String]
    /// By name with dashes; a switch has an empty list.
    let options: [String: [String]]

    func has(_ option: String) -> Bool { options[option] != nil }
    func value(_ option: String) -> String? { options[option]?.last }
    func values(_ option: String) -> [String] { options[option] ?? [] }
    func operand(_ place: Int) -> String? { operands.indices.contains(place) ? operands[place] : nil }
    var wantsJSON: Bool { has("--json") }

    /// A whole number within a range; `standard` when the option is not there.
    func number(_ option: String, in range: ClosedRange<Int>, standard: Int) throws(UsageError) -> Int {
        guard let text = value(option) else { return standard }
        guard let number = Int(text), range.contains(number) else {
            throw UsageError("\(option) takes a whole number from \(range.lowerBound) to \(range.upperBound), not '\(text)'")
        }
        return number
    }

    /// One of some words; nil when the option is not there.
    func choice(_ option: String, of words: [String]) throws(UsageError) -> String? {
        guard let text = value(option) else { return nil }
        guard words.contains(text) else { throw UsageError("\(option) takes one of \(words.joined(separator: ", ")), not '\(text)'") }
        return text
    }

    // MARK: Reading

    /// Reads what stands behind the command's words.
    static func read(_ arguments: some Collection<String>, for command: Command) throws(UsageError) -> Invocation {
        let syntax = command.syntax
        var operands: [String] = []
        var options: [String: [String]] = [:]
        var rest = Array(arguments)[...]
        var optionsEnded = false
        while let argument = rest.popFirst() {
            guard !optionsEnded, argument.hasPrefix("-"), argument.count > 1 else {
                operands.append(argument)
                continue
            }
            if argument == "--" {
                optionsEnded = true
                continue
            }
            let halves = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(halves[0])
            guard let option = syntax.options.first(where: { $0.name == name }) else {
                throw UsageError("unknown option \(name)" + Suggestion.text(for: name, among: syntax.options.map(\.name)))
            }
            if options[name] != nil && !option.isRepeated { throw UsageError("\(name) is given twice") }
            guard let valueName = option.value else {
                guard halves.count == 1 else { throw UsageError("\(name) takes no value") }
                options[name] = []
                continue
            }
            let given: String? = if halves.count == 2 { String(halves[1]) } else { rest.first.flatMap { $0.hasPrefix("--") ? nil : $0 } }
            guard let given else { throw UsageError("\(name) needs a value: \(option.form)") }
            guard !given.isEmpty else { throw UsageError("\(name) needs a value, \(valueName), that is not empty") }
            if halves.count == 1 { rest = rest.dropFirst() }
            options[name, default: []].append(given)
        }
        try check(operands, options, against: syntax)
        return Invocation(command: command, operands: operands, options: options)
    }

    private static func check(_ operands: [String], _ options: [String: [String]], against syntax: CommandSyntax) throws(UsageError) {
        let required = syntax.operands.filter(\.isRequired)
        if operands.count < required.count { throw UsageError("\(required[operands.count].name) is missing") }
        if operands.count > syntax.operands.count { throw UsageError("there is one word too many: '\(operands[syntax.operands.count])'") }
        for option in syntax.options where option.isRequired && options[option.name] == nil { throw UsageError("\(option.form) is missing") }
    }
}

/// The nearest of some words, for a word that is none of them.
enum Suggestion {
    /// `; did you mean --json?`, or nothing.
    static func text(for word: String, among words: [String]) -> String {
        let near = words.map { ($0, distance(word, $0)) }.filter { $0.1 <= 2 && $0.1 < $0.0.count }.min { $0.1 < $1.1 }
        if let near { return "; did you mean \(near.0)?" }
        let longer = words.filter { word.count >= 4 && $0.hasPrefix(word) }
        return longer.count == 1 ? "; did you mean \(longer[0])?" : ""
    }

    /// Letters to insert, remove or change.
    private static func distance(_ left: String, _ right: String) -> Int {
        let left = Array(left.utf8)
        let right = Array(right.utf8)
        var row = Array(0...right.count)
        for (place, letter) in left.enumerated() {
            var diagonal = row[0]
            row[0] = place + 1
            for column in right.indices {
                let changed = diagonal + (right[column] == letter ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(changed, row[column] + 1, diagonal + 1)
            }
        }
        return row[right.count]
    }
}
