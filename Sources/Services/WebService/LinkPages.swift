import Access
import Database
import Formats
import HTTPServer
import Money
import Payments
import ProviderPort

/// `/pay/<token>`: a payment behind a signed link, whoever it was sent to: what is owed, the ways to pay it, and where it stands.
struct LinkPages: Sendable {
    let gate: LinkGate
    let providers: ProviderRegistry
    let start: CheckoutStart
    let page: Page

    /// Who acted, in audit rows.
    static let actor = "customer:link"

    var routes: [Route] {
        [
            Route("GET", "/pay/{token}", .page, bodyLimit: 0) { try await admitted($0, show) },
            Route("POST", "/pay/{token}/pay/{provider}", .page, bodyLimit: 4096) { try await admitted($0, pay) },
        ]
    }

    /// Answers whoever the link lets in, and says why to the others.
    private func admitted(
        _ call: WebCall, _ answer: (WebCall, LinkGate.Admitted) async throws -> HTTPResponse
    ) async throws -> HTTPResponse {
        let admitted: LinkGate.Admitted
        do {
            admitted = try await gate.admit(call)
        } catch let refusal as LinkRefusal {
            return refused(refusal)
        }
        return try await answer(call, admitted)
    }

    // MARK: Showing

    private func show(_ call: WebCall, _ admitted: LinkGate.Admitted) async throws -> HTTPResponse {
        let (payment, words) = (admitted.payment, admitted.words)
        if let (title, sentence) = PaymentSentence.closing(payment.state, words) {
            return page.response(200, words, title: title, "<p class=\"note\">\(sentence)</p>\(PaymentSentence.recap(payment, words))")
        }
        let live = LiveStatus(path: admitted.path, status: payment.state)
        let note: Markup = PaymentSentence.note(payment.state, words).map { "<p class=\"note\">\($0)</p>" } ?? .empty
        let recap = PaymentSentence.recap(payment, words, more: received(payment, words))
        guard admitted.grant.mayPay else {
            return page.response(
                200, words, title: words("Où en est le paiement", "Where the payment stands"), refreshSeconds: ReturnPages.refreshSeconds,
                live: live, "\(note)\(recap)")
        }
        let offer = CheckoutOffer(payment, providers, try await gate.switches(), country: call.request.queryValue("country"))
        let buttons = offer.buttons(payment.customer.phone, words) { "\(admitted.path)/pay/\($0)" }
        return page.response(
            200, words, title: words("Votre paiement", "Your payment"), live: live,
            "\(note)\(goOn(admitted))\(recap)\(offer.countryForm(admitted.path, words))\(buttons)")
    }

    private func received(_ payment: Payment, _ words: Words) -> [Markup] {
        let inHand = payment.captured - payment.refunded
        guard inHand > 0 else { return [] }
        let currency = payment.amount.currency
        let left = payment.amount.minorUnits - inHand
        return [
            "<dt>\(words("Déjà reçu", "Received so far"))</dt><dd>\(Money(inHand, currency).description)</dd>",
            "<dt>\(words("Reste à payer", "Still to pay"))</dt><dd>\(Money(max(0, left), currency).description)</dd>",
        ]
    }

    /// The way back to an attempt that still waits.
    private func goOn(_ admitted: LinkGate.Admitted) -> Markup {
        let now = gate.nowMs()
        let waiting = admitted.attempts.last { $0.isPayable(of: admitted.payment) && ($0.expiresAtMs ?? .max) > now }
        guard let url = waiting?.paymentURL, SafeLink.isSafe(url) else { return .empty }
        return "<p><a href=\"\(url)\">\(admitted.words("Reprendre le paiement commencé", "Take up the payment that was started"))</a></p>"
    }

    private func refused(_ refusal: LinkRefusal) -> HTTPResponse {
        switch refusal {
        case .unknown: return page.notFound(Words("fr"))
        case .tooFast: return page.problem(refusal.problem, Words("fr"), back: nil)
        case .over(let language):
            let words = Words(language)
            let sentence = words(
                "Ce lien de paiement n’est plus valable. Rien n’est perdu : demandez-en un nouveau à la personne qui vous l’a envoyé.",
                "This payment link is no longer good. Nothing is lost: ask whoever sent it to you for a new one.")
            return page.response(410, words, title: words("Lien expiré", "Link expired"), "<p class=\"note\">\(sentence)</p>")
        }
    }

    // MARK: Paying

    private func pay(_ call: WebCall, _ admitted: LinkGate.Admitted) async throws -> HTTPResponse {
        let words = admitted.words
        guard admitted.grant.mayPay, let choice = CheckoutChoice.all.first(where: { $0.provider == call.value("provider") }) else {
            return page.notFound(words)
        }
        let sent = call.request.body.isEmpty ? [:] : try RequestBody.fields(call.request, allowsJSON: false)
        do {
            let started = try await start(admitted.payment.id, choice.plan(sent, actor: Self.actor))
            guard let url = started.attempt.paymentURL, SafeLink.isSafe(url) else {
                return page.problem(.unavailable, words, back: admitted.path)
            }
            return .redirect(303, url)
        } catch {
            // Paid meanwhile: the page says so.
            if case .notAllowed? = error as? PaymentError { return .redirect(303, admitted.path) }
            guard let problem = WebProblem(error) else { throw error }
            return page.problem(problem, words, back: admitted.path)
        }
    }
}
