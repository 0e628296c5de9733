import Database
import Drafts
import Formats
import HTTPServer
import Money
import Payments
import ProviderPort

/// `/payments/<provider>/return/`: where a provider's site sends the browser afterwards. It proves nothing, so it only reads.
struct ReturnPages: Sendable {
    static let refreshSeconds = 5

    let database: Database
    let providers: ProviderRegistry
    let page: Page

    var routes: [Route] {
        [
            Route("GET", "/payments/{provider}/return/", .returnPage, bodyLimit: 0, show),
            Route("POST", "/payments/{provider}/return/", .returnPage, bodyLimit: 16 * 1024, redirect),
        ]
    }

    /// What providers call the references that they give the browser, with the kinds that they are kept under.
    private static let parameters = [("transaction_id", "ours"), ("token", "token")]

    /// A post from another site comes without cookies: it is answered with a GET of our own, which a reload may repeat.
    private func redirect(_ call: WebCall) async throws -> HTTPResponse {
        let sent = (try? RequestBody.fields(call.request, allowsJSON: false)) ?? [:]
        for (name, _) in Self.parameters {
            guard let value = sent[name] ?? call.request.queryValue(name), (1...200).contains(value.utf8.count) else { continue }
            return .redirect(303, "\(call.request.path)?\(FormURLEncoded.encode([(name, value)]))")
        }
        return .redirect(303, call.request.path)
    }

    private func show(_ call: WebCall) async throws -> HTTPResponse {
        let provider = call.value("provider")
        let references = Self.parameters.compactMap { name, kind in
            call.request.queryValue(name).map { ProviderReference(kind, $0) }
        }
        guard providers[provider] != nil, !references.isEmpty else { return page.notFound(Words("fr")) }
        let found = try await database.read { connection in
            try PaymentStore.attempt(of: references, provider: provider, in: connection).map {
                try PaymentStore.require($0.payment, in: connection)
            }
        }
        guard let payment = found else { return page.notFound(Words("fr")) }
        return show(payment)
    }

    private func show(_ payment: Payment) -> HTTPResponse {
        let words = Words(payment.customer.language)
        let recap: Markup = """
            <dl>
            <dt>\(words("Produit", "Product"))</dt><dd>\(payment.description)</dd>
            <dt>\(words("Montant", "Amount"))</dt><dd>\(payment.amount.description)</dd>
            </dl>
            """
        if let (title, sentence) = PaymentSentence.closing(payment.state, words) {
            return page.response(200, words, title: title, "<p class=\"note\">\(sentence)</p>\(recap)")
        }
        if payment.state.isOpen {
            let sentence = words(
                "Nous vérifions votre paiement auprès du prestataire. Cette page se met à jour toute seule.",
                "We are checking your payment with the provider. This page updates itself.")
            return page.response(
                200, words, title: words("Vérification en cours", "Checking"), refreshSeconds: Self.refreshSeconds,
                "<p class=\"note\">\(sentence)</p>\(recap)")
        }
        let note = PaymentSentence.note(payment.state, words) ?? ""
        let again: Markup =
            payment.purpose == KitPurpose.name
            ? "<p><a href=\"\(CheckoutPages.path(of: payment.subject))\">\(words("Réessayer", "Try again"))</a></p>" : .empty
        return page.response(
            200, words, title: words("Paiement non abouti", "Payment not completed"), "<p class=\"note\">\(note)</p>\(recap)\(again)")
    }
}
