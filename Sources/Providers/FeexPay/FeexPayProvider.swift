import Formats
import Money
import ProviderPort

/// FeexPay, API V2. Its webhooks prove their sender at best: money is moved by the status call alone.
public struct FeexPayProvider: PaymentProvider {
    public let name = "feexpay"
    public let capabilities: ProviderCapabilities
    public let offer: ProviderOffer

    /// The words that `FEEXPAY_NETWORKS_OFF` may hold: every network and card.
    public static let networkWords = FeexPayOffer.words

    private let proof: FeexPayProof
    private let offered: FeexPayOffer
    private let start: FeexPayStart
    private let inquiry: FeexPayInquiry

    /// - Parameters:
    ///   - secrets: `FEEXPAY_WEBHOOK_SECRET`, the newest first. With one, a webhook must carry it.
    ///   - networksOff: words of ``networkWords`` that are refused with that as the reason.
    ///   - live: requires public https addresses for the way back from a page.
    /// - Throws: ``ProviderError`` `misconfigured` for V1's host and for an unknown network.
    public init(
        apiKey: String, shopID: String, secrets: [String], apiURL: String = "https://api-v2.feexpay.me", networksOff: [String] = [],
        live: Bool = false, nowMs: @escaping @Sendable () -> Int64 = { WallClock.nowMs }
    ) throws(ProviderError) {
        guard !FeexPayShape.withdrawnHosts.contains(FeexPayShape.host(of: apiURL)) else {
            throw ProviderError(
                .misconfigured, "FEEXPAY_API_URL is FeexPay's withdrawn V1 (\(FeexPayShape.host(of: apiURL))): use \(FeexPayShape.liveURL)")
        }
        if let unknown = networksOff.first(where: { !FeexPayOffer.words.contains($0) }) {
            throw ProviderError(
                .misconfigured, "FEEXPAY_NETWORKS_OFF has '\(unknown.prefix(40))', which is none of \(FeexPayOffer.words.joined(separator: " "))")
        }
        let offered = FeexPayOffer(off: Set(networksOff))
        let api = FeexPayAPI(apiURL: apiURL, apiKey: apiKey, shop: shopID)
        offer = offered.offer
        self.offered = offered
        proof = FeexPayProof(secrets: secrets)
        capabilities = ProviderCapabilities(
            hasProof: proof.isSet, proofCoversMoney: false, hasInitiate: true, hasStatus: true, statusReferenceKinds: ["reference", "ours"],
            identifiedBy: ["reference"],
            refunds: .none, hasHistory: true, standardPolicy: proof.isSet ? .trust : .fetch)
        start = FeexPayStart(offer: offered, request: FeexPayRequest(shop: shopID, live: live), api: api, nowMs: nowMs)
        inquiry = FeexPayInquiry(api: api, nowMs: nowMs)
    }

    public func ways(method: String?, network: String?) -> [ProviderOffer.Choice] { offered.ways(method: method, network: network) }

    public func verifyWebhook(_ webhook: IncomingWebhook, nowMs: Int64) -> WebhookVerdict {
        guard webhook.method != "GET" && webhook.method != "HEAD" else { return .ignored(reason: "availability ping") }
        guard proof.isSet else { return unproven(webhook, nowMs, "no FEEXPAY_WEBHOOK_SECRET is set") }
        switch proof.finding(webhook) {
        case .none:
            return unproven(webhook, nowMs, "neither authorization nor \(FeexPayShape.signatureHeader), and FEEXPAY_WEBHOOK_SECRET is set")
        case .wrong(let reason): return .refused(reason: reason)
        // Reference and status are in the body: another one of either is another delivery.
        case .proven(let trust, let matchedKey, let note): return .accepted(accepted(trust, webhook.body, matchedKey, note))
        }
    }

    private func unproven(_ webhook: IncomingWebhook, _ nowMs: Int64, _ note: String) -> WebhookVerdict {
        guard webhook.mayLackProof(capabilities) else { return .refused(reason: note) }
        guard let record = (try? JSON(parsing: webhook.body)).flatMap(FeexPayRecord.init), record.reference != nil || record.isHistoryResult else {
            return .refused(reason: "the body is no JSON object with a reference")
        }
        return .accepted(.unproven(webhook, provider: name, nowMs: nowMs, note: note))
    }

    private func accepted(_ trust: Trust, _ identity: [UInt8], _ matchedKey: Int?, _ note: String) -> AcceptedWebhook {
        AcceptedWebhook(
            trust: trust, deliveryID: DeliveryIdentity.ofBody(identity, provider: name), type: "payment.notification", matchedKey: matchedKey,
            note: note)
    }

    /// What it says is a hint of where to ask: no amount is taken from it, and `reason` decides nothing.
    public func parse(body: [UInt8], contentType: String) throws(ProviderError) -> ProviderNotice {
        let json: JSON
        do { json = try JSON(parsing: body) } catch { throw ProviderError(.unreadable, "the body is not JSON: \(error)") }
        guard let record = FeexPayRecord(json) else { throw ProviderError(.unreadable, "the body is JSON but not an object") }
        // The announcement of a history that somebody asked for is about no payment.
        if record.isHistoryResult { return ProviderNotice(references: [], claim: .unknown) }
        guard let reference = record.reference else { throw ProviderError(.unreadable, "field 'reference' is missing or no text") }
        let told = record.notice(references: [], currency: .xof)
        return ProviderNotice(
            references: [ProviderReference("reference", reference)] + record.namedAttempts.map { .ours($0) }, claim: record.claim,
            transaction: told.transaction, occurredAtMs: told.occurredAtMs,
            errorCode: record.claim == told.claim ? told.errorCode : nil, errorText: record.claim == told.claim ? told.errorText : nil)
    }

    public func initiate(_ order: PaymentOrder, over transport: any ProviderTransport) async throws(ProviderError) -> Initiation {
        try await start(order, over: transport)
    }

    public func status(of question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        try await inquiry(question, over: transport)
    }

    public func identify(_ reference: ProviderReference, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        let record = try await inquiry.api.transaction(reference.value, over: transport)
        return ProviderNotice(references: record.namedAttempts.map { .ours($0) }, claim: .unknown)
    }

    public func history(_ query: HistoryQuery, over transport: any ProviderTransport) async throws(ProviderError) -> HistoryPage {
        try await inquiry.history(query, over: transport)
    }
}
