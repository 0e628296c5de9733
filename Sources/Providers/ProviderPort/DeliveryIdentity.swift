import Cryptography
import Formats

/// Identity of a delivery whose sender gives it none: the digest of where it came from and what it said.
public enum DeliveryIdentity {
    /// Longest identity that is taken, in bytes: what is accepted must be readable further on.
    public static let lengthMax = 256

    /// `evt_` + 40 hex digits of SHA-256 over provider, a zero byte and the exact body.
    public static func ofBody(_ body: [UInt8], provider: String) -> String {
        let digest = Digest.sha256(Array(provider.utf8) + [0] + body)
        return "evt_" + Hex.encode(Array(digest.prefix(20)))
    }
}
