import Formats

/// Reads variables one after the other and gathers what is wrong, so that all of it is told at once.
struct SettingsReader {
    private let environment: [String: String]
    private(set) var problems: [SettingProblem] = []

    private static let known = Dictionary(uniqueKeysWithValues: Settings.variables.map { ($0.name, $0) })

    init(environment: [String: String]) { self.environment = environment }

    mutating func problem(_ variable: String, _ fault: String, _ rule: String, _ example: String) {
        problems.append(SettingProblem(variable: variable, fault: fault, rule: rule, example: example))
    }

    // MARK: Plain values

    /// What the environment says, without blanks around it; nil when it is not set or empty.
    func raw(_ name: String) -> String? {
        guard let text = environment[name] else { return nil }
        let trimmed = text.trimmed
        return trimmed.isEmpty ? nil : trimmed
    }

    /// What the environment says, or the standard value.
    func value(_ name: String) -> String? {
        guard let variable = Self.known[name] else { preconditionFailure("\(name) is missing among Settings.variables") }
        return raw(name) ?? variable.standard
    }

    /// The value in quotes for a message; secrets are only called by that name.
    private func shown(_ name: String) -> String {
        guard let variable = Self.known[name], variable.privacy == .open, let text = raw(name) else { return "the value" }
        let printable = String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? "?" : $0 }))
        return printable.count > 60 ? "\"\(printable.prefix(60))…\"" : "\"\(printable)\""
    }

    private mutating func refuse(_ name: String, _ what: String, _ rule: String) {
        problem(name, "\(shown(name)) is not \(what)", rule, Self.known[name]?.example ?? name)
    }

    /// The values of a list separated by blanks.
    func words(_ name: String) -> [String] { raw(name)?.split(whereSeparator: \.isWhitespace).map(String.init) ?? [] }

    // MARK: Typed values

    mutating func address(_ name: String) -> SocketAddress? {
        guard let text = value(name) else { return nil }
        if let address = SocketAddress(parsing: text), !text.contains(" ") { return address }
        refuse(name, "an address", "host:port with a port from 0 to 65535")
        return Self.known[name]?.standard.flatMap { SocketAddress(parsing: $0) }
    }

    mutating func whole(_ name: String, _ range: ClosedRange<Int>) -> Int {
        if let number = value(name).flatMap({ Int($0) }), range.contains(number) { return number }
        refuse(name, "such a number", "a whole number from \(range.lowerBound) to \(range.upperBound)")
        return Self.known[name]?.standard.flatMap { Int($0) } ?? range.lowerBound
    }

    mutating func choice<Choice: RawRepresentable & CaseIterable>(_ name: String, _ type: Choice.Type) -> Choice where Choice.RawValue == String {
        let standard = (Self.known[name]?.standard ?? Self.known[name]?.sample).flatMap { Choice(rawValue: $0) }
        if let chosen = value(name).flatMap({ Choice(rawValue: $0.lowercased()) }) { return chosen }
        let names = Choice.allCases.map(\.rawValue)
        let rule = names.dropLast().joined(separator: ", ") + " or " + (names.last ?? "")
        refuse(name, "one of them", rule)
        guard let standard else { preconditionFailure("\(name) has no standard value") }
        return standard
    }

    /// Addresses and ranges, separated by blanks.
    mutating func addressRanges(_ name: String) -> [AddressRange] {
        words(name).compactMap { word in
            if let range = AddressRange(parsing: word) { return range }
            problem(
                name, "\(word.prefix(60)) is no address",
                "IP addresses and ranges such as 192.0.2.0/24 or 2001:db8::/32, no bits set behind the prefix",
                "\(name)=192.0.2.0/24")
            return nil
        }
    }

    /// `25s`, `1500ms`, `2m`, or seconds without a unit.
    mutating func duration(_ name: String, most: Duration) -> Duration {
        if let duration = value(name).flatMap(Self.duration), duration <= most { return duration }
        refuse(name, "such a time", "a whole number with ms, s or m, at most 10m")
        return Self.known[name]?.standard.flatMap(Self.duration) ?? .zero
    }

    private static func duration(_ text: String) -> Duration? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard digits.count <= 9, let number = Int64(digits) else { return nil }
        switch text[digits.endIndex...] {
        case "ms": return .milliseconds(number)
        case "", "s": return .seconds(number)
        case "m": return .seconds(number * 60)
        default: return nil
        }
    }

    /// `262144`, `256KiB`, `10MB`.
    mutating func byteCount(_ name: String, most: Int) -> Int {
        if let count = value(name).flatMap(Self.byteCount), (1...most).contains(count) { return count }
        refuse(name, "such a size", "bytes, or a number with KB, KiB, MB or MiB, at most 10MB")
        return Self.known[name]?.standard.flatMap(Self.byteCount) ?? 1
    }

    static func byteCount(_ text: String) -> Int? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard digits.count <= 9, let number = Int(digits) else { return nil }
        switch text[digits.endIndex...].trimmed.lowercased() {
        case "", "b": return number
        case "kb": return number * 1000
        case "kib": return number * 1024
        case "mb": return number * 1_000_000
        case "mib": return number * 1_048_576
        default: return nil
        }
    }

    /// An address of one of these schemes with a host, without a slash at its end.
    mutating func url(_ name: String, schemes: [String]) -> String? {
        guard let text = value(name) else { return nil }
        if let parts = URLParts(text), schemes.contains(parts.scheme), !parts.host.isEmpty {
            return text.hasSuffix("/") ? String(text.dropLast()) : text
        }
        let rule = "\(schemes.map { "\($0)://" }.joined(separator: " or ")) and a host, nothing behind #"
        refuse(name, "such an address", rule)
        return nil
    }

    /// Refuses names of a family of variables that no provider has: a misspelt mode would silently leave a provider off.
    mutating func refuseUnknown(prefix: String, known: [String]) {
        for name in environment.keys.sorted() where name.hasPrefix(prefix) && !known.contains(name) {
            problem(name, "no provider has this name", "one of " + known.joined(separator: ", "), known.first.map { "\($0)=…" } ?? prefix)
        }
    }
}

extension StringProtocol {
    var trimmed: String {
        var rest = self[...]
        while let first = rest.first, first.isWhitespace { rest = rest.dropFirst() }
        while let last = rest.last, last.isWhitespace { rest = rest.dropLast() }
        return String(rest)
    }
}
