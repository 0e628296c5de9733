import Formats
import Testing

/// A provider as the suite of all providers sees it: how its customers pay, what it states and what it tells.
struct ProviderColumn: Sendable, CustomTestStringConvertible {
    /// Where the customer decides.
    enum Counter: Sendable {
        /// On the provider's page, or at a phone.
        case page
        /// In a widget, which makes a transaction of its own.
        case widget
        /// Nowhere that we know of: staff see the money come in.
        case staff
    }

    /// Who knows what became of a start that had no telling answer.
    enum Doubt: Sendable {
        /// The provider: it can be asked by our own reference.
        case isAsked
        /// The provider, when it posts by itself.
        case isTold
        /// A person alone.
        case isSettled
        /// There is no call that starts a payment.
        case none
    }

    /// What proves a post.
    enum Proof: Sendable {
        case header(String)
        /// The address made for the attempt.
        case address
    }

    let name: String
    var currency = "XOF"
    var amount = "5000"
    /// What a start needs besides the payment.
    var fields: [String: String] = [:]
    var counter = Counter.page
    var proof: Proof?
    /// Whether a post without a proof is taken, and asked about, rather than refused.
    var asksUnproven = false
    var statesAmount = true
    var statesCurrency = true
    /// Where the payment stands once the customer's refusal was told; `pending` where nothing is told of it, or another try may follow.
    var refused = "failed"
    /// Whether a refusal, and a payment that waits, are posted.
    var tellsRefusals = true
    var tellsWaiting = false
    /// How it is found out what became of a start without a telling answer.
    var doubt = Doubt.isAsked

    var testDescription: String { name }

    static let all = [
        ProviderColumn(name: "cinetpay", proof: .header("x-token"), asksUnproven: true, tellsWaiting: true),
        ProviderColumn(name: "orange-money", proof: .address, asksUnproven: true, statesAmount: false, statesCurrency: false, doubt: .isSettled),
        ProviderColumn(
            name: "feexpay", fields: ["method": "mobile_money", "network": "mtn", "phone": "+22997123456"], proof: .header("authorization"),
            tellsWaiting: true),
        ProviderColumn(name: "kkiapay", counter: .widget, proof: .header("x-kkiapay-secret"), statesCurrency: false, doubt: .none),
        ProviderColumn(name: "wave", proof: .header("wave-signature"), refused: "pending"),
        ProviderColumn(
            name: "icount", currency: "ILS", amount: "250.00", proof: .address, asksUnproven: true, refused: "pending",
            tellsRefusals: false, doubt: .isTold),
        ProviderColumn(
            name: "payment-backend", fields: ["method": "mobile_money"], proof: .header("webhook-signature"),
            tellsWaiting: true, doubt: .isTold),
        ProviderColumn(name: "manual", fields: ["method": "bank_transfer"], counter: .staff, doubt: .none),
    ]
    /// Those that post.
    static let posting = all.filter { $0.proof != nil }
    /// Those that are called to start a payment.
    static let called = all.filter { $0.doubt != .none }

    /// The post with a proof of somebody else's.
    func forged(_ post: PlainIngest.Post) -> PlainIngest.Post {
        switch proof {
        case .header(let name):
            var headers = post.headers
            headers[name] = headers[name].map(Self.altered)
            return post.with(headers: headers)
        case .address: return post.with(target: Self.altered(post.target))
        case nil: return post
        }
    }

    /// The post without its proof.
    func bare(_ post: PlainIngest.Post) -> PlainIngest.Post {
        switch proof {
        case .header(let name):
            var headers = post.headers
            headers[name] = nil
            return post.with(headers: headers)
        case .address: return post.with(target: "/webhooks/\(name)")
        case nil: return post
        }
    }

    /// With another sign near the end: the last one of Base64 holds bits that count for nothing.
    private static func altered(_ text: String) -> String {
        var signs = Array(text)
        let index = signs.count - 3
        guard index >= 0 else { return text + "x" }
        signs[index] = signs[index] == "a" ? "b" : "a"
        return String(signs)
    }
}
