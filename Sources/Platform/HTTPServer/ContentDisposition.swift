/// `Content-Disposition` of a file whose name may be anything.
public enum ContentDisposition {
    /// Letters, digits and a few signs stand for themselves, everything else is escaped or, in the form for old programs, left out: no name
    /// breaks out of the header, leads to another folder or hides what it is.
    public static func attachment(_ name: String) -> String {
        let safe = safeName(name)
        var plain = ""
        for scalar in safe.unicodeScalars {
            let isPlain = scalar.isASCII && (isLetterOrDigit(UInt8(ascii: scalar)) || " ._-()".unicodeScalars.contains(scalar))
            plain.unicodeScalars.append(isPlain ? scalar : "_")
        }
        var encoded: [UInt8] = []
        let digits = Array("0123456789ABCDEF".utf8)
        for byte in safe.utf8 {
            let isPlain = isLetterOrDigit(byte) || "!#$&+-.^_`|~".utf8.contains(byte)
            encoded += isPlain ? [byte] : [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
        return "attachment; filename=\"\(plain)\"; filename*=UTF-8''\(String(decoding: encoded, as: UTF8.self))"
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }

    /// The last part of the name, without control characters and the signs that turn a text's direction, of at most 150 characters; its
    /// ending stays.
    private static func safeName(_ name: String) -> String {
        // By scalars: to Swift a slash with an accent is another letter.
        let last = name.unicodeScalars.split(whereSeparator: { $0 == "/" || $0 == "\\" }).last ?? []
        let seen = last.filter { scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: false
            default: true
            }
        }
        var scalars = Array(seen.drop { $0 == "." || $0 == " " })
        if scalars.count > nameMax {
            let ending = scalars.lastIndex(of: ".").map { scalars[$0...] } ?? []
            let kept = ending.count <= 12 ? ending : []
            scalars = Array(scalars.prefix(nameMax - kept.count)) + kept
        }
        return scalars.isEmpty ? "file" : String(String.UnicodeScalarView(scalars))
    }

    private static let nameMax = 150
}
