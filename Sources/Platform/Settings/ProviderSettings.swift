import Formats

/// Whether a provider's money is real.
public enum ProviderMode: String, Sendable, CaseIterable {
    case off, sandbox, live
}

/// What the posts of a source are taken for; the provider's own unless it is said.
public enum SourceTrust: String, Sendable, CaseIterable {
    case trust, fetch
    case fetchIfUnsigned = "fetch-if-unsigned"
}

/// What becomes of posts from addresses that are not the source's.
public enum AddressCheck: String, Sendable, CaseIterable {
    case off, log, enforce
}

/// What one provider's adapter is made with.
public struct ProviderSettings: Sendable, Equatable, CustomStringConvertible {
    public let name: String
    public let mode: ProviderMode
    /// The largest webhook body in bytes.
    public let bodyLimit: Int
    /// What its posts are taken for; nil for the provider's own.
    public let trust: SourceTrust?
    /// Where its posts come from, and what becomes of those from elsewhere.
    public let addresses: [AddressRange]
    public let addressCheck: AddressCheck
    /// What proves a webhook, or keys its capability path: all verify, the first signs. Empty when none is set.
    public let secrets: [String]
    /// Whether its webhooks bring a proof at all; one that has none is always asked.
    public let hasProof: Bool
    /// The most calls a second to its API, as set; 0 for any number, nil where nothing is set.
    public let callsPerSecond: Double?
    /// `api_url`, `api_key`, `site_id` and what else the adapter needs; only what is set or has a standard value.
    public let values: [String: String]

    public var isOn: Bool { mode != .off }
    public var apiURL: String? { values["api_url"] }
    /// The words of a value that is a list.
    public func words(_ key: String) -> [String] { values[key]?.split(whereSeparator: \.isWhitespace).map(String.init) ?? [] }

    /// Without any value: keys are among them.
    public var description: String { "\(name) (\(mode.rawValue))" }
}

extension SettingsReader {
    mutating func provider(_ description: ProviderDescription, sandbox: String) -> ProviderSettings {
        let mode = choice(description.modeVariable, ProviderMode.self)
        let bodyLimit = byteCount(description.bodyLimitVariable, most: 10_000_000)
        let secretVariable = description.proof ?? description.capability
        let secrets = secretVariable.map { words($0.name) } ?? []
        if description.secretsAreWebhookKeys { checkWebhookKeys(secrets, secretVariable?.name ?? "") }
        if let proof = description.proof, mode == .live, secrets.isEmpty {
            problem(
                proof.name, "it is not set, and \(description.modeVariable) is live",
                "a source whose webhooks bring a proof goes live only with the secret that checks it", proof.example)
        }
        let (trust, addresses, check) = description.hasWebhook ? posts(description) : (nil, [], .off)
        var values: [String: String] = [:]
        for value in description.values { values[value.key] = read(value, of: description.name, mode, sandbox) }
        return ProviderSettings(
            name: description.name, mode: mode, bodyLimit: bodyLimit, trust: trust, addresses: addresses, addressCheck: check, secrets: secrets,
            hasProof: description.proof != nil, callsPerSecond: description.hasAPI ? callRate(description.rateVariable) : nil, values: values)
    }

    private mutating func posts(_ description: ProviderDescription) -> (SourceTrust?, [AddressRange], AddressCheck) {
        let trust = raw(description.trustVariable) == nil ? nil : choice(description.trustVariable, SourceTrust.self)
        let addresses = addressRanges(description.addressesVariable)
        let check = choice(description.addressCheckVariable, AddressCheck.self)
        if check != .off, addresses.isEmpty, raw(description.addressesVariable) == nil {
            problem(
                description.addressCheckVariable, "it is \(check.rawValue), and \(description.addressesVariable) names no address",
                "addresses are checked against a list", "\(description.addressesVariable)=192.0.2.0/24")
        }
        return (trust, addresses, check)
    }

    private mutating func callRate(_ name: String) -> Double? {
        guard let text = raw(name) else { return nil }
        if let rate = Double(text), (0...10_000).contains(rate) { return rate }
        problem(
            name, "\"\(String(text.prefix(40)))\" is no such number", "calls a second from 0 (any number) to 10000, such as 5 or 0.5", "\(name)=5")
        return nil
    }

    private mutating func read(_ value: ProviderDescription.Value, of provider: String, _ mode: ProviderMode, _ sandbox: String) -> String? {
        let name = value.variable.name
        if let known = value.words { checkWords(name, known) }
        guard value.isURL else { return raw(name) }
        if raw(name) == nil, value.key == "api_url", mode == .sandbox {
            // The sandbox plays every provider under its name, with the path of the real one behind it.
            let path = value.variable.standard.flatMap(URLParts.init)?.path ?? ""
            return "http://\(sandbox)/\(provider)\(path)"
        }
        guard let text = url(name, schemes: ["http", "https"]) else { return nil }
        if mode != .off, let host = URLParts(text)?.host.lowercased(), let why = value.refusedHosts[host] {
            problem(name, "\(host) is \(why)", "another address than that", value.variable.example)
        }
        if mode == .live, !text.hasPrefix("https://") {
            problem(
                name, "it is not https, and the provider is live", "a live provider is only spoken to over https", "\(name)=https://api.example.com")
        }
        return text
    }

    private mutating func checkWords(_ name: String, _ known: [String]) {
        let unknown = words(name).filter { !known.contains($0) }
        guard !unknown.isEmpty else { return }
        let shown = unknown.prefix(5).map { "\"\(String($0.prefix(40)))\"" }.joined(separator: ", ")
        problem(
            name, "\(shown) \(unknown.count == 1 ? "is" : "are") none of its words", "of \(known.joined(separator: " "))",
            "\(name)=\(known.prefix(2).joined(separator: " "))")
    }

    private mutating func checkWebhookKeys(_ secrets: [String], _ name: String) {
        for (place, secret) in secrets.enumerated() {
            let text = secret.hasPrefix("whsec_") ? String(secret.dropFirst(6)) : secret
            let which = secrets.count == 1 ? "the value" : "value \(place + 1) of \(secrets.count)"
            let rule = "whsec_ and Base64 of at least 16 bytes, several separated by blanks"
            let example = "\(name)=whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
            guard let key = Base64.decode(text, lenientPadding: true) else {
                problem(name, "\(which) is not whsec_ and Base64", rule, example)
                continue
            }
            if key.count < 16 { problem(name, "\(which) holds \(key.count) bytes only", rule, example) }
        }
    }
}
