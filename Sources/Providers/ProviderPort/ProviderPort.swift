import Formats
import Money

/// What the rest of Quittance knows of a payment provider. One adapter per provider fills it; nobody else knows the
/// provider's fields. An adapter holds no state: keys and addresses come with its configuration.
public protocol PaymentProvider: Sendable {
    /// The provider's name as in paths and settings: `cinetpay`, `standard-webhooks`, …
    var name: String { get }
    var capabilities: ProviderCapabilities { get }

    /// Checks that a post really comes from the provider. Pure and quick: runs on ingest's loop.
    func verifyWebhook(_ webhook: IncomingWebhook, nowMs: Int64) -> WebhookVerdict

    /// Reads what a verified event says. Runs in worker-payments, on the event's exact bytes.
    /// - Throws: ``ProviderError`` of kind `unreadable` when the body does not have the provider's shape.
    func parse(body: [UInt8], contentType: String) throws(ProviderError) -> ProviderNotice

    /// Starts a payment at the provider.
    func initiate(_ order: PaymentOrder, over transport: any ProviderTransport) async throws(ProviderError) -> Initiation

    /// Asks the provider what has become of a payment.
    func status(of reference: ProviderReference, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice
}

extension PaymentProvider {
    public func initiate(_ order: PaymentOrder, over transport: any ProviderTransport) async throws(ProviderError) -> Initiation {
        throw ProviderError(.notOffered, "\(name) has no call that starts a payment")
    }
    public func status(of reference: ProviderReference, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        throw ProviderError(.notOffered, "\(name) has no status call")
    }
}

/// What a provider can do, and how far its word goes.
public struct ProviderCapabilities: Sendable {
    /// Whether posts carry a proof of origin at all. A source without one is always fetched.
    public let hasProof: Bool
    /// Whether a good proof covers status, amount and currency, so that an event may be applied without asking back.
    public let proofCoversMoney: Bool
    public let hasInitiate: Bool
    public let hasStatus: Bool
    /// Kinds of reference that the status call takes, best first.
    public let statusReferenceKinds: [String]

    public init(hasProof: Bool, proofCoversMoney: Bool, hasInitiate: Bool, hasStatus: Bool, statusReferenceKinds: [String] = ["ours"]) {
        self.hasProof = hasProof
        self.proofCoversMoney = proofCoversMoney
        self.hasInitiate = hasInitiate
        self.hasStatus = hasStatus
        self.statusReferenceKinds = hasStatus ? statusReferenceKinds : []
    }
}

/// How far an event may be believed.
public enum Trust: String, Sendable {
    /// The body is signed.
    case signed
    /// The sender knows a secret, but the body is not covered by it.
    case sharedSecret = "shared-secret"
    /// Nothing proves the origin: a hint to ask the provider.
    case unproven
}

/// A post as it arrived at ingest.
public struct IncomingWebhook: Sendable {
    public let method: String
    public let headers: HTTPHeaders
    public let body: [UInt8]

    public init(method: String, headers: HTTPHeaders, body: [UInt8]) {
        self.method = method
        self.headers = headers
        self.body = body
    }

    public var contentType: String { headers["content-type"] ?? "" }
}

/// What ingest does with a post.
public enum WebhookVerdict: Sendable, Equatable {
    /// Goes onto the list.
    case accepted(AcceptedWebhook)
    /// The provider's availability ping or a type we do not use: answered 200, nothing kept.
    case ignored(reason: String)
    /// No or wrong proof, or too old: answered 401. The reason is kept for staff, never sent.
    case refused(reason: String)
}

/// A post that passed.
public struct AcceptedWebhook: Sendable, Equatable {
    public let trust: Trust
    /// Identity of the delivery: the same delivery posted again has the same id.
    public let deliveryID: String
    /// CloudEvents type, `payment.notification` unless the provider names one.
    public let type: String
    /// Number of the secret that matched, 0 being the newest, so that a rotation can be finished safely.
    public let matchedKey: Int?
    /// How it passed, for staff, where there is more than one way. Holds nothing secret.
    public let note: String?

    public init(trust: Trust, deliveryID: String, type: String, matchedKey: Int?, note: String? = nil) {
        self.trust = trust
        self.deliveryID = deliveryID
        self.type = type
        self.matchedKey = matchedKey
        self.note = note
    }
}

/// What a provider says of one payment, in our words.
public struct ProviderNotice: Sendable, Equatable {
    /// Everything in the message that may lead to the payment, best first.
    public let references: [ProviderReference]
    public let claim: ProviderClaim
    /// Amount and currency as the provider states them; nil where it does not.
    public let amount: Money?
    /// Set where the provider states an amount that is no amount of ours, e.g. in an unknown currency.
    public let amountProblem: String?
    /// The provider's own transaction number, where it is known.
    public let transaction: String?
    /// When it happened by the provider's clock, if it says so.
    public let occurredAtMs: Int64?
    /// The provider's code and text of a failure.
    public let errorCode: String?
    public let errorText: String?

    public init(
        references: [ProviderReference], claim: ProviderClaim, amount: Money? = nil, amountProblem: String? = nil, transaction: String? = nil,
        occurredAtMs: Int64? = nil, errorCode: String? = nil, errorText: String? = nil
    ) {
        self.references = references
        self.claim = claim
        self.amount = amount
        self.amountProblem = amountProblem
        self.transaction = transaction
        self.occurredAtMs = occurredAtMs
        self.errorCode = errorCode
        self.errorText = errorText
    }
}

/// What is claimed of a payment.
public enum ProviderClaim: String, Sendable, CaseIterable {
    case pending, processing, captured, failed, cancelled, expired, refunded
    case chargedBack = "charged_back"
    /// The message carries no status: it only says that there is something to ask for.
    case unknown
}

/// A reference given by us or by the provider: `kind` tells which of them.
public struct ProviderReference: Sendable, Hashable {
    public let kind: String
    public let value: String
    public init(_ kind: String, _ value: String) {
        self.kind = kind
        self.value = value
    }
    /// The reference that we gave: the attempt's id at the provider.
    public static func ours(_ value: String) -> ProviderReference { ProviderReference("ours", value) }
}

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
    /// `mobile_money`, `credit_card` or nil for any.
    public let method: String?
    public let metadata: [String: String]

    public init(
        payment: String, attempt: String, amount: Money, description: String, customer: Customer, notifyURL: String, returnURL: String,
        method: String?, metadata: [String: String]
    ) {
        self.payment = payment
        self.attempt = attempt
        self.amount = amount
        self.description = description
        self.customer = customer
        self.notifyURL = notifyURL
        self.returnURL = returnURL
        self.method = method
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
}

/// What the provider answered to `initiate`.
public struct Initiation: Sendable, Equatable {
    /// Where to send the customer.
    public let paymentURL: String
    public let qrCode: String?
    /// References got: payment token, external id, …
    public let references: [ProviderReference]
    public let expiresAtMs: Int64?

    public init(paymentURL: String, qrCode: String?, references: [ProviderReference], expiresAtMs: Int64?) {
        self.paymentURL = paymentURL
        self.qrCode = qrCode
        self.references = references
        self.expiresAtMs = expiresAtMs
    }
}
