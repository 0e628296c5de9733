import Cryptography
import Formats
import Money
import ProviderPort

/// KKiaPay: the customer pays in its widget on our page, and KKiaPay gives the transaction its number then. A webhook or a browser hands us
/// the number; money is moved by the status call alone, and only for a transaction that names the attempt.
public struct KKiaPayProvider: PaymentProvider {
    public let name = "kkiapay"
    public let capabilities = ProviderCapabilities(
        hasProof: true, proofCoversMoney: false, hasInitiate: true, hasStatus: true, statusReferenceKinds: ["transaction"],
        identifiedBy: ["transaction"], refunds: .full,
        callsToStart: false)

    public let offer = WidgetRules.offer

    /// Transactions of one attempt that are asked about at a time, those proved first: a customer tries a few times, a forger any number.
    static let askedMax = 25

    private let proof: SharedSecret
    private let widget: WidgetRules
    private let api: TransactionAPI

    /// - Parameters:
    ///   - publicKey: `KKIAPAY_PUBLIC_KEY`, which stands in the customer's page.
    ///   - privateKey: `KKIAPAY_PRIVATE_KEY`.
    ///   - secret: `KKIAPAY_SECRET`, of the API: another one than the webhook's.
    ///   - webhookSecrets: `KKIAPAY_WEBHOOK_SECRET`, the newest first. With none, every notification is refused.
    ///   - apiURL: KKiaPay's host of that mode, or one that plays it.
    /// - Throws: ``ProviderError`` `misconfigured` where mode and host do not go together.
    public init(
        publicKey: String, privateKey: String, secret: String, webhookSecrets: [String], apiURL: String = "https://api.kkiapay.me",
        live: Bool = false
    ) throws(ProviderError) {
        let host = try KKiaPayHost(apiURL, live: live)
        proof = SharedSecret(secrets: webhookSecrets)
        widget = WidgetRules(publicKey: publicKey, script: host.script, live: live)
        api = TransactionAPI(publicKey: publicKey, privateKey: privateKey, secret: secret, base: host.base)
    }

    public func verifyWebhook(_ webhook: IncomingWebhook, nowMs: Int64) -> WebhookVerdict {
        if webhook.mayLackProof(capabilities), SharedSecret.isMissing(in: webhook) { return unproven(webhook, nowMs) }
        switch proof.check(webhook) {
        case .refused(let reason): return .refused(reason: reason)
        case .matched(let number):
            // By its bytes and not by its transaction: one who has seen the secret could else post a forgery first, and the true
            // notification would be taken for its repetition.
            return .accepted(
                AcceptedWebhook(
                    trust: .sharedSecret, deliveryID: DeliveryIdentity.ofBody(webhook.body, provider: name), type: "payment.notification",
                    matchedKey: number))
        }
    }

    private func unproven(_ webhook: IncomingWebhook, _ nowMs: Int64) -> WebhookVerdict {
        guard webhook.method == "POST", let notice = try? WebhookMessage.notice(of: webhook.body), !notice.references.isEmpty else {
            return .refused(reason: "\(SharedSecret.header) is missing, and the body names no transaction")
        }
        return .accepted(.unproven(webhook, provider: name, nowMs: nowMs, note: "\(SharedSecret.header) is missing"))
    }

    public func parse(body: [UInt8], contentType: String) throws(ProviderError) -> ProviderNotice { try WebhookMessage.notice(of: body) }

    public func initiate(_ order: PaymentOrder, over transport: any ProviderTransport) async throws(ProviderError) -> Initiation {
        try widget.initiation(for: order)
    }

    public func status(of question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        let answers = try await answers(to: question, references: question.references + question.unverified, over: transport)
        guard let decisive = answers.max(by: { $0.rank < $1.rank }) else {
            throw ProviderError(.notFound, "no transaction of the attempt is known yet")
        }
        return Self.notice(of: decisive, among: answers)
    }

    public func identify(_ reference: ProviderReference, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        let answer = try await api.status(of: reference.value, attempt: "", over: transport)
        return ProviderNotice(references: answer.named.map { [.ours($0)] } ?? [], claim: .unknown)
    }

    public func refund(_ order: RefundOrder, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        try await Reversal(api: api).carryOut(
            order, known: try await answers(to: order.question, references: order.question.references, over: transport), over: transport)
    }

    /// Asks about every transaction there is a hint of. All of them: an attempt may have been paid twice.
    /// - Throws: ``ProviderError`` where one could not be asked about and none of the others is a success.
    private func answers(
        to question: StatusQuestion, references: [ProviderReference], over transport: any ProviderTransport
    ) async throws(ProviderError) -> [TransactionAnswer] {
        var answers: [TransactionAnswer] = []
        var asked: Set<String> = []
        for reference in references where reference.kind == "transaction" && asked.insert(reference.value).inserted {
            guard asked.count <= Self.askedMax else { break }
            do throws(ProviderError) {
                answers.append(try await api.status(of: reference.value, attempt: question.attempt, over: transport))
            } catch {
                switch error.kind {
                // Somebody handed in what is no transaction: the others may be.
                case .notFound, .rejected: continue
                default:
                    guard answers.contains(where: { $0.claim == .captured }) else { throw error }
                    return answers
                }
            }
        }
        return answers
    }

    /// The notice of the answer that decides, with the numbers of all transactions that are the attempt's.
    private static func notice(of decisive: TransactionAnswer, among answers: [TransactionAnswer]) -> ProviderNotice {
        guard decisive.isOurs else { return decisive.notice }
        let ours = [decisive] + answers.filter { $0.isOurs && $0 != decisive }
        let paid = ours.filter { $0.claim == .captured }
        let said = decisive.notice
        return ProviderNotice(
            references: ours.map { ProviderReference("transaction", $0.transaction) }, claim: said.claim, amount: said.amount,
            amountProblem: said.amountProblem, transaction: said.transaction, occurredAtMs: said.occurredAtMs,
            errorCode: paid.count > 1 ? Reversal.paidTwiceCode : said.errorCode,
            errorText: paid.count > 1
                ? "paid \(paid.count) times, by \(paid.map(\.transaction).joined(separator: ", ")): the surplus is to be refunded at KKiaPay"
                : said.errorText)
    }
}
