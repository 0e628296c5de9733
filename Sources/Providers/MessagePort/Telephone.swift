/// A telephone number in international form.
public enum Telephone {
    /// Digits behind the calling code, in the countries whose plans are known here: numbers of before a change reach nobody.
    private static let lengths = ["221": 9, "223": 8, "225": 10, "226": 8, "227": 8, "228": 8, "229": 10]

    /// `+2250707123456`; nil for what is none.
    public static func parse(_ text: String) -> String? {
        let plain = text.filter { !" .-()/\u{A0}\u{202F}".contains($0) }
        let digits = plain.dropFirst()
        guard plain.hasPrefix("+"), (8...15).contains(digits.utf8.count), digits.first != "0",
            digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
        else { return nil }
        if let length = lengths[String(digits.prefix(3))], digits.utf8.count != 3 + length { return nil }
        return plain
    }
}
