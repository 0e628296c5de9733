#if canImport(Glibc)
    import Glibc
#endif

/// What a line of an access log says, as far as traffic goes. Its texts lie in the buffer that was read and are lent with it.
struct LogLine {
    typealias Text = UnsafeBufferPointer<UInt8>

    /// Sent to the client.
    var bytes: Int64 = -1
    /// When the line was written, in unix milliseconds.
    var atMs: Int64 = -1
    /// Whose traffic it is, by what the line says of it; nil where it says nothing.
    var host: Text?
    var router: Text?
    var service: Text?
    var label: Text?

    /// More than a line can have: 2^50, as of a sample.
    static let bytesMax: Int64 = 1 << 50
}

/// Why a line cannot be read: where, and what was expected there. Never what stands in it, which is somebody's.
struct LineFault: Error, Equatable {
    /// From the line's beginning.
    let place: Int
    let expected: String

    init(_ place: Int, _ expected: StaticString) {
        self.place = place
        self.expected = "\(expected)"
    }
}

/// Walks through one line, byte by byte or quote by quote.
struct LineCursor {
    private let start: UnsafePointer<UInt8>
    private(set) var at: UnsafePointer<UInt8>
    let end: UnsafePointer<UInt8>

    init(_ line: UnsafeBufferPointer<UInt8>) throws(LineFault) {
        guard let base = line.baseAddress, line.count > 0 else { throw LineFault(0, "a line") }
        start = base
        at = base
        end = base + line.count
    }

    @inline(__always) var isAtEnd: Bool { at == end }
    @inline(__always) var place: Int { at - start }
    /// The byte that comes next, 0 at the end.
    @inline(__always) var next: UInt8 { at < end ? at.pointee : 0 }

    @inline(__always)
    mutating func skip(_ byte: UInt8, _ expected: StaticString) throws(LineFault) {
        guard at < end, at.pointee == byte else { throw LineFault(place, expected) }
        at += 1
    }

    @inline(__always)
    mutating func skipIf(_ byte: UInt8) -> Bool {
        guard at < end, at.pointee == byte else { return false }
        at += 1
        return true
    }

    @inline(__always)
    mutating func skipBlanks() {
        while at < end, at.pointee == 0x20 || at.pointee == 0x09 || at.pointee == 0x0D { at += 1 }
    }

    /// Moves on to another place of the line.
    @inline(__always)
    mutating func go(to place: Int) { at = start + place }

    /// Whole digits, at least one.
    @inline(__always)
    mutating func number(_ expected: StaticString) throws(LineFault) -> Int64 {
        let first = at
        var value: Int64 = 0
        while at < end, at.pointee &- 0x30 < 10 {
            value = value * 10 + Int64(at.pointee &- 0x30)
            at += 1
            // Sixteen digits are more than any number that is read here has.
            guard at - first <= 16 else { throw LineFault(place, expected) }
        }
        guard at > first else { throw LineFault(place, expected) }
        return value
    }

    /// What stands up to the next blank, which is skipped.
    @inline(__always)
    mutating func word(_ expected: StaticString) throws(LineFault) -> LogLine.Text {
        let first = at
        guard let blank = find(0x20), blank > first else { throw LineFault(place, expected) }
        at = blank + 1
        return LogLine.Text(start: first, count: blank - first)
    }

    /// What stands between the quote here and the next one without a backslash before it; both quotes are skipped, and escapes are left
    /// as they are.
    @inline(__always)
    mutating func quoted(_ expected: StaticString) throws(LineFault) -> LogLine.Text {
        try skip(UInt8(ascii: "\""), expected)
        let first = at
        var from = at
        while true {
            guard let quote = Self.find(UInt8(ascii: "\""), from: from, to: end) else { throw LineFault(place, expected) }
            var before = quote
            while before > first, before[-1] == UInt8(ascii: "\\") { before -= 1 }
            if (quote - before) % 2 == 0 {
                at = quote + 1
                return LogLine.Text(start: first, count: quote - first)
            }
            from = quote + 1
        }
    }

    @inline(__always)
    func find(_ byte: UInt8) -> UnsafePointer<UInt8>? { Self.find(byte, from: at, to: end) }

    @inline(__always)
    func place(of pointer: UnsafePointer<UInt8>) -> Int { pointer - start }

    @inline(__always)
    func text(_ range: Range<Int>) -> LogLine.Text { LogLine.Text(start: start + range.lowerBound, count: range.count) }

    @inline(__always)
    private static func find(_ byte: UInt8, from: UnsafePointer<UInt8>, to end: UnsafePointer<UInt8>) -> UnsafePointer<UInt8>? {
        guard from < end, let found = memchr(from, Int32(byte), end - from) else { return nil }
        return UnsafePointer(found.assumingMemoryBound(to: UInt8.self))
    }
}
