/// Reads the members of one JSON object one after the other, as strictly as `JSON(parsing:)` and without making a tree of the whole.
///
/// For messages whose members are known beforehand and that arrive by the hundred thousand a second. Whether a name stands there
/// twice is for the caller to notice, who knows the names.
///
/// ```swift
/// var reader = try JSONMemberReader(buffer)
/// while try reader.next() {
///     if reader.isAt("id") { id = try reader.string() } else { other = try reader.value() }
/// }
/// ```
public struct JSONMemberReader {
    private var parser: JSONParser
    /// Of the member's name, when it is written plainly.
    private var plainName: Range<Int>?
    /// The member's name otherwise.
    private var otherName = ""
    private var isFirst = true
    /// Where the member's name begins, in bytes from the start of the text.
    public private(set) var nameOffset = 0

    /// - Parameter buffer: the whole text; must outlive the reader.
    /// - Throws: when the text does not begin as an object does.
    public init(_ buffer: UnsafeBufferPointer<UInt8>, depthLimit: Int = 64) throws(JSONError) {
        parser = JSONParser(input: buffer, depthLimit: depthLimit)
        guard try parser.peek() == UInt8(ascii: "{") else { throw parser.fail(.unexpectedByte) }
        parser.at += 1
    }

    /// Goes to the next member: its value must be read before the next call.
    /// - Returns: false at the object's end, after which nothing but white space stands.
    public mutating func next() throws(JSONError) -> Bool {
        let byte = try parser.peek()
        if byte == UInt8(ascii: "}") {
            parser.at += 1
            try parser.finish()
            return false
        }
        if isFirst {
            isFirst = false
        } else {
            guard byte == UInt8(ascii: ",") else { throw parser.fail(.unexpectedByte) }
            parser.at += 1
        }
        guard try parser.peek() == UInt8(ascii: "\"") else { throw parser.fail(.unexpectedByte) }
        nameOffset = parser.at
        parser.at += 1
        plainName = parser.plainString()
        if plainName == nil { otherName = try parser.string() }
        guard try parser.peek() == UInt8(ascii: ":") else { throw parser.fail(.unexpectedByte) }
        parser.at += 1
        return true
    }

    /// The member's name.
    public var name: String {
        guard let plainName else { return otherName }
        return String(decoding: UnsafeBufferPointer(rebasing: parser.input[plainName]), as: UTF8.self)
    }

    /// Whether the member has this ASCII name.
    @inline(__always)
    public func isAt(_ name: StaticString) -> Bool {
        guard let plainName else { return otherName == name.description }
        guard plainName.count == name.utf8CodeUnitCount else { return false }
        let start = name.utf8Start
        for index in 0..<plainName.count where parser.input[plainName.lowerBound + index] != start[index] { return false }
        return true
    }

    /// Any value.
    public mutating func value() throws(JSONError) -> JSON { try parser.value(depth: 1) }

    /// A string; nil, with the cursor as before, when something else stands there.
    public mutating func string() throws(JSONError) -> String? {
        guard try parser.peek() == UInt8(ascii: "\"") else { return nil }
        parser.at += 1
        return try parser.string()
    }

    /// A whole number of up to eighteen digits without a sign; nil, with the cursor as before, when something else stands there.
    public mutating func naturalNumber() throws(JSONError) -> Int64? {
        guard ASCII.isDigit(try parser.peek()) else { return nil }
        let input = parser.input
        var at = parser.at
        var number: Int64 = 0
        while at < input.count, ASCII.isDigit(input[at]) {
            number = number &* 10 &+ Int64(input[at] &- UInt8(ascii: "0"))
            at += 1
        }
        guard at < input.count else {
            parser.at = at
            throw parser.fail(.unexpectedEnd)
        }
        let digits = at - parser.at
        guard digits <= 18, !parser.startsWithNeedlessZero(parser.at..<at) else { return nil }
        switch input[at] {
        case UInt8(ascii: ","), UInt8(ascii: "}"), 0x20, 0x0A, 0x0D, 0x09: break
        default: return nil
        }
        parser.at = at
        return number
    }
}
