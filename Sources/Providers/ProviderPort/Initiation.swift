import Formats

/// What the provider answered to `initiate`.
public struct Initiation: Sendable, Equatable {
    /// Where to send the customer: the provider's page, or ours (``PaymentOrder/pageURL``) where it has none.
    public let paymentURL: String
    public let qrCode: String?
    /// References got: payment token, external id, …
    public let references: [ProviderReference]
    public let expiresAtMs: Int64?
    /// What the customer has to do next.
    public let step: CustomerStep
    /// What the provider said of the attempt at once, where it is more than that it waits: some refuse while they answer.
    public let notice: ProviderNotice?

    public init(
        paymentURL: String, qrCode: String?, references: [ProviderReference], expiresAtMs: Int64?, step: CustomerStep = .redirect,
        notice: ProviderNotice? = nil
    ) {
        self.paymentURL = paymentURL
        self.qrCode = qrCode
        self.references = references
        self.expiresAtMs = expiresAtMs
        self.step = step
        self.notice = notice
    }
}

/// What a customer has to do once an attempt is started.
public struct CustomerStep: Sendable, Equatable {
    public enum Kind: String, Sendable {
        /// Go to the provider's page.
        case redirect
        /// Pay in the provider's widget, on our page; the fields are what it is opened with.
        case widget
        /// Confirm on the phone; our page waits.
        case approve
        /// Transfer money or bring it; the fields say where to and with which reference.
        case transfer
    }
    public let kind: Kind
    /// Texts for the page, by name; nothing secret.
    public let fields: [String: String]

    public init(_ kind: Kind, _ fields: [String: String] = [:]) {
        self.kind = kind
        self.fields = fields
    }

    public static let redirect = CustomerStep(.redirect)

    /// As it is kept with the attempt.
    public var json: JSON {
        ["kind": .string(kind.rawValue), "fields": .object(JSONObject(fields.sorted { $0.key < $1.key }.map { ($0.key, JSON.string($0.value)) }))]
    }

    /// Reads what ``json`` wrote; nil when it is something else.
    public init?(_ json: JSON) {
        guard let kind = json["kind"]?.string.flatMap({ Kind(rawValue: $0) }), let fields = json["fields"]?.object else { return nil }
        self.init(kind, Dictionary(fields.compactMap { field in field.value.string.map { (field.key, $0) } }) { first, _ in first })
    }
}
