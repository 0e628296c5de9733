import FeexPay
import ProviderCatalog
import ProviderPort
import Settings
import Testing

/// The adapters as the settings make them.
@Suite("The catalog of providers")
struct ProviderCatalogTests {
    private func sources(_ environment: [String: String]) throws -> [ProviderCatalog.Source] {
        try ProviderCatalog.sources(try Settings(environment: environment))
    }

    private let feexPay = ["PROVIDER_MODE_FEEXPAY": "sandbox", "FEEXPAY_API_KEY": "fp_1", "FEEXPAY_SHOP_ID": "shop"]

    @Test("FeexPay is made of its settings, and answers at the seed's path too")
    func feexPayIsMade() throws {
        let source = try #require(try sources(feexPay.merging(["FEEXPAY_NETWORKS_OFF": "moov"]) { $1 }).first)
        #expect(source.adapter.name == "feexpay")
        #expect(source.mode == "sandbox")
        #expect(source.otherPaths == ["/api/v1/payments/feexpay/webhook/"])
        let off = source.adapter.offer.choices.filter { $0.offReason?.contains("FEEXPAY_NETWORKS_OFF") == true }
        #expect(off.map(\.network) == ["moov"])
        #expect(!source.adapter.capabilities.hasProof)
        let proving = try sources(feexPay.merging(["FEEXPAY_WEBHOOK_SECRET": "one two"]) { $1 })
        #expect(proving.first?.adapter.capabilities.hasProof == true)
    }

    @Test(
        "how many calls a second a provider gets: as set, else what a live one is known to take; a played one takes any number",
        arguments: [
            ("wave", "sandbox", nil, nil), ("wave", "live", nil, 20), ("icount", "live", nil, 2), ("icount", "live", "0.5", 0.5),
            ("wave", "sandbox", "7", 7), ("wave", "live", "0", nil),
        ] as [(String, String, String?, Double?)])
    func pace(_ name: String, _ mode: String, _ set: String?, _ expected: Double?) throws {
        var environment = [
            "PROVIDER_MODE_\(name.uppercased())": mode, "WAVE_API_KEY": "k", "WAVE_WEBHOOK_SECRET": "s", "ICOUNT_API_TOKEN": "t",
            "ICOUNT_PAYPAGE_ID": "1", "ICOUNT_WEBHOOK_SECRET": "s", "BASE_URL": "https://pay.example.com",
            "SECRET_KEY": String(repeating: "k", count: 32),
        ]
        environment["PROVIDER_RATE_\(name.uppercased())"] = set
        #expect(try sources(environment).map(\.callsPerSecond) == [expected])
    }

    @Test("a pace that is none, or of a provider that there is not, is refused by name")
    func noPace() {
        let wrong = [("PROVIDER_RATE_WAVE", "fast"), ("PROVIDER_RATE_WAVE", "-1"), ("PROVIDER_RATE_MANUAL", "1"), ("PROVIDER_RATE_WAVES", "1")]
        for (name, value) in wrong {
            let error = #expect(throws: SettingsError.self) { try Settings(environment: [name: value]) }
            #expect(error?.problems.map(\.variable) == [name])
        }
    }

    @Test("FeexPay's networks can be switched off by exactly the words of its table")
    func feexPayWords() throws {
        let words = FeexPayProvider.networkWords.joined(separator: " ")
        let variable = Settings.variables.first { $0.name == "FEEXPAY_NETWORKS_OFF" }
        #expect(variable?.explanation.contains(": \(words).") == true)
        let none = try sources(feexPay.merging(["FEEXPAY_NETWORKS_OFF": words]) { $1 })
        #expect(none.first?.adapter.offer.choices.allSatisfy { $0.offReason != nil } == true)
    }

    @Test("a value that a provider needs is missed by name", arguments: ["FEEXPAY_API_KEY", "FEEXPAY_SHOP_ID"])
    func missing(_ variable: String) {
        var environment = feexPay
        environment[variable] = nil
        #expect(throws: ProviderError.self) { try sources(environment) }
    }

    private let orange = [
        "PROVIDER_MODE_ORANGE_MONEY": "sandbox", "OM_CLIENT_ID": "i", "OM_CLIENT_SECRET": "s", "OM_MERCHANT_KEY": "m", "OM_WEBHOOK_SECRET": "w",
    ]

    @Test("Orange Money is made of its settings, by the trial offer of the sandbox, and answers at the Kit's path too")
    func orangeIsMade() throws {
        let source = try #require(try sources(orange).first)
        #expect(source.adapter.name == "orange-money")
        #expect(source.otherPaths == ["/payments/om/notify/"])
        #expect(source.adapter.addressSigner != nil && source.adapter.capabilities.hasProof)
        let country = try sources(orange.merging(["OM_API_URL": "https://api.orange.com/orange-money-webpay/cm/v1"]) { $1 })
        #expect(country.first?.adapter.offer.choices.map(\.countries) == [["CM"]])
        let live = [
            "PROVIDER_MODE_ORANGE_MONEY": "live", "OM_API_URL": "https://api.orange.com/orange-money-webpay/dev/v1",
            "BASE_URL": "https://pay.example.com", "SECRET_KEY": String(repeating: "k", count: 32),
        ]
        #expect(throws: ProviderError.self) { try sources(orange.merging(live) { $1 }) }
        for variable in ["OM_CLIENT_ID", "OM_CLIENT_SECRET", "OM_MERCHANT_KEY"] {
            #expect(throws: ProviderError.self) { try sources(orange.filter { $0.key != variable }) }
        }
    }

    @Test("iCount is made of its settings, by token or by session, and answers at the seed's path too")
    func iCountIsMade() throws {
        let token = [
            "PROVIDER_MODE_ICOUNT": "sandbox", "ICOUNT_PAYPAGE_ID": "30512", "ICOUNT_API_TOKEN": "t", "ICOUNT_WEBHOOK_SECRET": "ours theirs",
        ]
        let source = try #require(try sources(token).first)
        #expect(source.adapter.name == "icount")
        #expect(source.otherPaths == ["/api/webhooks/icount"])
        #expect(source.adapter.addressSigner != nil && source.adapter.capabilities.refunds == .full)
        var session = token.filter { $0.key != "ICOUNT_API_TOKEN" && $0.key != "ICOUNT_WEBHOOK_SECRET" }
        #expect(throws: ProviderError.self) { try sources(session) }
        session.merge(["ICOUNT_CID": "c", "ICOUNT_USER": "u", "ICOUNT_PASS": "p"]) { $1 }
        #expect(try sources(session).first?.adapter.addressSigner == nil)
        for slug in ["31ff3", ""] {
            #expect(throws: ProviderError.self) { try sources(token.merging(["ICOUNT_PAYPAGE_ID": slug]) { $1 }) }
        }
    }
}
