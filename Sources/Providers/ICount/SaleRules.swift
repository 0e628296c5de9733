import Formats
import Money
import ProviderPort

/// The rules for `paypage/generate_sale`, checked before the call.
struct SaleRules: Sendable {
    /// What the sale's address lives, by two integrators who cite iCount's own file.
    static let saleLifeMs: Int64 = 2 * 3_600_000
    static let attemptLengthMax = 64
    static let descriptionLengthMax = 200
    static let currencies: [Currency] = [.ils, .usd, .eur]
    static let offer = ProviderOffer([ProviderOffer.Choice(method: "credit_card", label: "iCount", currencies: currencies)])

    /// The field by which our attempt travels to iCount and comes back with the notification. That it does is one integrator's word; the
    /// address of the notification, which is certain, says the same.
    static let echoField = "utm_content"

    let paypage: Int64
    let live: Bool

    /// - Throws: ``ProviderError`` `misconfigured` for anything but the page's number.
    init(paypageID: String, live: Bool) throws(ProviderError) {
        guard let number = Int64(paypageID), number > 0, String(number) == paypageID else {
            throw ProviderError(
                .misconfigured,
                "ICOUNT_PAYPAGE_ID must be the page's integer id, such as 30512: the slug of its public address is another thing, and "
                    + "paypage/get_list tells the id")
        }
        paypage = number
        self.live = live
    }

    /// - Throws: ``ProviderError`` `rejected`, naming the field and the rule.
    func request(for order: PaymentOrder) throws(ProviderError) -> [(String, JSON)] {
        _ = try Self.offer.choice(for: order, at: "icount")
        guard (1...Self.attemptLengthMax).contains(order.attempt.utf8.count), order.attempt.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            throw ProviderError(.rejected, "\(Self.echoField) must have 1 to \(Self.attemptLengthMax) visible ASCII characters")
        }
        try check(order.notifyURL, field: "ipn_url")
        try check(order.returnURL, field: "success_url")
        try check(order.cancelURL, field: "cancel_url")
        // With unitprice in its place the page would add VAT to what is owed.
        let item: JSON = [
            "description": .string(Self.description(order.description)), "unitprice_incl": .number(order.amount.decimalText), "quantity": 1,
        ]
        var fields: [(String, JSON)] = [
            ("paypage_id", .int(paypage)), ("currency_code", .string(order.amount.currency.code)), ("items", [item]), ("max_payments", 1),
            ("page_lang", .string(order.customer.language == "en" ? "en" : "auto")), ("success_url", .string(order.returnURL)),
            ("failure_url", .string(order.returnURL)), ("cancel_url", .string(order.cancelURL)), ("ipn_url", .string(order.notifyURL)),
            (Self.echoField, .string(order.attempt)),
        ]
        let names = order.customer.name.split(whereSeparator: \.isWhitespace)
        if let last = names.last {
            fields.append(("client_name", .string(names.joined(separator: " "))))
            if names.count > 1 { fields += [("first_name", .string(names.dropLast().joined(separator: " "))), ("last_name", .string(String(last)))] }
        }
        if let email = order.customer.email { fields.append(("email", .string(email))) }
        if let phone = order.customer.phone { fields.append(("phone", .string(phone))) }
        return fields
    }

    private func check(_ url: String, field: String) throws(ProviderError) {
        guard url.hasPrefix("https://") || (!live && url.hasPrefix("http://")) else {
            throw ProviderError(.rejected, "\(field) must be a public https address")
        }
    }

    private static func description(_ text: String) -> String {
        let words = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        return words.isEmpty ? "Payment" : String(words.prefix(descriptionLengthMax))
    }
}
