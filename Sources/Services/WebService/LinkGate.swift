import Access
import Database
import Formats
import HTTPServer
import Payments
import ProviderPort
import Synchronization

/// Lets the holders of a payment's link in: everything below `/pay/<token>` passes here first.
struct LinkGate: Sendable {
    /// Requests of one address in a minute, and those among them whose token is none.
    static let requestsMax = 240
    static let failuresMax = 30

    let database: Database
    /// Nil where the installation has no secret to sign with.
    let link: PaymentLink?
    let nowMs: @Sendable () -> Int64
    private let requests = AddressBudget(limit: LinkGate.requestsMax)
    private let failures = AddressBudget(limit: LinkGate.failuresMax)

    init(database: Database, link: PaymentLink?, nowMs: @escaping @Sendable () -> Int64) {
        self.database = database
        self.link = link
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

    /// - Throws: ``LinkRefusal``.
    func admit(_ call: WebCall) async throws -> Admitted {
        let now = nowMs()
        let token = call.value("token")
        let address = CallerAddress.of(call.request)
        guard requests.take(address, nowMs: now), failures.hasRoom(address, nowMs: now) else { throw LinkRefusal.tooFast }
        guard let link, let grant = link.read(token) else {
            _ = failures.take(address, nowMs: now)
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
        case .tooFast:
            WebProblem(status: 429, title: "Too many requests", detail: "try again in a minute", headers: [("Retry-After", "60")])
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
        return link.token(for: payment, purpose, generation: generation, lifeMs: lifeMs, nowMs: nowMs()).map { LinkGate.path($0.text) }
    }
}

/// Who asks, by address: what a proxy on this machine says, or else what the socket says. Nobody else's word is taken.
enum CallerAddress {
    static func of(_ request: HTTPRequest) -> String {
        let peer = request.remoteAddress
        guard peer.hasPrefix("127.") || peer == "::1" || peer == "::ffff:127.0.0.1" else { return peer }
        guard let told = request.headers["x-forwarded-for"]?.split(separator: ",").last else { return peer }
        let address = told.filter { $0 != " " }
        let isAddress = (2...45).contains(address.utf8.count) && address.allSatisfy { $0.isHexDigit || $0 == "." || $0 == ":" }
        return isAddress ? String(address) : peer
    }
}

/// How much each address may do in a minute. What does not fit into memory is forgotten, never refused.
final class AddressBudget: Sendable {
    static let addressesMax = 20_000

    private struct Minute {
        var number: Int64 = -1
        var used: [String: Int] = [:]
    }

    private let limit: Int
    private let minute = Mutex(Minute())

    init(limit: Int) { self.limit = limit }

    /// - Returns: false when the address has used its minute up.
    func take(_ address: String, nowMs: Int64) -> Bool {
        minute.withLock { minute in
            Self.turn(&minute, nowMs)
            let used = minute.used[address, default: 0]
            guard used < limit else { return false }
            if used > 0 || minute.used.count < Self.addressesMax { minute.used[address] = used + 1 }
            return true
        }
    }

    func hasRoom(_ address: String, nowMs: Int64) -> Bool {
        minute.withLock { minute in
            Self.turn(&minute, nowMs)
            return minute.used[address, default: 0] < limit
        }
    }

    private static func turn(_ minute: inout Minute, _ nowMs: Int64) {
        let number = nowMs / 60_000
        if minute.number != number { minute = Minute(number: number) }
    }
}
