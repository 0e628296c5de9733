/// Names that can stand in a path, a label, a Redis key and a line of a log: letters, digits, `-`, `_` and `.`.
public enum Slug {
    /// - Parameter most: how many characters it may have.
    public static func isValid(_ text: some StringProtocol, most: Int) -> Bool {
        (1...most).contains(text.utf8.count) && text.utf8.allSatisfy(isByte)
    }

    public static func isByte(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
            || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
    }

    /// For messages: what a name must look like.
    public static func rule(most: Int) -> String { "must have 1 to \(most) letters, digits, '-', '_' or '.'" }
}
