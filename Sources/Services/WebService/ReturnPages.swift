import Database
import Drafts
import Formats
import HTTPServer
import Money
import Outbox
import Payments
import ProviderPort

/// `/payments/<provider>/return/`: where a provider's site sends the browser afterwards. It proves nothing, so it only reads; but where a
/// provider can be asked by nothing else than the number that the browser brings, that number is kept as unproven, and asked about.
struct ReturnPages: Sendable {
    static let refreshSeconds = 5

    let database: Database
    let providers: ProviderRegistry
    let page: Page
    let outbox: Outbox
    let nowMs: @Sendable () -> Int64

    var routes: [Route] {
        [
            Route("GET", "/payments/{provider}/return/", .returnPage, bodyLimit: 0, show),
            Route("POST", "/payments/{provider}/return/", .returnPage, bodyLimit: 16 * 1024, redirect),
        ]
    }

    /// What providers call the references that they give the browser, with the kinds that they are kept under.
    private static let parameters = [("attempt", "ours"), ("transaction_id", "ours"), ("token", "token")]
    /// The paths of the seed products by the providers they stand for.
    private static let otherNames = ["om": "orange-money"]

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
        let provider = Self.otherNames[call.value("provider")] ?? call.value("provider")
        let references = Self.parameters.compactMap { name, kind in
            call.request.queryValue(name).map { ProviderReference(kind, $0) }
        }
        guard providers[provider] != nil, !references.isEmpty else { return page.notFound(Words("fr")) }
        let found = try await database.read { connection in
            try PaymentStore.attempt(of: references, provider: provider, in: connection).map {
                (try PaymentStore.require($0.payment, in: connection), $0)
            }
        }
        guard let (payment, attempt) = found else { return page.notFound(Words("fr")) }
        try await keep(call, attempt)
        return show(payment)
    }

    /// The number of a transaction that only the browser tells us of.
    private func keep(_ call: WebCall, _ attempt: PaymentAttempt) async throws {
        guard attempt.isOpen, call.request.queryValue("attempt") == attempt.id, let capabilities = providers.known(attempt.provider)?.capabilities,
            capabilities.statusReferenceKinds.contains("transaction"), !capabilities.statusReferenceKinds.contains("ours"),
            let number = call.request.queryValue("transaction_id"), (1...100).contains(number.utf8.count), number != attempt.id
        else { return }
        let now = nowMs()
        _ = try await database.write { [outbox] connection in
            let reference = ProviderReference("transaction", number)
            guard try UnverifiedReferences.add(reference, attempt: attempt, nowMs: now, in: connection) else { return }
            try UnprovenHints.ask(about: attempt, cause: "return:\(number)", outbox: outbox, nowMs: now, in: connection)
        }
    }

    /// The way to one more try, where there is a page for it.
    static func again(_ payment: Payment, _ words: Words) -> Markup {
        payment.purpose == KitPurpose.name
            ? "<p><a href=\"\(CheckoutPages.path(of: payment.subject))\">\(words("Réessayer", "Try again"))</a></p>" : .empty
    }

    private func show(_ payment: Payment) -> HTTPResponse {
        let words = Words(payment.customer.language)
        let recap = PaymentSentence.recap(payment, words)
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
        let again = Self.again(payment, words)
        return page.response(
            200, words, title: words("Paiement non abouti", "Payment not completed"), "<p class=\"note\">\(note)</p>\(recap)\(again)")
    }
}
