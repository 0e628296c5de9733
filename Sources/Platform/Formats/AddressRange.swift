/// A numeric IP address, version 4 or 6. A version 4 address that is written as one of version 6 (`::ffff:192.0.2.1`) is the one of version 4.
public struct IPAddress: Sendable, Hashable, CustomStringConvertible {
    /// 4 or 16 bytes.
    let bytes: [UInt8]

    /// Reads `192.0.2.1`, `2001:db8::1` and `[2001:db8::1]`, with or without a port behind them; nil for all else, names among it.
    public init?(parsing text: some StringProtocol) {
        var text = Substring(text)
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { return nil }
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || Self.isPort(rest) else { return nil }
            text = text[text.index(after: text.startIndex)..<end]
        } else if let colon = text.firstIndex(of: ":"), text[text.index(after: colon)...].firstIndex(of: ":") == nil {
            guard Self.isPort(text[colon...]) else { return nil }
            text = text[..<colon]
        }
        self.init(plain: text)
    }

    /// The same without brackets and port.
    init?(plain text: Substring) {
        guard text.utf8.count <= 45, let bytes = text.contains(":") ? Self.version6(text) : Self.version4(text) else { return nil }
        let isMapped = bytes.count == 16 && bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
        self.bytes = isMapped ? Array(bytes[12...]) : bytes
    }

    /// The usual form; of version 6 that of RFC 5952.
    public var description: String {
        bytes.count == 4 ? bytes.map(String.init).joined(separator: ".") : Self.text(groups: Self.groups(bytes))
    }

    /// What belongs to one holder: a version 4 address itself, the first 64 bits of one of version 6.
    public var network: String {
        bytes.count == 4 ? description : Self.text(groups: Array(Self.groups(bytes)[..<4]) + [0, 0, 0, 0]) + "/64"
    }

    private static func groups(_ bytes: [UInt8]) -> [UInt16] {
        stride(from: 0, to: bytes.count, by: 2).map { UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]) }
    }

    /// The longest run of at least two zeros, the first of those that are as long, becomes `::`.
    private static func text(groups: [UInt16]) -> String {
        var gap = 0..<0
        var place = 0
        while place < groups.count {
            let end = groups[place...].firstIndex { $0 != 0 } ?? groups.count
            if end - place > max(gap.count, 1) { gap = place..<end }
            place = end + 1
        }
        func hex(_ part: ArraySlice<UInt16>) -> String { part.map { String($0, radix: 16) }.joined(separator: ":") }
        return gap.isEmpty ? hex(groups[...]) : hex(groups[..<gap.lowerBound]) + "::" + hex(groups[gap.upperBound...])
    }

    private static func isPort(_ text: Substring) -> Bool {
        text.first == ":" && (2...6).contains(text.utf8.count) && text.utf8.dropFirst().allSatisfy { ASCII.isDigit($0) }
    }

    /// Four numbers of 0 to 255 without zeros in front: some programs read those as octal.
    private static func version4(_ text: Substring) -> [UInt8]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bytes: [UInt8] = []
        for part in parts {
            guard part.utf8.allSatisfy({ ASCII.isDigit($0) }), part == "0" || part.first != "0", let byte = UInt8(part) else { return nil }
            bytes.append(byte)
        }
        return bytes
    }

    private static func version6(_ text: Substring) -> [UInt8]? {
        // At most one gap, which stands for the zeros that are missing.
        let halves = text.components(separatedByPair: ":")
        guard halves.count <= 2, let head = groups(halves[0]), let tail = halves.count == 2 ? groups(halves[1]) : [] else { return nil }
        guard halves.count == 2 else { return head.count == 16 ? head : nil }
        guard head.count + tail.count <= 14 else { return nil }
        return head + [UInt8](repeating: 0, count: 16 - head.count - tail.count) + tail
    }

    private static func groups(_ text: Substring) -> [UInt8]? {
        guard !text.isEmpty else { return [] }
        var bytes: [UInt8] = []
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        for (place, part) in parts.enumerated() {
            if part.contains(".") {
                guard place == parts.count - 1, let last = version4(part) else { return nil }
                bytes += last
                continue
            }
            guard (1...4).contains(part.utf8.count), part.utf8.allSatisfy({ ASCII.hexValue($0) != nil }), let group = UInt16(part, radix: 16) else {
                return nil
            }
            bytes += [UInt8(group >> 8), UInt8(group & 0xFF)]
        }
        return bytes.count <= 16 ? bytes : nil
    }
}

/// Addresses that begin alike: `192.0.2.0/24`, `2001:db8::/32`, or a single one.
public struct AddressRange: Sendable, Hashable, CustomStringConvertible {
    private let first: IPAddress
    private let bits: Int
    /// As it was written.
    public let description: String

    /// Nil when it is none, or has bits set behind its prefix: whoever wrote those meant something else.
    public init?(parsing text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = IPAddress(plain: parts[0]) else { return nil }
        let most = first.bytes.count * 8
        var bits = most
        if parts.count == 2 {
            guard (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy({ ASCII.isDigit($0) }), let number = Int(parts[1]) else {
                return nil
            }
            // A mapped range counts its bits from the front of version 6.
            bits = parts[0].contains(":") && most == 32 ? number - 96 : number
        }
        guard (0...most).contains(bits), Self.isBlank(first.bytes, behind: bits) else { return nil }
        self.first = first
        self.bits = bits
        description = text
    }

    public func contains(_ address: IPAddress) -> Bool {
        guard address.bytes.count == first.bytes.count else { return false }
        let whole = bits / 8
        guard address.bytes[..<whole] == first.bytes[..<whole] else { return false }
        let rest = bits % 8
        return rest == 0 || (address.bytes[whole] ^ first.bytes[whole]) >> UInt8(8 - rest) == 0
    }

    private static func isBlank(_ bytes: [UInt8], behind bits: Int) -> Bool {
        bytes.enumerated().allSatisfy { place, byte in
            let kept = min(max(bits - place * 8, 0), 8)
            return kept == 8 || byte << UInt8(kept) == 0
        }
    }
}

extension Substring {
    /// Parts between two of a sign beside each other, at most three.
    fileprivate func components(separatedByPair sign: Character) -> [Substring] {
        var parts: [Substring] = []
        var rest = self
        while let place = rest.indices.first(where: { index in
            let next = rest.index(after: index)
            return rest[index] == sign && next < rest.endIndex && rest[next] == sign
        }) {
            parts.append(rest[..<place])
            rest = rest[rest.index(place, offsetBy: 2)...]
            if parts.count == 2 { break }
        }
        return parts + [rest]
    }
}
