import Database
import Drafts
import Formats
import HTTPServer
import Money
import Operating
import Payments
import ProviderPort
import Staff
import Telemetry

/// One payment: what is known of it, what happened, and what can be done about it.
struct PaymentDetailPage: Sendable {
    let database: Database
    let refunds: StaffRefunds
    let frame: ConsoleFrame

    var entries: [ConsoleEntry] { [ConsoleEntry("GET", "/console/payments/{payment}/", .viewer, show)] }

    /// What is read of it, as of one moment.
    private struct Content: Sendable {
        let life: PaymentLife
        let refundable: Money
        let refunds: [Refund]
        let requests: [RefundRequest]
        let held: [HeldMoney]
        /// Who says of which of it that it went back.
        var said: [Int64: [HeldReturn]] = [:]

        init(_ id: String, in connection: Connection) throws {
            let payment = try PaymentStore.require(id, in: connection)
            life = try PaymentLife(of: payment, in: connection)
            refundable = Money(try Refunds.refundable(payment, in: connection), payment.amount.currency)
            refunds = try Refund.of(payment: id, in: connection)
            requests = try RefundRequest.of(payment: id, in: connection)
            held = try HeldMoney.of(payment, in: connection)
            for one in held { said[one.id] = try one.saidReturns(in: connection) }
        }
    }

    private func show(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let id = visit.call.value("payment")
        let content = try await database.read { try Content(id, in: $0) }
        let words = visit.words
        return frame.page(
            visit, .payments, title: words("Paiement \(id)", "Payment \(id)"),
            """
            \(recap(content, visit))
            \(decisions(content, visit))
            <h2>\(words("Essais", "Attempts"))</h2>
            \(attempts(content, visit))
            <h2>\(words("Remboursements", "Refunds"))</h2>
            \(refundTable(content, visit))\(refundForm(content, visit))
            <h2>\(words("Chronologie", "Time line"))</h2>
            \(TimeLine(life: content.life, words: words).markup)
            """)
    }

    // MARK: What it is

    private func recap(_ content: Content, _ visit: ConsoleVisit) -> Markup {
        let (payment, words) = (content.life.payment, visit.words)
        let captured = Money(payment.captured, payment.amount.currency)
        let refunded = Money(payment.refunded, payment.amount.currency)
        let isKit = payment.purpose == KitPurpose.name
        let subject: Markup = isKit ? "<a href=\"\(ConsolePath.kit(payment.subject))\">\(payment.subject)</a>" : "\(payment.subject)"
        return ConsoleParts.list([
            (words("État", "State"), ConsoleParts.badge(payment.state)),
            (words("Montant", "Amount"), "\(ConsoleParts.money(payment.amount, words))"),
            (words("Encaissé", "Captured"), "\(ConsoleParts.money(captured, words))"),
            (words("Remboursé", "Refunded"), "\(ConsoleParts.money(refunded, words))"),
            (words("Pour", "For"), "\(payment.purpose) \(subject)"), (words("Objet", "Description"), "\(payment.description)"),
            (words("Client", "Customer"), "\(Contact(visit).line(payment))"), (words("Créé", "Created"), ConsoleParts.time(payment.createdAtMs)),
            (words("Payé", "Paid"), ConsoleParts.time(payment.paidAtMs)),
        ])
    }

    private func attempts(_ content: Content, _ visit: ConsoleVisit) -> Markup {
        let words = visit.words
        let rows: [[Markup]] = content.life.attempts.map { attempt, references in
            let names = references.map { "\($0.kind) \($0.value)" }.joined(separator: ", ")
            let fault = [attempt.errorCode, attempt.errorText].compactMap { $0 }.joined(separator: " ")
            let ask: Markup =
                visit.may(.staff)
                ? ConsoleParts.button(
                    visit, ConsolePath.payment(attempt.payment) + "ask", words("Redemander", "Ask again"), about: attempt.provider,
                    fields: [("attempt", attempt.id)]) : .empty
            return [
                "\(String(attempt.number))", "\(attempt.provider)", ConsoleParts.mode(attempt.mode),
                attempt.isOpen ? ConsoleParts.badge(words("ouvert", "open"), "info") : ConsoleParts.badge(words("clos", "closed")),
                ConsoleParts.time(attempt.createdAtMs), "<span class=\"detail\">\(names)\(fault.isEmpty ? "" : " – " + fault)</span>", ask,
            ]
        }
        return ConsoleParts.table(
            words("Chaque essai chez un prestataire", "Each try at a provider"),
            [
                "#", words("Prestataire", "Provider"), words("Mode", "Mode"), words("État", "State"), words("Commencé", "Begun"),
                words("Références", "References"), words("Action", "Action"),
            ], rows, none: words("Aucun essai.", "No attempts."))
    }

