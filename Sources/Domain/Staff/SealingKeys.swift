import Access
import Cryptography

/// The keys that the console's secrets are sealed and digested with, made from the installation's secret. While secrets are exchanged the
/// first seals and all open.
public struct SealingKeys: Sendable {
    private let keys: [[UInt8]]
    private let digests: [HMACSHA256]

    /// - Parameter secret: SECRET_KEY.
    public init(secret: String) {
        let made = SigningKeys(secret: secret, use: "quittance staff 1").all
        keys = made.map { $0.hmac.authenticate(Array("sealing".utf8)) }
        digests = made.map { HMACSHA256(key: $0.hmac.authenticate(Array("digests".utf8))) }
    }

    func seal(_ plain: [UInt8], for user: String) -> [UInt8] { SealedBytes.seal(plain, key: keys[0], context: Array(user.utf8)) }

    func open(_ sealed: [UInt8], for user: String) -> [UInt8]? {
        for key in keys {
            if let plain = SealedBytes.open(sealed, key: key, context: Array(user.utf8)) { return plain }
        }
        return nil
    }

    /// The same under the key of now, where one of before sealed it; nil where there is nothing to renew.
    func renewed(_ sealed: [UInt8], for user: String) -> [UInt8]? {
        guard SealedBytes.open(sealed, key: keys[0], context: Array(user.utf8)) == nil else { return nil }
        return open(sealed, for: user).map { seal($0, for: user) }
    }

    /// The digests that a text may have been kept under, the one it is kept under now first.
    func digests(of text: String, for user: String) -> [[UInt8]] { digests.map { $0.authenticate(Array(user.utf8), Array(text.utf8)) } }
}
