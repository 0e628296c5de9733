import Formats
import Money
import ProviderPort

/// What the customer's widget is opened with. No call is made: KKiaPay hears of a payment when its customer opens the widget.
struct WidgetRules: Sendable {
    static let officialScript = "https://cdn.kkiapay.me/k.js"
    static let countries = ["BJ", "CI", "TG", "SN", "NE"]
    /// Ours and the widget's word. Its third, `direct_debit`, is offered to nobody: nothing is known of how it ends.
    static let methods = [(ours: "mobile_money", widget: "momo"), (ours: "credit_card", widget: "card")]

    static let offer = ProviderOffer([
        ProviderOffer.Choice(method: "mobile_money", label: "Mobile money", countries: countries, currencies: [.xof], flow: .widget),
        ProviderOffer.Choice(method: "credit_card", label: "Carte bancaire", currencies: [.xof], flow: .widget),
    ])

    let publicKey: String
    let script: String
    let live: Bool

    /// - Throws: ``ProviderError``: `rejected` naming the rule, `notOffered`.
    func initiation(for order: PaymentOrder) throws(ProviderError) -> Initiation {
        let choice = try Self.offer.choice(for: order, at: "kkiapay")
        guard !order.attempt.isEmpty, order.attempt.utf8.count <= MerchantReference.lengthMax else {
            throw ProviderError(.rejected, "the attempt's id must have 1 to \(MerchantReference.lengthMax) characters")
        }
        try check(order.pageURL, field: "pageURL")
        try check(order.returnURL, field: "callback")
        let data: JSON = ["attempt": .string(order.attempt), "payment": .string(order.payment)]
        let methods = order.method == nil ? Self.methods.map(\.widget) : Self.methods.filter { $0.ours == choice.method }.map(\.widget)
        var fields = [
            "script": script, "key": publicKey, "amount": String(order.amount.minorUnits), "sandbox": live ? "false" : "true", "data": data.text,
            "partnerId": order.attempt, "callback": order.returnURL, "name": order.customer.name, "reason": String(order.description.prefix(100)),
            "countries": Self.countries.joined(separator: ","), "paymentmethods": methods.joined(separator: ","),
        ]
        // KKiaPay's pages write numbers without the plus sign.
        if let phone = order.customer.phone { fields["phone"] = phone.hasPrefix("+") ? String(phone.dropFirst()) : phone }
        if let email = order.customer.email { fields["email"] = email }
        return Initiation(
            paymentURL: order.pageURL, qrCode: nil, references: [.ours(order.attempt)], expiresAtMs: nil, step: CustomerStep(.widget, fields))
    }

    private func check(_ url: String, field: String) throws(ProviderError) {
        guard url.hasPrefix("https://") || (!live && url.hasPrefix("http://")) else {
            throw ProviderError(.rejected, "\(field) must be a public https address")
        }
    }
}
