/// Why a form could not be read. A retry never helps: the sender must change the body.
public struct FormError: Error, Equatable, CustomStringConvertible {
    public enum Code: String, Sendable {
        case invalidEscape = "a % that two hexadecimal digits do not follow"
        case invalidUTF8 = "bytes that are not UTF-8"
        case tooManyFields = "more fields than allowed"
        case noBoundary = "the content type names no usable boundary"
        case malformedPart = "a part that is not formed as multipart/form-data"
        case unfinished = "the closing boundary is missing"
    }
    public let code: Code
    /// Where, in bytes from the start of the body.
    public let offset: Int

    public var description: String { "not a valid form at byte \(offset): \(code.rawValue)" }
}

/// `application/x-www-form-urlencoded`: the body of most providers' notices, and query strings.
public enum FormURLEncoded {
    /// The fields in their order, duplicates kept; `+` is a blank. Empty pieces between two `&` are passed over.
    /// - Throws: ``FormError`` when an escape is broken, a decoded name or value is not UTF-8, or there are too many fields.
    public static func parse(_ bytes: [UInt8], fieldsMax: Int = 1000) throws(FormError) -> [(name: String, value: String)] {
        var fields: [(name: String, value: String)] = []
        for field in try pieces(of: bytes, fieldsMax: fieldsMax) {
            fields.append((try text(field.name, at: field.offset), try text(field.value, at: field.offset)))
        }
        return fields
    }

    /// As ``parse(_:fieldsMax:)`` with the decoded bytes as they are, whatever their encoding.
    public static func parseBytes(_ bytes: [UInt8], fieldsMax: Int = 1000) throws(FormError) -> [(name: [UInt8], value: [UInt8])] {
        try pieces(of: bytes, fieldsMax: fieldsMax).map { ($0.name, $0.value) }
    }

    /// The fields as one body; everything but letters, digits and `*-._` is escaped, a blank becomes `+`.
    public static func encode(_ fields: [(String, String)]) -> String {
        var output: [UInt8] = []
        for (name, value) in fields {
            if !output.isEmpty { output.append(UInt8(ascii: "&")) }
            escape(name, into: &output)
            output.append(UInt8(ascii: "="))
            escape(value, into: &output)
        }
        return String(decoding: output, as: UTF8.self)
    }

    // MARK: Parts

    private struct Piece {
        var name: [UInt8]
        var value: [UInt8]
        var offset: Int
    }

    private static func pieces(of bytes: [UInt8], fieldsMax: Int) throws(FormError) -> [Piece] {
        var found: [Piece] = []
        var start = 0
        while start < bytes.count {
            let end = bytes[start...].firstIndex(of: UInt8(ascii: "&")) ?? bytes.count
            if end > start {
                guard found.count < fieldsMax else { throw FormError(code: .tooManyFields, offset: start) }
                let equals = bytes[start..<end].firstIndex(of: UInt8(ascii: "=")) ?? end
                let name = try unescape(bytes[start..<equals])
                let value = equals < end ? try unescape(bytes[(equals + 1)..<end]) : []
                found.append(Piece(name: name, value: value, offset: start))
            }
            start = end + 1
        }
        return found
    }

    private static func unescape(_ bytes: ArraySlice<UInt8>) throws(FormError) -> [UInt8] {
        switch PercentEncoding.unescape(bytes, plusIsBlank: true) {
        case .success(let decoded): return decoded
        case .failure(let fault): throw FormError(code: .invalidEscape, offset: fault.offset)
        }
    }

    private static func text(_ bytes: [UInt8], at offset: Int) throws(FormError) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw FormError(code: .invalidUTF8, offset: offset) }
        return text
    }

    private static func escape(_ text: String, into output: inout [UInt8]) {
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "*"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
                output.append(byte)
            case 0x20: output.append(UInt8(ascii: "+"))
            default: PercentEncoding.appendEscape(of: byte, to: &output)
            }
        }
    }
}

/// `%XX` in paths and queries.
public enum PercentEncoding {
    /// Escapes everything but RFC 3986's unreserved characters, so the result is one path segment or query value.
    public static func encodePathSegment(_ text: String) -> String {
        var output: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
                output.append(byte)
            default: appendEscape(of: byte, to: &output)
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// The text without escapes (`+` stays a plus); nil when an escape is broken or the result is not UTF-8.
    public static func decode(_ text: String) -> String? {
        guard case .success(let bytes) = unescape(Array(text.utf8)[...], plusIsBlank: false) else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    struct Fault: Error { var offset: Int }

    private static let digits = Array("0123456789ABCDEF".utf8)

    static func unescape(_ bytes: ArraySlice<UInt8>, plusIsBlank: Bool) -> Result<[UInt8], Fault> {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        var at = bytes.startIndex
        while at < bytes.endIndex {
            let byte = bytes[at]
            if byte == UInt8(ascii: "%") {
                guard at + 2 < bytes.endIndex, let high = ASCII.hexValue(bytes[at + 1]), let low = ASCII.hexValue(bytes[at + 2]) else {
                    return .failure(Fault(offset: at))
                }
                output.append(high << 4 | low)
                at += 3
            } else {
                output.append(plusIsBlank && byte == UInt8(ascii: "+") ? 0x20 : byte)
                at += 1
            }
        }
        return .success(output)
    }

    static func appendEscape(of byte: UInt8, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "%"))
        output.append(digits[Int(byte >> 4)])
        output.append(digits[Int(byte & 15)])
    }
}

/// Text made safe inside HTML elements and quoted attributes.
public enum HTML {
    public static func escape(_ text: String) -> String {
        var output: [UInt8] = []
        output.reserveCapacity(text.utf8.count + 16)
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "&"): output.append(contentsOf: "&amp;".utf8)
            case UInt8(ascii: "<"): output.append(contentsOf: "&lt;".utf8)
            case UInt8(ascii: ">"): output.append(contentsOf: "&gt;".utf8)
            case UInt8(ascii: "\""): output.append(contentsOf: "&quot;".utf8)
            case UInt8(ascii: "'"): output.append(contentsOf: "&#39;".utf8)
            default: output.append(byte)
            }
        }
        return String(decoding: output, as: UTF8.self)
    }
}
