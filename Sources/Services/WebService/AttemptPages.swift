import Database
import Formats
import HTTPServer
import Payments
import ProviderPort

/// `/payments/<provider>/pay/`: our own page of an attempt, for what has no page at its provider: a widget to open, a push to confirm on
/// the phone, an account to transfer to. It changes nothing, and follows the payment by itself.
struct AttemptPages: Sendable {
    static let refreshSeconds = 4

    let database: Database
    let page: Page
    let links: OwnLinks

    var routes: [Route] {
        [Route("GET", "/payments/{provider}/pay/", .page, bodyLimit: 0, show), WidgetScript.route]
    }

    private func show(_ call: WebCall) async throws -> HTTPResponse {
        let provider = call.value("provider")
        guard let reference = call.request.queryValue("transaction_id") else { return page.notFound(Words("fr")) }
        let found = try await database.read { connection in
            try PaymentStore.attempt(of: [.ours(reference)], provider: provider, in: connection).map { attempt in
                (try ShownPayment(attempt.payment, links, in: connection), attempt)
            }
        }
        guard let (shown, attempt) = found else { return page.notFound(Words("fr")) }
        let (payment, words) = (shown.payment, shown.words)
        if let (title, sentence) = PaymentSentence.closing(payment.state, words) {
            return page.response(200, words, title: title, "<p class=\"note\">\(sentence)</p>\(PaymentSentence.recap(payment, words))")
        }
        guard attempt.isPayable(of: payment), let step = attempt.step else { return ended(shown) }
        switch step.kind {
        case .redirect:
            guard let url = attempt.paymentURL, SafeLink.isSafe(url) else { return ended(shown) }
            return .redirect(303, url)
        case .widget: return widget(step, shown)
        case .approve: return waiting(step, shown)
        case .transfer: return transfer(step, shown)
        }
    }

    // MARK: What there is to do

    private func widget(_ step: CustomerStep, _ shown: ShownPayment) -> HTTPResponse {
        let (payment, words) = (shown.payment, shown.words)
        guard let script = step.fields["script"], SafeLink.isSafe(script) else { return ended(shown) }
        let options = step.fields.filter { $0.key != "script" }.sorted { $0.key < $1.key }.map { ($0.key, JSON.string($0.value)) }
        let sentence = words("La fenêtre de paiement s’ouvre d’elle-même.", "The payment window opens by itself.")
        let without = words("Ce moyen de paiement a besoin de JavaScript.", "This way to pay needs JavaScript.")
        return page.response(
            200, words, title: words("Payer", "Pay"), widget: WidgetScript(url: script), live: shown.live,
            """
            \(PaymentSentence.recap(payment, words))
            <p>\(sentence)</p>
            <button type="button" id="widget" hidden data-options="\(JSON.object(JSONObject(options)).text)">\(words("Payer", "Pay"))</button>
            <noscript><p class="note">\(without)</p></noscript>
            """)
    }

    private func waiting(_ step: CustomerStep, _ shown: ShownPayment) -> HTTPResponse {
        let (payment, words) = (shown.payment, shown.words)
        let standard = words("Confirmez le paiement sur votre téléphone.", "Confirm the payment on your phone.")
        let instruction = step.fields["instruction_\(words.language)"] ?? standard
        var lines: [Markup] = []
        for (field, french, english) in [("network", "Réseau", "Network"), ("phone", "Téléphone", "Phone")] {
            if let value = step.fields[field] { lines.append("<dt>\(words(french, english))</dt><dd>\(value)</dd>") }
        }
        let follows = words("Cette page se met à jour toute seule.", "This page updates itself.")
        return page.response(
            200, words, title: words("Confirmez sur votre téléphone", "Confirm on your phone"), refreshSeconds: Self.refreshSeconds,
            live: shown.live,
            """
            <p class="note">\(instruction)</p>\(PaymentSentence.recap(payment, words, more: lines))<p class="wait">\(follows)</p>
            """)
    }

    private func transfer(_ step: CustomerStep, _ shown: ShownPayment) -> HTTPResponse {
        let (payment, words) = (shown.payment, shown.words)
        var lines: [Markup] = []
        if let account = step.fields["account"] { lines.append("<dt>\(words("Compte", "Account"))</dt><dd>\(account)</dd>") }
        if let reference = step.fields["reference"] {
            lines.append("<dt>\(words("Référence à indiquer", "Reference to give"))</dt><dd>\(reference)</dd>")
        }
        let sentence = words(
            "Indiquez la référence : c’est elle qui relie votre versement à cette commande. Nous vous écrivons dès qu’il est arrivé.",
            "Please give the reference: it ties your money to this order. We write to you as soon as it has arrived.")
        return page.response(
            200, words, title: words("Comment payer", "How to pay"), live: shown.live,
            "\(PaymentSentence.recap(payment, words, more: lines))<p class=\"note\">\(sentence)</p>")
    }

    private func ended(_ shown: ShownPayment) -> HTTPResponse {
        let (payment, words) = (shown.payment, shown.words)
        let note = PaymentSentence.note(payment.state, words) ?? words("Cet essai est terminé.", "This try is over.")
        return page.response(
            200, words, title: words("Paiement non abouti", "Payment not completed"),
            "<p class=\"note\">\(note)</p>\(PaymentSentence.recap(payment, words))\(shown.again)")
    }
}
