import Formats
import ProviderPort

/// Reading of `whsec_…` secrets: the part behind the prefix is base64 of the key's bytes. Using the text itself as the key,
/// as another well-known scheme with the same prefix does, is the commonest mistake.
enum WebhookSecret {
    static let prefix = "whsec_"

    /// The keys of all secrets, the newest first.
    /// - Throws: `misconfigured` that names the secret by its position, never by its text.
    static func keys(of secrets: [String]) throws(ProviderError) -> [[UInt8]] {
        var keys: [[UInt8]] = []
        for (index, secret) in secrets.enumerated() {
            guard let key = key(of: secret) else {
                throw ProviderError(.misconfigured, "secret number \(index + 1) is not base64 of at least one byte, after an optional 'whsec_'")
            }
            keys.append(key)
        }
        return keys
    }

    /// The key of one secret; nil when it is none. The prefix may be left out and so may base64's padding.
    static func key(of secret: String) -> [UInt8]? {
        let text = secret.hasPrefix(prefix) ? String(secret.dropFirst(prefix.count)) : secret
        guard let key = Base64.decode(text, lenientPadding: true), !key.isEmpty else { return nil }
        return key
    }
}
