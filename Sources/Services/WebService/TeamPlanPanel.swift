import Formats
import Money
import Plans
import Usage

/// The tab of what a team has: its plan with every limit, what comes after its period, and what is on offer.
struct TeamPlanPanel {
    let content: TeamPageContent
    let address: TeamPageAddress
    let words: Words
    let form: Markup

    var markup: Markup {
        let price = content.plan.price.isPositive ? UsageWords.price(content.plan, words) : words("gratuit", "free of charge")
        return """
            <section class="card" data-part="plan">
            <h2>\(words("Votre forfait", "Your plan"))</h2>
            <p class="figure">\(content.plan.name) <small>\(price)</small></p>
            \(period)
            \(passed)
            <table>
            <thead><tr><th scope="col">\(words("Limite", "Limit"))</th><th scope="col">\(words("Utilisé", "Used"))</th>\
            <th scope="col">\(words("Permis", "Allowed"))</th></tr></thead>
            <tbody>
            \(content.uses.map(row))
            </tbody>
            </table>
            </section>
            \(offer)
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

    /// Until when it is paid, and what comes then.
    private var period: Markup {
        guard let subscription = content.subscription, subscription.isRunning, content.plan.price.isPositive else { return .empty }
        let isGrace = subscription.status == "grace"
        let day = UsageWords.day(subscription.renewsAtMs, words)
        let paid =
            isGrace
            ? words("Payé jusqu’au \(day), plus depuis.", "Paid until \(day), not since.") : words("Payé jusqu’au \(day).", "Paid until \(day).")
        guard content.next == nil else {
            let comes = words("Free à partir du \(day). Rien n’est supprimé.", "Free from \(day) on. Nothing is deleted.")
            let keep = words("Garder \(content.plan.name)", "Keep \(content.plan.name)")
            return "<p>\(paid)</p><p class=\"note\">\(comes)</p>\(button("keep", keep))"
        }
        // What is over within days by itself needs no button.
        guard !isGrace else { return "<p>\(paid)</p>" }
        return "<p>\(paid)</p>\(button("free", words("Revenir à Free le \(day)", "Go back to Free on \(day)")))"
    }

    private func button(_ next: String, _ label: String) -> Markup {
        """
        <form method="post" action="\(address.planPath)" class="quiet"><input type="hidden" name="next" value="\(next)"/>\
        <p><button type="submit">\(label)</button></p></form>
        """
    }

    private var passed: Markup {
        let names = content.passed.map { UsageWords.name($0.resource, words) }
        guard !names.isEmpty else { return .empty }
        let text = words(
            "Limites dépassées : \(names.joined(separator: ", ")). Rien n’est supprimé, mais rien ne peut y être ajouté.",
            "Limits that are passed: \(names.joined(separator: ", ")). Nothing is deleted, but nothing can be added there.")
        return "<p class=\"alert exceeded\">\(text)</p>"
    }

    private var offer: Markup {
        guard let offer = content.offer else { return .empty }
        let title =
            content.isPro
            ? words("Prolonger \(offer.name)", "Extend \(offer.name)") : words("Passer à \(offer.name)", "Upgrade to \(offer.name)")
        let lines: [Markup] = UsageWords.advantages(of: offer, words).map { "<li>\($0)</li>\n" }
        return """
            <section class="card offer" id="upgrade" data-part="offer">
            <h2>\(title)</h2>
            <p class="figure">\(UsageWords.price(offer, words))</p>
            <ul>
            \(lines)</ul>
            \(form)
            </section>
            """
    }
}
