import Database
import Formats
import JobQueue
import Ledger
import Money
import Outbox
import Payments
import ProviderPort
import TestSupport

/// A payments room on a database of its own, with an adapter that reads what the test writes.
struct PaymentsFixture: Sendable {
    let folder: TemporaryFolder
    let database: Database
    let facts: PaymentFacts
    let events: PaymentEvents
    private let capabilities: ProviderCapabilities
    static let nowMs: Int64 = 1_790_000_000_000

    init(provider: any PaymentProvider = PlayedProvider(), deposits: Bool = false, policy: TrustPolicy? = nil) throws {
        folder = try TemporaryFolder()
        database = try Database.open(.sqlite(path: folder.path + "/payments.db"))
        _ = try database.migrate([Outbox.migrations, Ledger.migrations, PaymentStore.migrations])
        facts = PaymentFacts(purposes: PurposeRegistry([PlayedPurpose(allowsDeposits: deposits)]), outbox: Outbox(slot: "test.0"))
        events = PaymentEvents(facts: facts, providers: ProviderRegistry([(provider, "sandbox")], policies: policy.map { ["played": $0] } ?? [:]))
        capabilities = provider.capabilities
    }

    /// A payment of 5000 XOF with one attempt that the provider knows as `ref`.
    func payment(reference: String = "ref") async throws -> (payment: Payment, attempt: PaymentAttempt) {
        try await database.write { connection in
            let payment = try PaymentStore.create(
                NewPayment(
                    purpose: "played", subject: "s1", description: "A thing", amount: Money(5000, .xof),
                    customer: Customer(name: "Awa", email: "awa@example.com", phone: nil, language: "fr")), actor: "test", nowMs: Self.nowMs,
                in: connection)
            let attempt = try PaymentStore.startAttempt(
                of: payment, provider: "played", mode: "sandbox", method: nil, capabilities: capabilities, nowMs: Self.nowMs, in: connection)
            try PaymentStore.register(
                [ProviderReference("id", reference)], attempt: attempt.id, provider: "played", nowMs: Self.nowMs, in: connection)
            return (payment, attempt)
        }
    }

    /// Applies one event and answers what became of it.
    @discardableResult
    func apply(_ id: String, _ body: String, trust: Trust = .signed, mode: String = "sandbox") async throws -> PaymentEvents.Outcome {
        let event = ProviderEvent(
            id: id, provider: "played", mode: mode, trust: trust, type: "payment.notification", timeMs: Self.nowMs, contentType: "text/plain",
            body: Array(body.utf8), headers: "", matchedKey: nil, payment: nil, target: "/webhooks/played", traceparent: nil)
        let read = ReadEvent(event, providers: events.providers)
        return try await database.write { [events] in try events.apply(read, nowMs: Self.nowMs, in: $0) }
    }

    func state(_ payment: String) async throws -> PaymentState {
        try await database.read { try PaymentStore.require(payment, in: $0).state }
    }

    func jobs(_ payment: String) async throws -> [JobRecord] {
        try await database.read { try JobRecord.of(payment: payment, in: $0) }
    }
}

/// Reads bodies such as `ref captured 5000 XOF`.
struct PlayedProvider: PaymentProvider {
    let offer = ProviderOffer([])
    let name = "played"
    var capabilities = ProviderCapabilities(hasProof: true, proofCoversMoney: true, hasInitiate: false, hasStatus: true)
    var answer = "ref captured 5000 XOF"

    func verifyWebhook(_ webhook: IncomingWebhook, nowMs: Int64) -> WebhookVerdict { .refused(reason: "not played") }

    func parse(body: [UInt8], contentType: String) throws(ProviderError) -> ProviderNotice { try read(String(decoding: body, as: UTF8.self)) }

    func status(of question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        try read(answer)
    }

    private func read(_ text: String) throws(ProviderError) -> ProviderNotice {
        let words = text.split(separator: " ").map(String.init)
        guard words.count >= 2, let claim = ProviderClaim(rawValue: words[1]) else { throw ProviderError(.unreadable, "no claim in '\(text)'") }
        var amount: Money?
        if words.count == 4 {
            do { amount = try Money(parsing: words[2], currency: Currency(code: words[3])) } catch { throw ProviderError(.unreadable, "\(error)") }
        }
        return ProviderNotice(references: [ProviderReference("id", words[0])], claim: claim, amount: amount)
    }
}

struct PlayedPurpose: PaymentPurpose {
    let name = "played"
    var allowsDeposits = false

    func refunded(_ payment: Payment, units: Int64, mode: String, nowMs: Int64, in connection: Connection) throws -> [JobRequest] {
        [try JobRequest(PlayedThanks(units: units), unique: "thanks:\(payment.id):\(payment.refunded)")]
    }

    func fulfil(_ payment: Payment, mode: String, nowMs: Int64, in connection: Connection) throws -> [JobRequest] {
        [try JobRequest(PlayedJob(subject: payment.subject), payment: payment.id, unique: "played:\(payment.id)")]
    }
}

struct PlayedThanks: JobParameters {
    static let kind = "played.thanks"
    static let queue = "played"
    let units: Int64
}

struct PlayedJob: PaidOnlyParameters {
    static let kind = "played.work"
    static let queue = "played"
    let subject: String
}

/// Never reached: the played provider answers by itself.
struct NoTransport: ProviderTransport {
    func send(_ call: ProviderCall) async throws(ProviderError) -> ProviderAnswer { throw ProviderError(.unavailable, "no transport") }
}
