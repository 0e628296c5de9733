import Formats

/// A provider's own words as they may stand in an error: short, and without numbers that could be a phone's or a card's.
public enum ProviderWords {
    static let lengthMax = 200
    static let digitsMax = 6

    public static func safe(_ text: String) -> String {
        var output = ""
        var run: [Character] = []
        func flush() {
            output += run.count > digitsMax ? "…" + String(run.suffix(2)) : String(run)
            run.removeAll()
        }
        for character in text.prefix(2 * lengthMax) {
            if character.isASCII && character.isNumber {
                run.append(character)
            } else {
                flush()
                output.append(character.isNewline ? " " : character)
            }
        }
        flush()
        return String(output.prefix(lengthMax))
    }
}
