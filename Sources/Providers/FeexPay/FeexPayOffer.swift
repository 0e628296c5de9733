import Money
import ProviderPort

/// What FeexPay offers here: the networks and cards, those that are switched off, and what is asked for elsewhere and FeexPay has not.
struct FeexPayOffer: Sendable {
    static let mobileMoney = "mobile_money"
    static let creditCard = "credit_card"
    static let bankTransfer = "bank_transfer"
    /// Some products list a few of the networks as wallets: the same networks.
    static let wallet = "wallet"

    /// Every word that `FEEXPAY_NETWORKS_OFF` may hold.
    static let words = FeexPayNetwork.all.map(\.slug) + FeexPayCard.allCases.map(\.rawValue)

    let offer: ProviderOffer

    /// - Parameter off: words of ``words``.
    init(off: Set<String>) {
        func reason(_ word: String) -> String? { off.contains(word) ? "switched off here by FEEXPAY_NETWORKS_OFF" : nil }
        let networks = FeexPayNetwork.all.map { network in
            ProviderOffer.Choice(
                method: Self.mobileMoney, network: network.slug, label: network.label, countries: [network.country.iso],
                currencies: [network.currency], minimum: FeexPayShape.amountMin, maximum: FeexPayShape.amountMax, flow: network.stepKind,
                needs: network.flow == .otp ? ["phone", "otp"] : ["phone"], offReason: reason(network.slug))
        }
        let cards = FeexPayCard.allCases.map { card in
            ProviderOffer.Choice(
                method: Self.creditCard, network: card.rawValue, label: card.label, currencies: [.xof], minimum: FeexPayShape.amountMin,
                maximum: FeexPayShape.amountMax, flow: .redirect, needs: ["phone", "email"], offReason: reason(card.rawValue))
        }
        offer = ProviderOffer(networks + cards + Self.lacking)
    }

    /// What products or FeexPay's own site name, and its API has not: refused with the reason, never tried.
    private static let lacking: [ProviderOffer.Choice] = [
        lacks("mtn_cm", "MTN Cameroun", ["CM"], .xaf, "FeexPay's API reaches no network of Cameroon"),
        lacks("mtn_sn", "MTN Sénégal", ["SN"], .xof, "there is no MTN in Senegal: Orange Money, Free Money or Wave"),
        lacks("moov_ne", "Moov Niger", ["NE"], .xof, "FeexPay's API reaches no network of Niger"),
        lacks("orange_ml", "Orange Money Mali", ["ML"], .xof, "FeexPay's site names Mali, its API has no network there"),
        lacks("mobicash_ml", "Mobicash Mali", ["ML"], .xof, "FeexPay's site names Mali, its API has no network there"),
        lacks(
            "wave_bf", "Wave Burkina Faso", ["BF"], .xof, "FeexPay's site names Wave in Burkina Faso, its API has only Orange Money and Moov there"),
        lacks(creditCard, "amex", "American Express", "FeexPay takes Visa and Mastercard only"),
        lacks(creditCard, "unionpay", "UnionPay", "FeexPay takes Visa and Mastercard only"),
        lacks(bankTransfer, nil, "Virement bancaire", "FeexPay takes no bank transfers; the provider 'manual' records them"),
    ]

    private static func lacks(
        _ network: String, _ label: String, _ countries: [String], _ currency: Currency, _ reason: String
    ) -> ProviderOffer.Choice {
        ProviderOffer.Choice(
            method: mobileMoney, network: network, label: label, countries: countries, currencies: [currency], flow: .approve, offReason: reason)
    }

    private static func lacks(_ method: String, _ network: String?, _ label: String, _ reason: String) -> ProviderOffer.Choice {
        ProviderOffer.Choice(
            method: method, network: network, label: label, currencies: [.xof], flow: network == nil ? .transfer : .redirect, offReason: reason)
    }

    /// Where an order goes.
    enum Route: Sendable, Equatable {
        case network(FeexPayNetwork)
        case card(FeexPayCard)
    }

    /// An order's words in those of the offer.
    private static func words(method: String?, network: String?) -> (method: String, network: String?) {
        let network = network.map(FeexPayNetwork.word)
        switch method {
        case nil: return (network.flatMap(FeexPayCard.init) == nil ? mobileMoney : creditCard, network)
        case wallet?: return (mobileMoney, network)
        case let other?: return (other, network)
        }
    }

    /// The choices that an order with these words may come to.
    func ways(method: String?, network: String?) -> [ProviderOffer.Choice] {
        let words = Self.words(method: method, network: network)
        return offer.named(method: words.method, network: words.network)
    }

    /// The way of an order, its amount and currency checked.
    /// - Throws: ``ProviderError``: `notOffered` with the reason, `rejected` with the rule.
    func route(of order: PaymentOrder) throws(ProviderError) -> Route {
        let (method, named) = Self.words(method: order.method, network: order.network)
        if method == Self.mobileMoney, named == nil {
            let open = offer.choices.filter { $0.method == method && $0.offReason == nil }.compactMap(\.network)
            throw ProviderError(.rejected, "network is required: one of \(open.joined(separator: ", "))")
        }
        let choice = try offer.choice(for: order.naming(method: method, network: named), at: "feexpay")
        if let card = choice.network.flatMap(FeexPayCard.init) { return .card(card) }
        guard let network = FeexPayNetwork.all.first(where: { $0.slug == choice.network }) else {
            throw ProviderError(.notOffered, "\(choice.label) is not offered", code: "not_offered")
        }
        return .network(network)
    }
}

extension PaymentOrder {
    fileprivate func naming(method: String, network: String?) -> PaymentOrder {
        PaymentOrder(
            payment: payment, attempt: attempt, amount: amount, description: description, customer: customer, notifyURL: notifyURL,
            returnURL: returnURL, cancelURL: cancelURL, pageURL: pageURL, method: method, network: network, otp: otp, metadata: metadata)
    }
}
