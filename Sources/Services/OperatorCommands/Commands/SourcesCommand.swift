import Cryptography
import Formats
import ProviderCatalog
import ProviderPort
import Settings

/// `quittance source …`: the sources file, which ingest, worker-payments and web obey within two seconds. Needs no SQL.
enum SourcesCommands {
    static let commands =
        [list, on, off, mode, SourcePolicyCommands.trust, SourcePolicyCommands.ranges, rotate, importing] + NetworkCommands.commands

    static let inForce = "In force within 2 s, without a restart."
    static let name = CommandSyntax.Operand.needed("NAME", "of the provider, as in /webhooks/<NAME>")

    private static let list = Command(
        CommandSyntax(
            "source list", "the providers: mode, proof of their webhooks, paths", options: [.json],
            notes: [
                "proof: whether its webhooks prove where they come from. policy: what they are taken for (`quittance source trust --help`). asked: "
                    + "whether the provider is asked before an event of it is believed. secrets: how many are set; all verify, the first signs. "
                    + "addresses: whether webhooks from elsewhere are logged or refused."
            ])
    ) { invocation, context in
        let settings = try current(context)
        let sources = try ProviderCatalog.sources(settings)
        var table = Listing(
            ["source", "mode", "proof", "policy", "asked", .number("secrets"), .number("body_limit"), "addresses", "paths"], none: "No sources.")
        for name in settings.providers.keys.sorted() {
            guard let provider = settings.provider(name) else { continue }
            let source = sources.first { $0.adapter.name == name }
            let asked = source.map { source in
                let capabilities = source.adapter.capabilities
                return capabilities.hasStatus && !(capabilities.proofCoversMoney && source.policy.believesProofs)
            }
            let mode = provider.mode.rawValue
            let paths = source.map { ["/webhooks/\(name)"] + $0.otherPaths } ?? []
            table.add(
                .string(name), .string(mode), .bool(provider.hasProof), .optional(source?.policy.rawValue), asked.map(JSON.bool) ?? .null,
                .int(Int64(provider.secrets.count)),
                .int(Int64(provider.bodyLimit)), .string(provider.addressCheck.rawValue), .array(paths.map(JSON.string)))
        }
        context.output.listing(table, asJSON: invocation.wantsJSON)
        return .ok
    }

    // MARK: On and off

    private static let on = Command(
        CommandSyntax("source on", "take a provider's webhooks, in the mode it was given", operands: [name], notes: [inForce])
    ) { invocation, context in
        let name = try provider(invocation, context)
        return try change(context) { book in
            guard book.sources[name]?.isOn != true else { return .nothing("\(name) is on") }
            guard let mode = book.sources[name]?.mode else {
                throw CommandFailure(.failed, "\(name) has no mode yet: `quittance source mode \(name) sandbox`, or live")
            }
            book.sources[name]?.isOn = true
            return .done(["\(name) is on (\(mode.rawValue))"])
        }
    }

    private static let off = Command(
        CommandSyntax(
            "source off", "take nothing more from a provider", operands: [.needed("NAME", "of the provider, or usage/<source>")],
            notes: ["What was begun with it is finished: its events are read and its payments asked for.", inForce])
    ) { invocation, context in
        if let usage = try usageSource(invocation) {
            return try change(context) { book in
                guard book.usageKeys?.contains(where: { $0.name == usage }) == true else { return .nothing("usage/\(usage) has no key") }
                book.usageKeys?.removeAll { $0.name == usage }
                return .done(["usage/\(usage) has no key any more"])
            }
        }
        let name = try provider(invocation, context)
        return try change(context) { book in
            guard book.sources[name]?.isOn == true else { return .nothing("\(name) is off") }
            book.sources[name]?.isOn = false
            return .done(["\(name) is off"])
        }
    }

    private static let mode = Command(
        CommandSyntax(
            "source mode", "whether a provider's money is real", operands: [name, .needed("MODE", "sandbox or live")],
            notes: ["A provider that is off stays off. Its keys and address are the environment's: change them together. \(inForce)"])
    ) { invocation, context in
        let name = try provider(invocation, context)
        guard let mode = ProviderMode(rawValue: invocation.operands[1]), mode != .off else { throw UsageError("MODE is sandbox or live") }
        return try change(context) { book in
            guard book.sources[name]?.mode != mode else { return .nothing("\(name) is in mode \(mode.rawValue)") }
            var source = book.sources[name] ?? SourceBook.Source()
            source.mode = mode
            source.isOn = source.isOn ?? false
            book.sources[name] = source
            return .done(["\(name) is in mode \(mode.rawValue)" + (source.isOn == true ? "" : ", and off")])
        }
    }

