import Formats
import Money
import ProviderPort

/// Orange Money Web Payment. Its notifications are not signed and say neither whose payment nor how much: that one came to an address made
/// for the payment, with a token that Orange and we share, makes it worth asking, and the answer alone moves money state.
public struct OrangeMoneyProvider: PaymentProvider {
    public let name = "orange-money"
    public let capabilities: ProviderCapabilities
    public let offer: ProviderOffer
    public let addressSigner: CapabilitySigner?

    private let rules: WebPaymentRules
    private let api: WebPaymentAPI
    private let live: Bool

    /// - Parameters:
    ///   - merchantName: `OM_MERCHANT_ID`, shown to the customer; the payment's description unless set.
    ///   - secrets: `OM_WEBHOOK_SECRET`, the newest first: it makes the address of each payment's notifications.
    ///   - apiURL: `OM_API_URL`, with the country's offer at its end.
    ///   - notifyURL: `OM_NOTIFY_URL`; where it is set its host takes the notifications.
    ///   - returnURL: `OM_RETURN_URL`; where it is set it replaces our own return page.
    ///   - live: requires the offer of a country, public https addresses and keys that are nobody's sample.
    /// - Throws: ``ProviderError`` `misconfigured`.
    public init(
        clientID: String, clientSecret: String, merchantKey: String, merchantName: String? = nil, secrets: [String], apiURL: String,
        notifyURL: String? = nil, returnURL: String? = nil, live: Bool = false, nowMs: @escaping @Sendable () -> Int64 = { WallClock.nowMs }
    ) throws(ProviderError) {
        let address = try WebPaymentAddress(apiURL: apiURL, live: live)
        if live, ([clientID, clientSecret, merchantKey] + secrets).contains(where: PublicSamples.contains) {
            throw ProviderError(.misconfigured, "a key of orange-money is a token of Orange's public samples: everybody knows it")
        }
        let name = merchantName.flatMap { $0.isEmpty ? nil : $0 }
        if let name, name.utf8.count > WebPaymentRules.referenceLengthMax {
            throw ProviderError(.misconfigured, "OM_MERCHANT_ID must have at most \(WebPaymentRules.referenceLengthMax) bytes")
        }
        // The capability in the address is the only proof that there is.
        capabilities = ProviderCapabilities(
            hasProof: !secrets.isEmpty, proofCoversMoney: false, hasInitiate: true, hasStatus: true, statusReferenceKinds: ["pay_token"],
            standardPolicy: .fetch)
        addressSigner = secrets.isEmpty ? nil : CapabilitySigner(secrets: secrets)
        rules = WebPaymentRules(
            address: address, merchantKey: merchantKey, merchantName: name, pages: MerchantPages(notifyURL: notifyURL, returnURL: returnURL),
            live: live)
        offer = rules.offer
        api = WebPaymentAPI(address: address, clientID: clientID, clientSecret: clientSecret, live: live, nowMs: nowMs)
        self.live = live
    }

    public func verifyWebhook(_ webhook: IncomingWebhook, nowMs: Int64) -> WebhookVerdict {
        guard webhook.method == "POST" else { return .refused(reason: "notifications are posted") }
        do throws(ProviderError) {
            let fields = try NotificationShape.read(webhook.body)
            guard !live || !PublicSamples.contains(fields.token) else {
                return .refused(reason: "notif_token is the one of Orange's public samples")
            }
        } catch {
            // What came to the right address and cannot be read is for a person; another product there is a wrong setting at Orange.
            guard webhook.cameByCapability, error.code != NotificationShape.otherCode else { return .refused(reason: error.message) }
        }
        if webhook.cameByCapability { return .accepted(proven(webhook.body)) }
        let note = "no capability in the path"
        guard webhook.mayLackProof(capabilities) else { return .refused(reason: note) }
        return .accepted(.unproven(webhook, provider: name, nowMs: nowMs, note: note))
    }

    public func parse(body: [UInt8], contentType: String) throws(ProviderError) -> ProviderNotice {
        let fields = try NotificationShape.read(body)
        let claim = WebPaymentStatus.claim(of: fields.status)
        var references = [ProviderReference("notif_token", fields.token)]
        if let transaction = fields.transaction { references.append(ProviderReference("txnid", transaction)) }
        return ProviderNotice(
            references: references, claim: claim, transaction: fields.transaction, errorCode: claim == .captured ? nil : fields.status)
    }

    public func initiate(_ order: PaymentOrder, over transport: any ProviderTransport) async throws(ProviderError) -> Initiation {
        try await api.start(try rules.request(for: order), attempt: order.attempt, over: transport)
    }

    /// Asked with order, amount and token together: the answer is about this attempt and this amount, or there is none.
    public func status(of question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        try await question.ask(by: ["pay_token"]) { reference throws(ProviderError) in
            try await api.status(of: question, payToken: reference.value, over: transport)
        }
    }

    private func proven(_ body: [UInt8]) -> AcceptedWebhook {
        AcceptedWebhook(
            trust: .sharedSecret, deliveryID: DeliveryIdentity.ofBody(body, provider: name), type: "payment.notification", matchedKey: nil,
            note: "the address made for this attempt")
    }
}
