/// Recognises the numbers of payment cards, so that they are refused and masked wherever somebody types one in.
public enum CardNumber {
    /// Whether a text holds what looks like one: 13 to 19 digits in one piece or in groups, with blanks, hyphens, dashes or points between
    /// them, beginning as the card schemes' numbers do (2 to 6), whose check digit is right.
    public static func isIn(_ text: String) -> Bool {
        var groups: [[UInt8]] = []
        var gap = gapMax + 1
        for scalar in text.unicodeScalars {
            if let byte = UInt8(exactly: scalar.value), ASCII.isDigit(byte) {
                if gap == 0 { groups[groups.count - 1].append(byte) } else { groups = (gap <= gapMax ? groups : []) + [[byte]] }
                gap = 0
            } else {
                if gap == 0, holdsNumber(groups) { return true }
                gap = separators.contains(scalar) ? gap + 1 : gapMax + 1
            }
        }
        return gap == 0 && holdsNumber(groups)
    }

    /// Blanks of every width, hyphens and dashes, the point.
    private static let separators: Set<Unicode.Scalar> = [
        " ", ".", "-", "\u{A0}", "\u{2009}", "\u{200A}", "\u{202F}", "\u{2010}", "\u{2011}", "\u{2012}", "\u{2013}", "\u{2014}", "\u{2212}",
    ]
    /// Separators beside each other.
    private static let gapMax = 2

    /// Whether the last groups, taken together, are a card's number.
    private static func holdsNumber(_ groups: [[UInt8]]) -> Bool {
        var digits: [UInt8] = []
        for group in groups.reversed() {
            digits = group + digits
            guard digits.count <= 19 else { return false }
            if digits.count >= 13, ("2"..."6").contains(Character(Unicode.Scalar(digits[0]))), passesLuhn(digits) { return true }
        }
        return false
    }

    /// Whether the last of these digits checks the others, by Luhn's rule (ISO/IEC 7812-1, annex B).
    public static func passesLuhn(_ digits: [UInt8]) -> Bool {
        var sum = 0
        for (place, digit) in digits.reversed().enumerated() {
            let value = Int(digit - 0x30)
            sum += place % 2 == 0 ? value : value * 2 - (value > 4 ? 9 : 0)
        }
        return sum % 10 == 0
    }
}
