import Cryptography
import Formats
import Money
import ProviderPort

/// Wave, by its own checkout: a session that its customer pays in the app, and signed events that state status, amount and currency.
public struct WaveProvider: PaymentProvider {
    public let name = "wave"
    /// A signature covers the whole body, and the event of a completed session states everything that is compared. Posts that came by the shared
    /// secret are not signed, and asked about.
    public let capabilities = ProviderCapabilities(
        hasProof: true, proofCoversMoney: true, hasInitiate: true, hasStatus: true, statusReferenceKinds: ["session", "ours"],
        identifiedBy: ["session"], refunds: .full,
        hasCancel: true)

    public let offer = CheckoutRules.offer

    private let proof: WaveSignature
    private let rules: CheckoutRules
    private let api: CheckoutAPI

    /// - Parameters:
    ///   - apiKey: `WAVE_API_KEY`, bound to one wallet.
    ///   - secrets: `WAVE_WEBHOOK_SECRET`, the newest first. With none, every event is refused.
    ///   - live: requires https addresses for the customer's return.
    public init(apiKey: String, secrets: [String], apiURL: String = "https://api.wave.com", live: Bool = false) {
        proof = WaveSignature(secrets: secrets)
        rules = CheckoutRules(live: live)
        api = CheckoutAPI(baseURL: apiURL, apiKey: apiKey)
    }

    public func verifyWebhook(_ webhook: IncomingWebhook, nowMs: Int64) -> WebhookVerdict {
        if webhook.mayLackProof(capabilities), WaveSignature.isMissing(in: webhook) { return unproven(webhook, nowMs) }
        switch proof.check(webhook, nowMs: nowMs) {
        case .refused(let reason): return .refused(reason: reason)
        case .signed(let number):
            // A duplicated webhook sends an event under each of two secrets, with one id: it is one delivery.
            let identity = EventMessage.identity(of: webhook.body) ?? DeliveryIdentity.ofBody(webhook.body, provider: name)
            return .accepted(
                AcceptedWebhook(
                    trust: .signed, deliveryID: identity, type: "payment.notification", matchedKey: number, note: "signed"))
        case .sharedSecret(let number):
            // The id is not covered: by its bytes, so that no forgery can take a true event's place.
            return .accepted(
                AcceptedWebhook(
                    trust: .sharedSecret, deliveryID: DeliveryIdentity.ofBody(webhook.body, provider: name), type: "payment.notification",
                    matchedKey: number, note: "shared secret"))
        }
    }

    private func unproven(_ webhook: IncomingWebhook, _ nowMs: Int64) -> WebhookVerdict {
        guard webhook.method == "POST", let notice = try? EventMessage.notice(of: webhook.body), !notice.references.isEmpty else {
            return .refused(reason: "neither \(WaveSignature.header) nor authorization is there, and the body is no event about a session")
        }
        return .accepted(.unproven(webhook, provider: name, nowMs: nowMs, note: "neither \(WaveSignature.header) nor authorization is there"))
    }

    public func parse(body: [UInt8], contentType: String) throws(ProviderError) -> ProviderNotice { try EventMessage.notice(of: body) }

    public func initiate(_ order: PaymentOrder, over transport: any ProviderTransport) async throws(ProviderError) -> Initiation {
        let request = try rules.request(for: order)
        let session: CheckoutSession
        do throws(ProviderError) {
            session = try await api.create(request, attempt: order.attempt, over: transport)
        } catch {
            // It may have been made: a second one under the same reference would be a second way to pay.
            guard error.kind == .unavailable, !["connect", "resolve"].contains(error.code ?? ""),
                let made = try? await api.sessions(clientReference: order.attempt, over: transport).first(where: { $0.claim == .pending })
            else { throw error }
            session = made
        }
        guard let url = session.launchURL, url.hasPrefix("http") else {
            throw ProviderError(.unavailable, "the session has no wave_launch_url")
        }
        return Initiation(
            paymentURL: url, qrCode: nil, references: [ProviderReference("session", session.id), .ours(order.attempt)],
            expiresAtMs: session.expiresAtMs)
    }

    public func status(of question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        var missing: ProviderError?
        var best: CheckoutSession?
        for reference in question.references where reference.kind == "session" {
            do throws(ProviderError) {
                best = Self.better(best, try await api.session(reference.value, over: transport))
            } catch {
                guard error.kind == .notFound else { throw error }
                missing = error
            }
        }
        if let best { return best.notice() }
        if let found = try await found(question, over: transport) { return found.notice() }
        var foreign: ProviderNotice?
        for reference in question.unverified.prefix(Self.askedMax) where reference.kind == "session" {
            do throws(ProviderError) {
                let session = try await api.session(reference.value, over: transport)
                if session.clientReference == question.attempt { return session.notice() }
                foreign = ProviderNotice(
                    references: [], claim: .unknown, errorCode: "foreign_reference", errorText: "the session is of another order")
            } catch {
                guard [.notFound, .rejected].contains(error.kind) else { throw error }
                missing = error
            }
        }
        if let foreign { return foreign }
        throw missing ?? ProviderError(.notFound, "Wave has no session with the attempt's reference")
    }

    /// Sessions that somebody handed in and that are asked about at a time.
    static let askedMax = 10

    public func identify(_ reference: ProviderReference, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        let session = try await api.session(reference.value, over: transport)
        return ProviderNotice(references: session.clientReference.map { [.ours($0)] } ?? [], claim: .unknown)
    }

    public func refund(_ order: RefundOrder, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        guard order.isFull else {
            throw ProviderError(
                .rejected, "Wave gives back whole sessions only: \(Money(order.captured, order.amount.currency).decimalText) or nothing")
        }
        let session = try await session(of: order.question, over: transport)
        guard session.claim == .captured, session.money.amount == order.amount else {
            throw ProviderError(.rejected, "Wave's session was not paid with this amount", code: "nothing_to_refund")
        }
        // Said to make no second refund when it is called again; a session does not show that it was refunded, so a lost answer can only be
        // found out by calling again.
        try await api.refund(session.id, over: transport)
        return ProviderNotice(
            references: session.references, claim: .refunded, amount: order.amount, transaction: session.transaction ?? session.id)
    }

    public func cancel(_ question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        let session = try await session(of: question, over: transport)
        guard session.claim == .pending else { return session.notice() }
        try await api.expire(session.id, over: transport)
        let now = try await api.session(session.id, over: transport)
        // It expired because we said so.
        return now.claim == .expired ? now.notice(.cancelled) : now.notice()
    }

    private func session(of question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> CheckoutSession {
        if let id = question.reference("session") { return try await api.session(id, over: transport) }
        guard let found = try await found(question, over: transport) else {
            throw ProviderError(.notFound, "Wave has no session with the attempt's reference")
        }
        return found
    }

    /// By our own reference, for a start whose answer was lost.
    private func found(_ question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> CheckoutSession? {
        do throws(ProviderError) {
            return try await api.sessions(clientReference: question.attempt, over: transport).reduce(nil) { Self.better($0, $1) }
        } catch {
            guard error.kind == .notFound else { throw error }
            return nil
        }
    }

    private static func better(_ one: CheckoutSession?, _ other: CheckoutSession) -> CheckoutSession {
        guard let one, one.rank >= other.rank else { return other }
        return one
    }
}
