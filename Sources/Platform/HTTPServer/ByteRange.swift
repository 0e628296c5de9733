import Formats

/// What a request's `Range` asks of something of a known size (RFC 9110, 14).
public enum ByteRange: Sendable, Equatable {
    /// All of it: none is asked, more than one is, or what is asked is not understood, which the standard has us overlook.
    case whole
    case part(first: Int64, count: Int64)
    /// It begins behind the end.
    case unsatisfiable

    public init(_ field: String?, size: Int64) {
        guard let spec = Self.spec(field) else {
            self = .whole
            return
        }
        switch (spec.first, spec.last) {
        case (let first?, let last):
            guard first < size else {
                self = .unsatisfiable
                return
            }
            self = .part(first: first, count: min(last ?? .max - 1, size - 1) - first + 1)
        case (nil, let length?):
            self = length > 0 && size > 0 ? .part(first: max(0, size - length), count: min(length, size)) : .unsatisfiable
        case (nil, nil): self = .whole
        }
    }

    /// `bytes=3-9`, `bytes=3-` or `bytes=-7`, where the last means so many bytes from the end.
    private static func spec(_ field: String?) -> (first: Int64?, last: Int64?)? {
        let bytes = Array((field ?? "").utf8)
        let unit = Array("bytes=".utf8)
        guard bytes.count > unit.count, bytes.count <= 64, bytes[..<unit.count].elementsEqual(unit) else { return nil }
        let ends = bytes[unit.count...].split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard ends.count == 2, let first = number(ends[0]), let last = number(ends[1]) else { return nil }
        switch (first, last) {
        case (.none, .none): return nil
        case (let first?, let last?) where last < first: return nil
        default: return (first, last)
        }
    }

    /// Some number, none where there is no text, nil for anything else. Larger ones than any file's size are that size.
    private static func number(_ digits: ArraySlice<UInt8>) -> Int64?? {
        if digits.isEmpty { return .some(.none) }
        guard digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return .some(Int64(String(decoding: digits, as: UTF8.self)) ?? .max - 1)
    }
}
