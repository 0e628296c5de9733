/// Why a text is not the JSON we accept. A retry never helps: the sender must change the text.
public struct JSONError: Error, Equatable, CustomStringConvertible {
    public enum Code: String, Sendable {
        case unexpectedByte = "a byte that cannot stand here"
        case unexpectedEnd = "the text ends too early"
        case trailingData = "something follows the value"
        case invalidNumber = "a number is not written as JSON allows"
        case invalidEscape = "an unknown escape in a string"
        case loneSurrogate = "half of a surrogate pair"
        case controlCharacter = "a control character inside a string"
        case invalidUTF8 = "bytes that are not UTF-8"
        case duplicateKey = "an object names a member twice"
        case tooDeep = "nested too deeply"
        case tooLarge = "larger than allowed"
    }
    public let code: Code
    /// Where, in bytes from the start of the text.
    public let offset: Int

    public init(code: Code, offset: Int) {
        self.code = code
        self.offset = offset
    }

    public var description: String { "not valid JSON at byte \(offset): \(code.rawValue)" }
}

extension JSON {
    /// Reads one JSON text, strictly as RFC 8259 says, and nothing else around it but white space.
    ///
    /// Refused besides malformed text: invalid UTF-8, lone surrogates, a byte order mark, member names used twice (one reader
    /// would take the first and another the last), and texts beyond the limits.
    /// - Parameters:
    ///   - depthLimit: how deeply arrays and objects may nest, 1…512.
    ///   - sizeLimit: how many bytes are accepted at all.
    public init(parsing bytes: [UInt8], depthLimit: Int = 64, sizeLimit: Int = 16 << 20) throws(JSONError) {
        self = try bytes.withUnsafeBufferPointerTyped { (buffer) throws(JSONError) in
            try JSON(parsing: buffer, depthLimit: depthLimit, sizeLimit: sizeLimit)
        }
    }

    public init(parsing bytes: ArraySlice<UInt8>, depthLimit: Int = 64, sizeLimit: Int = 16 << 20) throws(JSONError) {
        self = try bytes.withUnsafeBufferPointerTyped { (buffer) throws(JSONError) in
            try JSON(parsing: buffer, depthLimit: depthLimit, sizeLimit: sizeLimit)
        }
    }

    public init(parsing text: String, depthLimit: Int = 64, sizeLimit: Int = 16 << 20) throws(JSONError) {
        try self.init(parsing: Array(text.utf8), depthLimit: depthLimit, sizeLimit: sizeLimit)
    }

    public init(parsing buffer: UnsafeBufferPointer<UInt8>, depthLimit: Int = 64, sizeLimit: Int = 16 << 20) throws(JSONError) {
        precondition((1...512).contains(depthLimit), "a JSON text nests 1 to 512 levels")
        guard buffer.count <= sizeLimit else { throw JSONError(code: .tooLarge, offset: sizeLimit) }
        var parser = JSONParser(input: buffer, depthLimit: depthLimit)
        self = try parser.document()
    }
}

extension Array {
    /// As `withUnsafeBufferPointer`, keeping the error's type.
    @inline(__always)
    package func withUnsafeBufferPointerTyped<Result, Failure: Error>(
        _ body: (UnsafeBufferPointer<Element>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try self.withUnsafeBufferPointer(body)
    }
}

extension ArraySlice {
    @inline(__always)
    package func withUnsafeBufferPointerTyped<Result, Failure: Error>(
        _ body: (UnsafeBufferPointer<Element>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try self.withUnsafeBufferPointer(body)
    }
}

/// A recursive descent over a lent buffer. The recursion is bounded by `depthLimit`.
struct JSONParser {
    let input: UnsafeBufferPointer<UInt8>
    private let end: Int
    private let depthLimit: Int
    var at = 0

    init(input: UnsafeBufferPointer<UInt8>, depthLimit: Int) {
        self.input = input
        end = input.count
        self.depthLimit = depthLimit
    }

    mutating func document() throws(JSONError) -> JSON {
        let value = try value(depth: 0)
        try finish()
        return value
    }

    /// Only white space may follow.
    mutating func finish() throws(JSONError) {
        skipSpace()
        guard at == end else { throw fail(.trailingData) }
    }

    func fail(_ code: JSONError.Code) -> JSONError { JSONError(code: code, offset: at) }

    @inline(__always)
    private mutating func skipSpace() {
        while at < end {
            switch input[at] {
            case 0x20, 0x0A, 0x0D, 0x09: at += 1
            default: return
            }
        }
    }

