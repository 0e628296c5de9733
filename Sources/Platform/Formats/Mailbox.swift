/// A mail address with the name that is shown for it: `Quittance <no-reply@example.com>`, or the address alone.
public struct Mailbox: Sendable, Equatable {
    public let name: String?
    public let address: String

    /// Reads `Name <address>`, `<address>` or `address`; nil when there is no address or angle brackets do not pair.
    public init?(parsing text: String) {
        let trimmed = Self.trimmed(text[...])
        guard let open = trimmed.firstIndex(of: "<") else {
            guard trimmed.contains("@"), !trimmed.contains(">"), !trimmed.contains(where: \.isWhitespace) else { return nil }
            name = nil
            address = String(trimmed)
            return
        }
        guard trimmed.hasSuffix(">") else { return nil }
        let inner = trimmed[trimmed.index(after: open)...].dropLast()
        guard inner.contains("@"), !inner.contains(where: { $0.isWhitespace || $0 == "<" || $0 == ">" }) else { return nil }
        let shown = Self.trimmed(trimmed[..<open])
        name = shown.isEmpty ? nil : String(shown.filter { $0 != "\"" })
        address = String(inner)
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var rest = text.drop(while: \.isWhitespace)
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        return rest
    }
}
