import Formats

/// Where errors are sent: a Sentry DSN, `https://<key>@<host>[:port][/path]/<project>`, taken apart.
public struct SentryAddress: Sendable, Equatable {
    /// Where envelopes are posted.
    public let envelopeURL: String
    /// Who posts: not a secret by Sentry's rules, and yet not shown.
    public let key: String

    /// nil when the text is no DSN.
    public init?(dsn: String) {
        guard let mark = dsn.firstRange(of: "://"), ["http", "https"].contains(dsn[..<mark.lowerBound]) else { return nil }
        let rest = dsn[mark.upperBound...]
        guard let at = rest.firstIndex(of: "@"), let slash = rest[at...].firstIndex(of: "/") else { return nil }
        // An old form has a secret behind the key; it is not needed any more.
        key = String(rest[..<at].prefix { $0 != ":" })
        let host = rest[rest.index(after: at)..<slash]
        var path = rest[slash...].split(separator: "/", omittingEmptySubsequences: true)
        guard !key.isEmpty, !host.isEmpty, let project = path.popLast(), project.utf8.allSatisfy(ASCII.isDigit) else { return nil }
        let before = path.map { "/" + $0 }.joined()
        envelopeURL = "\(dsn[..<mark.lowerBound])://\(host)\(before)/api/\(project)/envelope/"
    }
}
