import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// Why a walk over a body ended early.
enum SampleScanStop: Error {
    /// It is no JSON that we accept.
    case unreadable(offset: Int, reason: StaticString)
    /// Enough faults are known.
    case enoughFaults

    /// For `unreadable`.
    func text(from start: Int = 0) -> String {
        switch self {
        case .unreadable(let offset, let reason): "is not valid JSON at byte \(offset - start): \(reason)"
        case .enoughFaults: "breaks too many rules"
        }
    }
}

/// Walks over JSON text without building a tree of it: as strict as `JSON(parsing:)`, but what nobody keeps costs no allocation.
///
/// The bytes are lent for the scanner's life.
struct SampleScanner: ~Copyable {
    /// The content of a string, its escapes resolved and its UTF-8 checked. Lent until the next text is read.
    typealias Text = UnsafeBufferPointer<UInt8>

    private let input: UnsafeBufferPointer<UInt8>
    private(set) var at = 0
    private var end: Int
    /// Where texts with escapes are unfolded. As long as the input, which no unfolded text exceeds.
    private var scratch: UnsafeMutableBufferPointer<UInt8>?

    private static let quote = UInt8(ascii: "\"")
    private static let backslash = UInt8(ascii: "\\")

    init(_ input: UnsafeBufferPointer<UInt8>) {
        self.input = input
        end = input.count
        scratch = nil
    }

    deinit { scratch?.deallocate() }

    /// Goes on within these bytes only, as if the text began and ended with them.
    mutating func enter(_ range: Range<Int>) {
        precondition(range.upperBound <= input.count, "a part beyond the text")
        at = range.lowerBound
        end = range.upperBound
    }

    /// All bytes, whichever part of them is being read.
    var size: Int { input.count }

    /// Where the line that begins there ends.
    func endOfLine(from start: Int) -> Int {
        guard let base = input.baseAddress, start < input.count,
            let found = memchr(base + start, 0x0A, input.count - start)
        else { return input.count }
        return base.distance(to: found.assumingMemoryBound(to: UInt8.self))
    }

    private func unreadable(_ reason: StaticString) -> SampleScanStop { .unreadable(offset: at, reason: reason) }

    // MARK: Structure