    /// Skips white space and gives the byte there, without passing it.
    @inline(__always)
    mutating func peek() throws(JSONError) -> UInt8 {
        skipSpace()
        guard at < end else { throw fail(.unexpectedEnd) }
        return input[at]
    }

    mutating func value(depth: Int) throws(JSONError) -> JSON {
        switch try peek() {
        case UInt8(ascii: "\""):
            at += 1
            return .string(try string())
        case UInt8(ascii: "{"): return try object(depth: depth + 1)
        case UInt8(ascii: "["): return try array(depth: depth + 1)
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "-"), 0x30...0x39: return try number()
        default: throw fail(.unexpectedByte)
        }
    }

    private mutating func word(_ word: StaticString, _ value: JSON) throws(JSONError) -> JSON {
        for place in 0..<word.utf8CodeUnitCount {
            guard at < end else { throw fail(.unexpectedEnd) }
            guard input[at] == word.utf8Start[place] else { throw fail(.unexpectedByte) }
            at += 1
        }
        return value
    }

    private mutating func array(depth: Int) throws(JSONError) -> JSON {
        guard depth <= depthLimit else { throw fail(.tooDeep) }
        at += 1
        var elements: [JSON] = []
        if try peek() == UInt8(ascii: "]") {
            at += 1
            return .array(elements)
        }
        while true {
            elements.append(try value(depth: depth))
            switch try peek() {
            case UInt8(ascii: ","): at += 1
            case UInt8(ascii: "]"):
                at += 1
                return .array(elements)
            default: throw fail(.unexpectedByte)
            }
        }
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSON {
        guard depth <= depthLimit else { throw fail(.tooDeep) }
        at += 1
        var members: [JSONObject.Member] = []
        var seen: Set<String> = []
        if try peek() == UInt8(ascii: "}") {
            at += 1
            return .object(JSONObject())
        }
        while true {
            guard try peek() == UInt8(ascii: "\"") else { throw fail(.unexpectedByte) }
            let place = at
            at += 1
            let key = try string()
            guard Self.isNew(key, among: members, &seen) else { throw JSONError(code: .duplicateKey, offset: place) }
            guard try peek() == UInt8(ascii: ":") else { throw fail(.unexpectedByte) }
            at += 1
            members.append(JSONObject.Member(key: key, value: try value(depth: depth)))
            switch try peek() {
            case UInt8(ascii: ","): at += 1
            case UInt8(ascii: "}"):
                at += 1
                return .object(JSONObject(distinct: members))
            default: throw fail(.unexpectedByte)
            }
        }
    }

    /// Few members are compared one by one, many by a set, so that neither small nor hostile objects are slow.
    private static func isNew(_ key: String, among members: [JSONObject.Member], _ seen: inout Set<String>) -> Bool {
        if members.count < 16 {
            for member in members where member.key == key { return false }
            return true
        }
        if seen.isEmpty { for member in members { seen.insert(member.key) } }
        return seen.insert(key).inserted
    }

    // MARK: Numbers

    private mutating func number() throws(JSONError) -> JSON {
        let start = at
        if input[at] == UInt8(ascii: "-") { at += 1 }
        guard at < end else { throw fail(.unexpectedEnd) }
        let whole = at
        try digits()
        if startsWithNeedlessZero(whole..<at) {
            at = whole + 1
            throw fail(.invalidNumber)
        }
        if at < end, input[at] == UInt8(ascii: ".") {
            at += 1
            try digits()
        }
        if at < end, input[at] | 0x20 == UInt8(ascii: "e") {
            at += 1
            if at < end, input[at] == UInt8(ascii: "+") || input[at] == UInt8(ascii: "-") { at += 1 }
            try digits()
        }
        return .number(String(decoding: UnsafeBufferPointer(rebasing: input[start..<at]), as: UTF8.self))
    }

    /// The rule of JSON's whole numbers: a zero stands first only where it stands alone.
    func startsWithNeedlessZero(_ digits: Range<Int>) -> Bool { digits.count > 1 && input[digits.lowerBound] == UInt8(ascii: "0") }

    /// At least one digit.
    private mutating func digits() throws(JSONError) {
        guard at < end else { throw fail(.unexpectedEnd) }
        guard ASCII.isDigit(input[at]) else { throw fail(.invalidNumber) }
        while at < end, ASCII.isDigit(input[at]) { at += 1 }
    }

    // MARK: Strings

    /// The rest of a string whose opening quote has been passed, when it is ASCII without an escape: where it stands. Otherwise nil, the
    /// cursor as before.
    mutating func plainString() -> Range<Int>? {
        let start = at
        while at < end {
            let byte = input[at]
            if byte == UInt8(ascii: "\"") {
                at += 1
                return start..<at - 1
            }
            if byte == UInt8(ascii: "\\") || byte < 0x20 || byte >= 0x80 { break }
            at += 1
        }
        at = start
        return nil
    }

    /// The rest of a string whose opening quote has been passed.
    mutating func string() throws(JSONError) -> String {
        let start = at
        var seen: UInt8 = 0
        while at < end {
            let byte = input[at]
            if byte == UInt8(ascii: "\"") {
                let bytes = UnsafeBufferPointer(rebasing: input[start..<at])
                // ASCII is valid as it is. The validating initialiser is generic in the library too, and for short strings looks up types
                // for longer than it reads.
                let text = seen < 0x80 ? String(decoding: bytes, as: UTF8.self) : try validated(bytes, start: start)
                at += 1
                return text
            }
            if byte == UInt8(ascii: "\\") { return try escapedString(from: start) }
            if byte < 0x20 { throw fail(.controlCharacter) }
            seen |= byte
            at += 1
        }
        throw fail(.unexpectedEnd)
    }

    private func validated(_ bytes: UnsafeBufferPointer<UInt8>, start: Int) throws(JSONError) -> String {
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        throw JSONError(code: .invalidUTF8, offset: start + UTF8Check.firstInvalid(bytes))
    }

    /// The slow way, from the first escape on: unescaped bytes are gathered and checked as a whole.
    private mutating func escapedString(from start: Int) throws(JSONError) -> String {
        var bytes = Array(input[start..<at])
        while at < end {
            let byte = input[at]
            switch byte {
            case UInt8(ascii: "\""):
                at += 1
                if let text = String(validating: bytes, as: UTF8.self) { return text }
                // What escapes produced is valid, so the fault is in the raw text.
                throw JSONError(code: .invalidUTF8, offset: start + UTF8Check.firstInvalid(UnsafeBufferPointer(rebasing: input[start..<at])))
            case UInt8(ascii: "\\"):
                at += 1
                try escape(into: &bytes)
            case 0..<0x20: throw fail(.controlCharacter)
            default:
                bytes.append(byte)
                at += 1
            }
        }
        throw fail(.unexpectedEnd)
    }

    private mutating func escape(into bytes: inout [UInt8]) throws(JSONError) {
        guard at < end else { throw fail(.unexpectedEnd) }
        let byte = input[at]
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): bytes.append(byte)
        case UInt8(ascii: "b"): bytes.append(0x08)
        case UInt8(ascii: "f"): bytes.append(0x0C)
        case UInt8(ascii: "n"): bytes.append(0x0A)
        case UInt8(ascii: "r"): bytes.append(0x0D)
        case UInt8(ascii: "t"): bytes.append(0x09)
        case UInt8(ascii: "u"):
            at += 1
            let scalar = try unicodeEscape()
            bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
            return
        default: throw fail(.invalidEscape)
        }
        at += 1
    }

