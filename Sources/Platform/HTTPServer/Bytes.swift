#if canImport(Glibc)
    import Glibc
#endif

/// Small questions about raw bytes, without a String in between.
enum Bytes {
    /// RFC 9110's token characters, one bit each for 0…63 and 64…127.
    private static let tokenLow: UInt64 = bits("!#$%&'*+-.0123456789", from: 0)
    private static let tokenHigh: UInt64 = bits("ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~", from: 64)

    private static func bits(_ characters: StaticString, from first: UInt64) -> UInt64 {
        characters.withUTF8Buffer { $0.reduce(0) { $0 | 1 << (UInt64($1) - first) } }
    }

    /// The offset of the first byte that is no token character.
    static func tokenEnd(_ bytes: UnsafeRawBufferPointer) -> Int {
        let (low, high) = (tokenLow, tokenHigh)
        var offset = 0
        while offset < bytes.count {
            let byte = UInt64(bytes[offset])
            let known = byte < 64 ? low >> byte : (byte < 128 ? high >> (byte - 64) : 0)
            guard known & 1 == 1 else { break }
            offset += 1
        }
        return offset
    }

    static func isToken(_ bytes: UnsafeRawBufferPointer) -> Bool { tokenEnd(bytes) == bytes.count }
    static func isDigit(_ byte: UInt8) -> Bool { byte &- 48 < 10 }

    /// Whether a control character other than a tab is in there. Eight bytes at a time: header values are the bulk of a head.
    static func hasControl(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var offset = 0
        while offset + 8 <= bytes.count {
            let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            if mayHoldControl(word) && bytes[offset..<(offset + 8)].contains(where: isControl) { return true }
            offset += 8
        }
        while offset < bytes.count {
            if isControl(bytes[offset]) { return true }
            offset += 1
        }
        return false
    }

    @inline(__always)
    private static func isControl(_ byte: UInt8) -> Bool { byte < 32 && byte != 9 || byte == 127 }

    /// Whether one of the eight bytes is below 32 or is 127: a borrow into a byte's highest bit that was not set before.
    @inline(__always)
    private static func mayHoldControl(_ word: UInt64) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let below32 = (word &- ones &* 32) & ~word
        let delete = word ^ ones &* 127
        let isDelete = (delete &- ones) & ~delete
        return (below32 | isDelete) & (ones &* 128) != 0
    }

    static func equal(_ bytes: UnsafeRawBufferPointer, _ text: StaticString) -> Bool {
        guard bytes.count == text.utf8CodeUnitCount, let base = bytes.baseAddress else { return false }
        return memcmp(base, text.utf8Start, bytes.count) == 0
    }

    /// - Parameter lowercase: the text to compare with, in lower case.
    static func equalLowercased(_ bytes: UnsafeRawBufferPointer, _ lowercase: StaticString) -> Bool {
        guard bytes.count == lowercase.utf8CodeUnitCount else { return false }
        let wanted = lowercase.utf8Start
        var offset = 0
        while offset < bytes.count {
            let byte = bytes[offset]
            guard (byte &- 65 < 26 ? byte | 32 : byte) == wanted[offset] else { return false }
            offset += 1
        }
        return true
    }

    /// A plain decimal number below 10^18; no sign, no blank.
    static func decimal(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard (1...18).contains(bytes.count), bytes.allSatisfy(isDigit) else { return nil }
        return bytes.reduce(0) { $0 * 10 + Int($1) - 48 }
    }

    static func method(_ bytes: UnsafeRawBufferPointer) -> Method? {
        switch bytes.count {
        case 3 where equal(bytes, "GET"): .get
        case 3 where equal(bytes, "PUT"): .put
        case 4 where equal(bytes, "POST"): .post
        case 4 where equal(bytes, "HEAD"): .head
        case 5 where equal(bytes, "PATCH"): .patch
        case 6 where equal(bytes, "DELETE"): .delete
        case 7 where equal(bytes, "OPTIONS"): .options
        default: nil
        }
    }
}
