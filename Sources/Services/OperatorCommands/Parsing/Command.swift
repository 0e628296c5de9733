/// One command: how it is written and what it does.
struct Command: Sendable {
    let syntax: CommandSyntax
    let run: @Sendable (Invocation, CommandContext) async throws -> ExitCode

    init(_ syntax: CommandSyntax, run: @escaping @Sendable (Invocation, CommandContext) async throws -> ExitCode) {
        self.syntax = syntax
        self.run = run
    }
}

/// All commands, and which of them a command line means.
struct CommandTable: Sendable {
    let commands: [Command]
    /// Groups that may be written without their second word: `dead` is `dead list`.
    let standards: [String: String]

    /// What a command line asks for.
    enum Request: Sendable {
        case run(Invocation)
        case help(String)
        /// Not understood: what is wrong, and the usage line that helps.
        case wrong(String, usage: String)
    }

    func request(_ arguments: [String]) -> Request {
        guard let first = arguments.first else { return .wrong("a command is missing", usage: Self.overallUsage) }
        if ["--help", "-h"].contains(first) || arguments == ["help"] { return .help(overview) }
        if first == "help" { return help(about: Array(arguments.dropFirst())) }
        let members = commands.filter { $0.syntax.path[0] == first }
        guard !members.isEmpty else {
            let names = Set(commands.map { $0.syntax.path[0] }).sorted()
            return .wrong("unknown command '\(first)'" + Suggestion.text(for: first, among: names), usage: Self.overallUsage)
        }
        let second = arguments.dropFirst().first
        if members.contains(where: { $0.syntax.path.count == 2 }), second.map({ ["--help", "-h"].contains($0) }) == true {
            return .help(overview(of: members))
        }
        guard let (command, rest) = resolve(arguments, among: members) else {
            let names = members.compactMap { $0.syntax.path.count == 2 ? $0.syntax.path[1] : nil }
            let usage = "quittance \(first) " + names.joined(separator: "|")
            guard let second, !second.hasPrefix("-") else { return .wrong("\(first) needs a further word", usage: usage) }
            return .wrong("\(first) has no '\(second)'" + Suggestion.text(for: second, among: names), usage: usage)
        }
        if rest.prefix(while: { $0 != "--" }).contains(where: { ["--help", "-h"].contains($0) }) { return .help(command.syntax.help) }
        do {
            return .run(try Invocation.read(rest, for: command))
        } catch {
            return .wrong("\(command.syntax.name): \(error)", usage: command.syntax.usage)
        }
    }

    private func resolve(_ arguments: [String], among members: [Command]) -> (Command, ArraySlice<String>)? {
        if let second = arguments.dropFirst().first, let exact = members.first(where: { $0.syntax.path == [arguments[0], second] }) {
            return (exact, arguments.dropFirst(2))
        }
        if let single = members.first(where: { $0.syntax.path.count == 1 }) { return (single, arguments.dropFirst()) }
        guard let standard = standards[arguments[0]], arguments.count == 1 || arguments[1].hasPrefix("-") else { return nil }
        return members.first { $0.syntax.path == [arguments[0], standard] }.map { ($0, arguments.dropFirst()) }
    }

    // MARK: Help

    private static let overallUsage = "quittance COMMAND [OPTION …]"

    private func help(about words: [String]) -> Request {
        if let exact = commands.first(where: { $0.syntax.path == words }) { return .help(exact.syntax.help) }
        let members = commands.filter { $0.syntax.path[0] == words[0] }
        if words.count == 1 && !members.isEmpty { return .help(overview(of: members)) }
        return .wrong("there is no command '\(words.joined(separator: " "))'", usage: Self.overallUsage)
    }

    private func overview(of members: [Command]) -> String {
        let lines = ["Usage:"] + Columns.lines(members.map { ($0.syntax.usage, "") }).map { $0.trimmingBlanks } + [""]
        return (lines + Columns.lines(members.map { ($0.syntax.name, $0.syntax.summary) })).joined(separator: "\n") + "\n"
    }

    private var overview: String {
        var lines = [
            "Usage: \(Self.overallUsage)", "",
            "The operator's command of Quittance. Results go to standard output, logs and errors to standard error.", "",
        ]
        lines += Columns.lines(commands.map { ($0.syntax.name, $0.syntax.summary) })
        lines += [
            "", "`quittance COMMAND --help` explains one. Listings take --json.", "",
            "Exit codes: 0 done, 1 failed, 2 command line not understood, 3 already done or nothing to do, 4 not found, 5 still at work, "
                + "78 bad settings.",
        ]
        return lines.joined(separator: "\n") + "\n"
    }
}

extension String {
    fileprivate var trimmingBlanks: String {
        var text = self[...]
        while text.last == " " { text = text.dropLast() }
        return String(text)
    }
}
