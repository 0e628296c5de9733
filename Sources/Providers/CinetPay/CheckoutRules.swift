import Formats
import Money
import ProviderPort

/// CinetPay's rules for `/v2/payment`, checked before the call: its own answers to a broken rule are vague or missing.
struct CheckoutRules: Sendable {
    static let transactionLengthMax = 25
    static let descriptionLengthMax = 200
    static let amountMin: Int64 = 100
    static let amountStep: Int64 = 5
    static let currencies: [Currency] = [.xof, .xaf, .cdf, .gnf, .usd]
    /// Fields that cards need, taken from the order's metadata under the same names.
    static let cardFields = ["customer_address", "customer_city", "customer_country", "customer_state", "customer_zip_code"]

    /// Where its mobile networks are.
    static let countries = ["CI", "SN", "ML", "BF", "TG", "BJ", "NE", "GN", "CM", "CD"]
    static let offer = ProviderOffer([
        ProviderOffer.Choice(method: "mobile_money", label: "Mobile money", countries: countries, currencies: currencies, minimum: amountMin),
        ProviderOffer.Choice(method: "credit_card", label: "Carte bancaire", currencies: currencies, minimum: amountMin, needs: cardFields),
        ProviderOffer.Choice(method: "wallet", label: "Portefeuille", countries: countries, currencies: currencies, minimum: amountMin),
    ])

    let live: Bool

    /// The request without the keys.
    /// - Throws: ``ProviderError`` `rejected`, naming the field and the rule.
    func request(for order: PaymentOrder) throws(ProviderError) -> [(String, JSON)] {
        try checkTransaction(order.attempt)
        let amount = try wholeAmount(order.amount)
        try checkURL(order.notifyURL, field: "notify_url")
        try checkURL(order.returnURL, field: "return_url")
        let name = try customerName(order.customer.name)
        var fields: [(String, JSON)] = [
            ("transaction_id", .string(order.attempt)), ("amount", .int(amount)), ("currency", .string(order.amount.currency.code)),
            ("description", .string(Self.description(order.description))), ("notify_url", .string(order.notifyURL)),
            ("return_url", .string(order.returnURL)), ("channels", .string(try Self.channels(order.method))),
            ("lang", .string(order.customer.language == "en" ? "en" : "fr")), ("metadata", .string(order.payment)),
            ("customer_name", .string(name.family)), ("customer_surname", .string(name.given)),
        ]
        if let email = order.customer.email { fields.append(("customer_email", .string(email))) }
        if let phone = order.customer.phone { fields.append(("customer_phone_number", .string(phone))) }
        for field in Self.cardFields {
            if let value = order.metadata[field], !value.isEmpty {
                fields.append((field, .string(value)))
            } else if order.method == "credit_card" && field != "customer_state" {
                throw ProviderError(.rejected, "metadata.\(field) is required to pay by card")
            }
        }
        return fields
    }

    private func checkTransaction(_ id: String) throws(ProviderError) {
        guard (1...Self.transactionLengthMax).contains(id.utf8.count) else {
            throw ProviderError(.rejected, "transaction_id must have 1 to \(Self.transactionLengthMax) characters")
        }
        let allowed = id.utf8.allSatisfy { byte in
            (0x21...0x7e).contains(byte) && !Self.forbidden.contains(byte) && byte != UInt8(ascii: ",")
        }
        guard allowed else { throw ProviderError(.rejected, "transaction_id must be ASCII without blanks and without any of # / , $ _ &") }
    }

    private func wholeAmount(_ amount: Money) throws(ProviderError) -> Int64 {
        guard Self.currencies.contains(amount.currency) else {
            throw ProviderError(.rejected, "currency must be one of \(Self.currencies.map(\.code).joined(separator: ", "))")
        }
        guard amount.isPositive else { throw ProviderError(.rejected, "amount must be positive") }
        let parts = amount.decimalText.split(separator: ".")
        guard let whole = parts.first.flatMap({ Int64($0) }), parts.count == 1 || parts[1].allSatisfy({ $0 == "0" }) else {
            throw ProviderError(.rejected, "amount must be a whole number of \(amount.currency.code)")
        }
        if amount.currency == .usd { return whole }
        guard whole % Self.amountStep == 0 else { throw ProviderError(.rejected, "amount must be a multiple of \(Self.amountStep)") }
        guard whole >= Self.amountMin else { throw ProviderError(.rejected, "amount must be at least \(Self.amountMin) \(amount.currency.code)") }
        return whole
    }

    private func checkURL(_ url: String, field: String) throws(ProviderError) {
        guard url.hasPrefix("https://") || (!live && url.hasPrefix("http://")) else {
            throw ProviderError(.rejected, "\(field) must be a public https address")
        }
    }

    /// The last word is taken as the family name; a single word stands for both, because CinetPay demands both.
    private func customerName(_ name: String) throws(ProviderError) -> (family: String, given: String) {
        let words = name.split(whereSeparator: \.isWhitespace)
        guard let last = words.last else { throw ProviderError(.rejected, "customer_name is required") }
        return (String(last), words.count == 1 ? String(last) : words.dropLast().joined(separator: " "))
    }

    private static let forbidden = Array("#/$_&".utf8)

    /// The forbidden characters become blanks, runs of blanks one.
    static func description(_ text: String) -> String {
        let cleaned = String(text.map { "#/$_&".contains($0) || $0.isNewline ? " " : $0 })
        let words = cleaned.split(separator: " ").joined(separator: " ")
        return words.isEmpty ? "Paiement" : String(words.prefix(descriptionLengthMax))
    }

    private static func channels(_ method: String?) throws(ProviderError) -> String {
        switch method {
        case nil: return "ALL"
        case "mobile_money": return "MOBILE_MONEY"
        case "credit_card": return "CREDIT_CARD"
        case "wallet": return "WALLET"
        case .some(let other): throw ProviderError(.rejected, "method '\(other.prefix(40))' is not one of mobile_money, credit_card, wallet")
        }
    }
}
