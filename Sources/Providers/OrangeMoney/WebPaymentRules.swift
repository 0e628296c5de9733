import Formats
import Money
import ProviderPort

/// Orange's rules for `webpayment`, checked before the call.
struct WebPaymentRules: Sendable {
    static let orderLengthMax = 30
    static let urlLengthMax = 120
    static let referenceLengthMax = 30

    let address: WebPaymentAddress
    let merchantKey: String
    /// Shown to the customer as the merchant's name; the payment's description unless set.
    let merchantName: String?
    let pages: MerchantPages
    let live: Bool

    var offer: ProviderOffer {
        ProviderOffer([
            ProviderOffer.Choice(method: "mobile_money", label: "Orange Money", countries: address.countries, currencies: address.currencies)
        ])
    }

    /// - Throws: ``ProviderError`` `rejected`, naming the field and the rule.
    func request(for order: PaymentOrder) throws(ProviderError) -> JSON {
        _ = try offer.choice(for: order, at: "orange-money")
        guard (1...Self.orderLengthMax).contains(order.attempt.utf8.count), order.attempt.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            throw ProviderError(.rejected, "order_id must have 1 to \(Self.orderLengthMax) visible ASCII characters")
        }
        let returnURL = pages.returnURL(for: order)
        let cancelURL = pages.cancelURL(for: order)
        let notifyURL = pages.notifyURL(for: order)
        try check(returnURL, field: "return_url")
        try check(cancelURL, field: "cancel_url")
        try check(notifyURL, field: "notif_url")
        return [
            "merchant_key": .string(merchantKey), "currency": .string(address.currencyCode(of: order.amount)), "order_id": .string(order.attempt),
            "amount": .int(try Self.whole(order.amount)), "return_url": .string(returnURL), "cancel_url": .string(cancelURL),
            "notif_url": .string(notifyURL), "lang": .string(order.customer.language == "en" ? "en" : "fr"),
            "reference": .string(Self.reference(merchantName ?? order.description)),
        ]
    }

    /// The amount as Orange counts: a whole number.
    static func whole(_ amount: Money) throws(ProviderError) -> Int64 {
        guard amount.currency.exponent == 0 else { throw ProviderError(.rejected, "amount must be in a currency without decimals") }
        return amount.minorUnits
    }

    private func check(_ url: String, field: String) throws(ProviderError) {
        guard url.utf8.count <= Self.urlLengthMax else {
            throw ProviderError(.rejected, "\(field) must have at most \(Self.urlLengthMax) characters, and has \(url.utf8.count)")
        }
        guard url.hasPrefix("https://") || (!live && url.hasPrefix("http://")) else {
            throw ProviderError(.rejected, "\(field) must be a public https address")
        }
        guard !live || MerchantPages.isPublic(url) else {
            throw ProviderError(.rejected, "\(field) must have a public name as its host: Orange refuses localhost and does not call bare addresses")
        }
    }

    /// Blanks become one, and what is too long is cut at a character.
    static func reference(_ text: String) -> String {
        var reference = ""
        for character in text.split(whereSeparator: \.isWhitespace).joined(separator: " ") {
            guard reference.utf8.count + character.utf8.count <= referenceLengthMax else { break }
            reference.append(character)
        }
        while reference.last == " " { reference.removeLast() }
        return reference.isEmpty ? "Paiement" : reference
    }
}
