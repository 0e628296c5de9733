import Database
import Formats
import HTTPServer
import Money
import Operating
import Payments
import ProviderPort
import Staff
import Telemetry

/// Payments: filtered, summed, page by page, or all of them as a file.
struct PaymentListPage: Sendable {
    let database: Database
    let providers: ProviderRegistry
    let desk: SumsDesk
    let frame: ConsoleFrame

    private static let path = ConsoleFrame.Part.payments.path
    static let pageSize = 50

    var entries: [ConsoleEntry] {
        [
            ConsoleEntry("GET", "/console/payments/", .viewer, show),
            ConsoleEntry(following: "/console/payments.csv", .staff) { try await PaymentExport(database: database).answer(Choice($0), $0) },
        ]
    }

    /// What is asked for behind the `?`.
    struct Choice: Sendable {
        let filter: PaymentFilter
        let before: String?
        let pairs: [(String, String?)]

        /// - Throws: ``WebProblem`` 422.
        init(_ visit: ConsoleVisit) throws(WebProblem) {
            let request = visit.call.request
            func value(_ name: String) -> String? { request.queryValue(name).flatMap { $0.isEmpty ? nil : $0 } }
            let state = value("state")
            if let state, PaymentState(rawValue: state) == nil { throw .invalid("state", "must be a state of payments") }
            filter = PaymentFilter(
                provider: value("provider"), state: state.flatMap(PaymentState.init(rawValue:)), fromMs: try Self.day(value("from"), "from"),
                toMs: try Self.day(value("to"), "to").map { $0 + 86_400_000 })
            before = value("before")
            pairs = ["state", "provider", "from", "to"].map { ($0, value($0)) }
        }

        private static func day(_ text: String?, _ name: String) throws(WebProblem) -> Int64? {
            guard let text else { return nil }
            guard text.utf8.count == 10, let ms = Timestamp.parse(text + "T00:00:00Z") else { throw .invalid(name, "must be a day as 2026-11-21") }
            return ms
        }

        func value(_ name: String) -> String? { pairs.first { $0.0 == name }?.1 }
    }

    private func show(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let words = visit.words
        if let word = visit.call.request.queryValue("q"), !word.isEmpty { return try await find(word, visit) }
        let choice = try Choice(visit)
        let listing = try await database.read {
            try PaymentListing.page(choice.filter, before: choice.before, limit: Self.pageSize, in: $0)
        }
        let totals: Markup = choice.before == nil ? sums(choice.filter, try await desk.read(), words) : .empty
        let csv: Markup =
            visit.may(.staff)
            ? "<p><a href=\"/console/payments.csv\(ConsolePath.query(choice.pairs))\">\(words("Tout en un fichier CSV", "All of it as a CSV file"))</a></p>"
            : .empty
        return frame.page(
            visit, .payments, title: words("Paiements", "Payments"), wide: true,
            """
            \(search(words))\(form(choice, words))
            \(totals)
            \(table(listing.lines, words))
            \(ConsoleParts.pager(Self.path, choice.pairs, before: choice.before, next: listing.next, words))\(csv)
            """)
    }

    private func search(_ words: Words) -> Markup {
        """
        <form method="get" action="\(Self.path)" class="filter" role="search">
        <div><label for="q">\(words("Chercher", "Search"))</label>
        <input id="q" name="q" type="search" maxlength="100" placeholder="pay_…"/></div>
        <button>\(words("Trouver", "Find"))</button>
        <span class="quiet">\(words(
            "paiement, essai, référence, commande, dossier ou équipe", "payment, attempt, reference, order, inquiry or team"))</span>
        </form>
        """
    }

    private func find(_ word: String, _ visit: ConsoleVisit) async throws -> HTTPResponse {
        let names = providers.names
        let found = try await database.read { try PaymentSearch.find(String(word.prefix(100)), providers: names, in: $0) }
        guard let found else {
            let words = visit.words
            return frame.page(
                visit, .payments, status: 404, title: words("Paiements", "Payments"),
                "\(search(words))<p role=\"status\">\(words("Rien ne porte ce nom.", "Nothing has that name."))</p>")
        }
        return .redirect(303, ConsolePath.payment(found.id))
    }

    private func form(_ choice: Choice, _ words: Words) -> Markup {
        let states =
            [ConsoleParts.option("", words("tous", "all"), chosen: nil)]
            + PaymentState.allCases.map { ConsoleParts.option($0.rawValue, $0.rawValue, chosen: choice.value("state")) }
        let names =
            [ConsoleParts.option("", words("tous", "all"), chosen: nil)]
            + providers.names.sorted().map { ConsoleParts.option($0, $0, chosen: choice.value("provider")) }
        return """
            <form method="get" action="\(Self.path)" class="filter">
            <div>\(ConsoleParts.choice("state", "state", words("État", "State"), states))</div>
            <div>\(ConsoleParts.choice("provider", "provider", words("Prestataire", "Provider"), names))</div>
            <div>\(ConsoleParts.field("from", "from", words("Du", "From"), type: "date", value: choice.value("from") ?? "", isRequired: false))</div>
            <div>\(ConsoleParts.field("to", "to", words("Au", "To"), type: "date", value: choice.value("to") ?? "", isRequired: false))</div>
            <button>\(words("Filtrer", "Filter"))</button>
            </form>
            """
    }

