/// Text as it goes by SMS: one letter outside the alphabet of GSM makes every part of the message less than half as long, and as dear.
public enum ShortText {
    private static let basic: Set<Character> = Set(
        "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà")
    /// These take two places.
    private static let extended: Set<Character> = Set("^{}\\[~]|€")
    /// What typography makes of plain signs.
    private static let typographic: [Character: String] = [
        "’": "'", "‘": "'", "“": "\"", "”": "\"", "«": "\"", "»": "\"", "–": "-", "—": "-", "…": "...", "\u{A0}": " ", "\u{202F}": " ",
        "\u{2009}": " ", "•": "-",
    ]

    /// The same text with plain signs for those of typography. Letters stay as they are: they belong to names.
    public static func plain(_ text: String) -> String { text.reduce(into: "") { $0 += typographic[$1] ?? String($1) } }

    public static func isGSM(_ text: String) -> Bool { text.allSatisfy { basic.contains($0) || extended.contains($0) } }

    /// How many parts a text is sent in.
    public static func parts(_ text: String) -> Int {
        if isGSM(text) {
            let places = text.reduce(0) { $0 + (extended.contains($1) ? 2 : 1) }
            return places <= 160 ? 1 : (places + 152) / 153
        }
        let places = text.utf16.count
        return places <= 70 ? 1 : (places + 66) / 67
    }
}
