import Cryptography
import Formats
import ProviderPort
import StandardWebhooks

/// The two ways in which a callback may be signed. Where Standard Webhooks' headers are there, they decide: falling back to the
/// header without a clock would let an old callback in again.
struct CallbackProof: Sendable {
    private let standard: StandardWebhooksVerifier
    private let plain: [HMACSHA256]
    /// Number in the settings of each secret that can sign by Standard Webhooks: a plain text that is not base64 cannot.
    private let standardNumbers: [Int]

    init(secrets: [String]) throws(ProviderError) {
        var standardSecrets: [String] = []
        var numbers: [Int] = []
        for (number, secret) in secrets.enumerated() {
            guard !secret.isEmpty else { throw ProviderError(.misconfigured, "secret number \(number + 1) is empty") }
            let readable = (try? StandardWebhooksVerifier(secrets: [secret])) != nil
            guard readable || !secret.hasPrefix("whsec_") else {
                throw ProviderError(.misconfigured, "secret number \(number + 1) is not base64 after 'whsec_'")
            }
            if readable {
                standardSecrets.append(secret)
                numbers.append(number)
            }
        }
        standard = try StandardWebhooksVerifier(secrets: standardSecrets)
        standardNumbers = numbers
        plain = secrets.map { HMACSHA256(key: Array($0.utf8)) }
    }

    /// Whether a callback does not even claim to be signed.
    static func isMissing(in webhook: IncomingWebhook) -> Bool {
        !StandardWebhooksVerifier.isSigned(webhook.headers) && webhook.headers.values(PaymentBackendShape.signatureHeader).allSatisfy(\.isEmpty)
    }

    func verdict(on webhook: IncomingWebhook, provider: String, nowMs: Int64) -> WebhookVerdict {
        if StandardWebhooksVerifier.isSigned(webhook.headers) {
            switch standard.verify(headers: webhook.headers, body: webhook.body, nowMs: nowMs) {
            case .refused(let reason): return .refused(reason: reason)
            case .verified(let id, let matchedKey):
                return .accepted(
                    AcceptedWebhook(
                        trust: .signed, deliveryID: id, type: "payment.notification", matchedKey: standardNumbers[matchedKey],
                        note: "Standard Webhooks signature"))
            }
        }
        guard let header = webhook.headers[PaymentBackendShape.signatureHeader] else {
            return .refused(reason: "neither Standard Webhooks' headers nor \(PaymentBackendShape.signatureHeader)")
        }
        guard let number = matchedKey(header, webhook.body) else { return .refused(reason: "\(PaymentBackendShape.signatureHeader) does not match") }
        // No clock in this proof: a repeat is recognised by its content.
        return .accepted(
            AcceptedWebhook(
                trust: .signed, deliveryID: DeliveryIdentity.ofBody(webhook.body, provider: provider), type: "payment.notification",
                matchedKey: number, note: "hex signature of the body"))
    }

    private func matchedKey(_ header: String, _ body: [UInt8]) -> Int? {
        let prefix = PaymentBackendShape.signaturePrefix
        let digits = header.lowercased().hasPrefix(prefix) ? String(header.dropFirst(prefix.count)) : header
        guard let claimed = Hex.decode(digits), claimed.count == 32 else { return nil }
        return plain.firstIndex { ConstantTime.equal($0.authenticate(body), claimed) }
    }
}
