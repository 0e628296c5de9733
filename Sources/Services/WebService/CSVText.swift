/// Comma-separated values after RFC 4180: a header line, CRLF at the end of every line, quotes where they are needed.
struct CSVText {
    private(set) var text: String
    private let width: Int

    init(header: [String]) {
        width = header.count
        text = ""
        append(header)
    }

    /// Further lines of a text that has its header already.
    init(width: Int) {
        self.width = width
        text = ""
    }

    mutating func append(_ fields: [String]) {
        precondition(fields.count == width, "a line has as many fields as the header")
        text += fields.map(Self.field).joined(separator: ",") + "\r\n"
    }

    /// Spreadsheets take a field that begins like a formula for one: a quote in front makes it a text again.
    static func field(_ text: String) -> String {
        let isFormula = text.unicodeScalars.first.map { "=+-@\t\r\n＝＋－＠".unicodeScalars.contains($0) } ?? false
        let safe = isFormula ? "'" + text : text
        let needsQuotes = safe.unicodeScalars.contains { ",\"\r\n".unicodeScalars.contains($0) } || safe.hasPrefix(" ") || safe.hasSuffix(" ")
        return needsQuotes ? "\"" + safe.replacing("\"", with: "\"\"") + "\"" : safe
    }
}
