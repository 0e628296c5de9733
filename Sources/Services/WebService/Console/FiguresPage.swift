import Formats
import HTTPServer
import Money
import Payments
import Staff

/// How payments went over the last days: by day, by provider, by the way they were paid, by what they were for; of one currency at a time.
struct FiguresPage: Sendable {
    let desk: SumsDesk
    let frame: ConsoleFrame

    private static let path = ConsoleFrame.Part.figures.path
    private static let periods = [7, 30, 90]
    /// Rows of a table: the rest is in the file.
    private static let rowsMax = 30

    var entries: [ConsoleEntry] {
        [ConsoleEntry("GET", Self.path, .viewer, show), ConsoleEntry("GET", "/console/figures.csv", .viewer, file)]
    }

    /// - Throws: ``WebProblem`` 422.
    private func days(_ visit: ConsoleVisit) throws(WebProblem) -> Int {
        guard let text = visit.call.request.queryValue("days"), !text.isEmpty else { return 30 }
        guard let days = Int(text), Self.periods.contains(days) else { throw .invalid("days", "must be 7, 30 or 90") }
        return days
    }

    private func show(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let (words, days) = (visit.words, try days(visit))
        let code = visit.call.request.queryValue("currency").flatMap { $0.isEmpty ? nil : $0 }
        guard let sums = try await desk.read() else {
            return frame.page(visit, .figures, title: words("Chiffres", "Figures"), refreshSeconds: 5, SumsDesk.away(words))
        }
        let currencies = sums.currencies(days: days, nowMs: visit.nowMs)
        if let code, !Currency.all.contains(where: { $0.code == code }), !currencies.contains(where: { $0.code == code }) {
            throw WebProblem.invalid("currency", "must be a currency as XOF")
        }
        let chosen = currencies.first { $0.code == code } ?? (code == nil ? currencies.first : Currency.all.first { $0.code == code })
        let currency = chosen ?? .xof
        let report = FigureReport(report: sums.report(currency, days: days, nowMs: visit.nowMs), words: words, rowsMax: Self.rowsMax)
        let query = ConsolePath.query([("days", String(days))])
        return frame.page(
            visit, .figures, title: words("Chiffres", "Figures"), wide: true,
            """
            \(form(days, currency, currencies, words))
            <p class="quiet">\(words(
                "Chaque paiement compte au jour (UTC) où il a commencé, avec ce qu’il est devenu depuis ; prestataire et moyen sont ceux du dernier essai.",
                "Each payment counts on the day (UTC) on which it was begun, with what has become of it; provider and way are those of its latest attempt."
            ))</p>
            \(SumsDesk.asOf(sums, words))
            \(report.markup)
            <p><a href="/console/figures.csv\(query)">\(words("Tout en un fichier CSV", "All of it as a CSV file"))</a></p>
            """)
    }

    private func form(_ days: Int, _ currency: Currency, _ currencies: [Currency], _ words: Words) -> Markup {
        let periods = Self.periods.map { ConsoleParts.option(String($0), words("\($0) jours", "\($0) days"), chosen: String(days)) }
        let known = currencies.contains(currency) ? currencies : [currency] + currencies
        let codes = known.map { ConsoleParts.option($0.code, $0.code, chosen: currency.code) }
        return """
            <form method="get" action="\(Self.path)" class="filter">
            <div>\(ConsoleParts.choice("days", "days", words("Période", "Period"), periods))</div>
            <div>\(ConsoleParts.choice("currency", "currency", words("Monnaie", "Currency"), codes))</div>
            <button>\(words("Montrer", "Show"))</button>
            </form>
            """
    }

    // MARK: File

    private static let header = [
        "day", "currency", "provider", "method", "network", "purpose", "state", "payments", "paid", "owed", "captured", "refunded", "refunds",
        "mean_seconds_to_paid",
    ]

    /// Sums only: nobody's payment is told by it.
    private func file(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let days = try days(visit)
        guard let sums = try await desk.read() else {
            throw WebProblem.conflict("the sums are being counted: ask again in a moment", afterSeconds: 5)
        }
        var text = CSVText(header: Self.header)
        for (day, key, sums) in sums.figures(days: days, nowMs: visit.nowMs) {
            guard let currency = try? Currency(code: key.currency) else { continue }
            text.append([
                Timestamp.date(day * PaymentSums.dayMs), key.currency, key.provider, key.method, key.network, key.purpose, key.state,
                String(sums.count), String(sums.paidCount), Money(sums.owed, currency).decimalText, Money(sums.captured, currency).decimalText,
                Money(sums.refunded, currency).decimalText, String(sums.refundedCount),
                sums.paidCount > 0 ? String(sums.waitMs / sums.paidCount / 1000) : "",
            ])
        }
        return HTTPResponse(
            status: 200,
            headers: ["Content-Type": "text/csv; charset=utf-8", "Content-Disposition": "attachment; filename=\"figures.csv\""],
            body: Array(text.text.utf8))
    }
}

/// A report as a page shows it.
struct FigureReport {
    let report: PaymentReport
    let words: Words
    let rowsMax: Int

