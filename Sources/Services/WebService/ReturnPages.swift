import Access
import Database
import Drafts
import Formats
import HTTPServer
import Invoicing
import Money
import Outbox
import Payments
import Plans
import ProviderPort

/// `/payments/<provider>/return/`: where a provider's site sends the browser afterwards. It proves nothing, so it only reads; but where a
/// provider can be asked by nothing else than the number that the browser brings, that number is kept as unproven, and asked about.
struct ReturnPages: Sendable {
    static let refreshSeconds = 5

    let database: Database
    let providers: ProviderRegistry
    let page: Page
    let outbox: Outbox
    let links: OwnLinks
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
                ($0, try ShownPayment($0.payment, links, in: connection))
            }
        }
        guard let (attempt, shown) = found else { return page.notFound(Words("fr")) }
        try await keep(call, attempt)
        return show(shown)
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

    private func show(_ shown: ShownPayment) -> HTTPResponse {
        let (payment, words) = (shown.payment, shown.words)
        let recap = PaymentSentence.recap(payment, words)
        if let (title, sentence) = PaymentSentence.closing(payment.state, words) {
            return page.response(200, words, title: title, "<p class=\"note\">\(sentence)</p>\(recap)\(shown.back)")
        }
        if payment.state.isOpen {
            let sentence = words(
                "Nous vérifions votre paiement auprès du prestataire. Cette page se met à jour toute seule.",
                "We are checking your payment with the provider. This page updates itself.")
            return page.response(
                200, words, title: words("Vérification en cours", "Checking"), refreshSeconds: Self.refreshSeconds, live: shown.live,
                "<p class=\"note wait\">\(sentence)</p>\(recap)\(shown.back)")
        }
        let note = PaymentSentence.note(payment.state, words) ?? ""
        return page.response(
            200, words, title: words("Paiement non abouti", "Payment not completed"),
            "<p class=\"note\">\(note)</p>\(recap)\(shown.again)\(shown.back)")
    }
}

/// A payment on a page that the holder of an attempt's address sees, with the ways on from there.
struct ShownPayment: Sendable {
    let payment: Payment
    /// Where the page follows it.
    let live: LiveStatus?
    private let payPath: String?

    init(_ id: String, _ links: OwnLinks, in connection: Connection) throws {
        payment = try PaymentStore.require(id, in: connection)
        live = LiveStatus(path: try links.path(to: id, .watch, in: connection), status: payment.state)
        payPath =
            switch payment.purpose {
            case KitPurpose.name: CheckoutPages.path(of: payment.subject)
            case OrderPurpose.name: try links.path(to: id, .pay, in: connection)
            // Plans are paid from the page of their team.
            default: nil
            }
    }

    var words: Words { Words(payment.customer.language) }

    /// Plans are paid in a window beside the page of their team. That page's address holds a token, which is for no provider to see: nothing
    /// leads back there from here.
    var back: Markup {
        guard payment.purpose == PlanPurpose.name else { return .empty }
        let text = words(
            "Vous pouvez fermer cette fenêtre : la page de votre équipe se met à jour toute seule.",
            "You may close this window: your team’s page follows by itself.")
        return "<p>\(text)</p>"
    }

    /// The way to one more try.
    var again: Markup { payPath.map { "<p><a href=\"\($0)\">\(words("Réessayer", "Try again"))</a></p>" } ?? .empty }
}