    /// One code point from `XXXX` or `XXXX\uXXXX`, the cursor standing on the first digit.
    private mutating func unicodeEscape() throws(JSONError) -> Unicode.Scalar {
        let place = at - 2
        let first = try fourHexDigits()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xDC00, at + 1 < end, input[at] == UInt8(ascii: "\\"), input[at + 1] == UInt8(ascii: "u") else {
            throw JSONError(code: .loneSurrogate, offset: place)
        }
        at += 2
        let second = try fourHexDigits()
        guard (0xDC00...0xDFFF).contains(second),
            let scalar = Unicode.Scalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
        else { throw JSONError(code: .loneSurrogate, offset: place) }
        return scalar
    }

    private mutating func fourHexDigits() throws(JSONError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard at < end else { throw fail(.unexpectedEnd) }
            guard let digit = ASCII.hexValue(input[at]) else { throw fail(.invalidEscape) }
            value = value << 4 | UInt32(digit)
            at += 1
        }
        return value
    }
}

enum UTF8Check {
    /// Where the first ill-formed sequence starts; the count when all is well.
    static func firstInvalid(_ bytes: UnsafeBufferPointer<UInt8>) -> Int {
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        var offset = 0
        while true {
            switch decoder.decode(&iterator) {
            case .scalarValue(let scalar): offset += UTF8.width(scalar)
            case .emptyInput: return bytes.count
            case .error: return offset
            }
        }
    }
}
