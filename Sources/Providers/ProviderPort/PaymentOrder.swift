import Formats
import Money

/// What is to be paid, for `initiate`.
public struct PaymentOrder: Sendable {
    public let payment: String
    /// Our id at the provider: unique per attempt, so that a retry cannot create a second payment. Letters, digits and
    /// hyphens, 25 at most: the narrowest provider's rule.
    public let attempt: String
    public let amount: Money
    public let description: String
    public let customer: Customer
    /// Where the provider sends its notifications and the customer's browser.
    public let notifyURL: String
    public let returnURL: String
    /// Where the customer's browser goes when the customer gives up; the same as ``returnURL`` unless given.
    public let cancelURL: String
    /// Our own page of the attempt: for what has no page at the provider, such as a push to a phone or a widget.
    public let pageURL: String
    /// One of the methods of the provider's offer; nil for any.
    public let method: String?
    /// One of the networks of the provider's offer; nil where it has none, or the customer chooses there.
    public let network: String?
    /// The code that some networks want the customer to fetch beforehand. Never kept.
    public let otp: String?
    public let metadata: [String: String]

    public init(
        payment: String, attempt: String, amount: Money, description: String, customer: Customer, notifyURL: String, returnURL: String,
        cancelURL: String? = nil, pageURL: String? = nil, method: String?, network: String? = nil, otp: String? = nil,
        metadata: [String: String]
    ) {
        self.payment = payment
        self.attempt = attempt
        self.amount = amount
        self.description = description
        self.customer = customer
        self.notifyURL = notifyURL
        self.returnURL = returnURL
        self.cancelURL = cancelURL ?? returnURL
        self.pageURL = pageURL ?? returnURL
        self.method = method
        self.network = network
        self.otp = otp
        self.metadata = metadata
    }
}

/// Who pays.
public struct Customer: Sendable, Equatable {
    public let name: String
    public let email: String?
    /// E.164, with the plus sign.
    public let phone: String?
    /// `fr` or `en`.
    public let language: String

    public init(name: String, email: String?, phone: String?, language: String) {
        self.name = name
        self.email = email
        self.phone = phone
        self.language = language
    }

    /// The same person at another phone.
    public func reached(at phone: String) -> Customer { Customer(name: name, email: email, phone: phone, language: language) }
}
