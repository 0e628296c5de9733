import Formats

/// An address taken apart: `scheme://user:password@host:port/path?query`.
struct URLParts {
    let scheme: String
    /// Percent-decoded.
    let user: String?
    let password: String?
    /// Without the brackets of an IPv6 address.
    let host: String
    let port: Int?
    /// With its leading slash, or empty.
    let path: String
    let query: String?

    /// nil when the text is no address or an escape in it is broken.
    init?(_ text: String) {
        guard let mark = text.range(of: "://"), text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }), !text.contains("#") else { return nil }
        scheme = text[..<mark.lowerBound].lowercased()
        var rest = text[mark.upperBound...]
        query = rest.firstIndex(of: "?").map { String(rest[rest.index(after: $0)...]) }
        if let question = rest.firstIndex(of: "?") { rest = rest[..<question] }
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        path = String(rest[slash...])
        var authority = rest[..<slash]
        if let at = authority.lastIndex(of: "@") {
            let pair = authority[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = PercentEncoding.decode(String(pair[0])) else { return nil }
            user = name.isEmpty ? nil : name
            guard let word = PercentEncoding.decode(pair.count == 2 ? String(pair[1]) : "") else { return nil }
            password = word.isEmpty ? nil : word
            authority = authority[authority.index(after: at)...]
        } else {
            user = nil
            password = nil
        }
        let colon = authority.hasSuffix("]") ? nil : authority.lastIndex(of: ":")
        if let colon {
            let digits = authority[authority.index(after: colon)...]
            guard digits.utf8.allSatisfy(ASCII.isDigit), let number = Int(digits), (1...65535).contains(number) else { return nil }
            port = number
            authority = authority[..<colon]
        } else {
            port = nil
        }
        let isBracketed = authority.hasPrefix("[") && authority.hasSuffix("]")
        host = String(isBracketed ? authority.dropFirst().dropLast() : authority)
        guard isBracketed || !host.contains(":"), !scheme.isEmpty else { return nil }
    }

    /// The text with user and password masked, for listings.
    static func masked(_ text: String) -> String {
        guard let mark = text.range(of: "://") else { return text }
        let rest = text[mark.upperBound...]
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        guard let at = rest[..<end].lastIndex(of: "@") else { return text }
        return text[..<mark.upperBound] + "[redacted]" + rest[at...]
    }
}
extension StringProtocol {
    /// The first place of `needle`, without Foundation.
    fileprivate func range(of needle: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(needle) { return start..<index(start, offsetBy: needle.count) }
            start = index(after: start)
        }
        return nil
    }
}
