import Formats
import HTTPServer
import Money
import Payments
import Plans
import Teams
import Usage

/// A team's page as HTML: three tabs, each an address of its own. Its parts are put in place by our script when something changes; without
/// one every button and link works the same.
struct TeamPageView {
    let content: TeamPageContent
    let address: TeamPageAddress
    let tab: TeamPageTab
    let note: TeamPageNote?
    let page: Page

    /// How often a page that waits for a payment loads itself again where no script runs.
    private static let refreshSeconds = 30

    private var words: Words { Words(content.team.language) }

    var response: HTTPResponse {
        let panel: Markup
        switch tab {
        case .plan: panel = TeamPlanPanel(content: content, address: address, words: words, form: upgradeForm).markup
        case .usage: panel = TeamUsagePanel(content: content, address: address, words: words).markup
        case .payments: panel = TeamPaymentsPanel(content: content, address: address, words: words, form: upgradeForm).markup
        }
        return page.response(
            200, words, title: content.team.name,
            refreshSeconds: tab == .payments && content.underway != nil ? Self.refreshSeconds : nil, imageSources: tab == .payments ? " data:" : "",
            follow: TeamFollow(path: address.eventsPath, mark: content.mark),
            """
            <p class="lead" data-part="lead">\(words("Paramètres de l’équipe", "Team settings")) · <span class="chip">\(content.plan.name)</span></p>
            <nav class="tabs" aria-label="\(words("Rubriques", "Sections"))">\(TeamPageTab.allCases.map(tabLink))</nav>
            \(told)
            <div aria-live="polite"><div data-part="alerts">\(alerts)</div></div>
            \(panel)
            """)
    }

    private func tabLink(_ other: TeamPageTab) -> Markup {
        let name: String
        switch other {
        case .plan: name = words("Forfait", "Plan")
        case .usage: name = words("Utilisation", "Usage")
        case .payments: name = words("Paiements", "Payments")
        }
        let current: Markup = other == tab ? " aria-current=\"page\"" : .empty
        return "<a href=\"\(address.path(other))\"\(current)>\(name)</a>"
    }

    /// What was just done by the page.
    private var told: Markup {
        guard let note else { return .empty }
        return "<p class=\"note\" role=\"status\">\(UsageWords.told(note, words))</p>"
    }

    /// What has come near its limit stands above every tab, and so does a plan that nobody has paid on.
    private var alerts: Markup {
        let notes: [Markup] = [content.usage.traffic, content.usage.storage].compactMap { use in
            guard use.level != .ok, let percent = use.percent else { return nil }
            return "<p class=\"alert \(use.level.rawValue)\" role=\"status\">\(UsageWords.alert(use, percent: percent, words))</p>"
        }
        return "\(grace)\(notes)"
    }

    private var grace: Markup {
        guard let subscription = content.subscription, subscription.status == "grace", content.isPro, content.next == nil else { return .empty }
        let (ended, until) = (UsageWords.day(subscription.renewsAtMs, words), UsageWords.day(subscription.graceEndsAtMs, words))
        let text = words(
            "La période payée a pris fin le \(ended). \(content.plan.name) reste actif jusqu’au \(until) : payez d’ici là pour le garder.",
            "The paid period ended on \(ended). \(content.plan.name) goes on until \(until): pay by then to keep it.")
        return "<p class=\"alert critical\" role=\"status\">\(text)</p>"
    }

    /// Chooses the method and pays; the same on two tabs. The provider's page opens in a window of its own, while this one follows.
    private var upgradeForm: Markup {
        guard let offer = content.offer else { return .empty }
        let button =
            content.isPro
            ? words("Prolonger \(offer.name)", "Extend \(offer.name)") : words("Passer à \(offer.name)", "Upgrade to \(offer.name)")
        let methods: [Markup] = TeamCalls.methods.enumerated().map { index, method in
            let checked: Markup = index == 0 ? " checked=\"checked\"" : .empty
            return """
                <label class="choice"><input type="radio" name="payment_method" value="\(method)"\(checked)/> \
                <span>\(UsageWords.method(method, words))</span></label>

                """
        }
        return """
            <form method="post" action="\(address.upgradePath)" target="_blank" rel="noopener" class="pay">
            <fieldset><legend>\(words("Moyen de paiement", "Method of payment"))</legend>
            \(methods)</fieldset>
            <p><button type="submit">\(button) · \(UsageWords.amount(offer.price, words))</button></p>
            </form>
            """
    }
}
