import Database
import Drafts
import Formats
import HTTPServer
import Money
import Payments
import ProviderPort

/// `/kit/checkout/<inquiry>/`: what is to be paid, and a button per provider.
struct CheckoutPages: Sendable {
    let database: Database
    let providers: ProviderRegistry
    let start: CheckoutStart
    let page: Page

    var routes: [Route] {
        [
            Route("GET", "/kit/checkout/{inquiry}/", .page, bodyLimit: 0, show),
            Route("POST", "/kit/checkout/{inquiry}/pay/{provider}", .page, bodyLimit: 4096, pay),
        ]
    }

    static func path(of inquiry: String) -> String { "/kit/checkout/\(PercentEncoding.encodePathSegment(inquiry))/" }

    private struct Standing: Sendable {
        let inquiry: Inquiry
        let payment: Payment
        let switches: NetworkSwitches
    }

    private func standing(of id: String) async throws -> Standing? {
        try await database.read { connection in
            guard let inquiry = try InquiryStore.find(id, in: connection) else { return nil }
            let order = try InquiryStore.requireOrder(of: id, in: connection)
            return Standing(
                inquiry: inquiry, payment: try PaymentStore.require(order.payment, in: connection),
                switches: try NetworkSwitches.read(in: connection))
        }
    }

    // MARK: Showing

    private func show(_ call: WebCall) async throws -> HTTPResponse {
        guard let standing = try await standing(of: call.value("inquiry")) else { return page.notFound(Words("fr")) }
        let words = Words(standing.inquiry.language)
        let payment = standing.payment
        let recap: Markup = """
            <dl>
            <dt>\(words("Produit", "Product"))</dt><dd>\(payment.description)</dd>
            <dt>\(words("Organisation", "Organisation"))</dt><dd>\(standing.inquiry.organizationName)</dd>
            <dt>\(words("E-mail", "E-mail"))</dt><dd>\(Self.masked(standing.inquiry.email))</dd>
            <dt>\(words("Montant", "Amount"))</dt><dd>\(payment.amount.description)</dd>
            <dt>\(words("Référence", "Reference"))</dt><dd>\(standing.inquiry.id)</dd>
            </dl>
            """
        if let (title, sentence) = PaymentSentence.closing(payment.state, words) {
            return page.response(200, words, title: title, "<p class=\"note\">\(sentence)</p>\(recap)")
        }
        let note: Markup = PaymentSentence.note(payment.state, words).map { "<p class=\"note\">\($0)</p>" } ?? .empty
        let path = Self.path(of: standing.inquiry.id)
        let offer = CheckoutOffer(payment, providers, standing.switches, country: call.request.queryValue("country"))
        let buttons = offer.buttons(payment.customer.phone, words) { "\(path)pay/\($0)" }
        return page.response(
            200, words, title: words("Votre commande", "Your order"), "\(note)\(recap)\(offer.countryForm(path, words))\(buttons)")
    }

    /// `a***@example.org`: enough to notice a slip, too little for whoever sees the screen.
    static func masked(_ email: String) -> String {
        let parts = email.split(separator: "@", maxSplits: 1)
        guard parts.count == 2, let first = parts[0].first else { return "***" }
        return "\(first)***@\(parts[1])"
    }

    // MARK: Paying

    /// Sends the browser on to the provider. A second click, or a second tab, leads to the same attempt.
    private func pay(_ call: WebCall) async throws -> HTTPResponse {
        let (id, provider) = (call.value("inquiry"), call.value("provider"))
        guard let standing = try await standing(of: id), let choice = CheckoutChoice.all.first(where: { $0.provider == provider })
        else {
            return page.notFound(Words("fr"))
        }
        let sent = call.request.body.isEmpty ? [:] : try RequestBody.fields(call.request, allowsJSON: false)
        let words = Words(standing.inquiry.language)
        let back = Self.path(of: id)
        do {
            let started = try await start(standing.payment.id, choice.plan(sent, actor: call.actor))
            guard let url = started.attempt.paymentURL, SafeLink.isSafe(url) else { return page.problem(.unavailable, words, back: back) }
            return .redirect(303, url)
        } catch {
            if case .notAllowed? = error as? PaymentError { return .redirect(303, back) }
            guard let problem = WebProblem(error) else { throw error }
            return page.problem(problem, words, back: back)
        }
    }
}
