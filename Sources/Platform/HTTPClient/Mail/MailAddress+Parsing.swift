extension MailAddress {
    /// Reads an address with the name that is shown for it, as settings write it: `Name <address>`, `<address>` or `address`; nil
    /// when there is no address or angle brackets do not pair.
    public init?(parsing text: String) {
        let trimmed = Self.trimmed(text[...])
        guard let open = trimmed.firstIndex(of: "<") else {
            guard trimmed.contains("@"), !trimmed.contains(">"), !trimmed.contains(where: \.isWhitespace) else { return nil }
            self.init(String(trimmed))
            return
        }
        guard trimmed.hasSuffix(">") else { return nil }
        let inner = trimmed[trimmed.index(after: open)...].dropLast()
        guard inner.contains("@"), !inner.contains(where: { $0.isWhitespace || $0 == "<" || $0 == ">" }) else { return nil }
        let shown = Self.trimmed(trimmed[..<open])
        self.init(String(inner), name: shown.isEmpty ? nil : String(shown.filter { $0 != "\"" }))
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var rest = text.drop(while: \.isWhitespace)
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        return rest
    }
}
