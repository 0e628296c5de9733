/// Reads `multipart/form-data` that comes in pieces, for forms with files too large to be held in memory. It keeps no more than a part's head
/// or the length of a boundary.
public struct MultipartReader: Sendable {
    public enum Event: Sendable, Equatable {
        /// A part begins; its bytes follow.
        case part(name: String, filename: String?)
        case bytes([UInt8])
        case endOfPart
    }

    private enum Place: Sendable { case preamble, afterBoundary, head, body, epilogue }

    private static let headMax = 8192
    private static let preambleMax = 1024

    private let delimiter: [UInt8]
    private let partsMax: Int
    private var place = Place.preamble
    /// What came and is not dealt with. A line end before the first boundary makes it like the others.
    private var pending: [UInt8] = [0x0D, 0x0A]
    private var parts = 0
    private var received = 0

    /// - Parameters:
    ///   - contentType: the request's `Content-Type`, which names the boundary.
    ///   - partsMax: more parts than this are refused.
    public init(contentType: String, partsMax: Int = 100) throws(FormError) {
        delimiter = [0x0D, 0x0A, 0x2D, 0x2D] + (try MultipartForm.boundary(in: contentType))
        self.partsMax = partsMax
    }

    /// - Returns: what the piece has completed, in order.
    public mutating func receive(_ piece: [UInt8]) throws(FormError) -> [Event] {
        received += piece.count
        if place == .epilogue { return [] }
        pending += piece
        var events: [Event] = []
        while try step(&events) {}
        return events
    }

    /// The body has come to its end.
    public func finish() throws(FormError) {
        guard place == .epilogue else { throw FormError(code: .unfinished, offset: received) }
    }

    // MARK: Steps

    /// - Returns: whether something was done, and more may be.
    private mutating func step(_ events: inout [Event]) throws(FormError) -> Bool {
        switch place {
        case .preamble: return try passPreamble()
        case .afterBoundary: return try passBoundary()
        case .head: return try readHead(&events)
        case .body: return readBody(&events)
        case .epilogue:
            pending = []
            return false
        }
    }

    private mutating func passPreamble() throws(FormError) -> Bool {
        guard let found = ByteSearch.offset(of: delimiter, in: pending) else {
            guard pending.count <= Self.preambleMax else { throw malformed }
            return false
        }
        pending.removeFirst(found + delimiter.count)
        place = .afterBoundary
        return true
    }

    /// Two hyphens end the form; blanks may stand before the line's end.
    private mutating func passBoundary() throws(FormError) -> Bool {
        let blanks = pending.prefix { $0 == 0x20 || $0 == 0x09 }.count
        guard blanks <= Self.preambleMax else { throw malformed }
        let rest = pending[blanks...]
        guard rest.count >= 2 else { return false }
        if blanks == 0, rest.starts(with: [0x2D, 0x2D]) {
            place = .epilogue
            return true
        }
        guard rest.starts(with: [0x0D, 0x0A]) else { throw malformed }
        parts += 1
        guard parts <= partsMax else { throw FormError(code: .tooManyFields, offset: received) }
        // The line end stays: a head without lines is its own end.
        pending.removeFirst(blanks)
        place = .head
        return true
    }

    private mutating func readHead(_ events: inout [Event]) throws(FormError) -> Bool {
        guard let end = ByteSearch.offset(of: [0x0D, 0x0A, 0x0D, 0x0A], in: pending) else {
            guard pending.count <= Self.headMax else { throw malformed }
            return false
        }
        guard end <= Self.headMax, let head = String(validating: pending[..<end], as: UTF8.self) else { throw malformed }
        var disposition: HeaderValue?
        for line in head.split(separator: "\r\n", omittingEmptySubsequences: true) {
            guard let colon = line.firstIndex(of: ":") else { throw malformed }
            guard line[..<colon].lowercased() == "content-disposition" else { continue }
            disposition = HeaderValue(String(line[line.index(after: colon)...]))
        }
        guard let disposition, disposition.value == "form-data", let name = disposition.parameters["name"] else { throw malformed }
        // An empty body ends with the line end that ends the head.
        pending.removeFirst(end + 2)
        events.append(.part(name: name, filename: disposition.parameters["filename"]))
        place = .body
        isAtBodyStart = true
        return true
    }

    /// Whether the line end before the body is still there.
    private var isAtBodyStart = false

    private mutating func readBody(_ events: inout [Event]) -> Bool {
        if isAtBodyStart {
            guard pending.count >= 2 else { return false }
            if pending.count < delimiter.count, delimiter.starts(with: pending) { return false }
            if !pending.starts(with: delimiter) { pending.removeFirst(2) }
            isAtBodyStart = false
        }
        if let found = ByteSearch.offset(of: delimiter, in: pending) {
            if found > 0 { events.append(.bytes(Array(pending[..<found]))) }
            events.append(.endOfPart)
            pending.removeFirst(found + delimiter.count)
            place = .afterBoundary
            return true
        }
        // The beginning of a boundary may stand at the end.
        let safe = pending.count - (delimiter.count - 1)
        if safe > 0 {
            events.append(.bytes(Array(pending[..<safe])))
            pending.removeFirst(safe)
        }
        return false
    }

    private var malformed: FormError { FormError(code: .malformedPart, offset: received) }
}
