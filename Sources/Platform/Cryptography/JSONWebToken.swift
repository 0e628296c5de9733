import Formats

/// What a token (RFC 7519) says that was found genuine and in force.
public struct JSONWebToken: Sendable, Equatable {
    /// `sub`: who calls.
    public let subject: String
    /// `exp`, in unix seconds.
    public let expiresAt: Int64
    /// The words of `scope` (RFC 8693); nil when there is no such claim.
    public let scopes: [String]?
    /// Everything it claims.
    public let claims: JSONObject
}

/// Why a token is refused. A retry never helps; a new token may.
public enum JSONWebTokenError: Error, Equatable, CustomStringConvertible {
    /// It is not built as a token is, or not signed by one of our secrets: nothing of it can be believed.
    case notGenuine
    case expired
    /// `nbf` or `iat` lie ahead.
    case notYetValid
    /// It is genuine, but lacks a claim or makes one that does not fit.
    case claim(String)

    public var description: String {
        switch self {
        case .notGenuine: "the token is not valid"
        case .expired: "the token has expired"
        case .notYetValid: "the token is not valid yet"
        case .claim(let name): "the token's claim '\(name)' is missing or does not fit"
        }
    }
}

/// Checks tokens that are signed by HMAC-SHA256 with a shared secret, as RFC 7519 and RFC 8725 ask.
///
/// The algorithm is ours to say, not the token's: one that names another than HS256, or none, is refused. So is what some readers take one
/// way and some another: members named twice, Base64 with padding or stray bits, `crit`.
public struct JSONWebTokenCheck: Sendable {
    /// What two machines' clocks may differ by.
    public static let leewaySeconds: Int64 = 60
    /// Longer texts are not even read.
    public static let lengthMax = 8192
    public static let subjectLengthMax = 200
    private static let timeMax: Int64 = 253_402_300_799

    public struct Secret: Sendable {
        let id: String?
        let hmac: HMACSHA256

        /// - Parameter id: what tokens name it by (`kid`).
        public init(id: String?, secret: String) {
            precondition(secret.utf8.count >= 32, "a secret of HS256 has at least 32 bytes")
            self.id = id
            hmac = HMACSHA256(key: secret)
        }
    }

    private let secrets: [Secret]
    private let issuer: String?
    private let audience: String?

    /// - Parameters:
    ///   - secrets: a token that names one (`kid`) is checked by it and by those that have no name, any other by all.
    ///   - issuer: what `iss` must be; not looked at when nil.
    ///   - audience: what `aud` must hold. When nil, a token that is meant for somebody is not meant for us.
    public init(secrets: [Secret], issuer: String? = nil, audience: String? = nil) {
        self.secrets = secrets
        self.issuer = issuer
        self.audience = audience
    }

    /// Whether a bearer's text is built as a token is: three parts.
    public static func looksLikeToken(_ text: String) -> Bool { text.utf8.lazy.filter { $0 == UInt8(ascii: ".") }.count == 2 }

    /// - Parameter now: unix seconds.
    public func verify(_ text: String, now: Int64) throws(JSONWebTokenError) -> JSONWebToken {
        let claims = try genuine(text)
        guard let expiresAt = try Self.time(claims, "exp") else { throw .claim("exp") }
        guard now < expiresAt + Self.leewaySeconds else { throw .expired }
        for name in ["nbf", "iat"] {
            if let time = try Self.time(claims, name), time > now + Self.leewaySeconds { throw .notYetValid }
        }
        if let issuer, claims["iss"]?.string != issuer { throw .claim("iss") }
        try checkAudience(claims["aud"])
        return JSONWebToken(subject: try Self.subject(claims), expiresAt: expiresAt, scopes: try Self.scopes(claims), claims: claims)
    }

    // MARK: The signature

    private func genuine(_ text: String) throws(JSONWebTokenError) -> JSONObject {
        guard text.utf8.count <= Self.lengthMax else { throw .notGenuine }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Self.object(parts[0]), let code = Self.bytes(parts[2]) else { throw .notGenuine }
        // Header and claims stand in the text as they were signed.
        let message = Array(text.utf8.prefix(parts[0].utf8.count + 1 + parts[1].utf8.count))
        guard header["alg"]?.string == "HS256", header["crit"] == nil, isSigned(message, code, header), let claims = Self.object(parts[1]) else {
            throw .notGenuine
        }
        return claims
    }

    private func isSigned(_ message: [UInt8], _ code: [UInt8], _ header: JSONObject) -> Bool {
        var candidates = secrets[...]
        if let named = header["kid"] {
            guard let id = named.string else { return false }
            candidates = secrets.filter { $0.id == nil || $0.id == id }[...]
        }
        return candidates.contains { $0.hmac.isValid(code, for: message) }
    }

    /// Base64url without padding, the only way to write it.
    private static func bytes(_ text: Substring) -> [UInt8]? { text.utf8.contains(UInt8(ascii: "=")) ? nil : Base64.urlDecode(String(text)) }

    private static func object(_ text: Substring) -> JSONObject? {
        guard let bytes = bytes(text) else { return nil }
        return (try? JSON(parsing: bytes, depthLimit: 8, sizeLimit: lengthMax))?.object
    }

    // MARK: The claims

    /// Whole seconds; a fraction is cut off.
    private static func time(_ claims: JSONObject, _ name: String) throws(JSONWebTokenError) -> Int64? {
        guard let value = claims[name] else { return nil }
        guard let text = value.numberText, text.utf8.allSatisfy({ "0123456789.".utf8.contains($0) }), let whole = text.split(separator: ".").first,
            let seconds = Int64(whole), (0...timeMax).contains(seconds)
        else { throw .claim(name) }
        return seconds
    }

    private func checkAudience(_ claim: JSON?) throws(JSONWebTokenError) {
        guard let audience else {
            guard claim == nil else { throw .claim("aud") }
            return
        }
        let meant = claim?.string.map { [$0] } ?? claim?.array?.compactMap(\.string) ?? []
        guard meant.contains(audience) else { throw .claim("aud") }
    }

    private static func subject(_ claims: JSONObject) throws(JSONWebTokenError) -> String {
        guard let subject = claims["sub"]?.string, (1...subjectLengthMax).contains(subject.utf8.count),
            subject.unicodeScalars.allSatisfy({ $0.value > 32 && $0.value != 127 })
        else { throw .claim("sub") }
        return subject
    }

    private static func scopes(_ claims: JSONObject) throws(JSONWebTokenError) -> [String]? {
        guard let claim = claims["scope"] else { return nil }
        guard let words = claim.string else { throw .claim("scope") }
        return words.split(separator: " ").map(String.init)
    }
}
