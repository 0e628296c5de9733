/// What failures have in common: the kind of the job and the message without what differs from one failure to the next.
public struct ErrorFingerprint: Sendable, Hashable, CustomStringConvertible {
    /// 16 hex digits.
    public let description: String
    /// The message with `#` for every number, identifier and address.
    public let message: String

    public init(kind: String?, reason: String) {
        message = Self.normalised(reason)
        // FNV-1a: it names a group, it protects nothing.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in "\(kind ?? "")\n\(message)".utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        let digits = String(hash, radix: 16)
        description = String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// Words that hold a digit differ from failure to failure; a status of three digits says what went wrong and stays.
    private static func normalised(_ reason: String) -> String {
        var words: [Substring] = []
        for word in reason.prefix(HistoryEntry.reasonLengthMax).lowercased().split(whereSeparator: \.isWhitespace) {
            let bare = Array(word.utf8.drop { !isWordByte($0) }.reversed().drop { !isWordByte($0) })
            let isStatus = bare.count == 3 && bare.allSatisfy { isDigit($0) } && (UInt8(ascii: "1")...UInt8(ascii: "5")).contains(bare[2])
            words.append(bare.contains { isDigit($0) } && !isStatus ? "#" : word)
        }
        return words.joined(separator: " ")
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
    }
}

extension DeadRecord {
    public var fingerprint: ErrorFingerprint { ErrorFingerprint(kind: kind, reason: reason) }
}
