import Formats

/// A sources file that is not one. Never holds the value of a secret.
public struct SourceBookError: Error, Equatable, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}

/// The book as the file has it: one JSON object. What is not known is refused, since a misspelt name would silently leave a source as
/// it was.
extension SourceBook {
    static let version: Int64 = 1
    static let secretsMax = 10
    static let addressesMax = 200
    static let bodyLimitMax = 10_000_000

    /// The file's bytes.
    public func encoded() -> [UInt8] {
        var members = JSONObject([("v", .int(Self.version))])
        members["sources"] = .object(JSONObject(sources.sorted { $0.key < $1.key }.map { ($0.key, Self.json(of: $0.value)) }))
        var usage = JSONObject()
        if let usageBodyLimit { usage["body_limit"] = .int(Int64(usageBodyLimit)) }
        if let usageKeys { usage["keys"] = .array(usageKeys.map { ["name": .string($0.name), "key": .string($0.key.value)] }) }
        members["usage"] = .object(usage)
        members["environment"] = .object(JSONObject(seeds.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
        return JSON.object(members).bytes + [UInt8(ascii: "\n")]
    }

    private static func json(of source: Source) -> JSON {
        var members = JSONObject()
        if let isOn = source.isOn { members["on"] = .bool(isOn) }
        if let mode = source.mode { members["mode"] = .string(mode.rawValue) }
        if let limit = source.bodyLimit { members["body_limit"] = .int(Int64(limit)) }
        if let trust = source.trust { members["trust"] = .string(trust.rawValue) }
        if let addresses = source.addresses { members["addresses"] = .array(addresses.map { .string($0.description) }) }
        if let check = source.addressCheck { members["address_check"] = .string(check.rawValue) }
        if let secrets = source.secrets { members["secrets"] = .array(secrets.map { .string($0.value) }) }
        return .object(members)
    }

    /// Reads the file's bytes.
    public init(decoding bytes: [UInt8]) throws(SourceBookError) {
        let json: JSON
        do { json = try JSON(parsing: bytes, depthLimit: 8, sizeLimit: SourcesFile.sizeMax) } catch {
            throw SourceBookError("it is no JSON (byte \(error.offset))")
        }
        let top = try Members(json, "the file", ["v", "sources", "usage", "environment"])
        guard top["v"]?.int == Self.version else { throw SourceBookError("its version, v, is not \(Self.version)") }
        let known = Set(ProviderDescription.all.map(\.name))
        for member in try Members(top["sources"] ?? [:], "sources", nil).all {
            guard known.contains(member.key) else { throw SourceBookError("sources names a provider that nobody knows") }
            sources[member.key] = try Self.source(member.value, member.key)
        }
        let usage = try Members(top["usage"] ?? [:], "usage", ["body_limit", "keys"])
        usageBodyLimit = try Self.limit(usage["body_limit"], "usage")
        if let keys = usage["keys"] { usageKeys = try Self.usageKeys(keys) }
        for member in try Members(top["environment"] ?? [:], "environment", nil).all {
            guard let text = member.value.string else { throw SourceBookError("environment holds something other than texts") }
            seeds[member.key] = text
        }
    }

    private static func source(_ json: JSON, _ name: String) throws(SourceBookError) -> Source {
        let members = try Members(json, name, ["on", "mode", "body_limit", "secrets", "trust", "addresses", "address_check"])
        var source = Source()
        if let value = members["on"] {
            guard let isOn = value.bool else { throw SourceBookError("\(name): on is neither true nor false") }
            source.isOn = isOn
        }
        if let value = members["mode"] {
            guard let mode = value.string.flatMap(ProviderMode.init(rawValue:)), mode != .off else {
                throw SourceBookError("\(name): mode is neither sandbox nor live")
            }
            source.mode = mode
        }
        if source.isOn == true && source.mode == nil { throw SourceBookError("\(name): it is on and has no mode") }
        source.bodyLimit = try limit(members["body_limit"], name)
        if let value = members["secrets"] { source.secrets = try secrets(value, name) }
        source.trust = try choice(members["trust"], "trust", name)
        source.addressCheck = try choice(members["address_check"], "address_check", name)
        if let value = members["addresses"] { source.addresses = try addresses(value, name) }
        return source
    }

    private static func addresses(_ json: JSON, _ name: String) throws(SourceBookError) -> [AddressRange] {
        guard let words = json.array, words.count <= addressesMax else {
            throw SourceBookError("\(name): addresses is not a list of at most \(addressesMax)")
        }
        var ranges: [AddressRange] = []
        for word in words {
            guard let range = word.string.flatMap({ AddressRange(parsing: $0) }) else {
                throw SourceBookError("\(name): addresses holds something other than IP addresses and ranges")
            }
            ranges.append(range)
        }
        return ranges
    }

    private static func choice<Choice: RawRepresentable & CaseIterable>(
        _ json: JSON?, _ member: String, _ name: String
    ) throws(SourceBookError) -> Choice? where Choice.RawValue == String {
        guard let json else { return nil }
        guard let choice = json.string.flatMap({ Choice(rawValue: $0) }) else {
            throw SourceBookError("\(name): \(member) is none of \(Choice.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return choice
    }

    private static func limit(_ json: JSON?, _ name: String) throws(SourceBookError) -> Int? {
        guard let json else { return nil }
        guard let limit = json.int, (1...Int64(bodyLimitMax)).contains(limit) else {
            throw SourceBookError("\(name): body_limit is not a number of bytes from 1 to \(bodyLimitMax)")
        }
        return Int(limit)
    }

    private static func secrets(_ json: JSON, _ name: String) throws(SourceBookError) -> [Secret] {
        guard let array = json.array, array.count <= secretsMax else {
            throw SourceBookError("\(name): secrets is not a list of at most \(secretsMax)")
        }
        var secrets: [Secret] = []
        for value in array {
            guard let text = value.string, isWord(text) else {
                throw SourceBookError("\(name): a secret is not a text of visible ASCII characters")
            }
            secrets.append(Secret(text))
        }
        guard Set(secrets.map(\.value)).count == secrets.count else { throw SourceBookError("\(name): a secret stands in it twice") }
        return secrets
    }

    private static func usageKeys(_ json: JSON) throws(SourceBookError) -> [UsageSettings.Source] {
        guard let array = json.array else { throw SourceBookError("usage: keys is no list") }
        var keys: [UsageSettings.Source] = []
        for value in array {
            let members = try Members(value, "usage: a key", ["name", "key"])
            guard let name = members["name"]?.string, Slug.isValid(name, most: 100), let key = members["key"]?.string, isWord(key),
                key.utf8.count >= SettingsReader.sourceKeyLengthMin
            else {
                throw SourceBookError("usage: a key has no good name, or fewer than \(SettingsReader.sourceKeyLengthMin) visible ASCII characters")
            }
            keys.append(UsageSettings.Source(name: name, key: Secret(key)))
        }
        guard Set(keys.map(\.key.value)).count == keys.count else { throw SourceBookError("usage: a key stands in it twice") }
        return keys
    }

    /// Whether a text can stand in the environment's lists, which blanks part.
    public static func isWord(_ text: String) -> Bool {
        (1...1024).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    /// The members of one object, of which none is unknown.
    private struct Members {
        let all: JSONObject

        init(_ json: JSON, _ name: String, _ known: Set<String>?) throws(SourceBookError) {
            guard let object = json.object else { throw SourceBookError("\(name) is no object") }
            guard Set(object.keys).count == object.count else { throw SourceBookError("\(name) has a member twice") }
            if let known, !object.keys.allSatisfy(known.contains) { throw SourceBookError("\(name) has a member that nobody knows") }
            all = object
        }

        subscript(_ name: String) -> JSON? { all[name] }
    }
}
