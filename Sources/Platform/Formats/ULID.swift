import Synchronization

/// Identifiers that sort by their time: 48 bits of Unix milliseconds and 80 random bits, as 26 letters and digits.
///
/// Within one process each is greater than the one before, also when the clock stands still or steps back. Neighbours can be
/// guessed, so an identifier is never a secret.
public enum ULID {
    private struct Last {
        var ms: UInt64 = 0
        var high: UInt16 = 0
        var low: UInt64 = 0
    }

    private static let last = Mutex(Last())
    private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)

    /// The next identifier.
    /// - Parameter nowMs: Unix milliseconds, 0 ≤ `nowMs` < 2^48.
    public static func make(nowMs: Int64 = WallClock.nowMs) -> String {
        precondition(nowMs >= 0 && nowMs < 1 << 48, "a ULID's time has 48 bits")
        let (time, high, low) = last.withLock { last in
            advance(&last, to: UInt64(nowMs))
            return (last.ms, last.high, last.low)
        }
        return text(time, high, low)
    }

    /// What no identifier of that time or later is less than: a bound for searching.
    public static func lowest(atMs ms: Int64) -> String { text(UInt64(max(0, min(ms, 1 << 48 - 1))), 0, 0) }

    /// Unix milliseconds of an identifier; nil when the text is none.
    public static func time(of text: String) -> Int64? {
        let bytes = Array(text.utf8)
        guard bytes.count == 26, bytes[0] <= UInt8(ascii: "7") else { return nil }
        var ms: Int64 = 0
        for (place, byte) in bytes.enumerated() {
            guard let value = alphabet.firstIndex(of: byte) else { return nil }
            if place < 10 { ms = ms << 5 | Int64(value) }
        }
        return ms
    }

    /// The sixteen bytes of an identifier; nil when the text is none.
    public static func bytes(of text: String) -> [UInt8]? {
        let letters = Array(text.utf8)
        guard letters.count == 26, letters[0] <= UInt8(ascii: "7") else { return nil }
        var value: UInt128 = 0
        for letter in letters {
            guard let digit = alphabet.firstIndex(of: letter) else { return nil }
            value = value << 5 | UInt128(digit)
        }
        return (0..<16).map { UInt8(truncatingIfNeeded: value >> UInt128(120 - $0 * 8)) }
    }

    /// The identifier of sixteen bytes.
    public static func text(of bytes: some Collection<UInt8>) -> String {
        precondition(bytes.count == 16, "an identifier has sixteen bytes")
        let value = bytes.reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
        return String(decoding: (0..<26).map { alphabet[Int(value >> UInt128(125 - $0 * 5) & 31)] }, as: UTF8.self)
    }

    private static func advance(_ last: inout Last, to ms: UInt64) {
        if ms > last.ms {
            var random = SystemRandomNumberGenerator()
            last.ms = ms
            // The top bit is left free, so that counting up within a millisecond never runs over.
            last.high = UInt16.random(in: 0...0x7FFF, using: &random)
            last.low = random.next()
            return
        }
        let (sum, carry) = last.low.addingReportingOverflow(1)
        last.low = sum
        if carry { last.high &+= 1 }
    }

    private static func text(_ ms: UInt64, _ high: UInt16, _ low: UInt64) -> String {
        String(unsafeUninitializedCapacity: 26) { output in
            for place in 0..<10 { output[place] = alphabet[Int(ms >> UInt64(45 - place * 5) & 31)] }
            // 80 bits in sixteen groups of five; the fourth group spans both halves.
            let top = UInt64(high) << 48 | low >> 16
            let bottom = low << 48
            for place in 0..<16 {
                let shift = 59 - place * 5
                let group = shift >= 0 ? top >> UInt64(shift) : top << UInt64(-shift) | bottom >> UInt64(64 + shift)
                output[10 + place] = alphabet[Int(group & 31)]
            }
            return 26
        }
    }
}
