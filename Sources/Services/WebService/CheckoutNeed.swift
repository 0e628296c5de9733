import Formats

/// What a page to pay at asks of a card's holder where the button is for cards alone: the provider wants it before it shows its own page.
enum CheckoutNeed: String, Sendable, CaseIterable {
    case address = "customer_address"
    case city = "customer_city"
    case country = "customer_country"
    case state = "customer_state"
    case postcode = "customer_zip_code"

    private static let lengthMax = 100

    /// A labelled field. Browsers know each by its purpose.
    /// - Parameter id: what the field's own id begins with, of one form alone.
    func markup(id: String, _ words: Words) -> Markup {
        let (label, purpose, rule): (String, String, Markup) =
            switch self {
            case .address: (words("Adresse", "Address"), "street-address", " required=\"required\" maxlength=\"100\"")
            case .city: (words("Ville", "City"), "address-level2", " required=\"required\" maxlength=\"50\"")
            case .country:
                (
                    words("Pays (deux lettres : TG, FR…)", "Country (two letters: TG, FR…)"), "country",
                    " required=\"required\" minlength=\"2\" maxlength=\"2\" pattern=\"[A-Za-z]{2}\""
                )
            case .state: (words("État ou région (s’il y en a)", "State or region (if any)"), "address-level1", " maxlength=\"50\"")
            case .postcode: (words("Code postal", "Postal code"), "postal-code", " required=\"required\" maxlength=\"10\"")
            }
        return """
            <label for="\(id)-\(rawValue)">\(label)</label>
            <input id="\(id)-\(rawValue)" name="\(rawValue)" autocomplete="\(purpose)"\(rule)/>
            """
    }

    /// What was filled in, by the names that the provider has for it.
    /// - Throws: ``WebProblem`` 422.
    static func told(_ sent: [String: String]) throws(WebProblem) -> [String: String] {
        let own = allCases.compactMap { need in sent[need.rawValue].map { (need.rawValue, JSON.string($0)) } }
        var fields = FieldReader(.object(JSONObject(own)))
        var told: [String: String] = [:]
        for need in allCases {
            guard let text = fields.text(need.rawValue, limit: lengthMax), !text.isEmpty else { continue }
            told[need.rawValue] = need == .country ? text.uppercased() : text
        }
        try fields.check()
        return told
    }
}
