import Formats

/// What the sources file says: which sources are on, in which mode, with which secrets and body limits, and who may post usage
/// samples. What it does not say of a source, the environment says.
public struct SourceBook: Sendable, Equatable {
    /// One provider's part. What is nil is left to the environment.
    public struct Source: Sendable, Equatable {
        public var isOn: Bool?
        /// `sandbox` or `live`; kept while the source is off.
        public var mode: ProviderMode?
        /// In bytes.
        public var bodyLimit: Int?
        /// All verify, the first signs.
        public var secrets: [Secret]?
        public var trust: SourceTrust?
        public var addresses: [AddressRange]?
        public var addressCheck: AddressCheck?

        public init(isOn: Bool? = nil, mode: ProviderMode? = nil, bodyLimit: Int? = nil, secrets: [Secret]? = nil) {
            self.isOn = isOn
            self.mode = mode
            self.bodyLimit = bodyLimit
            self.secrets = secrets
        }
    }

    /// By the provider's name.
    public var sources: [String: Source] = [:]
    /// A name may stand several times, each with another key, the newest first.
    public var usageKeys: [UsageSettings.Source]?
    /// In bytes.
    public var usageBodyLimit: Int?
    /// What the environment said when the file took note of it, by variable; of secrets a checksum. An environment that says the
    /// same again says nothing new.
    var seeds: [String: String] = [:]

    public init() {}

    // MARK: As variables

    /// What the book says of a variable, as the environment would say it; nil when it says nothing.
    func word(for variable: SourceVariable) -> String? {
        guard let name = variable.provider else {
            switch variable.kind {
            case .secrets: return usageKeys.map { $0.map { "\($0.name):\($0.key.value)" }.joined(separator: " ") }
            case .bodyLimit: return usageBodyLimit.map(String.init)
            case .mode, .trust, .addresses, .addressCheck: return nil
            }
        }
        guard let source = sources[name] else { return nil }
        switch variable.kind {
        case .mode: return source.isOn.map { $0 ? (source.mode ?? .off).rawValue : ProviderMode.off.rawValue }
        case .secrets: return source.secrets.map { $0.map(\.value).joined(separator: " ") }
        case .bodyLimit: return source.bodyLimit.map(String.init)
        case .trust: return source.trust?.rawValue
        case .addresses: return source.addresses.map { $0.map(\.description).joined(separator: " ") }
        case .addressCheck: return source.addressCheck?.rawValue
        }
    }

    /// Enters what the environment says of a variable. Only for words that the settings' rules have passed.
    private mutating func enter(_ word: String, for variable: SourceVariable) {
        let words = word.split(separator: " ").map(String.init)
        guard let name = variable.provider else {
            switch variable.kind {
            case .secrets:
                usageKeys = words.compactMap { word in
                    let parts = word.split(separator: ":", maxSplits: 1).map(String.init)
                    return parts.count == 2 ? UsageSettings.Source(name: parts[0], key: Secret(parts[1])) : nil
                }
            case .bodyLimit: usageBodyLimit = Int(word)
            case .mode, .trust, .addresses, .addressCheck: break
            }
            return
        }
        var source = sources[name] ?? Source()
        switch variable.kind {
        case .mode:
            let mode = ProviderMode(rawValue: word) ?? .off
            source.isOn = mode != .off
            if mode != .off { source.mode = mode }
        case .secrets: source.secrets = words.map { Secret($0) }
        case .bodyLimit: source.bodyLimit = Int(word)
        case .trust: source.trust = SourceTrust(rawValue: word)
        case .addresses: source.addresses = words.compactMap { AddressRange(parsing: $0) }
        case .addressCheck: source.addressCheck = AddressCheck(rawValue: word)
        }
        sources[name] = source
    }

    /// The variables that the book overrules, each with its word.
    var variables: [String: String] {
        var found: [String: String] = [:]
        for variable in SourceVariable.all { found[variable.name] = word(for: variable) }
        return found
    }

    // MARK: Beside the environment

