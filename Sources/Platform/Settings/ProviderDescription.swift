/// Which variables belong to a provider, and whether its webhooks bring a proof.
struct ProviderDescription: Sendable {
    /// One value an adapter is made with.
    struct Value: Sendable {
        /// Under which name the adapter asks for it.
        let key: String
        let variable: SettingVariable
        let isURL: Bool
        /// Where the value is a list: every word that may stand in it.
        var words: [String]? = nil
        /// Hosts that an address may not have, and why.
        var refusedHosts: [String: String] = [:]
    }

    /// As it stands in `/webhooks/<name>`.
    let name: String
    /// The variable with the secrets that prove a webhook; nil for a source that has none.
    let proof: SettingVariable?
    /// Secrets that are no proof by themselves, but still stand in a path or body we compare.
    let capability: SettingVariable?
    let secretsAreWebhookKeys: Bool
    let values: [Value]

    private init(
        _ name: String, proof: SettingVariable? = nil, capability: SettingVariable? = nil, secretsAreWebhookKeys: Bool = false, _ values: [Value]
    ) {
        self.name = name
        self.proof = proof
        self.capability = capability
        self.secretsAreWebhookKeys = secretsAreWebhookKeys
        self.values = values
    }

    var suffix: String { name.uppercased().replacing("-", with: "_") }
    var modeVariable: String { "PROVIDER_MODE_\(suffix)" }
    var bodyLimitVariable: String { "BODY_LIMIT_\(suffix)" }
    var rateVariable: String { "PROVIDER_RATE_\(suffix)" }
    /// Whether anything is called there.
    var hasAPI: Bool { values.contains { $0.key == "api_url" } }
    var trustVariable: String { "TRUST_POLICY_\(suffix)" }
    var addressesVariable: String { "ALLOWED_ADDRESSES_\(suffix)" }
    var addressCheckVariable: String { "ADDRESS_CHECK_\(suffix)" }
    /// Whether anybody posts for it.
    var hasWebhook: Bool { name != "manual" }

    var variables: [SettingVariable] {
        let proofSentence = proof == nil ? "Its webhooks prove nothing, so every event is asked for." : "live needs \(proof?.name ?? "")."
        let mode = SettingVariable(
            modeVariable, in: name, standard: "off", "off, sandbox or live. Chosen together with the address and the keys. \(proofSentence)")
        let limit = SettingVariable(bodyLimitVariable, in: name, standard: "256KiB", "The largest body its webhook may have, at most 10MB.")
        let rate = SettingVariable(
            rateVariable, in: name, sample: "5",
            "The most calls a second to its API, of all programs together; 0 for any number. Unless set, in live mode what the provider is known "
                + "to take, else 20; any number in sandbox mode.")
        return [mode, limit] + (hasAPI ? [rate] : []) + (hasWebhook ? postVariables : []) + [proof, capability].compactMap { $0 }
            + values.map(\.variable)
    }

    /// What its posts are taken for, and where they may come from.
    private var postVariables: [SettingVariable] {
        [
            SettingVariable(
                trustVariable, in: name, sample: "fetch-if-unsigned",
                "trust: a webhook must bring its proof. fetch: the provider is asked whatever it brings. fetch-if-unsigned: asked where there is no "
                    + "proof. The provider's own unless set (`quittance source list`); a wrong proof is always refused."),
            SettingVariable(
                addressesVariable, in: name, sample: "192.0.2.0/24 2001:db8::/32", "Where its webhooks come from: addresses and ranges, by blanks."),
            SettingVariable(
                addressCheckVariable, in: name, standard: "off",
                "off, log or enforce: what becomes of a webhook from elsewhere. See TRUSTED_PROXIES."),
        ]
    }

    // MARK: The table

    static let all: [ProviderDescription] = [
        cinetPay, standardWebhooks, paymentBackend, kkiapay, orangeMoney, feexPay, wave, iCount, manual,
    ]

    private static func url(_ variable: String, in section: String, live: String? = nil, sample: String = "", _ explanation: String) -> Value {
        Value(key: "api_url", variable: SettingVariable(variable, in: section, standard: live, sample: sample, explanation), isURL: true)
    }