    // MARK: Secrets

    private static let rotate = Command(
        CommandSyntax(
            "source rotate", "give a provider a new secret beside its old one, or retire the old one",
            operands: [.needed("NAME", "of the provider, or usage/<source> for the key of a source of samples")],
            options: [
                .value("--from", "FILE", "where the new secret stands; standard input unless given"),
                .flag("--generate", "make a secret and print it this once, to be entered on the provider's side"),
                .flag("--retire", "end all secrets but the newest"),
            ],
            notes: [
                "Both secrets verify until the old one is retired; the newest signs. `matchedkey` of an event is the number of the secret that "
                    + "matched, 0 being the newest: retire the old one when no event has 1 any more (ingest_posts_by_secret_total counts them).",
                inForce,
            ])
    ) { invocation, context in
        let ways = ["--from", "--generate", "--retire"].filter(invocation.has)
        guard ways.count <= 1 else { throw UsageError("\(ways.joined(separator: " and ")) exclude each other") }
        if let usage = try usageSource(invocation) {
            return invocation.has("--retire")
                ? try retireKeys(of: usage, context) : try addKey(to: usage, try newSecret(invocation, of: nil), invocation, context)
        }
        let name = try provider(invocation, context)
        guard Settings.takesSecret(name) else { throw CommandFailure(.failed, "\(name) has no secret: its webhooks prove nothing") }
        if invocation.has("--retire") { return try retire(name, context) }
        if invocation.has("--generate") && !Settings.choosesSecret(of: name) {
            throw CommandFailure(.failed, "\(name) makes its secret itself: hand it in on standard input")
        }
        let secret = try newSecret(invocation, of: name)
        return try change(context) { book in
            var source = book.sources[name] ?? SourceBook.Source()
            let old = source.secrets ?? []
            guard !old.contains(secret) else { return .nothing("\(name) has this secret") }
            source.secrets = [secret] + old
            book.sources[name] = source
            return .done(shown(secret, invocation) + ["\(name): the new secret signs" + (old.isEmpty ? "" : ", \(old.count) older verify still")])
        }
    }

    private static func retire(_ name: String, _ context: CommandContext) throws -> ExitCode {
        try change(context) { book in
            guard let secrets = book.sources[name]?.secrets, secrets.count > 1 else { return .nothing("\(name) has no older secret") }
            book.sources[name]?.secrets = [secrets[0]]
            return .done(["\(name): \(secrets.count - 1) retired, the newest is the only one"])
        }
    }

    private static func addKey(to usage: String, _ key: Secret, _ invocation: Invocation, _ context: CommandContext) throws -> ExitCode {
        try change(context) { book in
            let keys = book.usageKeys ?? []
            guard !keys.contains(where: { $0.key == key }) else { return .nothing("this key is in use") }
            book.usageKeys = [UsageSettings.Source(name: usage, key: key)] + keys
            let old = keys.count { $0.name == usage }
            return .done(shown(key, invocation) + ["usage/\(usage): a new key" + (old == 0 ? "" : ", \(old) older are valid still")])
        }
    }

    private static func retireKeys(of usage: String, _ context: CommandContext) throws -> ExitCode {
        try change(context) { book in
            let keys = book.usageKeys ?? []
            guard let newest = keys.first(where: { $0.name == usage }), keys.count(where: { $0.name == usage }) > 1 else {
                return .nothing("usage/\(usage) has no older key")
            }
            book.usageKeys = keys.filter { $0.name != usage || $0 == newest }
            return .done(["usage/\(usage): the newest key is the only one"])
        }
    }

