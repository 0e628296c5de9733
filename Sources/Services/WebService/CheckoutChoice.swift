import Drafts
import Formats
import Money
import ProviderPort

/// A provider on the checkout page: its button, and the fields that it needs beforehand.
struct CheckoutChoice: Sendable {
    let provider: String
    let french: String
    let english: String
    /// The one method that the button stands for; nil where the customer chooses at the provider.
    let method: String?

    init(_ provider: String, _ french: String, _ english: String, method: String? = nil) {
        self.provider = provider
        self.french = french
        self.english = english
        self.method = method
    }

    /// The ways to pay that fit. Cards of a provider that wants them told beforehand are left to its API.
    func fitting(_ offer: ProviderOffer, _ amount: Money) -> [ProviderOffer.Choice] {
        offer.choices(for: amount, country: nil).filter { way in
            (method == nil || way.method == method) && !(asksForPhone(offer) && way.method == "credit_card")
        }
    }

    private func asksForPhone(_ offer: ProviderOffer) -> Bool { offer.choices.contains { $0.network != nil && $0.needs.contains("phone") } }

    /// Network, phone and code, where the provider has no page that would ask for them.
    func fields(_ ways: [ProviderOffer.Choice], _ phone: String?, _ words: Words) -> Markup {
        let networks = ways.filter { $0.network != nil && $0.needs.contains("phone") }
        guard !networks.isEmpty else { return .empty }
        let options: [Markup] = networks.map { way in
            "<option value=\"\(way.network ?? "")\">\(way.label) (\(way.countries.joined(separator: ", ")))</option>"
        }
        let code: Markup =
            networks.contains { $0.needs.contains("otp") }
            ? """
            <label for="\(provider)-otp">\(words("Code reçu de l’opérateur (si votre réseau en demande un)", "Code from the operator (if your network asks for one)"))</label>
            <input id="\(provider)-otp" name="otp" inputmode="numeric" autocomplete="one-time-code" maxlength="12"/>
            """ : .empty
        return """
            <label for="\(provider)-network">\(words("Réseau", "Network"))</label>
            <select id="\(provider)-network" name="network">\(options)</select>
            <label for="\(provider)-phone">\(words("Téléphone (forme internationale)", "Phone (international form)"))</label>
            <input id="\(provider)-phone" name="phone" type="tel" autocomplete="tel" value="\(phone ?? "")"/>
            \(code)
            """
    }

    /// - Throws: ``WebProblem`` 422.
    func plan(_ sent: [String: String], actor: String) throws(WebProblem) -> AttemptStart.Plan {
        var fields = FieldReader(.object(JSONObject(sent.sorted { $0.key < $1.key }.map { ($0.key, JSON.string($0.value)) })))
        let network = fields.text("network", limit: 40)
        let phone = fields.text("phone", limit: 20)
        if let phone, !PhoneNumber.isE164(phone) { fields.fault("phone", "must be in international form, such as +2290166000000") }
        let otp = fields.text("otp", limit: 12)
        try fields.check()
        return AttemptStart.Plan(
            provider: provider, method: method, phone: phone, network: network, otp: otp, actor: actor, reuses: network == nil)
    }
}
