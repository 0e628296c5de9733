import Access
import Database
import Formats
import HTTPServer
import Payments
import ProviderPort

/// Lets the holders of a payment's link in: everything below `/pay/<token>` passes here first.
struct LinkGate: Sendable {
    let database: Database
    /// Nil where the installation has no secret to sign with.
    let link: PaymentLink?
    let clients: ClientAddresses
    let nowMs: @Sendable () -> Int64
    private let budget = LinkBudget(requestsMax: 240, failuresMax: 30)

    init(database: Database, link: PaymentLink?, clients: ClientAddresses, nowMs: @escaping @Sendable () -> Int64) {
        self.database = database
        self.link = link
        self.clients = clients
        self.nowMs = nowMs
    }

    /// A payment that is shown to whoever asks, and what its link is good for.
    struct Admitted: Sendable {
        let token: String
        let grant: PaymentLink.Grant
        let payment: Payment
        let attempts: [PaymentAttempt]

        var path: String { LinkGate.path(token) }
        var words: Words { Words(payment.customer.language) }
    }

    static func path(_ token: String) -> String { "/pay/\(token)" }

    /// The ways to pay that staff switched off, as they stand.
    func switches() async throws -> NetworkSwitches { try await database.read { try NetworkSwitches.read(in: $0) } }

    /// - Throws: ``LinkRefusal``.
    func admit(_ call: WebCall) async throws -> Admitted {
        let now = nowMs()
        let token = call.value("token")
        let address = clients.limitKey(of: call.request)
        guard budget.take(address, nowMs: now) else { throw LinkRefusal.tooFast }
        guard let link, let grant = link.read(token) else {
            budget.failed(address, nowMs: now)
            throw LinkRefusal.unknown
        }
        return try await database.read { connection in
            guard let payment = try PaymentStore.find(grant.payment, in: connection) else { throw LinkRefusal.unknown }
            guard grant.expiresAtMs > now, try PaymentLinks.generation(of: payment.id, in: connection) == grant.generation else {
                throw LinkRefusal.over(language: payment.customer.language)
            }
            return Admitted(token: token, grant: grant, payment: payment, attempts: try PaymentStore.attempts(of: payment.id, in: connection))
        }
    }
}

/// Why nobody is let in. Of a token that nobody here has signed nothing is said but that.
enum LinkRefusal: Error {
    case unknown
    /// Run out or taken back: told only to whoever has a token that was good once.
    case over(language: String)
    case tooFast

    var problem: WebProblem {
        switch self {
        case .unknown: .notFound("there is no such link")
        case .over: WebProblem(status: 410, title: "Link is over", detail: "the link has run out; whoever sent it can send a new one")
        case .tooFast: .tooMany("try again in a minute", afterSeconds: 60)
        }
    }
}

/// Makes the tokens by which our own pages follow their payment.
struct OwnLinks: Sendable {
    static let lifeMs: Int64 = 2 * 3_600_000

    let link: PaymentLink?
    let nowMs: @Sendable () -> Int64

    /// Where the payment is paid or watched; nil where nothing can be signed.
    func path(to payment: String, _ purpose: PaymentLink.Purpose, lifeMs: Int64 = OwnLinks.lifeMs, in connection: Connection) throws -> String? {
        guard let link else { return nil }
        let generation = try PaymentLinks.generation(of: payment, in: connection)
        // Once staff has taken links back, it is theirs to send a new one: whoever knows an attempt's address may watch, no more.
        if purpose == .pay, generation > 0 { return nil }
        return link.token(for: payment, purpose, generation: generation, lifeMs: lifeMs, nowMs: nowMs()).map { LinkGate.path($0.text) }
    }
}