    var markup: Markup {
        """
        \(whole)
        <h2>\(words("Par jour", "By day"))</h2>
        \(charts)
        \(byDay)
        <h2>\(words("Par prestataire", "By provider"))</h2>
        \(table(
            words("Selon le dernier essai", "By the latest attempt"), words("Prestataire", "Provider"),
            report.byProvider.map { (name($0.provider), $0.line) }))
        <h2>\(words("Par moyen", "By way of payment"))</h2>
        \(table(words("Moyen et réseau", "Method and network"), words("Moyen", "Way"), report.byWay.map { (way($0), $0.line) }))
        <h2>\(words("Pour quoi", "For what"))</h2>
        \(table(words("Ce que l’on achète", "What is bought"), words("Pour", "For"), report.byPurpose.map { ($0.purpose, $0.line) }))
        """
    }

    private func money(_ units: Int64) -> String { ConsoleParts.money(Money(units, report.currency), words) }

    private func name(_ text: String) -> String { text.isEmpty ? words("(aucun)", "(none)") : text }

    private func way(_ way: (provider: String, method: String, network: String, line: PaymentReport.Line)) -> String {
        let chosen = [way.method, way.network].filter { !$0.isEmpty }.joined(separator: " · ")
        return "\(name(way.provider)) – \(chosen.isEmpty ? words("choisi chez le prestataire", "chosen at the provider") : chosen)"
    }

    /// `87.5 %`.
    private func share(_ ratio: Double?) -> String {
        guard let ratio else { return "–" }
        let tenths = Int((ratio * 1000).rounded())
        return "\(tenths / 10)\(words(",", "."))\(tenths % 10) %"
    }

    private var whole: Markup {
        let line = report.whole
        func card(_ title: String, _ value: String) -> Markup { "<li>\(title)<strong>\(value)</strong></li>\n" }
        return """
            <h2>\(words("En tout", "In all"))</h2>
            <ul class="cards">
            \(card(words("Commencés", "Begun"), String(line.sums.count)))\
            \(card(words("Payés", "Paid"), String(line.sums.paidCount)))\
            \(card(words("Encaissé", "Captured"), money(line.sums.captured)))\
            \(card(words("Taux de réussite", "Success rate"), share(line.successRatio)))\
            \(card(words("Jusqu’au paiement, en moyenne", "Until paid, on average"), ConsoleParts.age(line.meanWaitMs, words)))\
            \(card(words("Remboursés", "Refunded"), "\(line.sums.refundedCount) · \(money(line.sums.refunded))"))</ul>
            <p class="quiet">\(words(
                "Taux de réussite : part des paiements arrivés à leur fin pour lesquels l’argent est arrivé.",
                "Success rate: of the payments that came to their end, the share that money came in for."))</p>
            """
    }

    private var charts: Markup {
        let sums = report.days.map(\.line.sums)
        let counts = sums.map { (begun: $0.count, paid: $0.paidCount) }
        let amounts = sums.map { (begun: Int64(0), paid: $0.captured) }
        func date(_ day: Int64?) -> String { Timestamp.date((day ?? 0) * PaymentSums.dayMs) }
        let (from, to) = (date(report.days.first?.day), date(report.days.last?.day))
        let total = report.whole.sums
        let told = words("\(total.count) commencés, dont \(total.paidCount) payés", "\(total.count) begun, \(total.paidCount) of them paid")
        let came = words("Encaissé : \(money(total.captured))", "Captured: \(money(total.captured))")
        return """
            \(BarChart(bars: counts, told: told, from: from, to: to, most: String(BarChart.most(counts))).markup)
            <p class="key quiet"><span class="k-begun">\(words("commencés", "begun"))</span> <span class="k-paid">\(words("payés", "paid"))</span> – \(told)</p>
            \(BarChart(bars: amounts, told: came, from: from, to: to, most: money(BarChart.most(amounts))).markup)
            <p class="key quiet"><span class="k-paid">\(words("encaissé", "captured"))</span> – \(came)</p>
            """
    }

    private static func columns(_ first: String, _ words: Words) -> [String] {
        [
            first, "#\(words("Commencés", "Begun"))", "#\(words("Payés", "Paid"))", "#\(words("Encaissé", "Captured"))",
            "#\(words("Réussite", "Success"))", "#\(words("Jusqu’au paiement", "Until paid"))", "#\(words("Remboursé", "Refunded"))",
        ]
    }

    private func cells(_ name: String, _ line: PaymentReport.Line) -> [Markup] {
        [
            "\(name)", "\(String(line.sums.count))", "\(String(line.sums.paidCount))", "\(money(line.sums.captured))", "\(share(line.successRatio))",
            "\(ConsoleParts.age(line.meanWaitMs, words))", "\(money(line.sums.refunded))",
        ]
    }

    private var byDay: Markup {
        let rows = report.days.reversed().map { cells(Timestamp.date($0.day * PaymentSums.dayMs), $0.line) }
        return ConsoleParts.table(
            words("Le jour le plus récent d’abord", "The latest day first"), Self.columns(words("Jour", "Day"), words), rows, none: "")
    }

    private func table(_ caption: String, _ first: String, _ lines: [(String, PaymentReport.Line)]) -> Markup {
        let rest: Markup =
            lines.count > rowsMax ? "<p class=\"quiet\">\(words("Le reste est dans le fichier.", "The rest is in the file."))</p>" : .empty
        let rows = lines.prefix(rowsMax).map { cells($0.0, $0.1) }
        return "\(ConsoleParts.table(caption, Self.columns(first, words), rows, none: words("Aucun paiement.", "No payments.")))\(rest)"
    }
}
