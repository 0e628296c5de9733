import CinetPay
import FeexPay
import Formats
import ICount
import KKiaPay
import Manual
import OrangeMoney
import PaymentBackend
import ProviderPort
import Settings
import StandardWebhooks
import Wave

/// Makes the adapters that the settings turn on. The one place that knows every provider by name: a new provider is its
/// folder and one line here.
public enum ProviderCatalog {
    /// An adapter as this installation runs it.
    public struct Source: Sendable {
        public let adapter: any PaymentProvider
        /// `sandbox` or `live`.
        public let mode: String
        /// Largest body that is taken, in bytes.
        public let bodyLimit: Int
        /// What its posts are taken for.
        public let policy: TrustPolicy
        /// Where its posts come from, and what becomes of those from elsewhere.
        public let addresses: [AddressRange]
        public let addressCheck: AddressCheck
        /// The paths of the seed products that answer for this provider, besides `/webhooks/<name>`.
        public let otherPaths: [String]
        /// The most calls a second to its API; nil for any number.
        public let callsPerSecond: Double?
    }

    /// Calls a second to a live provider that says nothing of how many it takes.
    static let usualCallsPerSecond = 20.0

    private static func callsPerSecond(_ provider: ProviderSettings, _ adapter: any PaymentProvider) -> Double? {
        if let set = provider.callsPerSecond { return set > 0 ? set : nil }
        // The played provider takes any number.
        return provider.mode == .live ? adapter.capabilities.callsPerSecond ?? usualCallsPerSecond : nil
    }

    /// - Throws: ``ProviderError`` of kind `misconfigured` naming the provider, when a value that its mode needs is missing.
    public static func sources(_ settings: Settings) throws(ProviderError) -> [Source] {
        var sources: [Source] = []
        for name in settings.providers.keys.sorted() {
            guard let provider = settings.providers[name], provider.isOn else { continue }
            guard let make = makers[name] else {
                let variable = "PROVIDER_MODE_" + name.uppercased().replacing("-", with: "_")
                throw ProviderError(.misconfigured, "provider \(name) has no adapter here yet: \(variable) must be off")
            }
            let adapter = try make(provider)
            sources.append(
                Source(
                    adapter: adapter, mode: provider.mode.rawValue, bodyLimit: provider.bodyLimit, policy: try policy(of: provider, adapter),
                    addresses: provider.addresses, addressCheck: provider.addressCheck, otherPaths: seedPaths[name] ?? [],
                    callsPerSecond: callsPerSecond(provider, adapter)))
        }
        return sources
    }

    private static func policy(of provider: ProviderSettings, _ adapter: any PaymentProvider) throws(ProviderError) -> TrustPolicy {
        guard let said = provider.trust.flatMap({ TrustPolicy(rawValue: $0.rawValue) }) else { return adapter.capabilities.standardPolicy }
        if let problem = said.problem(with: adapter.capabilities) {
            throw ProviderError(.misconfigured, "provider \(provider.name) cannot have the trust policy \(said.rawValue): \(problem)")
        }
        return said
    }

    private typealias Maker = @Sendable (ProviderSettings) throws(ProviderError) -> any PaymentProvider

    private static let makers: [String: Maker] = [
        "standard-webhooks": { provider throws(ProviderError) in try StandardWebhooksProvider(secrets: provider.secrets) },
        "payment-backend": { provider throws(ProviderError) in
            try PaymentBackendProvider(
                baseURL: try require("api_url", of: provider), apiKey: try require("api_key", of: provider),
                secrets: provider.secrets)
        },
        "manual": { provider in ManualProvider(account: provider.values["account"]) },
        "cinetpay": { provider throws(ProviderError) in
            CinetPayProvider(
                apiKey: try require("api_key", of: provider), siteID: try require("site_id", of: provider), secrets: provider.secrets,
                apiURL: try require("api_url", of: provider), live: provider.mode == .live)
        },
        "feexpay": { provider throws(ProviderError) in
            try FeexPayProvider(
                apiKey: try require("api_key", of: provider), shopID: try require("shop_id", of: provider), secrets: provider.secrets,
                apiURL: try require("api_url", of: provider), networksOff: provider.words("networks_off"), live: provider.mode == .live)
        },
        "icount": { provider throws(ProviderError) in
            try ICountProvider(
                apiToken: provider.values["api_token"], company: provider.values["cid"], user: provider.values["user"],
                password: provider.values["pass"], paypageID: try require("paypage_id", of: provider), secrets: provider.secrets,
                apiURL: try require("api_url", of: provider), live: provider.mode == .live)
        },
        "orange-money": { provider throws(ProviderError) in
            try OrangeMoneyProvider(
                clientID: try require("client_id", of: provider), clientSecret: try require("client_secret", of: provider),
                merchantKey: try require("merchant_key", of: provider), merchantName: provider.values["merchant_id"], secrets: provider.secrets,
                apiURL: try require("api_url", of: provider), notifyURL: provider.values["notify_url"], returnURL: provider.values["return_url"],
                live: provider.mode == .live)
        },
        "kkiapay": { provider throws(ProviderError) in
            try KKiaPayProvider(
                publicKey: try require("public_key", of: provider), privateKey: try require("private_key", of: provider),
                secret: try require("secret", of: provider), webhookSecrets: provider.secrets, apiURL: try require("api_url", of: provider),
                live: provider.mode == .live)
        },
        "wave": { provider throws(ProviderError) in
            WaveProvider(
                apiKey: try require("api_key", of: provider), secrets: provider.secrets, apiURL: try require("api_url", of: provider),
                live: provider.mode == .live)
        },
    ]

    private static let seedPaths: [String: [String]] = [
        "payment-backend": ["/api/payments/callback"],
        "cinetpay": ["/payments/cinetpay/notify/"],
        "feexpay": ["/api/v1/payments/feexpay/webhook/"],
        "icount": ["/api/webhooks/icount"],
        "orange-money": ["/payments/om/notify/"],
    ]

    private static func require(_ key: String, of provider: ProviderSettings) throws(ProviderError) -> String {
        guard let value = provider.values[key], !value.isEmpty else {
            throw ProviderError(.misconfigured, "provider \(provider.name) is on, but its \(key) is not set")
        }
        return value
    }
}
