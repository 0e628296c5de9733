import Money

/// What a customer may choose from at a provider: what the checkout shows and the list of providers tells.
public struct ProviderOffer: Sendable, Equatable {
    public let choices: [Choice]

    /// One way to pay.
    public struct Choice: Sendable, Equatable {
        /// `mobile_money`, `credit_card`, `wallet`, `bank_transfer`, `cash`, `cheque`.
        public let method: String
        /// The provider's word for the network; nil where there is none to name.
        public let network: String?
        /// As customers know it.
        public let label: String
        /// ISO 3166 codes; empty for everywhere.
        public let countries: [String]
        public let currencies: [Currency]
        /// Minor units of each currency; nil where the provider names none.
        public let minimum: Int64?
        public let maximum: Int64?
        /// What the customer does: goes to a page, confirms on the phone, …
        public let flow: CustomerStep.Kind
        /// Fields that must be told beforehand: `phone`, `otp`, `email`, ….
        public let needs: [String]
        /// Where it is switched off, and so refused: why.
        public let offReason: String?

        public init(
            method: String, network: String? = nil, label: String, countries: [String] = [], currencies: [Currency], minimum: Int64? = nil,
            maximum: Int64? = nil, flow: CustomerStep.Kind = .redirect, needs: [String] = [], offReason: String? = nil
        ) {
            self.method = method
            self.network = network
            self.label = label
            self.countries = countries
            self.currencies = currencies
            self.minimum = minimum
            self.maximum = maximum
            self.flow = flow
            self.needs = needs
            self.offReason = offReason
        }

        /// What people and forms name it by: `mobile_money/mtn`, `credit_card`.
        public var word: String { network.map { "\(method)/\($0)" } ?? method }

        /// The same way, switched off.
        public func off(because reason: String) -> Choice {
            Choice(
                method: method, network: network, label: label, countries: countries, currencies: currencies, minimum: minimum, maximum: maximum,
                flow: flow, needs: needs, offReason: reason)
        }

        /// Whether an amount can be paid this way by a customer of that country (nil: not known yet).
        public func fits(_ amount: Money, country: String?) -> Bool {
            offReason == nil && currencies.contains(amount.currency) && (country.map { countries.isEmpty || countries.contains($0) } ?? true)
                && amount.minorUnits >= minimum ?? 0 && amount.minorUnits <= maximum ?? .max
        }
    }

    public init(_ choices: [Choice]) { self.choices = choices }

    /// The choices that fit, in the offer's order.
    public func choices(for amount: Money, country: String?) -> [Choice] { choices.filter { $0.fits(amount, country: country) } }

    public func choice(word: String) -> Choice? { choices.first { $0.word == word } }

    /// The choices that these words may mean: any of those that a word left out leaves open.
    public func named(method: String?, network: String?) -> [Choice] {
        choices.filter { (method == nil || $0.method == method) && (network == nil || $0.network == network) }
    }

    /// The choice that an order names by method and network, checked against the offer's own limits.
    /// - Throws: ``ProviderError``: `notOffered` where there is no such choice or it is switched off, with the reason; `rejected` where the
    ///   amount or the currency breaks its rule.
    public func choice(for order: PaymentOrder, at provider: String) throws(ProviderError) -> Choice {
        let named = named(method: order.method, network: order.network)
        guard let first = named.first else {
            let asked = [order.method, order.network].compactMap { $0 }.joined(separator: " ")
            throw ProviderError(.notOffered, "\(provider) does not offer \(asked.prefix(60))", code: "not_offered")
        }
        guard let open = named.first(where: { $0.offReason == nil }) else {
            throw ProviderError(.notOffered, "\(first.label) is not offered: \(first.offReason ?? "")", code: "not_offered")
        }
        guard open.currencies.contains(order.amount.currency) else {
            throw ProviderError(.rejected, "currency must be one of \(open.currencies.map(\.code).joined(separator: ", "))")
        }
        guard order.amount.isPositive else { throw ProviderError(.rejected, "amount must be positive") }
        let currency = order.amount.currency
        if let minimum = open.minimum, order.amount.minorUnits < minimum {
            throw ProviderError(.rejected, "amount must be at least \(Money(minimum, currency).decimalText) \(currency)")
        }
        if let maximum = open.maximum, order.amount.minorUnits > maximum {
            throw ProviderError(.rejected, "amount must be at most \(Money(maximum, currency).decimalText) \(currency)")
        }
        return open
    }
}
