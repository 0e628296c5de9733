/// The chunked transfer coding, read strictly: what follows a size, a chunk or a trailer must be exactly CR LF.
///
/// Ours and not http-parser's: Debian builds that library without its strict checks, so it takes any two bytes after a chunk
/// for the line's end, and two readers of one stream may then disagree about where a request ends.
struct ChunkDecoder {
    private enum State { case size, lineExtension, sizeEnd, data, dataReturn, dataEnd, trailer, trailerLine, trailerEnd, finalEnd, done }

    /// A size with its extensions; nobody sends extensions in earnest.
    static let lineLimit = 256
    static let trailerLimit = 4096

    private var state = State.size
    private var size = 0
    private var digits = 0
    private var line = 0
    private var trailer = 0
    /// Body bytes so far.
    private(set) var total = 0
    var isDone: Bool { state == .done }

    /// Decodes what is there, appends the body's bytes to `body` and stops after the last chunk's end.
    /// - Returns: the number of bytes used.
    mutating func decode(_ input: UnsafeRawBufferPointer, into body: inout [UInt8], limit: Int) throws(Refusal) -> Int {
        var offset = 0
        while offset < input.count && state != .done {
            if state == .data {
                let part = min(size, input.count - offset)
                body.append(contentsOf: UnsafeRawBufferPointer(rebasing: input[offset..<(offset + part)]))
                offset += part
                size -= part
                if size == 0 { state = .dataReturn }
            } else {
                try step(input[offset], limit: limit)
                offset += 1
            }
        }
        return offset
    }

    private mutating func step(_ byte: UInt8, limit: Int) throws(Refusal) {
        switch state {
        case .size: try readSize(byte)
        case .lineExtension: try readExtension(byte)
        case .sizeEnd: try endSize(byte, limit: limit)
        case .dataReturn: try expect(byte, 13, then: .dataEnd)
        case .dataEnd: try expect(byte, 10, then: .size)
        case .trailer, .trailerLine, .trailerEnd: try readTrailer(byte)
        case .finalEnd: try expect(byte, 10, then: .done)
        case .data, .done: break
        }
    }

    private mutating func expect(_ byte: UInt8, _ wanted: UInt8, then next: State) throws(Refusal) {
        guard byte == wanted else { throw .malformed("a chunk must end with CR LF") }
        state = next
    }

    private mutating func readSize(_ byte: UInt8) throws(Refusal) {
        line += 1
        guard line <= Self.lineLimit else { throw .malformed("a chunk's size line is too long") }
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): try addDigit(Int(byte) - 48)
        case UInt8(ascii: "a")...UInt8(ascii: "f"): try addDigit(Int(byte) - 87)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): try addDigit(Int(byte) - 55)
        case UInt8(ascii: ";") where digits > 0: state = .lineExtension
        case 13 where digits > 0: state = .sizeEnd
        default: throw .malformed("a chunk's size must be hexadecimal")
        }
    }

    private mutating func addDigit(_ digit: Int) throws(Refusal) {
        digits += 1
        // 2^56 is beyond every limit and far from an overflow of the total.
        guard size < 1 << 52 else { throw .bodyTooLarge }
        size = size * 16 + digit
    }

    private mutating func readExtension(_ byte: UInt8) throws(Refusal) {
        line += 1
        guard line <= Self.lineLimit else { throw .malformed("a chunk's size line is too long") }
        if byte == 13 {
            state = .sizeEnd
        } else if byte < 32 && byte != 9 || byte == 127 {
            throw .malformed("control character in a chunk extension")
        }
    }

    private mutating func endSize(_ byte: UInt8, limit: Int) throws(Refusal) {
        try expect(byte, 10, then: size == 0 ? .trailer : .data)
        guard size <= limit - total else { throw .bodyTooLarge }
        total += size
        line = 0
        digits = 0
    }

    private mutating func readTrailer(_ byte: UInt8) throws(Refusal) {
        trailer += 1
        guard trailer <= Self.trailerLimit else { throw .malformed("the trailers are too long") }
        switch state {
        case .trailer where byte == 13: state = .finalEnd
        case .trailerEnd: try expect(byte, 10, then: .trailer)
        case _ where byte == 13: state = .trailerEnd
        default:
            guard byte >= 32 && byte != 127 || byte == 9 else { throw .malformed("control character in a trailer") }
            state = .trailerLine
        }
    }
}
