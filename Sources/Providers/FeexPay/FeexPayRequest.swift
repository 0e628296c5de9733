import Formats
import Money
import ProviderPort

/// The bodies of `requesttopay` and `initcard`, with FeexPay's rules checked before anything is sent.
struct FeexPayRequest: Sendable {
    let shop: String
    /// Requires public https addresses for the way back.
    let live: Bool

    /// What is sent, and the number that pays, for the customer's page.
    struct Prepared: Sendable {
        let body: JSON
        let phone: String
    }

    /// - Throws: ``ProviderError`` `rejected` with the rule.
    func start(_ order: PaymentOrder, at network: FeexPayNetwork) throws(ProviderError) -> Prepared {
        let phone = try network.country.number(order.customer.phone)
        var fields: [(String, JSON)] = [("phoneNumber", .string(phone))]
        fields += try common(order)
        if let code = try code(order, at: network) { fields.append(("otp", .string(code))) }
        if network.flow == .hosted {
            fields += [
                (FeexPayShape.returnFields[0], .string(try address(order.returnURL, "return_url"))),
                (FeexPayShape.cancelFields[0], .string(try address(order.cancelURL, "cancel_url"))),
            ]
        }
        return Prepared(body: .object(JSONObject(fields)), phone: phone)
    }

    /// - Throws: ``ProviderError`` `rejected` with the rule.
    func card(_ order: PaymentOrder, _ card: FeexPayCard) throws(ProviderError) -> Prepared {
        let phone = try FeexPayCountry.anyNumber(order.customer.phone)
        guard let email = order.customer.email, email.contains("@") else {
            throw ProviderError(.rejected, "email is required to pay by card")
        }
        var fields: [(String, JSON)] = [("phone", .string(phone))]
        fields += try common(order)
        fields += [
            ("email", .string(email)), ("type_card", .string(card.type)), ("currency", .string(order.amount.currency.code)),
            ("title", .string(Self.description(order.description))),
        ]
        for (field, key) in [("address", "customer_address"), ("locality", "customer_city"), ("country", "customer_country")] {
            if let value = order.metadata[key].map({ PlainWords.of($0) }), !value.isEmpty { fields.append((field, .string(value))) }
        }
        for field in FeexPayShape.returnFields { fields.append((field, .string(try address(order.returnURL, "return_url")))) }
        for field in FeexPayShape.cancelFields { fields.append((field, .string(try address(order.cancelURL, "cancel_url")))) }
        return Prepared(body: .object(JSONObject(fields)), phone: phone)
    }

    private func common(_ order: PaymentOrder) throws(ProviderError) -> [(String, JSON)] {
        guard !order.attempt.isEmpty, Slug.isValid(order.attempt, most: 64) else {
            throw ProviderError(.rejected, "callback_info \(Slug.rule(most: 64))")
        }
        var fields: [(String, JSON)] = [("amount", .int(order.amount.minorUnits)), ("shop", .string(shop))]
        let words = PlainWords.of(order.customer.name, joining: ["'", "’"]).split(separator: " ")
        if let last = words.last {
            fields.append(("first_name", .string(words.count == 1 ? String(last) : words.dropLast().joined(separator: " "))))
            fields.append(("last_name", .string(String(last))))
        }
        return fields + [("description", .string(Self.description(order.description))), ("callback_info", .string(order.attempt))]
    }

    /// The customer's code, where the network wants one or the customer has one all the same.
    private func code(_ order: PaymentOrder, at network: FeexPayNetwork) throws(ProviderError) -> String? {
        let given = order.otp.map { $0.filter { $0 != " " } } ?? ""
        if given.isEmpty {
            guard network.flow == .otp else { return nil }
            throw ProviderError(
                .rejected, "otp is required at \(network.label): \(network.codeHint ?? "the network tells the customer")", code: "otp_required")
        }
        // Where no code is known to be taken, none is handed over.
        guard network.flow == .otp || network.doubts.contains(.flow) else { return nil }
        guard (4...10).contains(given.utf8.count), given.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw ProviderError(.rejected, "otp must have 4 to 10 digits; at \(network.label) \(network.codeHint ?? "the network tells it")")
        }
        return given
    }

    private func address(_ url: String, _ field: String) throws(ProviderError) -> String {
        guard url.hasPrefix("https://") || (!live && url.hasPrefix("http://")) else {
            throw ProviderError(.rejected, "\(field) must be a public https address")
        }
        return url
    }

    static func description(_ text: String) -> String {
        let plain = PlainWords.of(text)
        return plain.isEmpty ? "Paiement" : String(plain.prefix(FeexPayShape.descriptionLengthMax))
    }
}