    private static func key(_ key: String, _ variable: String, in section: String, _ explanation: String) -> Value {
        Value(key: key, variable: SettingVariable(variable, in: section, sample: "...", .secret, explanation), isURL: false)
    }

    private static func word(_ key: String, _ variable: String, in section: String, sample: String, _ explanation: String) -> Value {
        Value(key: key, variable: SettingVariable(variable, in: section, sample: sample, explanation), isURL: false)
    }

    private static func secret(_ variable: String, in section: String, sample: String = "...", _ explanation: String) -> SettingVariable {
        SettingVariable(variable, in: section, sample: sample, .secret, explanation)
    }

    private static let sandboxSentence = "In sandbox mode the played provider, unless set."

    private static let cinetPay = ProviderDescription(
        "cinetpay", proof: secret("CINETPAY_WEBHOOK_SECRET", in: "cinetpay", "The secret key of the merchant account; it makes the x-token."),
        [
            key("api_key", "CINETPAY_API_KEY", in: "cinetpay", "The apikey of the merchant account."),
            word("site_id", "CINETPAY_SITE_ID", in: "cinetpay", sample: "445160", "The site_id of the merchant account."),
            url(
                "CINETPAY_API_URL", in: "cinetpay", live: "https://api-checkout.cinetpay.com/v2", "The checkout API. \(sandboxSentence)"),
        ])

    private static let standardWebhooks = ProviderDescription(
        "standard-webhooks",
        proof: secret(
            "STANDARD_WEBHOOKS_SECRET", in: "standard-webhooks", sample: "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
            "whsec_ and Base64 of at least 16 bytes. Several while rotating, separated by blanks."),
        secretsAreWebhookKeys: true, [])

    private static let paymentBackend = ProviderDescription(
        "payment-backend",
        proof: secret("PAYMENT_WEBHOOK_SECRET", in: "payment-backend", "The secret the payment back end signs its callbacks with."),
        [
            url(
                "PAYMENT_BACKEND_URL", in: "payment-backend", sample: "https://payments.example.com",
                "Servelink's payment back end. \(sandboxSentence)"
            ),
            key("api_key", "PAYMENT_API_KEY", in: "payment-backend", "The key we call the payment back end with."),
        ])

    private static let kkiapay = ProviderDescription(
        "kkiapay", proof: secret("KKIAPAY_WEBHOOK_SECRET", in: "kkiapay", "The secret hash set beside the webhook's address in the dashboard."),
        [
            word("public_key", "KKIAPAY_PUBLIC_KEY", in: "kkiapay", sample: "...", "The public key of the dashboard."),
            key("private_key", "KKIAPAY_PRIVATE_KEY", in: "kkiapay", "The private key of the dashboard."),
            key("secret", "KKIAPAY_SECRET", in: "kkiapay", "The secret of the dashboard, for calls to the API."),
            url(
                "KKIAPAY_API_URL", in: "kkiapay", live: "https://api.kkiapay.me",
                "The API; KKiaPay's own sandbox is https://api-sandbox.kkiapay.me. \(sandboxSentence)"),
        ])

    private static let orangeMoney = ProviderDescription(
        "orange-money",
        capability: secret("OM_WEBHOOK_SECRET", in: "orange-money", "Keys the address that is made for the notifications of each payment."),
        [
            url(
                "OM_API_URL", in: "orange-money", sample: "https://api.orange.com/orange-money-webpay/ci/v1",
                "The Web Payment API with the country's two letters, or dev for trials. \(sandboxSentence)"),
            key("merchant_key", "OM_MERCHANT_KEY", in: "orange-money", "The merchant key of the developer portal."),
            word(
                "merchant_id", "OM_MERCHANT_ID", in: "orange-money", sample: "Boutique Exemple",
                "The merchant as customers see it on Orange's page, at most 30 bytes; the payment's description unless set."),
            key("client_id", "OM_CLIENT_ID", in: "orange-money", "The client id of the developer portal."),
            key("client_secret", "OM_CLIENT_SECRET", in: "orange-money", "The client secret of the developer portal."),
            Value(
                key: "return_url",
                variable: SettingVariable(
                    "OM_RETURN_URL", in: "orange-money", sample: "https://pay.example.com/payments/om/return/",
                    "Where the customer comes back to, transaction_id behind it; at most 120 characters in all. Made from BASE_URL unless set."),
                isURL: true),
            Value(
                key: "notify_url",
                variable: SettingVariable(
                    "OM_NOTIFY_URL", in: "orange-money", sample: "https://pay.example.com/payments/om/notify/",
                    "Where notifications go. With OM_WEBHOOK_SECRET only its host counts, since each payment has its own path. Made from BASE_URL unless set."
                ), isURL: true),
        ])

