import Database
import Drafts
import Formats
import HTTPServer
import Money
import Payments
import ProviderPort

/// `/kit/checkout/<inquiry>/`: what is to be paid, and a button per provider.
struct CheckoutPages: Sendable {
    /// The providers that customers of the Kit may choose, with what their buttons say; one that is off has no button.
    static let choices: [CheckoutChoice] = [
        CheckoutChoice("cinetpay", "Payer par CinetPay (Mobile Money ou carte)", "Pay with CinetPay (mobile money or card)"),
        CheckoutChoice("orange-money", "Payer par Orange Money", "Pay with Orange Money"),
        CheckoutChoice("kkiapay", "Payer par KKiaPay (Mobile Money ou carte)", "Pay with KKiaPay (mobile money or card)"),
        CheckoutChoice("feexpay", "Payer par Mobile Money (FeexPay)", "Pay with mobile money (FeexPay)"),
        CheckoutChoice("wave", "Payer par Wave", "Pay with Wave"),
        CheckoutChoice("icount", "Payer par carte (iCount)", "Pay by card (iCount)"),
        CheckoutChoice("manual", "Payer par virement bancaire", "Pay by bank transfer", method: "bank_transfer"),
    ]

    let database: Database
    let providers: ProviderRegistry
    let start: AttemptStart
    let page: Page
    private let underWay = StartsUnderWay()

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
    }

    private func standing(of id: String) async throws -> Standing? {
        try await database.read { connection in
            guard let inquiry = try InquiryStore.find(id, in: connection) else { return nil }
            let order = try InquiryStore.requireOrder(of: id, in: connection)
            return Standing(inquiry: inquiry, payment: try PaymentStore.require(order.payment, in: connection))
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
        return page.response(
            200, words, title: words("Votre commande", "Your order"), "\(note)\(recap)\(buttons(standing.inquiry.id, payment, words))")
    }

    /// Those that are on and take the amount.
    private func buttons(_ inquiry: String, _ payment: Payment, _ words: Words) -> Markup {
        let offered = Self.choices.compactMap { choice in
            providers[choice.provider].map { (choice, choice.fitting($0.offer, payment.amount)) }
        }.filter { !$0.1.isEmpty }
        guard !offered.isEmpty else {
            let sentence = words("Aucun moyen de paiement n’est ouvert pour le moment.", "No means of payment is open at the moment.")
            return "<p class=\"note\">\(sentence)</p>"
        }
        let forms: [Markup] = offered.map { choice, ways in
            """
            <form method="post" action="\(Self.path(of: inquiry))pay/\(choice.provider)">\(choice.fields(ways, payment.customer.phone, words))\
            <button type="submit">\(words(choice.french, choice.english))</button></form>
            """
        }
        return "\(forms)"
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
        guard let standing = try await standing(of: id), let choice = Self.choices.first(where: { $0.provider == provider }) else {
            return page.notFound(Words("fr"))
        }
        let sent = call.request.body.isEmpty ? [:] : try RequestBody.fields(call.request, allowsJSON: false)
        let words = Words(standing.inquiry.language)
        let back = Self.path(of: id)
        let payment = standing.payment.id
        do {
            let plan = try choice.plan(sent, actor: call.actor)
            let started = try await underWay.start("\(payment) \(provider) \(plan.network ?? "")") {
                try await start(plan) { try PaymentStore.require(payment, in: $0) }
            }
            guard let url = started.attempt.paymentURL, SafeLink.isSafe(url) else { return page.problem(.unavailable, words, back: back) }
            return .redirect(303, url)
        } catch {
            if case .notAllowed? = error as? PaymentError { return .redirect(303, back) }
            guard let problem = WebProblem(error) else { throw error }
            return page.problem(problem, words, back: back)
        }
    }
}

/// Addresses of others that a browser may be sent to.
enum SafeLink {
    static func isSafe(_ url: String) -> Bool {
        (url.hasPrefix("https://") || url.hasPrefix("http://")) && url.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }
}

/// Starts that this process has under way: whoever asks for the same one meanwhile gets its outcome.
actor StartsUnderWay {
    private var tasks: [String: Task<AttemptStart.Started, any Error>] = [:]

    func start(
        _ key: String, _ start: @escaping @Sendable () async throws -> AttemptStart.Started
    ) async throws -> AttemptStart.Started {
        if let running = tasks[key] { return try await running.value }
        // A task of its own: several requests wait for it, and none of them may end it.
        let task = Task { try await start() }
        tasks[key] = task
        defer { tasks[key] = nil }
        return try await task.value
    }
}

/// Where a payment stands, told to the customer.
enum PaymentSentence {
    /// Title and sentence of a state in which there is nothing left to pay here.
    static func closing(_ state: PaymentState, _ words: Words) -> (title: String, sentence: String)? {
        switch state {
        case .paid:
            (
                words("Paiement reçu", "Payment received"),
                words(
                    "Merci. Votre paiement est confirmé ; la suite vous parvient par e-mail.",
                    "Thank you. Your payment is confirmed; the rest reaches you by e-mail.")
            )
        case .refunded, .partiallyRefunded:
            (words("Paiement remboursé", "Payment refunded"), words("Ce paiement a été remboursé.", "This payment was refunded."))
        case .conflicted, .chargedBack, .authorised:
            (
                words("Paiement en cours de vérification", "Payment being checked"),
                words(
                    "Nous vérifions ce paiement à la main. Inutile de payer une seconde fois.",
                    "We are checking this payment by hand. Please do not pay a second time.")
            )
        case .created, .pending, .processing, .partiallyPaid, .failed, .cancelled, .expired: nil
        }
    }

    /// What is paid for, and how much.
    static func recap(_ payment: Payment, _ words: Words, more: [Markup] = []) -> Markup {
        """
        <dl>
        <dt>\(words("Produit", "Product"))</dt><dd>\(payment.description)</dd>
        <dt>\(words("Montant", "Amount"))</dt><dd>\(payment.amount.description)</dd>
        \(more)</dl>
        """
    }

    /// What to say above the buttons.
    static func note(_ state: PaymentState, _ words: Words) -> String? {
        switch state {
        case .pending, .processing:
            words(
                "Un paiement a été commencé. S’il est déjà fait, sa confirmation arrive ; sinon, reprenez-le ci-dessous.",
                "A payment was started. If it is done already, its confirmation is on the way; if not, take it up again below.")
        case .failed: words("Le dernier essai a échoué. Rien n’a été débité.", "The last try failed. Nothing was charged.")
        case .cancelled: words("Le dernier essai a été annulé.", "The last try was cancelled.")
        case .expired: words("Le dernier essai a expiré.", "The last try has expired.")
        case .partiallyPaid: words("Une partie du montant est reçue.", "Part of the amount has been received.")
        default: nil
        }
    }
}
