import Formats
import Money

/// What the rest of Quittance knows of a payment provider. One adapter per provider fills it; nobody else knows the provider's fields. Keys
/// and addresses come with an adapter's configuration; of its own it keeps at most an access token, which it can get again.
public protocol PaymentProvider: Sendable {
    /// The provider's name as in paths and settings: `cinetpay`, `standard-webhooks`, …
    var name: String { get }
    var capabilities: ProviderCapabilities { get }
    /// What a customer may choose from.
    var offer: ProviderOffer { get }
    /// The choices of its offer that an order with these words may come to; none where the words name nothing of it.
    func ways(method: String?, network: String?) -> [ProviderOffer.Choice]
    /// Makes and checks the address for notifications of each payment, where posts prove nothing by themselves and the provider takes an
    /// address with each payment; nil where it does not, or no secret is set.
    var addressSigner: CapabilitySigner? { get }

    /// Checks that a post really comes from the provider. Pure and quick: runs on ingest's loop.
    func verifyWebhook(_ webhook: IncomingWebhook, nowMs: Int64) -> WebhookVerdict

    /// Reads what a verified event says. Runs in worker-payments, on the event's exact bytes.
    /// - Throws: ``ProviderError`` of kind `unreadable` when the body does not have the provider's shape.
    func parse(body: [UInt8], contentType: String) throws(ProviderError) -> ProviderNotice

    /// Starts a payment at the provider. The provider's rules are checked before anything is sent.
    /// - Throws: ``ProviderError``; `rejected` names the rule that is broken.
    func initiate(_ order: PaymentOrder, over transport: any ProviderTransport) async throws(ProviderError) -> Initiation

    /// Asks the provider what has become of an attempt. A claim of success is one only if the provider ties it to this attempt.
    /// - Throws: ``ProviderError``; `notFound` where there is nothing to ask by, or the provider does not know it (yet).
    func status(of question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice

    /// Asks by a reference alone whose it is, where it leads to no attempt of ours.
    /// - Returns: the attempts that the provider ties it to, as references of kind `ours`. Nothing else of it is believed.
    func identify(_ reference: ProviderReference, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice

    /// Gives money back.
    /// - Returns: a claim of `refunded` with what has been given back in all, `pending` while the provider is at it.
    func refund(_ order: RefundOrder, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice

    /// Asks the provider to end an attempt that waits for its customer.
    /// - Returns: what the provider then says of it: `cancelled` only where it agreed.
    func cancel(_ question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice

    /// What the provider lists of a time, a page at a time.
    func history(_ query: HistoryQuery, over transport: any ProviderTransport) async throws(ProviderError) -> HistoryPage
}

extension PaymentProvider {
    public var addressSigner: CapabilitySigner? { nil }
    public func ways(method: String?, network: String?) -> [ProviderOffer.Choice] { offer.named(method: method, network: network) }
    public func initiate(_ order: PaymentOrder, over transport: any ProviderTransport) async throws(ProviderError) -> Initiation {
        throw ProviderError(.notOffered, "\(name) has no call that starts a payment")
    }
    public func status(of question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        throw ProviderError(.notOffered, "\(name) has no status call")
    }
    public func identify(_ reference: ProviderReference, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        throw ProviderError(.notOffered, "\(name) cannot tell whose a reference is")
    }
    public func refund(_ order: RefundOrder, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        throw ProviderError(.notOffered, "\(name) has no call that gives money back: refund there, then record it here")
    }
    public func cancel(_ question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        throw ProviderError(.notOffered, "\(name) has no call that cancels a payment")
    }
    public func history(_ query: HistoryQuery, over transport: any ProviderTransport) async throws(ProviderError) -> HistoryPage {
        throw ProviderError(.notOffered, "\(name) has no call that lists payments")
    }
}

/// What a provider can do, and how far its word goes.
public struct ProviderCapabilities: Sendable {
    /// Which refunds a provider's API makes.
    public enum Refunds: String, Sendable {
        /// None: staff refund at the provider and record it.
        case none
        /// Of the whole amount only.
        case full
        /// Of any part.
        case partial
    }

    /// Whether posts carry a proof of origin at all. A source without one is always fetched.
    public let hasProof: Bool
    /// Whether a good proof covers status, amount and currency, so that an event may be applied without asking back.
    public let proofCoversMoney: Bool
    public let hasInitiate: Bool
    /// Whether starting a payment calls the provider: where it does not, it may be done again at will.
    public let callsToStart: Bool
    public let hasStatus: Bool
    /// Kinds of reference that the status call takes, best first. With `ours` among them an attempt can be asked about whose start was
    /// never answered.
    public let statusReferenceKinds: [String]
    /// Kinds of reference by which the provider tells whose one is.
    public let identifiedBy: [String]
    public let refunds: Refunds
    public let hasCancel: Bool
    public let hasHistory: Bool
    /// Whether the provider asks its merchants not to poll: reconciliation then leaves out the early rungs.
    public let discouragesPolling: Bool
    /// Whether it posts anything at all.
    public let hasWebhook: Bool
    /// What its posts are taken for unless the settings say otherwise.
    public let standardPolicy: TrustPolicy
    /// After how long an attempt that still waits is given up, in milliseconds; nil for the ladder's end.
    public let giveUpAfterMs: Int64?
    /// How many calls a second its API takes of one merchant, where that is known; nil where nothing is.
    public let callsPerSecond: Double?

    public init(
        hasProof: Bool, proofCoversMoney: Bool, hasInitiate: Bool, hasStatus: Bool, statusReferenceKinds: [String] = ["ours"],
        identifiedBy: [String] = [],
        refunds: Refunds = .none, hasCancel: Bool = false, hasHistory: Bool = false,
        discouragesPolling: Bool = false, hasWebhook: Bool = true, callsToStart: Bool = true,
        giveUpAfterMs: Int64? = nil, callsPerSecond: Double? = nil, standardPolicy: TrustPolicy = .trust
    ) {
        self.hasProof = hasProof
        self.proofCoversMoney = proofCoversMoney
        self.hasInitiate = hasInitiate
        self.callsToStart = callsToStart
        self.hasStatus = hasStatus
        self.statusReferenceKinds = hasStatus ? statusReferenceKinds : []
        self.identifiedBy = identifiedBy
        self.refunds = refunds
        self.hasCancel = hasCancel
        self.hasHistory = hasHistory
        self.discouragesPolling = discouragesPolling
        self.hasWebhook = hasWebhook
        self.standardPolicy = standardPolicy
        self.giveUpAfterMs = giveUpAfterMs
        self.callsPerSecond = callsPerSecond
    }
}
