import Formats

/// A mail server as a URL names it: `smtp://user:password@host:port?tls=required`.
///
/// `smtps` is TLS from the first byte. With `smtp`, `tls=offered` takes STARTTLS where the server offers it, `tls=required`
/// fails where it does not, `tls=off` never asks. Without the word it is `required` when a password would travel to another
/// machine, else `offered`.
public struct SMTPAddress: Sendable, CustomStringConvertible {
    public enum Security: Sendable { case implicitTLS, startTLSRequired, startTLSOffered, none }

    public let host: String
    public let port: Int
    public let user: String?
    public let security: Security
    let password: String?

    public init(parsing url: String) throws(SMTPError) {
        guard let scheme = url.firstRange(of: "://").map({ url[..<$0.lowerBound].lowercased() }), ["smtp", "smtps"].contains(scheme) else {
            throw .invalid("the mail server's URL begins with smtp:// or smtps://")
        }
        let rest = url.dropFirst(scheme.count + 3)
        let (place, query) = Self.split(rest, at: "?")
        let authority = Self.split(place, at: "/").0
        let at = authority.lastIndex(of: "@")
        let credentials = at.map { Self.split(authority[..<$0], at: ":") }
        let server = at.map { authority[authority.index(after: $0)...] } ?? authority

        let usualPort = scheme == "smtps" ? 465 : 587
        let hasPort = server.split(separator: "]", omittingEmptySubsequences: false).last?.contains(":") == true
        guard let address = SocketAddress(parsing: hasPort ? String(server) : "\(server):\(usualPort)"),
            (1...65535).contains(address.port), address.host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !"@/?#\\[]".utf8.contains($0) })
        else { throw .invalid("the mail server's URL names no valid host and port") }
        host = address.host
        port = address.port

        guard let user = Self.decoded(credentials?.0), let password = Self.decoded(credentials?.1) else {
            throw .invalid("user or password in the mail server's URL are not percent-encoded properly")
        }
        self.user = user.isEmpty ? nil : user
        self.password = user.isEmpty ? nil : password
        security = try Self.security(scheme, String(query ?? ""), carriesPassword: !user.isEmpty, host: address.host)
    }

    private static func security(
        _ scheme: String, _ query: String, carriesPassword: Bool, host: String
    ) throws(SMTPError) -> Security {
        if scheme == "smtps" {
            guard ["", "tls=required"].contains(query) else { throw .invalid("smtps:// is always TLS and takes no other word") }
            return .implicitTLS
        }
        switch query {
        case "": return carriesPassword && !["localhost", "127.0.0.1", "::1"].contains(host) ? .startTLSRequired : .startTLSOffered
        case "tls=required": return .startTLSRequired
        case "tls=offered": return .startTLSOffered
        case "tls=off": return .none
        default: throw .invalid("after '?' the mail server's URL says tls=required, tls=offered or tls=off")
        }
    }

    private static func split(_ text: Substring, at separator: Character) -> (Substring, Substring?) {
        guard let place = text.firstIndex(of: separator) else { return (text, nil) }
        return (text[..<place], text[text.index(after: place)...])
    }

    /// Nil when it is not valid; an absent part is empty.
    private static func decoded(_ part: Substring?) -> String? {
        guard let text = PercentEncoding.decode(String(part ?? "")), !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else { return nil }
        return text
    }

    /// What curl connects to; user and password are given apart.
    var curlURL: String { "\(security == .implicitTLS ? "smtps" : "smtp")://\(SocketAddress(host, port))" }

    /// Without user and password.
    public var description: String { "mail server \(SocketAddress(host, port))" }
}
