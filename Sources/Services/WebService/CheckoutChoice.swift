import Database
import Formats
import Money
import Payments
import ProviderPort

/// A provider on a page to pay at: its button, and the fields that it needs beforehand.
struct CheckoutChoice: Sendable {
    let provider: String
    let french: String
    let english: String
    /// The one method that the button stands for; nil where the customer chooses at the provider.
    let method: String?
    /// The provider's name, where its own page has several ways and can be had for each of them alone.
    let page: String?

    /// The providers that customers may choose, in the order of their buttons; one that is off has none.
    static let all: [CheckoutChoice] = [
        CheckoutChoice("cinetpay", "Payer par CinetPay (Mobile Money ou carte)", "Pay with CinetPay (mobile money or card)", page: "CinetPay"),
        CheckoutChoice("orange-money", "Payer par Orange Money", "Pay with Orange Money"),
        CheckoutChoice("kkiapay", "Payer par KKiaPay (Mobile Money ou carte)", "Pay with KKiaPay (mobile money or card)", page: "KKiaPay"),
        CheckoutChoice("feexpay", "Payer par Mobile Money (FeexPay)", "Pay with mobile money (FeexPay)"),
        CheckoutChoice("wave", "Payer par Wave", "Pay with Wave"),
        CheckoutChoice("icount", "Payer par carte (iCount)", "Pay by card (iCount)"),
        CheckoutChoice("manual", "Payer par virement bancaire", "Pay by bank transfer", method: "bank_transfer"),
    ]

    init(_ provider: String, _ french: String, _ english: String, method: String? = nil, page: String? = nil) {
        self.provider = provider
        self.french = french
        self.english = english
        self.method = method
        self.page = page
    }

    /// The same provider, its page bound to one way.
    func bound(to way: ProviderOffer.Choice) -> CheckoutChoice {
        let name = page ?? provider
        let (french, english) =
            switch way.method {
            case "mobile_money": ("par Mobile Money", "with mobile money")
            case "credit_card": ("par carte", "by card")
            case "wallet": ("par portefeuille électronique", "with a wallet")
            default: ("autrement", "another way")
            }
        return CheckoutChoice(provider, "Payer \(french) (\(name))", "Pay \(english) (\(name))", method: way.method, page: page)
    }

    /// The ways to pay that fit. Cards of a provider that wants them told beforehand are left to its API.
    func fitting(_ offer: ProviderOffer, _ amount: Money, country: String?) -> [ProviderOffer.Choice] {
        offer.choices(for: amount, country: country).filter { way in
            (method == nil || way.method == method) && !(Self.asksForPhone(offer) && way.method == "credit_card")
        }
    }

    private static func asksForPhone(_ offer: ProviderOffer) -> Bool {
        offer.choices.contains { $0.network != nil && $0.needs.contains("phone") }
    }

