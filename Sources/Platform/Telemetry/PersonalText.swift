import Formats

/// Telephone numbers, card numbers and e-mail addresses inside free text.
enum PersonalText {
    /// `awa@example.ci` becomes `a***@example.ci`.
    static func maskAddresses(_ bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        var localStart = 0
        for (at, byte) in bytes.enumerated() {
            let isAddress = byte == UInt8(ascii: "@") && localStart < output.count && at + 1 < bytes.count && isWord(bytes[at + 1])
            if isAddress {
                output.removeLast(output.count - localStart - 1)
                output.append(contentsOf: "***".utf8)
            }
            output.append(byte)
            if !isLocal(byte) { localStart = output.count }
        }
        return output
    }

    /// Numbers that are telephones or cards. Amounts, times and identifiers stay: a bare run of digits is a telephone only
    /// with the length and beginning of one.
    static func maskNumbers(_ bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        var at = 0
        while at < bytes.count {
            let byte = bytes[at]
            let hasPlus = byte == UInt8(ascii: "+")
            guard hasPlus || ASCII.isDigit(byte), isNumberStart(bytes, at) else {
                output.append(byte)
                at += 1
                continue
            }
            if let (masked, end) = hasPlus ? international(bytes, at) : bare(bytes, at) {
                output.append(contentsOf: masked)
                at = end
            } else {
                // Nothing inside this run can be a number of its own.
                repeat {
                    output.append(bytes[at])
                    at += 1
                } while at < bytes.count && ASCII.isDigit(bytes[at])
            }
        }
        return output
    }

    /// The first digits, stars, the last two.
    static func masked(_ digits: [UInt8], plus: Bool) -> [UInt8] {
        guard digits.count >= 6 else { return [UInt8](repeating: UInt8(ascii: "*"), count: digits.count) }
        let shown = digits.count >= 11 ? 5 : 2
        let stars = [UInt8](repeating: UInt8(ascii: "*"), count: digits.count - shown - 2)
        return (plus ? [UInt8(ascii: "+")] : []) + digits[..<shown] + stars + digits[(digits.count - 2)...]
    }

    // MARK: Parts

    private static func isWord(_ byte: UInt8) -> Bool { ASCII.isDigit(byte) || (0x61...0x7A).contains(ASCII.lowercase(byte)) }

    private static func isLocal(_ byte: UInt8) -> Bool {
        isWord(byte) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+")
            || byte == UInt8(ascii: "%") || byte >= 0x80
    }

    /// Not in the middle of a word, of an identifier with dashes, or of a decimal fraction.
    private static func isNumberStart(_ bytes: [UInt8], _ at: Int) -> Bool {
        guard at > 0 else { return true }
        let before = bytes[at - 1]
        if isWord(before) || before == UInt8(ascii: "_") || before == UInt8(ascii: "*") { return false }
        guard before == UInt8(ascii: "-") || before == UInt8(ascii: "."), at > 1 else { return true }
        return !isWord(bytes[at - 2])
    }

    private static func isNumberEnd(_ bytes: [UInt8], _ at: Int) -> Bool {
        guard at < bytes.count else { return true }
        if isWord(bytes[at]) || bytes[at] == UInt8(ascii: "_") { return false }
        guard bytes[at] == UInt8(ascii: "-"), at + 1 < bytes.count else { return true }
        return !isWord(bytes[at + 1])
    }

    /// `+` and 8 to 15 digits, with single blanks, dots, dashes or brackets between them.
    private static func international(_ bytes: [UInt8], _ start: Int) -> (masked: [UInt8], end: Int)? {
        var digits: [UInt8] = []
        var at = start + 1
        var end = at
        var gap = 0
        while at < bytes.count, gap <= 2, digits.count < 15 {
            if ASCII.isDigit(bytes[at]) {
                digits.append(bytes[at])
                end = at + 1
                gap = 0
            } else if " .-()".utf8.contains(bytes[at]) {
                gap += 1
            } else {
                break
            }
            at += 1
        }
        return digits.count >= 8 ? (masked(digits, plus: true), end) : nil
    }

    private static func bare(_ bytes: [UInt8], _ start: Int) -> (masked: [UInt8], end: Int)? {
        let runEnd = bytes[start...].firstIndex { !ASCII.isDigit($0) } ?? bytes.count
        let run = Array(bytes[start..<runEnd])
        if isNumberEnd(bytes, runEnd) {
            if (13...19).contains(run.count), CardNumber.passesLuhn(run), !isTelephone(run) { return (maskedCard(run), runEnd) }
            if isTelephone(run) { return (masked(run, plus: false), runEnd) }
        }
        return grouped(bytes, start)
    }

    /// `4111 1111 1111 1111`, `4111-1111-1111-1111` or `07 08 09 10 11`: groups of one size with one separator.
    private static func grouped(_ bytes: [UInt8], _ start: Int) -> (masked: [UInt8], end: Int)? {
        for (size, counts) in [(4, 13...19), (2, 8...10)] {
            var digits: [UInt8] = []
            var at = start
            var separator: UInt8?
            while true {
                let groupEnd = min(bytes[at...].firstIndex { !ASCII.isDigit($0) } ?? bytes.count, bytes.count)
                guard (1...size).contains(groupEnd - at) else { break }
                digits += bytes[at..<groupEnd]
                let isShort = groupEnd - at < size
                at = groupEnd
                guard !isShort, at + 1 < bytes.count, bytes[at] == 0x20 || bytes[at] == UInt8(ascii: "-"), separator ?? bytes[at] == bytes[at],
                    ASCII.isDigit(bytes[at + 1])
                else { break }
                separator = bytes[at]
                at += 1
            }
            guard separator != nil, counts.contains(digits.count), at > start, isNumberEnd(bytes, at) else { continue }
            if size == 4, CardNumber.passesLuhn(digits) { return (maskedCard(digits), at) }
            if size == 2, isTelephone(digits) { return (masked(digits, plus: false), at) }
        }
        return nil
    }

    private static func maskedCard(_ digits: [UInt8]) -> [UInt8] {
        [UInt8](repeating: UInt8(ascii: "*"), count: digits.count - 4) + digits.suffix(4)
    }

    /// Country codes of the countries our payers live in.
    private static let countryCodes: [[UInt8]] = ["225", "221", "223", "224", "226", "227", "228", "229", "233", "234", "237", "243", "972"].map {
        Array($0.utf8)
    }

    private static func isTelephone(_ digits: [UInt8]) -> Bool {
        switch digits.count {
        case 10 where digits[0] == UInt8(ascii: "0"): true
        case 11...13 where countryCodes.contains { digits.starts(with: $0) }: true
        case 12...17 where digits.starts(with: "00".utf8): true
        default: false
        }
    }
}
