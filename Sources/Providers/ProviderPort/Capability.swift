import Cryptography
import Formats

/// The secret part of a notification address, for providers whose posts prove nothing: it says that the address was made by us for this
/// payment and this attempt at it, and can be checked without asking SQL.
///
/// `/webhooks/<provider>/<payment>/<number of the attempt>.<code>`, the code being HMAC-SHA256 truncated to 128 bits, in Base64 for URLs:
/// 22 characters, as some providers take no more than 120 for the whole address.
public struct CapabilitySigner: Sendable {
    private let macs: [HMACSHA256]

    /// - Parameter secrets: the provider's `*_WEBHOOK_SECRET`; all verify, the first signs.
    public init(secrets: [String]) { macs = secrets.map { HMACSHA256(key: Array("quittance capability:".utf8) + Array($0.utf8)) } }

    /// What a capability was made for.
    public struct Grant: Sendable, Equatable {
        public let attemptNumber: Int64
        /// Number of the secret that matched, 0 being the newest.
        public let matchedKey: Int
    }

    /// The last piece of the address; nil without a secret.
    public func capability(provider: String, payment: String, attemptNumber: Int64) -> String? {
        macs.first.map { "\(attemptNumber).\(Self.code($0, provider, payment, attemptNumber))" }
    }

    /// What a capability grants; nil when it is none of ours for this payment.
    public func verify(_ capability: String, provider: String, payment: String) -> Grant? {
        let parts = capability.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let number = Int64(parts[0]), String(number) == parts[0], number > 0 else { return nil }
        let claimed = Array(parts[1].utf8)
        let matched = macs.firstIndex { ConstantTime.equal(claimed, Array(Self.code($0, provider, payment, number).utf8)) }
        return matched.map { Grant(attemptNumber: number, matchedKey: $0) }
    }

    private static func code(_ mac: HMACSHA256, _ provider: String, _ payment: String, _ number: Int64) -> String {
        let code = mac.authenticate(Array(provider.utf8), [0], Array(payment.utf8), [0], Array(String(number).utf8))
        return Base64.urlEncode(Array(code.prefix(16)))
    }
}
