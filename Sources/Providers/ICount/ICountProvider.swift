import Cryptography
import Formats
import Money
import ProviderPort

/// iCount: a hosted payment page made for each attempt, a notification without a signature, and `cc/transactions`, which alone moves money
/// state: by the confirmation code that came to the attempt's own address.
public struct ICountProvider: PaymentProvider {
    public let name = "icount"
    public let capabilities: ProviderCapabilities
    public let offer = SaleRules.offer
    public let addressSigner: CapabilitySigner?

    static let secretHeader = "x-icount-secret"
    static let reasonLengthMax = 200

    private let sales: SaleRules
    private let api: ICountAPI
    private let secrets: [[UInt8]]
    private let nowMs: @Sendable () -> Int64

    /// - Parameters:
    ///   - apiToken: `ICOUNT_API_TOKEN`, preferred; without it `company`, `user` and `password` begin a session.
    ///   - paypageID: `ICOUNT_PAYPAGE_ID`, the page's integer id.
    ///   - secrets: `ICOUNT_WEBHOOK_SECRET`, the newest first: it makes the address of each payment's notifications, and is compared with what
    ///     the webhooks of documents bring.
    ///   - live: requires public https addresses, and keeps calls half a second apart.
    /// - Throws: ``ProviderError`` `misconfigured`.
    public init(
        apiToken: String? = nil, company: String? = nil, user: String? = nil, password: String? = nil, paypageID: String, secrets: [String],
        apiURL: String = "https://api.icount.co.il/api/v3.php", live: Bool = false, nowMs: @escaping @Sendable () -> Int64 = { WallClock.nowMs }
    ) throws(ProviderError) {
        let access = try ICountAccess(token: apiToken, company: company, user: user, password: password)
        sales = try SaleRules(paypageID: paypageID, live: live)
        api = ICountAPI(apiURL: apiURL, access: access, pace: live ? RequestPace() : nil, nowMs: nowMs)
        self.secrets = secrets.map { Array($0.utf8) }
        self.nowMs = nowMs
        addressSigner = secrets.isEmpty ? nil : CapabilitySigner(secrets: secrets)
        // Before a confirmation code came there is nothing to ask by: early questions are for nothing.
        capabilities = ProviderCapabilities(
            hasProof: !secrets.isEmpty, proofCoversMoney: false, hasInitiate: true, hasStatus: true,
            statusReferenceKinds: [ICountReference.confirmationKind], refunds: .full, discouragesPolling: true,
            callsPerSecond: 2, standardPolicy: .fetch)
    }

    public func verifyWebhook(_ webhook: IncomingWebhook, nowMs: Int64) -> WebhookVerdict {
        guard webhook.method == "POST" else { return .refused(reason: "notifications are posted") }
        let claimed = webhook.headers[Self.secretHeader].map { Array($0.utf8) } ?? []
        let matched = secrets.firstIndex { !$0.isEmpty && ConstantTime.equal($0, claimed) }
        if !claimed.isEmpty, !secrets.isEmpty, matched == nil { return .refused(reason: "\(Self.secretHeader) does not match") }
        let isProven = webhook.cameByCapability || matched != nil
        let type: String
        do throws(ProviderError) {
            type = try CallbackMessage(webhook.body, contentType: webhook.contentType).type
        } catch {
            // What was proved and cannot be read is for a person.
            guard isProven else { return .refused(reason: error.message) }
            type = "payment.notification"
        }
        guard isProven else {
            let note = "neither a capability in the path nor \(Self.secretHeader)"
            guard webhook.mayLackProof(capabilities) else { return .refused(reason: note) }
            return .accepted(.unproven(webhook, provider: name, type: type, nowMs: nowMs, note: note))
        }
        return .accepted(
            AcceptedWebhook(
                trust: .sharedSecret, deliveryID: DeliveryIdentity.ofBody(webhook.body, provider: name), type: type,
                matchedKey: matched, note: webhook.cameByCapability ? "the address made for this attempt" : Self.secretHeader))
    }