    /// Network, phone and code, where the provider has no page that would ask for them; what a card needs, where the button is for cards alone.
    /// - Parameter namesCountries: whether the networks are of several countries.
    fileprivate func fields(_ entry: CheckoutOffer.Entry, _ phone: String?, namesCountries: Bool, _ words: Words) -> Markup {
        if page != nil, let method {
            let asked = entry.asked.map { $0.markup(id: "\(provider)-\(method)", words) }
            return "<input type=\"hidden\" name=\"method\" value=\"\(method)\"/>\(asked)"
        }
        let ways = entry.ways
        let networks = ways.filter { $0.network != nil && $0.needs.contains("phone") }
        guard !networks.isEmpty else { return .empty }
        let options: [Markup] = networks.map { way in
            let countries = namesCountries ? " (\(way.countries.map { Country.name(of: $0, words) }.joined(separator: ", ")))" : ""
            return "<option value=\"\(way.network ?? "")\">\(way.label)\(countries)</option>"
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

    /// - Parameter sent: what the customer filled in.
    /// - Throws: ``WebProblem`` 422.
    func plan(_ sent: [String: String], actor: String) throws(WebProblem) -> AttemptStart.Plan {
        // Where to send the browser afterwards, and how to pay at the provider, are not the customer's to say.
        var own = sent.filter { ["network", "phone", "otp"].contains($0.key) && !$0.value.isEmpty }
        // But for one of the ways that its page has.
        let bound = page == nil ? nil : sent["method"].flatMap { $0.isEmpty ? nil : $0 }
        if let bound { own["method"] = bound }
        own["phone"] = own["phone"].map(Self.plain)
        var fields = FieldReader(.object(JSONObject(own.sorted { $0.key < $1.key }.map { ($0.key, JSON.string($0.value)) })))
        var plan = try AttemptChoice(&fields).plan(at: provider, actor: actor, claim: nil, method: method)
        plan.reuses = plan.network == nil
        if bound != nil { plan.told = try CheckoutNeed.told(sent) }
        return plan
    }

    /// A phone number as people write it: with blanks, points and hyphens, and 00 for the plus sign.
    private static func plain(_ phone: String) -> String {
        let digits = phone.filter { !" .-()/\u{A0}\u{202F}".contains($0) }
        return digits.hasPrefix("00") ? "+" + digits.dropFirst(2) : digits
    }
}

/// The choices that a payment's customer has.
struct CheckoutOffer: Sendable {
    struct Entry: Sendable {
        let choice: CheckoutChoice
        let ways: [ProviderOffer.Choice]
        /// What the customer tells here, because the way needs it and the payment does not say it.
        var asked: [CheckoutNeed] = []
    }

    /// Those that are on, take the amount and serve the country.
    let entries: [Entry]
    /// Every country that somebody with this amount can pay from, by code.
    let countries: [String]
    /// The one that the entries are for; nil for all.
    let country: String?

    /// - Parameters:
    ///   - switches: what staff switched off is not among them.
    ///   - asked: the country that the customer chose; `all` for every one, nil for that of the phone number.
    init(_ payment: Payment, _ providers: ProviderRegistry, _ switches: NetworkSwitches, country asked: String?) {
        let amount = payment.amount
        func entries(_ country: String?) -> [Entry] {
            CheckoutChoice.all.flatMap { choice -> [Entry] in
                guard let adapter = providers[choice.provider] else { return [] }
                let ways = choice.fitting(switches.offer(of: adapter), amount, country: country)
                // A page that offers everything would offer what is off too.
                guard choice.page != nil, switches.hasOff(adapter) else { return ways.isEmpty ? [] : [Entry(choice: choice, ways: ways)] }
                return ways.compactMap { way in
                    let missing = way.needs.filter { payment.metadata[$0, default: ""].isEmpty }
                    let asked = missing.compactMap(CheckoutNeed.init(rawValue:))
                    return asked.count < missing.count ? nil : Entry(choice: choice.bound(to: way), ways: [way], asked: asked)
                }
            }
        }
        let everywhere = entries(nil)
        let served = Set(everywhere.flatMap { $0.ways.flatMap(\.countries) })
        let chosen = (asked ?? Country.ofPhone(payment.customer.phone)).flatMap { served.contains($0) ? $0 : nil }
        countries = served.sorted()
        country = chosen
        self.entries = chosen.map { entries($0) } ?? everywhere
    }

    /// A button per provider, or per way where one of a provider's page is off.
    /// - Parameter action: where a provider's form goes.
    func buttons(_ phone: String?, _ words: Words, action: (String) -> String) -> Markup {
        guard !entries.isEmpty else {
            let sentence = words("Aucun moyen de paiement n’est ouvert pour le moment.", "No means of payment is open at the moment.")
            return "<p class=\"note\">\(sentence)</p>"
        }
        let forms: [Markup] = entries.map { entry in
            let fields = entry.choice.fields(entry, phone, namesCountries: country == nil, words)
            let look: Markup = fields.text.isEmpty || (entry.choice.page != nil && entry.asked.isEmpty) ? .empty : " class=\"fields\""
            return """
                <form method="post" action="\(action(entry.choice.provider))"\(look)>\(fields)\
                <button type="submit">\(words(entry.choice.french, entry.choice.english))</button></form>
                """
        }
        return "\(forms)"
    }

    /// Where to pay from, where that makes a difference.
    func countryForm(_ path: String, _ words: Words) -> Markup {
        guard countries.count > 1 else { return .empty }
        let names = countries.map { ($0, Country.name(of: $0, words)) }.sorted { $0.1 < $1.1 }
        let options: [Markup] = ([("all", words("Tous les pays", "All countries"))] + names).map { code, name in
            code == country ?? "all"
                ? "<option value=\"\(code)\" selected=\"selected\">\(name)</option>" : "<option value=\"\(code)\">\(name)</option>"
        }
        return """
            <form method="get" action="\(path)" class="aside">
            <label for="country">\(words("Je paie depuis", "I pay from"))</label>
            <div class="pair"><select id="country" name="country">\(options)</select>\
            <button type="submit">\(words("Changer", "Change"))</button></div>
            </form>
            """
    }
}
