import HTTPServer

/// A payment provider as the sandbox plays it: its API, its pay page's way back and its notices.
protocol HouseStage: Sendable {
    var house: SandboxPayment.House { get }
    /// As people know it.
    var label: String { get }

    /// What a call of the provider's API is for; nil for what is none of it, as the customer's own pages are not.
    /// - Parameter path: without the provider's name in front.
    func purpose(of request: HTTPRequest, _ path: String) -> CallPurpose?

    /// Answers a call of the provider's API; nil when the path is none of it.
    /// - Parameters:
    ///   - path: without the provider's name in front.
    ///   - base: where the sandbox answers, for addresses in answers.
    ///   - settle: carries out what a customer decides.
    func respond(_ request: HTTPRequest, _ path: String, base: String, settle: SandboxSettling) async throws(SandboxError) -> HTTPResponse?

    /// What is posted before the first notice.
    func prelude(_ payment: SandboxPayment) -> [Parcel]
    /// A notice of where the payment stands; nil where the provider sends none of it.
    func notice(_ payment: SandboxPayment, _ notice: NotificationPlan.Notice, delayMs: Int64) -> Parcel?
    /// What is posted on another channel once the payment is settled.
    func epilogue(_ payment: SandboxPayment) -> [Parcel]
    /// How the browser goes back to the shop.
    func leave(_ payment: SandboxPayment) -> HTTPResponse?
}

extension HouseStage {
    func prelude(_ payment: SandboxPayment) -> [Parcel] { [] }
    func epilogue(_ payment: SandboxPayment) -> [Parcel] { [] }
    func leave(_ payment: SandboxPayment) -> HTTPResponse? { nil }
}

/// Settles a payment as its customer decided, and sends its notices by the scenario.
typealias SandboxSettling = @Sendable (SandboxPayment, SandboxPayment.State) async throws(SandboxError) -> SandboxPayment

/// What a played provider shares with the product.
public struct HouseKeys: Sendable {
    /// As the adapter is made with: `api_key`, `site_id`, …
    public var values: [String: String]
    /// The first signs.
    public var secrets: [String]

    public init(values: [String: String] = [:], secrets: [String] = []) {
        self.values = values
        self.secrets = secrets
    }
}
