/// Writes JSON text piece by piece into one byte array: for hot paths that need no tree in between.
///
/// Commas are put by the writer. The caller keeps the grammar: a key before each value of an object, as many ends as begins.
public struct JSONWriter: Sendable {
    public private(set) var bytes: [UInt8] = []
    /// A value stands directly before the cursor, so the next one needs a comma.
    private var afterValue = false

    public init() {}

    public init(reserving capacity: Int) { bytes.reserveCapacity(capacity) }

    /// Goes on after bytes that are already there, such as a line's beginning.
    public init(continuing bytes: [UInt8]) { self.bytes = bytes }

    // MARK: Structure

    public mutating func beginObject() { begin(UInt8(ascii: "{")) }
    public mutating func endObject() { end(UInt8(ascii: "}")) }
    public mutating func beginArray() { begin(UInt8(ascii: "[")) }
    public mutating func endArray() { end(UInt8(ascii: "]")) }

    /// The name of the member whose value comes next.
    public mutating func key(_ name: String) {
        separate()
        quote(name)
        bytes.append(UInt8(ascii: ":"))
        afterValue = false
    }

    /// A name known at compile time that needs no escaping: copied as it is.
    public mutating func key(literal name: StaticString) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        bytes.append(contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
        afterValue = false
    }

    // MARK: Values

    public mutating func string(_ value: String) {
        separate()
        quote(value)
        afterValue = true
    }

    /// Bytes that are already ASCII without anything to escape (Base64, hexadecimal), written as a string.
    public mutating func string(asciiBytes value: [UInt8]) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        bytes.append(contentsOf: value)
        bytes.append(UInt8(ascii: "\""))
        afterValue = true
    }

    /// Any bytes as a Base64 string, without a string in between.
    public mutating func base64(_ value: [UInt8]) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        Base64.encode(value, into: &bytes)
        bytes.append(UInt8(ascii: "\""))
        afterValue = true
    }

    public mutating func int(_ value: Int64) {
        separate()
        Self.appendDecimal(value, to: &bytes)
        afterValue = true
    }

    public mutating func bool(_ value: Bool) {
        separate()
        bytes.append(contentsOf: value ? Self.trueWord : Self.falseWord)
        afterValue = true
    }

    public mutating func null() {
        separate()
        bytes.append(contentsOf: Self.nullWord)
        afterValue = true
    }

    /// A whole JSON value that is already written out (a number's text, an encoded object). Not checked.
    public mutating func raw(_ value: some Collection<UInt8>) {
        separate()
        bytes.append(contentsOf: value)
        afterValue = true
    }

    /// JSON has no infinities: those, and not-a-number, become null.
    public mutating func double(_ value: Double) {
        guard value.isFinite else { return null() }
        raw(value.description.utf8)
    }

    public mutating func value(_ value: JSON) {
        switch value {
        case .null: null()
        case .bool(let value): bool(value)
        case .number(let text): raw(text.utf8)
        case .string(let value): string(value)
        case .array(let elements):
            beginArray()
            for element in elements { self.value(element) }
            endArray()
        case .object(let members):
            beginObject()
            for member in members {
                key(member.key)
                self.value(member.value)
            }
            endObject()
        }
    }

    /// A moment as RFC 3339 text.
    public mutating func timestamp(_ ms: Int64) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        Timestamp.appendRFC3339(ms, to: &bytes)
        bytes.append(UInt8(ascii: "\""))
        afterValue = true
    }

    // MARK: Members in one call

    public mutating func member(_ name: StaticString, _ value: String) {
        key(literal: name)
        string(value)
    }

    public mutating func member(_ name: StaticString, _ value: Int64) {
        key(literal: name)
        int(value)
    }

    public mutating func member(_ name: StaticString, _ value: Bool) {
        key(literal: name)
        bool(value)
    }

    public mutating func member(_ name: StaticString, _ value: JSON) {
        key(literal: name)
        self.value(value)
    }

    /// The string, or null for nil.
    public mutating func member(_ name: StaticString, optional value: String?) {
        key(literal: name)
        if let value { string(value) } else { null() }
    }

    // MARK: Parts

    private static let trueWord = Array("true".utf8)
    private static let falseWord = Array("false".utf8)
    private static let nullWord = Array("null".utf8)

    private mutating func begin(_ bracket: UInt8) {
        separate()
        bytes.append(bracket)
        afterValue = false
    }

    private mutating func end(_ bracket: UInt8) {
        bytes.append(bracket)
        afterValue = true
    }

    @inline(__always)
    private mutating func separate() {
        if afterValue { bytes.append(UInt8(ascii: ",")) }
    }

    private mutating func quote(_ value: String) {
        bytes.append(UInt8(ascii: "\""))
        var value = value
        value.withUTF8 { Self.appendEscaped($0, to: &bytes) }
        bytes.append(UInt8(ascii: "\""))
    }

    /// Copies runs that need no escape in one go.
    private static func appendEscaped(_ text: UnsafeBufferPointer<UInt8>, to output: inout [UInt8]) {
        var runStart = 0
        var place = 0
        while true {
            place = endOfPlainRun(UnsafeRawBufferPointer(text), from: place)
            output.append(contentsOf: UnsafeBufferPointer(rebasing: text[runStart..<place]))
            guard place < text.count else { return }
            appendEscape(of: text[place], to: &output)
            place += 1
            runStart = place
        }
    }

    /// The offset of the next byte that must be escaped, or the end. Eight bytes at a time: most text has none.
    private static func endOfPlainRun(_ text: UnsafeRawBufferPointer, from start: Int) -> Int {
        let ones: UInt64 = 0x0101_0101_0101_0101
        var place = start
        while place + 8 <= text.count {
            let word = text.loadUnaligned(fromByteOffset: place, as: UInt64.self)
            // A byte that is wanted borrows into its highest bit, which was not set before.
            let quote = word ^ ones &* 0x22
            let backslash = word ^ ones &* 0x5C
            let hit = (word &- ones &* 0x20) & ~word | (quote &- ones) & ~quote | (backslash &- ones) & ~backslash
            if hit & (ones &* 0x80) != 0 { break }
            place += 8
        }
        while place < text.count {
            let byte = text[place]
            if byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { return place }
            place += 1
        }
        return place
    }

    private static func appendEscape(of byte: UInt8, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\\"))
        switch byte {
        case 0x08: output.append(UInt8(ascii: "b"))
        case 0x09: output.append(UInt8(ascii: "t"))
        case 0x0A: output.append(UInt8(ascii: "n"))
        case 0x0C: output.append(UInt8(ascii: "f"))
        case 0x0D: output.append(UInt8(ascii: "r"))
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): output.append(byte)
        default:
            output.append(contentsOf: [UInt8(ascii: "u"), UInt8(ascii: "0"), UInt8(ascii: "0")])
            output.append(Hex.digits[Int(byte >> 4)])
            output.append(Hex.digits[Int(byte & 15)])
        }
    }

    /// Appends the decimal text of a whole number.
    package static func appendDecimal(_ value: Int64, to output: inout [UInt8]) {
        if value < 0 { output.append(UInt8(ascii: "-")) }
        var rest = value.magnitude
        let start = output.count
        repeat {
            output.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        } while rest > 0
        output[start...].reverse()
    }
}