    // MARK: What waits for a person

    private func decisions(_ content: Content, _ visit: ConsoleVisit) -> Markup {
        let (payment, words) = (content.life.payment, visit.words)
        let tasks: [Markup] = content.life.tasks.map { "<p class=\"alarm\">\($0.kind): \($0.detail)</p>\n" }
        guard visit.may(.operator) else { return "\(tasks)" }
        var forms: [Markup] = []
        if payment.state == .conflicted {
            forms.append(
                """
                <form method="post" action="\(ConsolePath.payment(payment.id))accept" class="card" id="decide">\(visit.token)
                <h2>\(words("Trancher le conflit", "Decide the conflict"))</h2>
                <p>\(words(
                    "Prendre ce qui est arrivé pour le paiement de ce qui est dû. Sinon, remboursez.",
                    "Take what came in as payment of what is owed. Else give it back."))</p>
                \(ConsoleParts.area("accept-reason", "reason", words("Raison", "Reason")))
                <button class="main">\(words("Accepter comme paiement", "Accept as payment"))</button>
                </form>
                """)
        }
        forms += content.held.map { heldForm($0, content.said[$0.id] ?? [], payment, visit) }
        return "\(tasks)\(forms)"
    }

    private func heldForm(_ held: HeldMoney, _ said: [HeldReturn], _ payment: Payment, _ visit: ConsoleVisit) -> Markup {
        let words = visit.words
        let sum = held.amount.map { ConsoleParts.money($0, words) } ?? words("une somme inconnue", "an unknown amount")
        let id = "held-\(held.id)"
        let options = [
            ConsoleParts.option("returned", words("elle est repartie", "it went back"), chosen: "returned"),
            ConsoleParts.option("accepted", words("elle compte pour", "it counts as"), chosen: nil),
        ]
        return """
            <form method="post" action="\(ConsolePath.payment(payment.id))held/\(String(held.id))" class="card">\(visit.token)
            <h2>\(words("Argent à part : \(sum)", "Money held: \(sum)"))</h2>
            <p class="detail">\(held.problem ?? "")</p>
            \(second(held, said, words))\(ConsoleParts.choice("\(id)-decision", "decision", words("Décision", "Decision"), options))
            \(ConsoleParts.field(
                "\(id)-reference", "reference", words("Référence du retour", "Reference of the return"),
                value: said.last { $0.actor != visit.actor }?.reference ?? "", isRequired: false))
            \(ConsoleParts.field(
                "\(id)-amount", "amount", words("Montant en \(payment.amount.currency.code)", "Amount in \(payment.amount.currency.code)"), isRequired: false))
            \(ConsoleParts.area("\(id)-reason", "reason", words("Raison", "Reason")))
            <button class="main">\(words("Décider", "Decide"))</button>
            </form>
            """
    }

    /// That it takes two to say that it went back, and who has said so.
    private func second(_ held: HeldMoney, _ said: [HeldReturn], _ words: Words) -> Markup {
        guard refunds.needsSecondPerson(held) else { return .empty }
        let lines: [Markup] = said.map { one in
            """
            <p class="alarm">\(words("\(one.actor) dit qu’il est reparti :", "\(one.actor) says that it went back:")) \(one.reference) \
            (\(ConsoleParts.time(one.atMs)))</p>

            """
        }
        let rule = words(
            "Au-dessus de la limite, ou si la somme est inconnue, deux personnes disent qu’il est reparti, avec la même référence.",
            "Above the limit, or where the amount is unknown, two people say that it went back, with the same reference.")
        return "\(lines)<p class=\"quiet\">\(rule)</p>\n"
    }

    // MARK: Money back

    private func refundTable(_ content: Content, _ visit: ConsoleVisit) -> Markup {
        let words = visit.words
        var rows: [[Markup]] = content.refunds.map { refund in
            [
                ConsoleParts.time(refund.createdAtMs), "\(ConsoleParts.money(refund.amount, words))", ConsoleParts.badge(refund.state.rawValue),
                "\(refund.requestedBy)", "\(refund.reason)", settleForms(refund, visit),
            ]
        }
        rows += content.requests.filter { $0.state != .approved }.map { request in
            [
                ConsoleParts.time(request.requestedAtMs), "\(ConsoleParts.money(request.amount, words))",
                ConsoleParts.badge(request.state.rawValue, request.state == .waiting ? "warn" : ""), "\(request.requestedBy)", "\(request.reason)",
                RequestButtons(visit: visit, request: request).markup,
            ]
        }
        return ConsoleParts.table(
            words("Demandés et faits", "Asked for and done"),
            [
                words("Quand", "When"), "#\(words("Montant", "Amount"))", words("État", "State"), words("Par", "By"), words("Raison", "Reason"),
                words("Action", "Action"),
            ], rows, none: words("Aucun.", "None."))
    }

