import Formats
import HTTPServer
import Money
import Payments
import Plans
import Teams
import Usage

/// A team's page as HTML: three tabs, each an address of its own, without a script.
struct TeamPageView {
    let content: TeamPageContent
    let address: TeamPageAddress
    let tab: TeamPageTab
    let page: Page

    private var words: Words { Words(content.team.language) }

    var response: HTTPResponse {
        let panel: Markup
        switch tab {
        case .plan: panel = planPanel
        case .usage: panel = TeamUsagePanel(content: content, address: address, words: words).markup
        case .payments: panel = TeamPaymentsPanel(content: content, words: words, form: upgradeForm).markup
        }
        return page.response(
            200, words, title: content.team.name, imageSources: tab == .payments ? " data:" : "",
            """
            <p class="lead">\(words("Paramètres de l’équipe", "Team settings")) · <span class="chip">\(content.plan.name)</span></p>
            <nav class="tabs" aria-label="\(words("Rubriques", "Sections"))">\(TeamPageTab.allCases.map(tabLink))</nav>
            \(alerts)
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

    /// What has come near its limit stands above every tab.
    private var alerts: Markup {
        let notes: [Markup] = [content.usage.traffic, content.usage.storage].compactMap { use in
            guard use.level != .ok, let percent = use.percent else { return nil }
            return "<p class=\"alert \(use.level.rawValue)\" role=\"status\">\(UsageWords.alert(use, percent: percent, words))</p>"
        }
        return "\(notes)"
    }

    // MARK: Plan

    private var planPanel: Markup {
        let price = content.plan.price.isPositive ? UsageWords.price(content.plan, words) : words("gratuit", "free of charge")
        let renewal: Markup =
            content.subscription.map { subscription in
                guard subscription.status != "ended" else { return .empty }
                let day = UsageWords.day(subscription.renewsAtMs, words)
                return "<p>\(words("Payé jusqu’au \(day).", "Paid until \(day)."))</p>"
            } ?? .empty
        return """
            <section class="card">
            <h2>\(words("Votre forfait", "Your plan"))</h2>
            <p class="figure">\(content.plan.name) <small>\(price)</small></p>
            \(renewal)
            <table>
            <thead><tr><th scope="col">\(words("Limite", "Limit"))</th><th scope="col">\(words("Utilisé", "Used"))</th>\
            <th scope="col">\(words("Permis", "Allowed"))</th></tr></thead>
            <tbody>
            \(content.uses.map(row))
            </tbody>
            </table>
            </section>
            \(offerSection)
            """
    }

    private func row(_ use: (resource: ResourceLimits.Resource, allowance: Allowance)) -> Markup {
        let allowance = use.allowance
        let isOver: Markup = allowance.isAllowed ? .empty : " class=\"over\""
        return """
            <tr\(isOver)><th scope="row">\(UsageWords.name(use.resource, words))</th>\
            <td>\(UsageWords.count(allowance.used, use.resource, words))</td><td>\(UsageWords.most(allowance.allowed, use.resource, words))</td></tr>

            """
    }

    private var offerSection: Markup {
        guard let offer = content.offer else { return .empty }
        let title =
            content.isPro
            ? words("Prolonger \(offer.name)", "Extend \(offer.name)") : words("Passer à \(offer.name)", "Upgrade to \(offer.name)")
        let lines: [Markup] = UsageWords.advantages(of: offer, words).map { "<li>\($0)</li>\n" }
        return """
            <section class="card offer" id="upgrade">
            <h2>\(title)</h2>
            <p class="figure">\(UsageWords.price(offer, words))</p>
            <ul>
            \(lines)</ul>
            \(upgradeForm)
            </section>
            """
    }

    /// Chooses the method and pays; the same on two tabs.
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
            <form method="post" action="\(address.upgradePath)">
            <fieldset><legend>\(words("Moyen de paiement", "Method of payment"))</legend>
            \(methods)</fieldset>
            <p><button type="submit">\(button) · \(UsageWords.amount(offer.price, words))</button></p>
            </form>
            """
    }
}
