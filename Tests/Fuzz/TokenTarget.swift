import Cryptography
import Formats

/// A merchant's tokens: no text is one without our secret, and no character of a true one can be another.
struct TokenTarget: FuzzTarget {
    private let check: JSONWebTokenCheck
    private let hmac: HMACSHA256
    private let now = PostingProviders.nowMs / 1000

    init() {
        let secret = PostingProviders.freshSecret() + PostingProviders.freshSecret()
        check = JSONWebTokenCheck(secrets: [JSONWebTokenCheck.Secret(id: nil, secret: secret)])
        hmac = HMACSHA256(key: secret)
    }

    func run(_ input: [UInt8]) {
        let text = String(decoding: input, as: UTF8.self)
        require((try? check.verify(text, now: now)) == nil, "a token that nobody signed is taken")
        let signed = "eyJhbGciOiJIUzI1NiJ9." + Base64.urlEncode(input)
        let token = "\(signed).\(Base64.urlEncode(hmac.authenticate(Array(signed.utf8))))"
        guard let genuine = try? check.verify(token, now: now) else { return }
        require(genuine.expiresAt + JSONWebTokenCheck.leewaySeconds > now && !genuine.subject.isEmpty, "a token without an end, or of nobody")
        var altered = Array(token.utf8)
        let place = input.reduce(0) { ($0 &* 31 &+ Int($1)) & 0xFFFF } % altered.count
        altered[place] = altered[place] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
        require((try? check.verify(String(decoding: altered, as: UTF8.self), now: now)) == nil, "an altered token is taken")
    }
}
