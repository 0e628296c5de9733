import Money
import ProviderPort

/// Which of Orange's offers `OM_API_URL` names: `…/orange-money-webpay/<country>/v1`, or `…/dev/v1`, the one for trials.
struct WebPaymentAddress: Sendable {
    static let product = "/orange-money-webpay/"
    static let tokenPath = "/oauth/v3/token"
    /// The money of trials, by which Orange's `dev` offer replaces the country's.
    static let trialCurrency = "OUV"

    /// Countries whose currency is established. For others, which Orange has too, the order's own currency is sent. A guess that belongs
    /// to this table alone: Orange publishes no list.
    static let currencies: [String: Currency] = [
        "ci": .xof, "sn": .xof, "ml": .xof, "bf": .xof, "gw": .xof, "cm": .xaf, "cf": .xaf, "gn": .gnf,
    ]
    /// Countries that this product cannot serve, and why.
    private static let unserved = [
        "cd": "Orange sends merchants of Congo-Kinshasa to another product, orange-money-b2b", "mg": "amounts in MGA are not kept here",
    ]
    /// Currencies whose amounts are whole numbers, as every amount in Orange's samples is.
    private static let wholeCurrencies: [Currency] = [.xof, .xaf, .gnf]

    /// Up to and with the version, no slash at the end.
    let base: String
    let tokenURL: String
    /// Lower-case letters; nil for the trial offer.
    let country: String?

    /// - Parameter apiURL: without the product's path it is taken for where the product is played, by the trial offer.
    /// - Throws: ``ProviderError`` `misconfigured`.
    init(apiURL: String, live: Bool) throws(ProviderError) {
        var url = apiURL
        while url.hasSuffix("/") { url.removeLast() }
        let parts = url.split(separator: Self.product, maxSplits: 1, omittingEmptySubsequences: false)
        let place: Substring
        if parts.count == 2 {
            let tail = parts[1].split(separator: "/")
            guard tail.count == 2, tail[0].utf8.allSatisfy({ (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) }), tail[1].hasPrefix("v") else {
                throw ProviderError(
                    .misconfigured, "OM_API_URL must end with \(Self.product)<country>/v1, the country in two small letters, or dev for trials")
            }
            place = tail[0]
            base = url
        } else {
            place = "dev"
            base = url + Self.product + "dev/v1"
        }
        tokenURL = parts[0] + Self.tokenPath
        country = place == "dev" ? nil : String(place)
        guard country.map({ $0.utf8.count == 2 }) ?? true else {
            throw ProviderError(.misconfigured, "OM_API_URL names the country '\(place.prefix(20))': two small letters are taken, as in ci")
        }
        if let country, let reason = Self.unserved[country] { throw ProviderError(.misconfigured, "OM_API_URL names \(country): \(reason)") }
        guard country != nil || !live else {
            throw ProviderError(.misconfigured, "OM_API_URL names the trial offer (dev), and the provider is live: name the country, as in ci")
        }
    }

    var currencies: [Currency] { country.flatMap { Self.currencies[$0] }.map { [$0] } ?? Self.wholeCurrencies }

    /// ISO 3166, in capitals.
    var countries: [String] { (country.map { [$0] } ?? Self.currencies.keys.sorted()).map { $0.uppercased() } }

    /// What is sent as the currency.
    func currencyCode(of amount: Money) -> String { country == nil ? Self.trialCurrency : amount.currency.code }
}
