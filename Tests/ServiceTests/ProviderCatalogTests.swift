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
}
