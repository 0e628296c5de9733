import Formats
import Money
import ProviderPort

/// Wave's rules for a session, checked before the call.
struct CheckoutRules: Sendable {
    static let clientReferenceMax = 255
    /// Of the order's metadata: binds the session to one phone, in E.164. Not done by itself: customers pay from other phones than they name.
    static let restrictMember = "restrict_payer_mobile"

    /// The countries where Wave is known to pay in XOF.
    static let offer = ProviderOffer([
        ProviderOffer.Choice(method: "wallet", network: "wave", label: "Wave", countries: ["SN", "CI", "ML", "BF"], currencies: [.xof])
    ])

    let live: Bool

    /// - Throws: ``ProviderError``: `rejected` naming the field and the rule, `notOffered`.
    func request(for order: PaymentOrder) throws(ProviderError) -> JSON {
        _ = try Self.offer.choice(for: order, at: "wave")
        guard (1...Self.clientReferenceMax).contains(order.attempt.utf8.count) else {
            throw ProviderError(.rejected, "client_reference must have 1 to \(Self.clientReferenceMax) characters")
        }
        try check(order.returnURL, field: "success_url")
        try check(order.cancelURL, field: "error_url")
        // Wave refuses members that it does not know: no metadata.
        var fields: JSONObject = [
            "amount": .string(order.amount.decimalText), "currency": .string(order.amount.currency.code), "success_url": .string(order.returnURL),
            "error_url": .string(order.cancelURL), "client_reference": .string(order.attempt),
        ]
        if let phone = order.metadata[Self.restrictMember], !phone.isEmpty {
            guard phone.hasPrefix("+"), (8...16).contains(phone.utf8.count), phone.utf8.dropFirst().allSatisfy({ ASCII.isDigit($0) }) else {
                throw ProviderError(.rejected, "metadata.\(Self.restrictMember) must be a number in E.164")
            }
            fields[Self.restrictMember] = .string(phone)
        }
        return .object(fields)
    }

    private func check(_ url: String, field: String) throws(ProviderError) {
        guard url.hasPrefix("https://") || (!live && url.hasPrefix("http://")) else {
            throw ProviderError(.rejected, "\(field) must be a public https address")
        }
    }
}
