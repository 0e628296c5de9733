import Formats
import Money
import Payments
import Plans

/// The tab of what was paid, and of what is being paid.
struct TeamPaymentsPanel {
    let content: TeamPageContent
    let address: TeamPageAddress
    let words: Words
    let form: Markup

    var markup: Markup {
        """
        <div aria-live="polite"><div data-part="underway">\(underway)</div></div>
        <section class="card" data-part="pay">
        <h2>\(words("Payer", "Pay"))</h2>
        \(form)
        </section>
        <section class="card" data-part="history">
        <h2>\(words("Historique", "History"))</h2>
        \(history)
        </section>
        """
    }

    // MARK: Under way

    private var underway: Markup {
        guard let line = content.underway else { return news }
        let payment = line.payment
        let amount = UsageWords.amount(payment.amount, words)
        let method = line.attempt?.method.map { " · \(UsageWords.method($0, words))" } ?? ""
        return """
            <section class="card offer underway">
            <h2>\(words("Paiement en cours", "Payment under way"))</h2>
            <p class="figure">\(amount) <small>\(method)</small></p>
            <p>\(badge(payment.state)) \(words(
                "Cette page suit le paiement : elle change dès qu’il est reçu.", "This page follows the payment: it changes as soon as it is received."))</p>
            \(code(line))
            \(goOn(line, words("Continuer le paiement", "Go on with the payment"), "button"))
            <form method="post" action="\(address.cancelPath)" class="quiet"><input type="hidden" name="payment" value="\(payment.id)"/>\
            <p><button type="submit">\(words("Annuler ce paiement", "Cancel this payment"))</button></p></form>
            </section>
            """
    }

    /// To be scanned by the phone that pays: as the provider draws it, or as we do.
    private func code(_ line: TeamPageContent.PaymentLine) -> Markup {
        guard let attempt = line.attempt, attempt.isPayable(atMs: content.nowMs) else { return .empty }
        let amount = UsageWords.amount(line.payment.amount, words)
        guard let picture = PaymentCode.picture(of: attempt) else { return .empty }
        let named = words("Code QR du paiement", "QR code of the payment")
        return """
            <p class="code"><img src="\(picture)" width="220" height="220" alt="\(named)"/></p>
            <p>\(words("Scannez ce code pour payer \(amount) par téléphone.", "Scan this code to pay \(amount) by phone."))</p>
            """
    }

    /// How the newest payment has ended, for a while.
    private var news: Markup {
        guard let payment = content.payments.first?.payment, content.nowMs - payment.updatedAtMs < TeamPageContent.newsMs else { return .empty }
        let amount = UsageWords.amount(payment.amount, words)
        switch payment.state {
        case .paid:
            let until = content.subscription.flatMap { $0.isRunning && content.isPro ? UsageWords.day($0.renewsAtMs, words) : nil }
            let follows =
                until.map { words("\(content.plan.name) est payé jusqu’au \($0).", "\(content.plan.name) is paid until \($0).") }
                ?? words("Votre forfait change dans un instant.", "Your plan changes in a moment.")
            return "<p class=\"note\">\(words("\(amount) reçus.", "\(amount) received.")) \(follows)</p>"
        case .failed, .expired:
            return """
                <p class="alert critical">\(words(
                    "Le paiement de \(amount) n’a pas abouti. Vous pouvez réessayer.", "The payment of \(amount) did not succeed. You can try again."))</p>
                """
        default: return .empty
        }
    }

    // MARK: History

    private var history: Markup {
        guard !content.payments.isEmpty else { return "<p class=\"hint\">\(words("Aucun paiement.", "No payments."))</p>" }
        let rows: [Markup] = content.payments.map(row)
        return """
            <table class="history">
            <thead><tr><th scope="col">\(words("Date", "Date"))</th><th scope="col">\(words("Moyen", "Method"))</th>\
            <th scope="col">\(words("Montant", "Amount"))</th><th scope="col">\(words("État", "Status"))</th></tr></thead>
            <tbody>
            \(rows)</tbody>
            </table>
            \(older)
            """
    }

    private var older: Markup {
        guard content.hasOlderPayments else { return .empty }
        let count = content.payments.count
        return """
            <p class="hint">\(words(
                "Les \(count) derniers paiements ; il y en a de plus anciens.", "The latest \(count) payments; there are older ones."))</p>
            """
    }

    private func row(_ line: TeamPageContent.PaymentLine) -> Markup {
        let method = line.attempt?.method.map { UsageWords.method($0, words) } ?? "–"
        return """
            <tr><td>\(UsageWords.shortDay(line.payment.createdAtMs, words))</td><td>\(method)</td><td>\(UsageWords.amount(line.payment.amount, words))</td>\
            <td>\(badge(line.payment.state))\(goOn(line, words("continuer", "continue"), ""))</td></tr>

            """
    }

    private func badge(_ state: PaymentState) -> Markup {
        "<span class=\"badge \(UsageWords.colour(of: state))\">\(UsageWords.status(state, words))</span>"
    }

    private func goOn(_ line: TeamPageContent.PaymentLine, _ label: String, _ look: String) -> Markup {
        guard line.payment.state == .pending || line.payment.state == .created, let attempt = line.attempt,
            attempt.isPayable(atMs: content.nowMs), let url = attempt.paymentURL, SafeLink.isSafe(url)
        else { return .empty }
        let kind: Markup = look.isEmpty ? .empty : " class=\"\(look)\""
        return " <a href=\"\(url)\"\(kind) target=\"_blank\" rel=\"noopener noreferrer\">\(label)</a>"
    }
}
