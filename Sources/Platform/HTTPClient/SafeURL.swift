/// What of a URL may be written into errors, logs and metrics: scheme, host and path.
enum SafeURL {
    /// The URL without user info, query and fragment.
    static func text(_ url: String) -> String {
        let (scheme, authority, path) = parts(url)
        let host = authority.lastIndex(of: "@").map { authority[authority.index(after: $0)...] } ?? authority
        let safe = (scheme.map { "\($0)://" } ?? "") + host + path
        return String(String.UnicodeScalarView(safe.unicodeScalars.map { $0.value > 0x20 && $0.value != 0x7F ? $0 : "?" }).prefix(300))
    }

    /// Host and port, as they stand in the URL.
    static func host(_ url: String) -> String {
        let authority = parts(url).authority
        return String(authority.lastIndex(of: "@").map { authority[authority.index(after: $0)...] } ?? authority)
    }

    static func hasScheme(_ url: String, of allowed: [String]) -> Bool {
        guard let scheme = parts(url).scheme?.lowercased() else { return false }
        return allowed.contains(scheme)
    }

    private static func parts(_ url: String) -> (scheme: Substring?, authority: Substring, path: Substring) {
        var scheme: Substring?
        var rest = url[...]
        if let mark = rest.firstRange(of: "://") {
            scheme = rest[..<mark.lowerBound]
            rest = rest[mark.upperBound...]
        }
        if let end = rest.firstIndex(where: { $0 == "?" || $0 == "#" }) { rest = rest[..<end] }
        let slash = rest.firstIndex(where: { $0 == "/" || $0 == "\\" }) ?? rest.endIndex
        return (scheme, rest[..<slash], rest[slash...])
    }
}