    private static let feexPay = ProviderDescription(
        "feexpay",
        capability: secret(
            "FEEXPAY_WEBHOOK_SECRET", in: "feexpay",
            "The value chosen in the dashboard's webhook menu. Once set, a webhook without it is refused; FeexPay is asked all the same."),
        [
            key("api_key", "FEEXPAY_API_KEY", in: "feexpay", "The API key of the shop, fp_..."),
            word("shop_id", "FEEXPAY_SHOP_ID", in: "feexpay", sample: "...", "The shop's id."),
            Value(
                key: "api_url",
                variable: SettingVariable(
                    "FEEXPAY_API_URL", in: "feexpay", standard: "https://api-v2.feexpay.me", "The API, V2. \(sandboxSentence)"),
                isURL: true, refusedHosts: ["api.feexpay.me": "FeexPay's V1, which is withdrawn"]),
            Value(
                key: "networks_off",
                variable: SettingVariable(
                    "FEEXPAY_NETWORKS_OFF", in: "feexpay", sample: "moov coris",
                    "Networks and cards that are not offered for now, separated by blanks: \(feexPayNetworks.joined(separator: " "))."),
                isURL: false, words: feexPayNetworks),
        ])

    /// The adapter's table has the rest of each; a test keeps the two the same.
    private static let feexPayNetworks = [
        "mtn", "moov", "celtiis_bj", "coris", "togocom_tg", "moov_tg", "mtn_ci", "moov_ci", "orange_ci", "wave_ci", "orange_sn", "free_sn", "wave_sn",
        "mtn_cg", "orange_bf", "moov_bf", "visa", "mastercard",
    ]

    private static let wave = ProviderDescription(
        "wave", proof: secret("WAVE_WEBHOOK_SECRET", in: "wave", "The webhook's signing secret, whole, as Wave shows it once."),
        [
            key("api_key", "WAVE_API_KEY", in: "wave", "The key of the wallet, wave_sn_prod_..."),
            url("WAVE_API_URL", in: "wave", live: "https://api.wave.com", "The API. \(sandboxSentence)"),
        ])

    private static let manual = ProviderDescription(
        "manual",
        [
            word(
                "account", "MANUAL_ACCOUNT", in: "manual", sample: "Quittance SARL, BOA Bénin, IBAN BJ66 ...",
                "The account that customers of a bank transfer are shown. Without it there are no transfers.")
        ])

    private static let iCount = ProviderDescription(
        "icount",
        capability: secret(
            "ICOUNT_WEBHOOK_SECRET", in: "icount",
            "Keys the address that is made for the notifications of each payment: without it none of them pays anything. Behind it, after a blank, "
                + "the secret that iCount shows beside a webhook of documents."),
        [
            key("api_token", "ICOUNT_API_TOKEN", in: "icount", "The token of iCount's Settings, API. Without it the three below begin a session."),
            word("cid", "ICOUNT_CID", in: "icount", sample: "...", "The company id."),
            word("user", "ICOUNT_USER", in: "icount", sample: "...", "The API user."),
            key("pass", "ICOUNT_PASS", in: "icount", "The API user's password."),
            word(
                "paypage_id", "ICOUNT_PAYPAGE_ID", in: "icount", sample: "30512", "The payment page's integer id, not the slug of its public address."
            ),
            url("ICOUNT_API_URL", in: "icount", live: "https://api.icount.co.il/api/v3.php", "The API. \(sandboxSentence)"),
        ])
}
