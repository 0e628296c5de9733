import Formats
import Money
import Payments
import ProviderPort
import Staff

/// A provider's ways to pay with their limits, and whether each is on.
struct ProviderWays {
    let visit: ConsoleVisit
    let adapter: any PaymentProvider
    let switches: NetworkSwitches

    var markup: Markup {
        let words = visit.words
        let rows: [[Markup]] = adapter.offer.choices.map { way in
            [
                "\(way.label)", "\(way.word)", "\(way.countries.isEmpty ? words("tous", "all") : way.countries.joined(separator: ", "))",
                "\(currencies(way))", "\(limit(way.minimum, way))", "\(limit(way.maximum, way))", standing(way),
            ]
        }
        let table = ConsoleParts.table(
            words("Ce que ce prestataire propose", "What this provider offers"),
            [
                words("Moyen", "Way"), words("Nom technique", "Technical name"), words("Pays", "Countries"), words("Monnaies", "Currencies"),
                "#\(words("Minimum", "Minimum"))", "#\(words("Maximum", "Maximum"))", words("État", "State"),
            ], rows, none: words("Rien ne se commence chez lui.", "Nothing is started there."))
        return "\(table)\(remaining)\(forms)"
    }

    /// What becomes of orders that leave the choice to the provider's page, while something of it is off.
    private var remaining: Markup {
        let words = visit.words
        guard adapter.offer.choices.allSatisfy({ $0.network == nil }), switches.hasOff(adapter),
            let left = try? switches.method(nil, network: nil, at: adapter)
        else { return .empty }
        let sentence = words(
            "Tant qu’un moyen est arrêté, les pages de paiement ont un bouton pour chacun des autres. Une commande de l’API qui ne nomme aucun moyen va à",
            "While a way is off, the pages to pay at have a button for each of the others. An order of the API that names no way goes to")
        return "<p class=\"note\">\(sentence) \(left).</p>"
    }

    private func currencies(_ way: ProviderOffer.Choice) -> String {
        let codes = way.currencies.map(\.code)
        return codes.count > 6 ? visit.words("\(codes.count) monnaies", "\(codes.count) currencies") : codes.joined(separator: ", ")
    }

    private func limit(_ amount: Int64?, _ way: ProviderOffer.Choice) -> String {
        guard let amount, let currency = way.currencies.first else { return "–" }
        return ConsoleParts.money(Money(amount, currency), visit.words)
    }

    private func standing(_ way: ProviderOffer.Choice) -> Markup {
        let words = visit.words
        if let off = switches.off(way, at: adapter.name) {
            return """
                \(ConsoleParts.badge(words("arrêté", "off"), "bad")) \(off.reason) <span class="quiet">(\(off.actor), \
                \(ConsoleParts.time(off.atMs)))</span>
                """
        }
        if let reason = way.offReason {
            return "\(ConsoleParts.badge(words("non proposé", "not offered"))) <span class=\"quiet\" lang=\"en\">\(reason)</span>"
        }
        return ConsoleParts.badge(words("ouvert", "on"), "ok")
    }

    // MARK: Switching

    private var forms: Markup {
        let (words, choices) = (visit.words, adapter.offer.choices)
        let off = choices.filter { switches.off($0, at: adapter.name) != nil }
        let on = choices.filter { $0.offReason == nil && switches.off($0, at: adapter.name) == nil }
        return """
            \(form("off", words("Arrêter un moyen", "Switch a way off"), on, "danger"))
            \(form("on", words("Rouvrir un moyen", "Switch a way on"), off, "main"))
            """
    }

    private func form(_ deed: String, _ text: String, _ ways: [ProviderOffer.Choice], _ style: String) -> Markup {
        guard !ways.isEmpty else { return .empty }
        let options = ways.map { ConsoleParts.option($0.word, "\($0.label) (\($0.word))", chosen: nil) }
        return ConsoleParts.reasoned(
            visit, .operator, ConsolePath.provider(adapter.name) + deed, text, id: deed, style: style,
            more: ConsoleParts.choice("\(deed)-way", "way", visit.words("Moyen", "Way"), options))
    }
}