    /// Skips white space and gives the byte there, without passing it.
    @inline(__always)
    mutating func peek() throws(SampleScanStop) -> UInt8 {
        while at < end {
            let byte = input[at]
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return byte }
            at += 1
        }
        throw unreadable("the text ends too early")
    }

    /// Whether only white space is left.
    mutating func isBlank() -> Bool {
        while at < end, input[at] == 0x20 || input[at] == 0x0A || input[at] == 0x0D || input[at] == 0x09 { at += 1 }
        return at == end
    }

    /// Nothing but white space may follow.
    mutating func finish() throws(SampleScanStop) {
        guard isBlank() else { throw unreadable("something follows the value") }
    }

    /// Passes the byte that `peek` gave.
    @inline(__always)
    mutating func pass() { at += 1 }

    /// The name of the object's next member, its colon passed; nil behind the last one. The opening brace has been passed.
    @inline(__always)
    mutating func nextMember(_ isFirst: inout Bool) throws(SampleScanStop) -> Text? {
        var byte = try peek()
        if byte == UInt8(ascii: "}") {
            at += 1
            return nil
        }
        if isFirst {
            isFirst = false
        } else {
            guard byte == UInt8(ascii: ",") else { throw unreadable("a comma or the object's end is missing") }
            at += 1
            byte = try peek()
        }
        guard byte == Self.quote else { throw unreadable("a member's name is missing") }
        at += 1
        let name = try text()
        guard try peek() == UInt8(ascii: ":") else { throw unreadable("a colon is missing") }
        at += 1
        return name
    }

    /// Whether another element follows, to which it goes on. The opening bracket has been passed.
    @inline(__always)
    mutating func nextElement(_ isFirst: inout Bool) throws(SampleScanStop) -> Bool {
        let byte = try peek()
        if byte == UInt8(ascii: "]") {
            at += 1
            return false
        }
        if isFirst {
            isFirst = false
        } else {
            guard byte == UInt8(ascii: ",") else { throw unreadable("a comma or the array's end is missing") }
            at += 1
        }
        return true
    }

    // MARK: Values

    /// The string that stands here; nil when it is another value, which is skipped.
    @inline(__always)
    mutating func string(depth: Int) throws(SampleScanStop) -> Text? {
        guard try peek() == Self.quote else {
            try skip(depth: depth)
            return nil
        }
        at += 1
        return try text()
    }

    /// The whole number that stands here; nil when it is another value, which is skipped.
    @inline(__always)
    mutating func integer(depth: Int) throws(SampleScanStop) -> Int64? {
        let byte = try peek()
        guard ASCII.isDigit(byte) || byte == UInt8(ascii: "-") else {
            try skip(depth: depth)
            return nil
        }
        return try number()
    }

    /// The number here; nil when it is not written as a whole number of at most 18 digits.
    @inline(__always)
    private mutating func number() throws(SampleScanStop) -> Int64? {
        let isNegative = input[at] == UInt8(ascii: "-")
        if isNegative { at += 1 }
        let start = at
        var value: Int64 = 0
        while at < end {
            let digit = input[at] &- 0x30
            guard digit < 10 else { break }
            value = value &* 10 &+ Int64(digit)
            at += 1
        }
        let digits = at - start
        guard digits > 0 else { throw unreadable(at < end ? "a number is not written as JSON allows" : "the text ends too early") }
        guard digits == 1 || input[start] != 0x30 else { throw unreadable("a number begins with 0") }
        if at < end, input[at] == UInt8(ascii: ".") || input[at] | 0x20 == UInt8(ascii: "e") {
            try restOfNumber()
            return nil
        }
        guard digits <= 18 else { return nil }
        return isNegative ? -value : value
    }

    /// Fraction and exponent.
    private mutating func restOfNumber() throws(SampleScanStop) {
        if input[at] == UInt8(ascii: ".") {
            at += 1
            try digits()
        }
        guard at < end, input[at] | 0x20 == UInt8(ascii: "e") else { return }
        at += 1
        if at < end, input[at] == UInt8(ascii: "+") || input[at] == UInt8(ascii: "-") { at += 1 }
        try digits()
    }

    private mutating func digits() throws(SampleScanStop) {
        guard at < end else { throw unreadable("the text ends too early") }
        guard ASCII.isDigit(input[at]) else { throw unreadable("a number is not written as JSON allows") }
        while at < end, ASCII.isDigit(input[at]) { at += 1 }
    }

    // MARK: What nobody keeps

    /// Passes a value of any shape, which stands in `depth` arrays and objects.
    mutating func skip(depth: Int) throws(SampleScanStop) {
        switch try peek() {
        case Self.quote:
            at += 1
            _ = try text()
        case UInt8(ascii: "{"): try skipObject(depth: depth + 1)
        case UInt8(ascii: "["): try skipArray(depth: depth + 1)
        case UInt8(ascii: "t"): try word("true")
        case UInt8(ascii: "f"): try word("false")
        case UInt8(ascii: "n"): try word("null")
        case UInt8(ascii: "-"), 0x30...0x39: _ = try number()
        default: throw unreadable("a value is missing")
        }
    }

    /// Whether null stands here, which is then passed.
    mutating func null() throws(SampleScanStop) -> Bool {
        guard try peek() == UInt8(ascii: "n") else { return false }
        try word("null")
        return true
    }

    private mutating func word(_ word: StaticString) throws(SampleScanStop) {
        for place in 0..<word.utf8CodeUnitCount {
            guard at < end else { throw unreadable("the text ends too early") }
            guard input[at] == word.utf8Start[place] else { throw unreadable("a value is missing") }
            at += 1
        }
    }

    /// An array or object that stands in `depth - 1` others begins here, its bracket not passed.
    mutating func open(depth: Int) throws(SampleScanStop) {
        guard depth <= SampleBatch.depthMax else { throw unreadable("nested too deeply") }
        at += 1
    }

    private mutating func skipArray(depth: Int) throws(SampleScanStop) {
        try open(depth: depth)
        var isFirst = true
        while try nextElement(&isFirst) { try skip(depth: depth) }
    }

    private mutating func skipObject(depth: Int) throws(SampleScanStop) {
        try open(depth: depth)
        var isFirst = true
        var names = MemberNames()
        while let name = try nextMember(&isFirst) {
            try note(name, in: &names)
            try skip(depth: depth)
        }
    }

    /// A member that nobody knows: its name must still be new.
    mutating func note(_ name: Text, in names: inout MemberNames) throws(SampleScanStop) {
        guard names.insert(name) else { throw duplicate() }
    }

    func duplicate() -> SampleScanStop { unreadable("an object names a member twice") }

    // MARK: Strings

    /// The rest of a string whose opening quote has been passed.
    @inline(__always)
    private mutating func text() throws(SampleScanStop) -> Text {
        let start = at
        var bits: UInt8 = 0
        while at < end {
            let byte = input[at]
            if byte == Self.quote {
                let text = Text(rebasing: input[start..<at])
                if bits & 0x80 != 0 { try checkUTF8(text) }
                at += 1
                return text
            }
            if byte == Self.backslash { return try unfoldedText(from: start) }
            if byte < 0x20 { throw unreadable("a control character inside a string") }
            bits |= byte
            at += 1
        }
        throw unreadable("the text ends too early")
    }

    private func checkUTF8(_ text: Text) throws(SampleScanStop) {
        guard String(validating: text, as: UTF8.self) != nil else { throw unreadable("bytes that are not UTF-8") }
    }

    /// The slow way, from the first escape on.
    private mutating func unfoldedText(from start: Int) throws(SampleScanStop) -> Text {
        let buffer = scratch ?? .allocate(capacity: input.count)
        scratch = buffer
        var filled = 0
        func put(_ byte: UInt8) {
            buffer[filled] = byte
            filled += 1
        }
        for place in start..<at { put(input[place]) }
        while at < end {
            let byte = input[at]
            switch byte {
            case Self.quote:
                let text = Text(rebasing: buffer[..<filled])
                try checkUTF8(text)
                at += 1
                return text
            case Self.backslash:
                at += 1
                let scalar = try escape()
                for unit in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter { put(unit) }
            case 0..<0x20: throw unreadable("a control character inside a string")
            default:
                put(byte)
                at += 1
            }
        }
        throw unreadable("the text ends too early")
    }

    /// What stands behind a backslash.
    private mutating func escape() throws(SampleScanStop) -> Unicode.Scalar {
        guard at < end else { throw unreadable("the text ends too early") }
        let scalar: Unicode.Scalar
        switch input[at] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): scalar = Unicode.Scalar(input[at])
        case UInt8(ascii: "b"): scalar = "\u{08}"
        case UInt8(ascii: "f"): scalar = "\u{0C}"
        case UInt8(ascii: "n"): scalar = "\n"
        case UInt8(ascii: "r"): scalar = "\r"
        case UInt8(ascii: "t"): scalar = "\t"
        case UInt8(ascii: "u"):
            at += 1
            return try unicodeEscape()
        default: throw unreadable("an unknown escape in a string")
        }
        at += 1
        return scalar
    }

    /// One code point from `XXXX` or `XXXX\uXXXX`.
    private mutating func unicodeEscape() throws(SampleScanStop) -> Unicode.Scalar {
        let first = try fourHexDigits()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xDC00, at + 1 < end, input[at] == Self.backslash, input[at + 1] == UInt8(ascii: "u") else {
            throw unreadable("half of a surrogate pair")
        }
        at += 2
        let second = try fourHexDigits()
        guard (0xDC00...0xDFFF).contains(second), let scalar = Unicode.Scalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)) else {
            throw unreadable("half of a surrogate pair")
        }
        return scalar
    }

    private mutating func fourHexDigits() throws(SampleScanStop) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard at < end else { throw unreadable("the text ends too early") }
            guard let digit = ASCII.hexValue(input[at]) else { throw unreadable("an unknown escape in a string") }
            value = value << 4 | UInt32(digit)
            at += 1
        }
        return value
    }
}

extension UnsafeBufferPointer<UInt8> {
    @inline(__always)
    func spells(_ word: StaticString) -> Bool {
        guard count == word.utf8CodeUnitCount else { return false }
        for place in 0..<count where self[place] != word.utf8Start[place] { return false }
        return true
    }
}

/// The names of an object's members, to find one that stands twice: few are compared one by one, many by a set, so that neither
/// small nor hostile objects are slow.
struct MemberNames {
    private var few: [String] = []
    private var many: Set<String> = []

    /// Whether the name is new.
    mutating func insert(_ name: SampleScanner.Text) -> Bool {
        let name = String(decoding: name, as: UTF8.self)
        if many.isEmpty {
            guard !few.contains(name) else { return false }
            if few.count < 16 {
                few.append(name)
                return true
            }
            many = Set(few)
        }
        return many.insert(name).inserted
    }
}
