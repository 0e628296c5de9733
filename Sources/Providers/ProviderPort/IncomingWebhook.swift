import Formats

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
    /// Whether it came to an address that was made by us for one payment, with a good capability in it.
    public let cameByCapability: Bool
    /// The source's; nil for the adapter's own.
    public let policy: TrustPolicy?

    public init(method: String, headers: HTTPHeaders, body: [UInt8], cameByCapability: Bool = false, policy: TrustPolicy? = nil) {
        self.method = method
        self.headers = headers
        self.body = body
        self.cameByCapability = cameByCapability
        self.policy = policy
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
