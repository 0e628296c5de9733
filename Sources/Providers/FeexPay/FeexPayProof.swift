import Cryptography
import Formats
import ProviderPort

/// What a webhook of FeexPay may carry: the fixed `Authorization` value that the merchant chose in the dashboard, or, where one of the products
/// expects it, HMAC-SHA256 of the body in hex. Neither is documented to cover the money in a way that was ever shown, so FeexPay is always asked.
struct FeexPayProof: Sendable {
    private struct Key: Sendable {
        let mac: HMACSHA256
        /// Everything after the scheme that stands for this secret: as it is, and Base64 of it, since nobody knows which `Basic` means.
        let values: [[UInt8]]
    }
    private let keys: [Key]

    /// - Parameter secrets: `FEEXPAY_WEBHOOK_SECRET`, the newest first.
    init(secrets: [String]) {
        keys = secrets.filter { !$0.isEmpty }.map { secret in
            let bytes = Array(secret.utf8)
            return Key(mac: HMACSHA256(key: bytes), values: [bytes, Array(Base64.encode(bytes).utf8)])
        }
    }

    var isSet: Bool { !keys.isEmpty }

    enum Finding: Sendable, Equatable {
        case none
        case proven(Trust, matchedKey: Int, note: String)
        case wrong(String)
    }

    /// Looks at both proofs: one that is there must be right, whatever the other is.
    func finding(_ webhook: IncomingWebhook) -> Finding {
        let signature = webhook.headers[FeexPayShape.signatureHeader].flatMap { $0.isEmpty ? nil : $0 }
        let authorization = webhook.headers["authorization"].flatMap { $0.isEmpty ? nil : $0 }
        var found = Finding.none
        if let authorization {
            guard let number = match(authorization: authorization) else { return .wrong("authorization does not match") }
            found = .proven(.sharedSecret, matchedKey: number, note: "the fixed authorization value")
        }
        if let signature {
            guard let number = match(signature: signature, webhook.body) else { return .wrong("\(FeexPayShape.signatureHeader) does not match") }
            found = .proven(.signed, matchedKey: number, note: "hex signature of the body")
        }
        return found
    }

    private func match(authorization: String) -> Int? {
        var value = authorization[...]
        for scheme in ["bearer ", "basic "] where value.lowercased().hasPrefix(scheme) { value = value.dropFirst(scheme.count) }
        let claimed = Array(value.utf8.drop { $0 == 0x20 })
        guard !claimed.isEmpty else { return nil }
        var matched: Int?
        for (number, key) in keys.enumerated() where matched == nil {
            // Both are compared, so that the time does not tell which form is near.
            let equal = key.values.map { ConstantTime.equal(claimed, $0) }
            if equal.contains(true) { matched = number }
        }
        return matched
    }

    private func match(signature: String, _ body: [UInt8]) -> Int? {
        let prefix = FeexPayShape.signaturePrefix
        let digits = signature.lowercased().hasPrefix(prefix) ? String(signature.dropFirst(prefix.count)) : signature
        guard let claimed = Hex.decode(digits), claimed.count == 32 else { return nil }
        return keys.firstIndex { ConstantTime.equal($0.mac.authenticate(body), claimed) }
    }
}