    /// Of everything that the filter means, however much that is.
    private func sums(_ filter: PaymentFilter, _ sums: PaymentSums?, _ words: Words) -> Markup {
        guard let sums, let totals = try? sums.totals(filter) else { return SumsDesk.away(words) }
        guard !totals.isEmpty else { return .empty }
        let rows: [[Markup]] = totals.map { total in
            [
                "\(total.owed.currency.code)", "\(String(total.count))", "\(ConsoleParts.money(total.owed, words))",
                "\(ConsoleParts.money(total.captured, words))", "\(ConsoleParts.money(total.refunded, words))",
            ]
        }
        let table = ConsoleParts.table(
            words("Totaux de tout ce qui est filtré", "Totals of all that is filtered"),
            [
                words("Monnaie", "Currency"), "#\(words("Nombre", "Count"))", "#\(words("Dû", "Owed"))", "#\(words("Encaissé", "Captured"))",
                "#\(words("Remboursé", "Refunded"))",
            ], rows, none: "")
        return "\(table)\(SumsDesk.asOf(sums, words))"
    }

    private func table(_ lines: [PaymentListing.Line], _ words: Words) -> Markup {
        let rows: [[Markup]] = lines.map { line in
            let payment = line.payment
            return [
                ConsoleParts.time(payment.createdAtMs), ConsoleParts.paymentLink(payment.id), ConsoleParts.badge(payment.state),
                "\(ConsoleParts.money(payment.amount, words))", "\(line.provider ?? "–")", ConsoleParts.mode(line.mode),
                "\(payment.purpose) \(String(payment.subject.prefix(60)))", "\(String(payment.customer.name.prefix(60)))",
            ]
        }
        return ConsoleParts.table(
            words("Du plus récent au plus ancien", "The newest first"),
            [
                words("Créé (UTC)", "Created (UTC)"), words("Paiement", "Payment"), words("État", "State"), "#\(words("Montant", "Amount"))",
                words("Prestataire", "Provider"), words("Mode", "Mode"), words("Pour", "For"), words("Client", "Customer"),
            ], rows, none: words("Aucun paiement.", "No payments."))
    }
}

/// Payments as a file: read and sent page by page, at the pace of whoever takes it.
struct PaymentExport: Sendable {
    let database: Database

    /// Rows that are read at once: few enough for what may wait in a connection.
    private static let pageSize = 100
    private static let header = [
        "payment", "created_at", "paid_at", "state", "amount", "currency", "captured", "refunded", "provider", "mode", "purpose", "subject",
        "customer", "email", "phone",
    ]

    func answer(_ choice: PaymentListPage.Choice, _ visit: ConsoleVisit) async throws -> WebAnswer {
        // Which filters, and not what was typed into them: the audit is for good, and must hold no address of a customer.
        let filters = choice.pairs.filter { $0.1 != nil }.map(\.0).joined(separator: ", ")
        let detail = filters.isEmpty ? "all" : "filtered by \(filters)"
        try await database.write { try visit.record("payments.export", of: "payments", detail: detail, in: $0) }
        let head = HTTPResponse(
            status: 200,
            headers: [
                "Content-Type": "text/csv; charset=utf-8", "Content-Disposition": "attachment; filename=\"payments.csv\"", "X-Accel-Buffering": "no",
            ], body: Array(CSVText(header: Self.header).text.utf8))
        return .stream(
            StatusStream(head: head) { responder, head in
                let stream = responder.stream(head) { _ in }
                Task { await send(choice.filter, over: stream) }
            })
    }

    private func send(_ filter: PaymentFilter, over stream: HTTPStream) async {
        var before: String?
        repeat {
            let from = before
            // A file that cannot be read to its end ends where it is cut: the connection tells that by ending without its last chunk.
            guard let listing = try? await database.read({ try PaymentListing.page(filter, before: from, limit: Self.pageSize, in: $0) }) else {
                return stream.cut()
            }
            var text = CSVText(width: Self.header.count)
            for line in listing.lines { text.append(Self.fields(line)) }
            guard await stream.sendInTurn(Array(text.text.utf8)) else { return }
            before = listing.next
        } while before != nil
        stream.end()
    }

    private static func fields(_ line: PaymentListing.Line) -> [String] {
        let payment = line.payment
        let currency = payment.amount.currency
        return [
            payment.id, Timestamp.rfc3339(payment.createdAtMs), payment.paidAtMs.map(Timestamp.rfc3339) ?? "", payment.state.rawValue,
            payment.amount.decimalText, currency.code, Money(payment.captured, currency).decimalText, Money(payment.refunded, currency).decimalText,
            line.provider ?? "", line.mode ?? "", payment.purpose, payment.subject, payment.customer.name, payment.customer.email ?? "",
            payment.customer.phone ?? "",
        ]
    }
}
