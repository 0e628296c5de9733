import Formats
import Money
import ProviderPort

/// The payment back end of Servelink: initiate, status, and a signed callback that states status and, where it does, amount.
public struct PaymentBackendProvider: PaymentProvider {
    public let name = "payment-backend"
    public let capabilities = ProviderCapabilities(
        hasProof: true, proofCoversMoney: true, hasInitiate: true, hasStatus: true, statusReferenceKinds: ["external"], hasCancel: true)

    public let offer = ProviderOffer([
        ProviderOffer.Choice(method: "mobile_money", label: "Mobile money", currencies: Currency.all),
        ProviderOffer.Choice(method: "credit_card", label: "Carte bancaire", currencies: Currency.all),
    ])

    private let proof: CallbackProof
    private let api: PaymentBackendAPI

    /// - Parameters:
    ///   - baseURL: `PAYMENT_BACKEND_URL`, without the path.
    ///   - apiKey: `PAYMENT_API_KEY`.
    ///   - secrets: `PAYMENT_WEBHOOK_SECRET`, the newest first. With none, every callback is refused.
    public init(baseURL: String, apiKey: String, secrets: [String]) throws(ProviderError) {
        proof = try CallbackProof(secrets: secrets)
        api = PaymentBackendAPI(baseURL: baseURL, apiKey: apiKey)
    }

    public func verifyWebhook(_ webhook: IncomingWebhook, nowMs: Int64) -> WebhookVerdict {
        guard webhook.mayLackProof(capabilities), CallbackProof.isMissing(in: webhook) else {
            return proof.verdict(on: webhook, provider: name, nowMs: nowMs)
        }
        guard webhook.method == "POST", let notice = try? parse(body: webhook.body, contentType: webhook.contentType), !notice.references.isEmpty
        else {
            return .refused(reason: "the callback is not signed, and its body names no payment")
        }
        return .accepted(.unproven(webhook, provider: name, nowMs: nowMs, note: "the callback is not signed"))
    }

    public func parse(body: [UInt8], contentType: String) throws(ProviderError) -> ProviderNotice {
        let message: JSON
        do { message = try JSON(parsing: body) } catch { throw ProviderError(.unreadable, "the body is not JSON: \(error)") }
        // With Standard Webhooks the payment stands in `data`; without, at the top.
        return try PaymentRecord.notice(of: message["data"]?.object == nil ? message : message["data"] ?? message)
    }

    public func initiate(_ order: PaymentOrder, over transport: any ProviderTransport) async throws(ProviderError) -> Initiation {
        try await api.initiate(order, over: transport)
    }

    public func cancel(_ question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        try await question.ask(by: ["external"]) { reference throws(ProviderError) in try await api.cancel(reference, over: transport) }
    }

    public func status(of question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        try await question.ask(by: ["external"]) { reference throws(ProviderError) in try await api.status(of: reference, over: transport) }
    }
}