    public func parse(body: [UInt8], contentType: String) throws(ProviderError) -> ProviderNotice {
        try CallbackMessage(body, contentType: contentType).notice
    }

    public func initiate(_ order: PaymentOrder, over transport: any ProviderTransport) async throws(ProviderError) -> Initiation {
        let answer = try await api.call("paypage/generate_sale", try sales.request(for: order), over: transport)
        guard let url = answer["sale_url"]?.string, url.hasPrefix(sales.live ? "https://" : "http") else {
            throw ProviderError(.unavailable, "the answer to paypage/generate_sale has no sale_url that can be used")
        }
        let sale = FieldText.of(answer["sale_uniqid"]).map { ProviderReference(ICountReference.saleKind, $0) }
        return Initiation(
            paymentURL: url, qrCode: nil, references: [.ours(order.attempt)] + [sale].compactMap { $0 }, expiresAtMs: nowMs() + SaleRules.saleLifeMs)
    }

    /// By confirmation codes that are proved to be this attempt's. One that somebody merely handed in proves nothing here, as the answer names
    /// no order: the same code could be told for any attempt of the same sum.
    public func status(of question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        do throws(ProviderError) {
            return try await question.ask(by: [ICountReference.confirmationKind]) { reference throws(ProviderError) in
                try CardTransaction.notice(of: try await transactions(reference.value, over: transport), confirmation: reference.value, to: question)
            }
        } catch {
            let isHandedIn = question.unverified.contains { $0.kind == ICountReference.confirmationKind }
            guard error.kind == .notFound, isHandedIn, question.reference(ICountReference.confirmationKind) == nil else { throw error }
            return ProviderNotice(
                references: [], claim: .unknown, errorCode: "unproven_confirmation",
                errorText: "a confirmation code was told, but not to the address made for this attempt")
        }
    }

    /// Cancels the document together with the charge. The charge is looked at first: one that was given back already is not given back again.
    public func refund(_ order: RefundOrder, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        guard order.isFull else {
            throw ProviderError(
                .rejected, "iCount gives back whole payments only: a part is given back in iCount by a credit document, and recorded here",
                code: "full_only")
        }
        let charge = try await charge(of: order.question, over: transport)
        if let charge, charge.isRefunded { return Self.refunded(order, charge) }
        guard let document = charge?.document ?? order.question.references.lazy.compactMap({ ICountDocument($0) }).first else {
            throw ProviderError(
                .rejected, "the payment has no document at iCount, by which alone it can be given back: refund there, then record it here",
                code: "no_document")
        }
        let fields: [(String, JSON)] = [
            ("doctype", .string(document.type)), ("docnum", document.numberField), ("refund_cc", 1),
            ("reason", .string(String((order.reason.isEmpty ? "Refund" : order.reason).prefix(Self.reasonLengthMax)))),
        ]
        _ = try await api.call("doc/cancel", fields, over: transport)
        return Self.refunded(order, charge)
    }

    private static func refunded(_ order: RefundOrder, _ charge: CardTransaction?) -> ProviderNotice {
        ProviderNotice(references: charge?.references ?? [], claim: .refunded, amount: order.amount, transaction: charge?.number)
    }

    /// The charge of the attempt; nil where iCount lists none, or not just one.
    private func charge(of question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> CardTransaction? {
        guard let code = question.reference(ICountReference.confirmationKind) else { return nil }
        do throws(ProviderError) {
            let charges = CardTransaction.all(in: try await transactions(code, over: transport), confirmation: code)
            return charges.count == 1 ? charges[0] : nil
        } catch {
            guard error.kind == .notFound else { throw error }
            return nil
        }
    }

    private func transactions(_ confirmation: String, over transport: any ProviderTransport) async throws(ProviderError) -> JSON {
        try await api.call("cc/transactions", [("confirmation_code", .string(confirmation))], over: transport)
    }
}
