import Cryptography
import Formats
import ProviderPort

/// Checks the signature of the Standard Webhooks scheme, `v1`: HMAC-SHA256 over `id.timestamp.body`.
///
/// Made once with all active secrets; a check touches bytes only and allocates a handful of small arrays.
public struct StandardWebhooksVerifier: Sendable {
    /// How far the sender's clock may be off, both ways. Exactly this much still passes.
    public static let toleranceSeconds: Int64 = 300
    /// A longer id is no id: it becomes a key in Redis and in SQL.
    public static let idLengthMax = DeliveryIdentity.lengthMax

    private let keys: [HMACSHA256]

    /// - Parameter secrets: `whsec_…`, the newest first; every one of them verifies.
    /// - Throws: ``ProviderError`` `misconfigured` when a secret cannot be read.
    public init(secrets: [String]) throws(ProviderError) {
        keys = try WebhookSecret.keys(of: secrets).map { HMACSHA256(key: $0) }
    }

    public enum Outcome: Sendable, Equatable {
        /// Signed by the secret of that number, 0 being the newest.
        case verified(id: String, matchedKey: Int)
        case refused(reason: String)
    }

    /// Whether a post carries a header of this scheme at all, complete or not.
    public static func isSigned(_ headers: HTTPHeaders) -> Bool {
        headers.contains("webhook-signature") || headers.contains("svix-signature")
    }

    public func verify(headers: HTTPHeaders, body: [UInt8], nowMs: Int64) -> Outcome {
        guard !keys.isEmpty else { return .refused(reason: "no secret is set for this source") }
        guard let proof = Proof(headers) else { return .refused(reason: "header webhook-id, webhook-timestamp or webhook-signature is missing") }
        guard Self.isPlausibleID(proof.id) else { return .refused(reason: "webhook-id is empty, too long or not printable ASCII") }
        guard let timestamp = Self.seconds(proof.timestamp) else { return .refused(reason: "webhook-timestamp is not a whole number of seconds") }
        let age = nowMs / 1000 - timestamp
        guard age <= Self.toleranceSeconds else { return .refused(reason: "webhook-timestamp is \(age) s old") }
        guard -age <= Self.toleranceSeconds else { return .refused(reason: "webhook-timestamp is \(-age) s in the future") }
        let claimed = Self.signatures(in: proof.signature)
        guard !claimed.isEmpty else { return .refused(reason: "webhook-signature holds no readable v1 signature") }

        var head = proof.id
        head.append(UInt8(ascii: "."))
        head.append(contentsOf: proof.timestamp)
        head.append(UInt8(ascii: "."))
        for (number, key) in keys.enumerated() {
            let expected = key.authenticate(head, body)
            for signature in claimed where ConstantTime.equal(signature, expected) {
                return .verified(id: String(decoding: proof.id, as: UTF8.self), matchedKey: number)
            }
        }
        return .refused(reason: "no signature matches")
    }

    /// The three headers, all of one family: mixing `webhook-` and `svix-` would let one sender borrow the other's id.
    private struct Proof {
        let id: [UInt8]
        let timestamp: [UInt8]
        let signature: [UInt8]

        init?(_ headers: HTTPHeaders) {
            if let proof = Proof(headers, "webhook-id", "webhook-timestamp", "webhook-signature") {
                self = proof
            } else if let proof = Proof(headers, "svix-id", "svix-timestamp", "svix-signature") {
                self = proof
            } else {
                return nil
            }
        }

        private init?(_ headers: HTTPHeaders, _ idName: String, _ timestampName: String, _ signatureName: String) {
            guard let id = headers.valueBytes(idName), let timestamp = headers.valueBytes(timestampName),
                let signature = headers.valueBytes(signatureName)
            else { return nil }
            self.id = id
            self.timestamp = timestamp
            self.signature = signature
        }
    }

    private static func isPlausibleID(_ id: [UInt8]) -> Bool {
        (1...idLengthMax).contains(id.count) && id.allSatisfy { (0x21...0x7e).contains($0) }
    }

    /// One to twelve digits and nothing else: no sign, no blank, no fraction.
    private static func seconds(_ text: [UInt8]) -> Int64? {
        guard (1...12).contains(text.count) else { return nil }
        var value: Int64 = 0
        for byte in text {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            value = value * 10 + Int64(byte - UInt8(ascii: "0"))
        }
        return value
    }

    /// The `v1` signatures of a space-separated list, decoded. Other versions and malformed entries are skipped, so that
    /// they cannot make the good ones fail.
    private static func signatures(in header: [UInt8]) -> [[UInt8]] {
        var found: [[UInt8]] = []
        for entry in header.split(separator: UInt8(ascii: " ")) where entry.starts(with: versionPrefix) {
            guard let bytes = Base64.decode(Array(entry.dropFirst(versionPrefix.count))), bytes.count == 32 else { continue }
            found.append(bytes)
        }
        return found
    }

    private static let versionPrefix = Array("v1,".utf8)
}
