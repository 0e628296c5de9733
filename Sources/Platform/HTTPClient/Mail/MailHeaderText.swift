import Formats

/// Header values as RFC 5322, 2047 and 2231 want them: ASCII, folded, other scripts in encoded words.
enum MailHeaderText {
    private static let lineLength = 76
    /// RFC 2047 allows 75; less, so that the first word fits beside its header's name.
    private static let encodedWordMax = 60

    // MARK: Values

    /// Free text: a subject, or a header of the caller's.
    static func unstructured(_ text: String) -> [String] {
        let words = text.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        // An encoded word's beginning in plain text would be decoded by the reader; blanks at the ends would be lost.
        let isPlain = text.utf8.allSatisfy { $0 < 0x7F } && words.allSatisfy { $0.utf8.count <= 70 && !$0.isEmpty } && !text.contains("=?")
        return isPlain || text.isEmpty ? words : encodedWords(text)
    }

    /// A name before an address: as it is, quoted, or encoded.
    static func mailbox(_ mailbox: MailAddress) -> [String] {
        guard let name = mailbox.name, !name.isEmpty else { return [mailbox.address] }
        let isASCII = name.utf8.allSatisfy { $0 < 0x7F } && name.utf8.count <= 60 && !name.contains("=?")
        let address = "<\(mailbox.address)>"
        guard isASCII else { return encodedWords(name) + [address] }
        let isPhrase = name.split(separator: " ", omittingEmptySubsequences: false).allSatisfy {
            !$0.isEmpty && $0.utf8.allSatisfy(MailAddress.isAtomByte)
        }
        return [isPhrase ? name : quoted(name), address]
    }

    static func quoted(_ text: String) -> String {
        var result = "\""
        for character in text.unicodeScalars {
            if character == "\"" || character == "\\" { result.unicodeScalars.append("\\") }
            result.unicodeScalars.append(character)
        }
        return result + "\""
    }

    /// A parameter such as a file name: plain where it can be, else percent-encoded UTF-8, in numbered pieces when long.
    static func parameter(_ name: String, _ value: String) -> [String] {
        if value.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) && value.utf8.count <= 60 { return ["\(name)=\(quoted(value))"] }
        var pieces: [String] = [""]
        for byte in value.utf8 {
            let isPlain = MailAddress.isAlphanumeric(byte) || "!#$&+-.^_`|~".utf8.contains(byte)
            let encoded = isPlain ? String(UnicodeScalar(byte)) : "%" + Hex.encode([byte]).uppercased()
            if pieces[pieces.count - 1].utf8.count + encoded.utf8.count > 54 { pieces.append("") }
            pieces[pieces.count - 1] += encoded
        }
        if pieces.count == 1 { return ["\(name)*=utf-8''\(pieces[0])"] }
        return pieces.enumerated().map { number, piece in "\(name)*\(number)*=\(number == 0 ? "utf-8''" : "")\(piece)" }
    }

    /// Cuts the text between characters into words of `=?utf-8?B?…?=`. A reader joins neighbours without the blank between.
    private static func encodedWords(_ text: String) -> [String] {
        let bytesMax = (encodedWordMax - "=?utf-8?B??=".utf8.count) / 4 * 3
        var words: [String] = []
        var pending: [UInt8] = []
        for scalar in text.unicodeScalars {
            let bytes = Array(String(scalar).utf8)
            if pending.count + bytes.count > bytesMax {
                words.append("=?utf-8?B?\(Base64.encode(pending))?=")
                pending = []
            }
            pending += bytes
        }
        if !pending.isEmpty { words.append("=?utf-8?B?\(Base64.encode(pending))?=") }
        return words
    }

    // MARK: Lines

    /// `Name: word word` with a new line before each word that would be too far to the right.
    static func append(_ name: String, _ words: [String], to output: inout [UInt8], separator: String = "") {
        var column = name.utf8.count + 1
        output += "\(name):".utf8
        for (number, word) in words.enumerated() {
            let text = number < words.count - 1 ? word + separator : word
            // The first word stays on the name's line: some readers take a header that begins with a fold for an empty one.
            if number > 0 && column + 1 + text.utf8.count > lineLength {
                output += "\r\n".utf8
                column = 0
            }
            output += " \(text)".utf8
            column += 1 + text.utf8.count
        }
        output += "\r\n".utf8
    }
}