    /// Never on the command line, where other users see it.
    private static func newSecret(_ invocation: Invocation, of provider: String?) throws -> Secret {
        if invocation.has("--generate") {
            return Secret(
                provider == "standard-webhooks" ? "whsec_" + Base64.encode(SecureRandom.bytes(32)) : Hex.encode(SecureRandom.bytes(32)))
        }
        let bytes = try SmallFile.read(invocation.value("--from") ?? "/dev/stdin", limit: 4096)
        let words = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace).map(String.init)
        guard words.count == 1, SourceBook.isWord(words[0]) else {
            throw CommandFailure(.failed, "no secret was handed in: one word of visible ASCII characters is taken")
        }
        return Secret(words[0])
    }

    private static func shown(_ secret: Secret, _ invocation: Invocation) -> [String] { invocation.has("--generate") ? [secret.value] : [] }

    // MARK: Import

    private static let importing = Command(
        CommandSyntax(
            "source import", "take what the environment says of the sources into the sources file",
            options: [.flag("--replace", "also where the file says otherwise")],
            notes: [
                "Done by itself at the first start. Afterwards the file rules: PROVIDER_MODE_*, *_SECRET, BODY_LIMIT_* and USAGE_SOURCE_KEYS can be "
                    + "taken out of the environment. \(inForce)"
            ])
    ) { invocation, context in
        let settings = context.settings
        return try change(context, fills: false) { book in
            let differences = settings.differences(from: book)
            guard differences.isEmpty || invocation.has("--replace") else {
                let list = differences.map { "- \($0)" }.joined(separator: "\n")
                throw CommandFailure(.failed, "nothing is taken, since the two differ (--replace):\n" + list)
            }
            let taken = settings.fill(&book, replacing: invocation.has("--replace"))
            guard !taken.isEmpty else { return .nothing("the file says all that the environment does") }
            return .done(["taken: \(taken.joined(separator: ", "))", "The environment need not say these any more."])
        }
    }

    // MARK: The file

    /// What a change came to.
    enum Change {
        case done([String])
        case nothing(String)
    }

    /// The settings as the file has them now.
    private static func current(_ context: CommandContext) throws -> Settings {
        switch SourcesFile(path: context.settings.sourcesFile).read() {
        case .absent: return context.settings
        case .good(let book): return try context.settings.applying(book)
        case .copy(let book, let problem):
            context.output.error("quittance source: \(problem); its last good copy is in force")
            return try context.settings.applying(book)
        case .unusable(let problem): throw CommandFailure(.failed, problem)
        }
    }

    /// Changes the file, unless what comes of it breaks a rule of the settings.
    /// - Parameter fills: whether the file first takes what it does not say from the environment, as a start would.
    static func change(
        _ context: CommandContext, fills: Bool = true, _ body: (inout SourceBook) throws -> Change
    ) throws -> ExitCode {
        let settings = context.settings
        let outcome: Change
        do {
            outcome = try SourcesFile(path: settings.sourcesFile).change { book in
                if fills { _ = settings.fill(&book, replacing: false) }
                let outcome = try body(&book)
                if case .done = outcome { _ = try ProviderCatalog.sources(try settings.applying(book)) }
                return outcome
            }
        } catch let error as SettingsError {
            throw CommandFailure(.failed, "nothing is changed: \(error)")
        } catch let error as ProviderError {
            throw CommandFailure(.failed, "nothing is changed: \(error.message)")
        } catch let error as SourcesFileError {
            throw CommandFailure(.failed, error.description)
        } catch let error as SourceBookError {
            throw CommandFailure(.failed, "nothing is changed: \(error)")
        }
        switch outcome {
        case .nothing(let sentence):
            context.output.line("\(sentence): nothing to do")
            return .nothingDue
        case .done(let lines):
            for line in lines { context.output.line(line) }
            return .ok
        }
    }

    static func provider(_ invocation: Invocation, _ context: CommandContext) throws(CommandFailure) -> String {
        let name = invocation.operands[0]
        guard context.settings.provider(name) != nil else {
            let known = context.settings.providers.keys.sorted().joined(separator: ", ")
            throw CommandFailure(.notFound, "there is no provider '\(name.onOneLine)'; the providers are \(known)")
        }
        return name
    }

    /// `gateway-1` of `usage/gateway-1`; nil for a provider.
    private static func usageSource(_ invocation: Invocation) throws(UsageError) -> String? {
        let operand = invocation.operands[0]
        guard operand.hasPrefix("usage/") else { return nil }
        let name = String(operand.dropFirst("usage/".count))
        guard Slug.isValid(name, most: 100) else { throw UsageError("a source of samples \(Slug.rule(most: 100))") }
        return name
    }
}
