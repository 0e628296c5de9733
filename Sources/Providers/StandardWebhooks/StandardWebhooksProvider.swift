import Formats
import Money
import ProviderPort

/// Any sender that signs by the Standard Webhooks scheme and reports payments as `payment.*` messages.
///
/// The signature covers status, amount and currency, so an event is applied without asking back; there is no API to ask.
public struct StandardWebhooksProvider: PaymentProvider {
    public let name = "standard-webhooks"
    /// An order of another system's is paid when its customer pays, by whichever way, and nobody can be asked before: given up like a checkout,
    /// the payment of the third day would be a conflict.
    public let capabilities = ProviderCapabilities(
        hasProof: true, proofCoversMoney: true, hasInitiate: false, hasStatus: false, giveUpAfterMs: 60 * 24 * 3_600_000)
    public let offer = ProviderOffer([])

    private let verifier: StandardWebhooksVerifier

    /// - Parameter secrets: `STANDARD_WEBHOOKS_SECRET`, the newest first. With none, every post is refused.
    public init(secrets: [String]) throws(ProviderError) {
        verifier = try StandardWebhooksVerifier(secrets: secrets)
    }

    public func verifyWebhook(_ webhook: IncomingWebhook, nowMs: Int64) -> WebhookVerdict {
        switch verifier.verify(headers: webhook.headers, body: webhook.body, nowMs: nowMs) {
        case .verified(let id, let matchedKey):
            .accepted(AcceptedWebhook(trust: .signed, deliveryID: id, type: "payment.notification", matchedKey: matchedKey))
        case .refused(let reason): .refused(reason: reason)
        }
    }

    public func parse(body: [UInt8], contentType: String) throws(ProviderError) -> ProviderNotice {
        try PaymentMessage.notice(of: body)
    }
}
