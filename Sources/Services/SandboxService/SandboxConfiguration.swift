import Formats
import Settings

/// The keys and addresses that the played providers share with the product.
public struct SandboxConfiguration: Sendable {
    public var address: SocketAddress
    /// Where the product takes webhooks, for notices that no initiate call has given an address for.
    public var ingestURL: String
    public var cinetPayAPIKey: String?
    public var cinetPaySiteID: String?
    /// The first secret signs.
    public var cinetPaySecret: String?
    public var backendAPIKey: String?
    public var backendSecret: String?
    public var standardWebhooksSecret: String?
    public var openAIKey: String?
    /// By the providers' names; what is not there is not checked.
    public var houses: [String: HouseKeys] = [:]
    /// The same for carriers of messages; their first secret proves or signs receipts.
    public var carriers: [String: HouseKeys] = [:]

    public init(address: SocketAddress, ingestURL: String) {
        self.address = address
        self.ingestURL = ingestURL
    }

    public init(_ settings: Settings) {
        self.init(address: settings.sandboxAddress, ingestURL: "http://\(settings.ingestAddress)")
        let cinetPay = settings.provider("cinetpay")
        cinetPayAPIKey = cinetPay?.values["api_key"]
        cinetPaySiteID = cinetPay?.values["site_id"]
        cinetPaySecret = cinetPay?.secrets.first
        let backend = settings.provider("payment-backend")
        backendAPIKey = backend?.values["api_key"]
        backendSecret = backend?.secrets.first
        standardWebhooksSecret = settings.provider("standard-webhooks")?.secrets.first
        openAIKey = settings.openAI.apiKey?.value
        houses = settings.providers.mapValues { HouseKeys(values: $0.values, secrets: $0.secrets) }
        carriers = settings.notifications.carriers.mapValues { HouseKeys(values: $0.values, secrets: $0.receiptSecrets) }
    }
}
