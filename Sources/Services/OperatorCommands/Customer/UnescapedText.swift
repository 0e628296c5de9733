import Formats

/// Bytes as they read once the escapes of addresses, forms (`%40`) and JSON (`\u0040`, `\n`) are undone, in small letters; each knows its place.
struct UnescapedText {
    private var bytes: [UInt8] = []
    /// Where each begins among the raw bytes, and where these end.
    private var starts: [Int] = []

    /// - Parameter raw: need not be a text.
    init(_ raw: [UInt8]) {
        bytes.reserveCapacity(raw.count)
        starts.reserveCapacity(raw.count + 1)
        var at = 0
        while at < raw.count {
            let (byte, width) = Self.unit(of: raw, at: at)
            bytes.append(ASCII.lowercase(byte))
            starts.append(at)
            at += width
        }
        starts.append(raw.count)
    }

    // MARK: Finding

    /// Where an address stands that is not a piece of a longer one.
    ///
    /// Before it stands nothing of a local part; after it nothing that goes on with the domain. `_`, `+` and `%` cannot: they end it. A plus
    /// before one whose `@` is escaped is a form's space, as a true plus would be escaped too.
    func places(ofAddress address: [UInt8]) -> [Range<Int>] {
        guard let at = address.firstIndex(of: UInt8(ascii: "@")) else { return [] }
        return matches(of: address).filter { start in
            let end = start + address.count
            if start > 0, Self.isOfLocalPart(bytes[start - 1]) {
                let isSpaceOfForm = bytes[start - 1] == UInt8(ascii: "+") && width(start - 1) == 1 && width(start + at) == 3
                if !isSpaceOfForm { return false }
            }
            return !goesOnWithDomain(at: end)
        }.map { raw($0, $0 + address.count) }
    }

    private func goesOnWithDomain(at end: Int) -> Bool {
        guard end < bytes.count else { return false }
        var next = end
        if bytes[end] == UInt8(ascii: ".") {
            next = end + 1
        } else {
            while next < bytes.count, bytes[next] == UInt8(ascii: "-") { next += 1 }
        }
        return next < bytes.count && Self.isAlphanumeric(bytes[next])
    }

    /// Where a number stands that is not a piece of a longer one: its digits in a row, or in groups where `+` or `00` says that it is one.
    func places(ofNumber digits: [UInt8]) -> [Range<Int>] {
        guard let first = digits.first else { return [] }
        return bytes.indices.compactMap { start in
            guard bytes[start] == first, beginsNumber(at: start), let end = endOfNumber(digits, at: start) else { return nil }
            return raw(start, end)
        }
    }

    private func beginsNumber(at start: Int) -> Bool { !isDigit(start - 1) || hasZeros(before: start) }

    private func endOfNumber(_ digits: [UInt8], at start: Int) -> Int? {
        let rest = bytes[start...]
        if rest.starts(with: digits) { return isDigit(start + digits.count) ? nil : start + digits.count }
        guard isMarkedAsNumber(start) else { return nil }
        var end = start
        for digit in digits {
            var groupEnd = end
            while groupEnd < bytes.count, groupEnd - end < 4, Self.isBetweenGroups(bytes[groupEnd]) { groupEnd += 1 }
            guard groupEnd < bytes.count, bytes[groupEnd] == digit else { return nil }
            end = groupEnd + 1
        }
        return isDigit(end) || goesOnWithGroups(end, after: digits.count) ? nil : end
    }

    /// Whether more groups follow that make it a longer number, of at most the fifteen digits that one has.
    private func goesOnWithGroups(_ end: Int, after count: Int) -> Bool {
        var (at, total) = (end, count)
        while at < bytes.count, total <= 15 {
            if isDigit(at) { total += 1 } else if !Self.isBetweenGroups(bytes[at]) || !isDigit(at + 1) { break }
            at += 1
        }
        return total > count && total <= 15
    }

    private func isMarkedAsNumber(_ start: Int) -> Bool {
        let sign = start > 0 && bytes[start - 1] == UInt8(ascii: "(") ? start - 1 : start
        return (sign > 0 && bytes[sign - 1] == UInt8(ascii: "+")) || hasZeros(before: sign)
    }

    /// Whether the `00` of a call abroad stands before it.
    private func hasZeros(before start: Int) -> Bool {
        let zero = UInt8(ascii: "0")
        return start >= 2 && bytes[start - 1] == zero && bytes[start - 2] == zero && !isDigit(start - 3)
    }

    private func matches(of wanted: [UInt8]) -> [Int] {
        guard let first = wanted.first, bytes.count >= wanted.count else { return [] }
        return (0...bytes.count - wanted.count).filter { bytes[$0] == first && bytes[$0..<$0 + wanted.count].elementsEqual(wanted) }
    }

    private func raw(_ start: Int, _ end: Int) -> Range<Int> { starts[start]..<starts[end] }
    private func width(_ index: Int) -> Int { starts[index + 1] - starts[index] }
    private func isDigit(_ index: Int) -> Bool { bytes.indices.contains(index) && ASCII.isDigit(bytes[index]) }

    // MARK: Bytes

    static func isAlphanumeric(_ byte: UInt8) -> Bool {
        ASCII.isDigit(byte) || (0x61...0x7A).contains(ASCII.lowercase(byte))
    }

    private static func isOfLocalPart(_ byte: UInt8) -> Bool { isAlphanumeric(byte) || "._%+-".utf8.contains(byte) }

    /// Spaces that are not ASCII come as several bytes.
    private static func isBetweenGroups(_ byte: UInt8) -> Bool { " -.()/+".utf8.contains(byte) || byte >= 0x80 }

    /// What is read next, and how many raw bytes say it. JSON within JSON doubles its backslashes, so any few of them are one.
    private static func unit(of raw: [UInt8], at: Int) -> (byte: UInt8, width: Int) {
        switch raw[at] {
        case UInt8(ascii: "%"):
            guard let byte = number(raw, at + 1, digits: 2) else { return (raw[at], 1) }
            return (UInt8(truncatingIfNeeded: byte), 3)
        case UInt8(ascii: "\\"):
            var letter = at + 1
            while letter < raw.count, letter - at < 8, raw[letter] == UInt8(ascii: "\\") { letter += 1 }
            guard letter < raw.count else { return (raw[at], 1) }
            switch raw[letter] {
            case UInt8(ascii: "u"):
                guard let scalar = number(raw, letter + 1, digits: 4) else { return (raw[at], 1) }
                return (scalar < 0x80 ? UInt8(truncatingIfNeeded: scalar) : 0xFF, letter + 5 - at)
            case let byte where "nrtbf".utf8.contains(byte): return (UInt8(ascii: "\n"), letter + 1 - at)
            case let byte where "\"/".utf8.contains(byte): return (byte, letter + 1 - at)
            default: return (raw[at], 1)
            }
        default: return (raw[at], 1)
        }
    }

    private static func number(_ raw: [UInt8], _ start: Int, digits: Int) -> Int? {
        guard start + digits <= raw.count else { return nil }
        var value = 0
        for byte in raw[start..<start + digits] {
            guard let digit = ASCII.hexValue(byte) else { return nil }
            value = value * 16 + Int(digit)
        }
        return value
    }
}