    /// What the environment says otherwise than the book, and did not say already when the book took note of it.
    func differences(from environment: [String: String], path: String) -> [SettingProblem] {
        let reader = SettingsReader(environment: environment)
        return SourceVariable.all.compactMap { variable in
            guard let spoken = variable.word(in: reader), let ours = word(for: variable), spoken != ours else { return nil }
            guard seeds[variable.name] != variable.seed(of: spoken) else { return nil }
            return SettingProblem(
                variable: variable.name, fault: variable.difference(spoken, ours, path),
                rule: "\(path) rules, and the environment only fills in what it does not say",
                example: "take \(variable.name) out of the environment, or let it overrule the file by `quittance source import --replace`")
        }
    }

    /// Takes from the environment what the book does not say yet.
    /// - Parameter replacing: whether the environment overrules what the book says.
    /// - Returns: the variables whose word was taken.
    mutating func take(from environment: [String: String], replacing: Bool) -> [String] {
        let reader = SettingsReader(environment: environment)
        var taken: [String] = []
        for variable in SourceVariable.all {
            guard let spoken = variable.word(in: reader) else { continue }
            let ours = word(for: variable)
            if ours == nil || replacing && ours != spoken {
                enter(spoken, for: variable)
                taken.append(variable.name)
            }
            if word(for: variable) == spoken { seeds[variable.name] = variable.seed(of: spoken) }
        }
        return taken
    }

    /// Whether the environment says something that the book does not speak of.
    func misses(in environment: [String: String]) -> Bool {
        let reader = SettingsReader(environment: environment)
        return SourceVariable.all.contains { $0.word(in: reader) != nil && word(for: $0) == nil }
    }
}

/// A variable of the environment whose word the sources file may hold.
struct SourceVariable: Sendable {
    enum Kind: Sendable { case mode, secrets, bodyLimit, trust, addresses, addressCheck }
    let name: String
    /// nil for those of usage.
    let provider: String?
    let kind: Kind

    static let all: [SourceVariable] =
        ProviderDescription.all.flatMap { description in
            let secrets = (description.proof ?? description.capability)?.name
            return [SourceVariable(name: description.modeVariable, provider: description.name, kind: .mode)]
                + (secrets.map { [SourceVariable(name: $0, provider: description.name, kind: .secrets)] } ?? [])
                + [SourceVariable(name: description.bodyLimitVariable, provider: description.name, kind: .bodyLimit)]
                + (description.hasWebhook ? posts(description) : [])
        } + [
            SourceVariable(name: "USAGE_SOURCE_KEYS", provider: nil, kind: .secrets),
            SourceVariable(name: "BODY_LIMIT_USAGE", provider: nil, kind: .bodyLimit),
        ]

    private static func posts(_ description: ProviderDescription) -> [SourceVariable] {
        [(description.trustVariable, Kind.trust), (description.addressesVariable, .addresses), (description.addressCheckVariable, .addressCheck)]
            .map { SourceVariable(name: $0, provider: description.name, kind: $1) }
    }

    /// What the environment says, in the book's spelling.
    func word(in reader: SettingsReader) -> String? {
        guard let text = reader.raw(name) else { return nil }
        switch kind {
        case .mode, .trust, .addressCheck: return text.lowercased()
        case .secrets, .addresses: return text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        case .bodyLimit: return SettingsReader.byteCount(text).map(String.init) ?? text
        }
    }

    /// What the book remembers of the environment's word.
    func seed(of word: String) -> String { kind == .secrets ? Checksum.short(word) : word }

    /// Never holds the value of a secret.
    func difference(_ spoken: String, _ ours: String, _ path: String) -> String {
        guard kind == .secrets else { return "it says \(spoken), and \(path) says \(ours)" }
        func count(_ words: String) -> String {
            let number = words.split(separator: " ").count
            return number == 1 ? "1 value" : "\(number) values"
        }
        return "it holds \(count(spoken)), \(path) holds \(count(ours)), and they are not the same"
    }
}

/// Tells whether a text has changed, and keeps to itself what it was: 32 bits are far too few to find a secret again.
enum Checksum {
    static func short(_ text: String) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        let folded = String(UInt32(truncatingIfNeeded: hash >> 32) ^ UInt32(truncatingIfNeeded: hash), radix: 16)
        return String(repeating: "0", count: 8 - folded.count) + folded
    }
}
