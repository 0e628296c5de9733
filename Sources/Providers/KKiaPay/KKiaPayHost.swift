import ProviderPort

/// Where KKiaPay is spoken to. Key and host go together: a live key at the sandbox's host is refused there, and the reverse.
struct KKiaPayHost: Sendable {
    static let live = "https://api.kkiapay.me"
    static let sandbox = "https://api-sandbox.kkiapay.me"

    let base: String

    /// - Throws: ``ProviderError`` `misconfigured` where the address is of the other mode.
    init(_ url: String, live: Bool) throws(ProviderError) {
        var base = url
        while base.hasSuffix("/") { base.removeLast() }
        guard !(live && base.hasPrefix(Self.sandbox)) else {
            throw ProviderError(.misconfigured, "provider kkiapay is live, but KKIAPAY_API_URL is KKiaPay's sandbox")
        }
        guard live || !base.hasPrefix(Self.live) else {
            throw ProviderError(.misconfigured, "provider kkiapay is in sandbox mode, but KKIAPAY_API_URL is KKiaPay's live host")
        }
        self.base = base
    }

    /// The widget's script: KKiaPay's own, unless somebody else plays the API, who then brings one.
    var script: String { base == Self.live || base == Self.sandbox ? WidgetRules.officialScript : base + "/k.js" }
}
