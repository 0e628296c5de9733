import Formats

/// The providers as the sandbox plays them for a benchmark: their keys, and how a payment is begun and paid at each.
enum PlayedHouses {
    struct House: Sendable {
        let name: String
        var amount = "5000"
        var currency = "XOF"
        /// What a start needs besides the payment.
        var fields: [String: String] = [:]
        /// Whether the customer pays in a widget, which makes a transaction of its own.
        var isWidget = false
    }

    /// Those that post: five of them are asked about what they post, two sign it.
    static let all = [
        House(name: "cinetpay"), House(name: "orange-money"),
        House(name: "feexpay", fields: ["method": "mobile_money", "network": "mtn", "phone": "+22997123456"]),
        House(name: "kkiapay", isWidget: true), House(name: "wave"), House(name: "icount", amount: "250.00", currency: "ILS"),
        House(name: "payment-backend", fields: ["method": "mobile_money"]),
    ]

    /// The settings of all of them, for ingest, web, the worker and the sandbox alike.
    static func environment(sandboxPort: Int) -> [String: String] {
        var settings = [
            "SANDBOX_ADDRESS": "127.0.0.1:\(sandboxPort)", "CINETPAY_API_KEY": "bench-cinetpay", "CINETPAY_SITE_ID": "900417",
            "CINETPAY_WEBHOOK_SECRET": "bench-cinetpay-secret", "PAYMENT_API_KEY": "bench-backend",
            "PAYMENT_WEBHOOK_SECRET": "bench-backend-secret", "KKIAPAY_PUBLIC_KEY": "bench-public", "KKIAPAY_PRIVATE_KEY": "bench-private",
            "KKIAPAY_SECRET": "bench-secret", "KKIAPAY_WEBHOOK_SECRET": "bench-kkiapay-secret", "OM_CLIENT_ID": "bench-client",
            "OM_CLIENT_SECRET": "bench-client-secret", "OM_MERCHANT_KEY": "a86b2087", "OM_MERCHANT_ID": "bench",
            "OM_WEBHOOK_SECRET": "bench-orange-secret", "FEEXPAY_API_KEY": "fp_bench", "FEEXPAY_SHOP_ID": "bench-shop",
            "FEEXPAY_WEBHOOK_SECRET": "bench-feexpay-secret", "WAVE_API_KEY": "wave_sn_bench", "WAVE_WEBHOOK_SECRET": "wave_sn_WHS_bench",
            "ICOUNT_API_TOKEN": "API3E8-BENCH", "ICOUNT_PAYPAGE_ID": "30512", "ICOUNT_WEBHOOK_SECRET": "bench-icount-secret",
        ]
        for house in all { settings["PROVIDER_MODE_" + house.name.uppercased().replacing("-", with: "_")] = "sandbox" }
        return settings
    }
}