    private func settleForms(_ refund: Refund, _ visit: ConsoleVisit) -> Markup {
        let words = visit.words
        guard visit.may(.operator), refund.state == .requested || refund.state == .sent else {
            return "\(refund.detail ?? refund.providerReference ?? "–")"
        }
        let path = "\(ConsolePath.payment(refund.payment))refunds/\(PercentEncoding.encodePathSegment(refund.id))"
        return """
            \(ConsoleParts.button(
                visit, path, words("Il est fait", "It was done"), about: refund.id, confirm: words("C’est vérifié ?", "Have you checked?"),
                fields: [("outcome", "done")]))
            \(ConsoleParts.button(
                visit, path, words("Il a échoué", "It failed"), about: refund.id, confirm: words("C’est vérifié ?", "Have you checked?"),
                fields: [("outcome", "failed")]))
            """
    }

    private func refundForm(_ content: Content, _ visit: ConsoleVisit) -> Markup {
        let words = visit.words
        guard visit.may(.operator), content.refundable.isPositive else { return .empty }
        let code = content.refundable.currency.code
        let second: Markup =
            refunds.needsSecondPerson(content.refundable)
            ? "<p class=\"quiet\">\(words("Au-dessus de la limite, une deuxième personne approuve.", "Above the limit a second person approves."))</p>"
            : .empty
        let asked = words("Rembourser vraiment ?", "Really give this money back?")
        return """
            <form method="post" action="\(ConsolePath.payment(content.life.payment.id))refund" class="card" data-confirm="\(asked)">\(visit.token)
            <input type="hidden" name="shown" value="\(content.refunds.count + content.requests.count)"/>
            <h3>\(words("Rembourser", "Refund"))</h3>
            \(ConsoleParts.field("amount", "amount", words("Montant en \(code)", "Amount in \(code)"), value: content.refundable.decimalText))
            \(ConsoleParts.area("reason", "reason", words("Raison", "Reason")))
            \(ConsoleParts.field(
                "reference", "reference", words("Référence, si l’argent est déjà reparti", "Reference, if the money went back already"), isRequired: false))
            \(second)<button class="danger">\(words("Rembourser", "Refund"))</button>
            </form>
            """
    }
}

/// Who pays, as much of it as the role of whoever looks may see.
struct Contact {
    private let isWhole: Bool

    init(_ visit: ConsoleVisit) { isWhole = visit.may(.staff) }

    func line(_ payment: Payment) -> String {
        let customer = payment.customer
        let email = isWhole ? customer.email : customer.email.map(Redaction.text)
        let phone = isWhole ? customer.phone : customer.phone.map(Redaction.telephone)
        return [customer.name, email, phone, customer.language].compactMap { $0 }.joined(separator: ", ")
    }

    func address(_ text: String) -> String { isWhole ? text : Redaction.text(text) }
}

/// What happened to a payment, as `quittance trace` tells it.
struct TimeLine {
    /// More are not shown on a page.
    static let most = 80

    let life: PaymentLife
    let words: Words

    var markup: Markup {
        let moments = life.moments.suffix(Self.most)
        let items: [Markup] = moments.map { "<li>\(ConsoleParts.time($0.atMs)) <b>\($0.what)</b> \(String($0.text.prefix(240)))</li>\n" }
        let open: [Markup] = life.stillOpen.prefix(20).map { "<li>\(String($0.prefix(240)))</li>\n" }
        let rest: Markup = open.isEmpty ? .empty : "<h3>\(words("Encore ouvert", "Still open"))</h3><ul>\(open)</ul>"
        return "<ol class=\"line\">\(items)</ol>\(rest)"
    }
}

/// What may be done about a refund that waits for a second person.
struct RequestButtons {
    let visit: ConsoleVisit
    let request: RefundRequest
    var back: String?

    var markup: Markup {
        let words = visit.words
        guard request.state == .waiting, visit.may(.operator) else { return "\(request.decidedBy ?? "–")" }
        let path = "/console/refund-requests/\(request.id)"
        let about = "\(request.amount)"
        let refuse = ConsoleParts.button(
            visit, path, request.requestedBy == visit.user.name ? words("Retirer", "Take back") : words("Refuser", "Refuse"), about: about,
            back: back,
            fields: [("decision", "refuse")])
        guard request.requestedBy != visit.user.name else { return refuse }
        let approve = ConsoleParts.button(
            visit, path, words("Approuver", "Approve"), about: about, style: "main",
            confirm: words("Laisser partir cet argent ?", "Let this money go out?"), back: back, fields: [("decision", "approve")])
        return "\(approve) \(refuse)"
    }
}
