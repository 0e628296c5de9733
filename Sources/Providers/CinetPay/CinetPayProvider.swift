import Cryptography
import Formats
import Money
import ProviderPort

/// CinetPay, checkout v2. A notification says only that there is something to ask for: money is moved by the check call alone.
public struct CinetPayProvider: PaymentProvider {
    public let name = "cinetpay"
    /// Its documentation wants notifications to be the way, and advises against scheduled questions; it promises no repetition of a lost one.
    public let capabilities = ProviderCapabilities(
        hasProof: true, proofCoversMoney: false, hasInitiate: true, hasStatus: true, statusReferenceKinds: ["ours", "token"],
        discouragesPolling: true, standardPolicy: .fetch)

    public let offer = CheckoutRules.offer

    public let addressSigner: CapabilitySigner?

    private let siteID: String
    private let token: NotificationToken
    private let checkout: CheckoutRules
    private let api: CheckoutAPI

    /// - Parameters:
    ///   - siteID: `CINETPAY_SITE_ID`; a notification for any other site is refused.
    ///   - secrets: `CINETPAY_WEBHOOK_SECRET`, the newest first. With none, every notification is unproven.
    ///   - apiURL: with or without `/v2` at its end.
    ///   - live: requires public https addresses for notifications and return.
    public init(apiKey: String, siteID: String, secrets: [String], apiURL: String = "https://api-checkout.cinetpay.com/v2", live: Bool = false) {
        self.siteID = siteID
        addressSigner = secrets.isEmpty ? nil : CapabilitySigner(secrets: secrets)
        token = NotificationToken(secrets: secrets)
        checkout = CheckoutRules(live: live)
        api = CheckoutAPI(apiKey: apiKey, siteID: siteID, apiURL: apiURL)
    }

    public func verifyWebhook(_ webhook: IncomingWebhook, nowMs: Int64) -> WebhookVerdict {
        guard webhook.method != "GET" && webhook.method != "HEAD" else { return .ignored(reason: "availability ping") }
        let fields: NotificationFields
        do throws(ProviderError) {
            fields = try NotificationFields(body: webhook.body, contentType: webhook.contentType)
        } catch {
            return .refused(reason: error.message)
        }
        if let verdict = verdictOnOtherMessages(fields) { return verdict }
        if let problem = NotificationRules.problem(of: fields, siteID: siteID) { return .refused(reason: problem) }
        guard let claimed = webhook.headers["x-token"], !claimed.isEmpty else {
            return unproven(webhook, nowMs, "no x-token")
        }
        guard token.canCheck else { return unproven(webhook, nowMs, "x-token not checked: no secret is set") }
        if let problem = NotificationRules.dateProblem(of: fields) { return .refused(reason: problem) }
        guard let match = token.match(claimed, fields) else { return .refused(reason: "x-token does not match") }
        return .accepted(
            AcceptedWebhook(
                trust: .signed, deliveryID: DeliveryIdentity.ofBody(webhook.body, provider: name), type: "payment.notification",
                matchedKey: match.key, note: "x-token over the \(match.order.rawValue) order"))
    }

    public func parse(body: [UInt8], contentType: String) throws(ProviderError) -> ProviderNotice {
        let fields = try NotificationFields(body: body, contentType: contentType)
        guard let transaction = fields.text("cpm_trans_id") else { throw ProviderError(.unreadable, "field 'cpm_trans_id' is missing or empty") }
        let hint = fields.text("cpm_error_message")
        let succeeded = hint == nil || hint == "SUCCES"
        // The amount is left out on purpose: the token does not hold the fields apart. The date has no zone.
        return ProviderNotice(
            references: [.ours(transaction)], claim: NotificationRules.claim(ofHint: hint), errorCode: succeeded ? nil : hint)
    }

    public func initiate(_ order: PaymentOrder, over transport: any ProviderTransport) async throws(ProviderError) -> Initiation {
        let request = try checkout.request(for: order)
        return try await api.initiate(request, attempt: order.attempt, over: transport)
    }

    public func status(of question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        try await question.ask(by: ["token", "ours"]) { reference throws(ProviderError) in try await api.check(reference, over: transport) }
    }

    /// Messages of CinetPay that are not checkout v2 notifications.
    private func verdictOnOtherMessages(_ fields: NotificationFields) -> WebhookVerdict? {
        guard fields.bytes("cpm_trans_id") == nil else { return nil }
        if fields.bytes("merchant_transaction_id") != nil && fields.bytes("notify_token") != nil {
            return .refused(
                reason: "a notification of CinetPay's newer API (merchant_transaction_id, notify_token), not of checkout v2")
        }
        if fields.bytes("treatment_status") != nil { return .ignored(reason: "a payout notification; payouts are not used") }
        return nil
    }

    private func unproven(_ webhook: IncomingWebhook, _ nowMs: Int64, _ note: String) -> WebhookVerdict {
        webhook.mayLackProof(capabilities) ? .accepted(.unproven(webhook, provider: name, nowMs: nowMs, note: note)) : .refused(reason: note)
    }
}
