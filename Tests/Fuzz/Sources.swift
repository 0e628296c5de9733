import CinetPay
import FeexPay
import Formats
import ICount
import KKiaPay
import OrangeMoney
import PaymentBackend
import ProviderPort
import StandardWebhooks
import Wave

/// Every provider that posts, with secrets that no input can know: what is believed nevertheless is forged.
enum PostingProviders {
    static let nowMs: Int64 = 1_763_712_000_000
    static let site = "900417"

    /// - Parameter secret: of all of them; Base64 of 24 bytes, so that every scheme can use it.
    static func make(secret: String) throws -> [any PaymentProvider] {
        [
            try StandardWebhooksProvider(secrets: ["whsec_\(secret)"]),
            try PaymentBackendProvider(baseURL: "http://localhost", apiKey: "k", secrets: ["whsec_\(secret)"]),
            CinetPayProvider(apiKey: "k", siteID: site, secrets: [secret]),
            try FeexPayProvider(apiKey: "k", shopID: "s", secrets: [secret]),
            try KKiaPayProvider(publicKey: "k", privateKey: "k", secret: "k", webhookSecrets: [secret], apiURL: "http://localhost"),
            try OrangeMoneyProvider(
                clientID: "c", clientSecret: "s", merchantKey: "m", secrets: [secret], apiURL: "http://localhost/orange-money-webpay/dev/v1"),
            WaveProvider(apiKey: "k", secrets: [secret]),
            try ICountProvider(apiToken: "t", paypageID: "7", secrets: [secret]),
        ]
    }

    static func freshSecret() -> String {
        var random = SystemRandomNumberGenerator()
        return Base64.encode((0..<24).map { _ in UInt8.random(in: 0...255, using: &random) })
    }

    /// The named one, or by chance one of them: a word that is damaged is still a word.
    static func choose(_ name: Substring, of providers: [any PaymentProvider]) -> any PaymentProvider {
        if let named = providers.first(where: { $0.name == name }) { return named }
        let sum = name.utf8.reduce(0) { ($0 &* 31 &+ Int($1)) & 0xFFFF }
        return providers[sum % providers.count]
    }
}

extension WebhookVerdict {
    /// How far an accepted post is believed; nil when it is not accepted.
    var trust: Trust? { if case .accepted(let webhook) = self { webhook.trust } else { nil } }
}
