/// Text without what has no place on paper, whoever it came from.
enum PrintableText {
    /// Control characters but line ends become blanks (pango would draw boxes with numbers), and what Unicode keeps from being
    /// characters becomes the replacement character (cairo would refuse the whole document).
    static func of(_ text: String) -> String {
        let unified = text.replacing("\r\n", with: "\n")
        guard unified.unicodeScalars.contains(where: { isControl($0) || isNoncharacter($0) }) else { return unified }
        return String(String.UnicodeScalarView(unified.unicodeScalars.map { isControl($0) ? " " : isNoncharacter($0) ? "\u{FFFD}" : $0 }))
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x20 && scalar != "\n" || (0x7F...0x9F).contains(scalar.value)
    }

    private static func isNoncharacter(_ scalar: Unicode.Scalar) -> Bool {
        (0xFDD0...0xFDEF).contains(scalar.value) || scalar.value & 0xFFFE == 0xFFFE
    }
}
