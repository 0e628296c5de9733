import Formats

/// What the API is told: how much a caller may ask, whose tokens it takes, and whose pages may call it.
public struct APISettings: Sendable, Equatable {
    /// A secret that signs tokens.
    public struct TokenSecret: Sendable, Equatable {
        /// What tokens name it by (`kid`); nil for one that has no name.
        public let id: String?
        public let secret: Secret

        public init(id: String?, secret: Secret) {
            self.id = id
            self.secret = secret
        }
    }

    /// How many calls a caller may make in a minute; 0 for any number.
    public var callsPerMinute = 100
    /// The same for questions where a payment stands.
    public var statusCallsPerMinute = 600
    /// How many forms and orders anybody may post from one address in a minute, without a key; 0 for any number.
    public var openPostsPerMinute = 60
    /// Without any, no tokens are taken.
    public var tokenSecrets: [TokenSecret] = []
    public var tokenIssuer: String?
    public var tokenAudience: String?
    /// What a token may do at most, and does when it names no scopes.
    public var tokenScopes = ["payments"]
    /// Sites whose pages may call the API: exact origins, or `*` alone.
    public var origins: [String] = []

    public init() {}
}

extension SettingsReader {
    static let tokenSecretBytesMin = 32
    private static let callsMax = 10_000_000

    mutating func api() -> APISettings {
        var api = APISettings()
        api.callsPerMinute = whole("API_CALLS_PER_MINUTE", 0...Self.callsMax)
        api.statusCallsPerMinute = whole("API_STATUS_CALLS_PER_MINUTE", 0...Self.callsMax)
        api.openPostsPerMinute = whole("OPEN_POSTS_PER_MINUTE", 0...Self.callsMax)
        api.tokenSecrets = tokenSecrets()
        api.tokenIssuer = raw("API_JWT_ISSUER")
        api.tokenAudience = raw("API_JWT_AUDIENCE")
        api.tokenScopes = (value("API_JWT_SCOPES") ?? "").split(whereSeparator: \.isWhitespace).map(String.init)
        api.origins = origins()
        return api
    }

    private mutating func tokenSecrets() -> [APISettings.TokenSecret] {
        let name = "API_JWT_SECRET"
        var secrets: [APISettings.TokenSecret] = []
        let values = words(name)
        for (number, word) in values.enumerated() {
            let parts = word.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let id = parts.count == 2 ? parts[0] : nil
            let secret = parts.last ?? ""
            if secret.utf8.count >= Self.tokenSecretBytesMin, id.map({ Slug.isValid($0, most: 64) }) ?? true {
                secrets.append(APISettings.TokenSecret(id: id, secret: Secret(secret)))
            } else {
                let place = values.count == 1 ? "the value" : "value \(number + 1) of \(values.count)"
                problem(
                    name, "\(place) is not such a secret",
                    "at least \(Self.tokenSecretBytesMin) characters nobody can guess, with kid: in front where tokens name it, several separated by blanks",
                    "\(name)=2026-11:$(openssl rand -hex 32)")
            }
        }
        let names = secrets.compactMap(\.id)
        if Set(names).count < names.count {
            problem(name, "a kid stands in it twice", "a kid of its own for each secret", "\(name)=2026-11:$(openssl rand -hex 32)")
        }
        return secrets
    }

    private mutating func origins() -> [String] {
        let name = "API_CORS_ORIGINS"
        let words = words(name)
        if words == ["*"] { return words }
        for word in words where !Self.isOrigin(word) {
            problem(
                name, "\"\(word.prefix(60))\" is not the origin of a site", "scheme, host and port as browsers send them, in lower case, or * alone",
                "\(name)=https://shop.example.com")
        }
        return words
    }

    /// What a browser sends as `Origin`: no path, no default port, nothing in upper case.
    static func isOrigin(_ text: String) -> Bool {
        guard let parts = URLParts(text), ["http", "https"].contains(parts.scheme), !parts.host.isEmpty else { return false }
        guard let end = text.firstRange(of: "://")?.upperBound else { return false }
        let place = text[end...]
        let isPlain = place.utf8.allSatisfy { ASCII.isDigit($0) || (0x61...0x7A).contains($0) || "-.:[]".utf8.contains($0) }
        return isPlain && text.hasPrefix(parts.scheme) && !place.hasSuffix(parts.scheme == "https" ? ":443" : ":80") && !place.hasSuffix(":")
    }
}
