import Formats
import HTTPServer
import Payments
import Staff

/// The first page: where everything stands.
struct OverviewPage: Sendable {
    let desk: FiguresDesk
    let streams: FigureStreams
    let frame: ConsoleFrame

    static let livePath = "/console/live"

    var entries: [ConsoleEntry] {
        [
            ConsoleEntry("GET", ConsolePath.root, .viewer, show),
            ConsoleEntry(following: Self.livePath, .viewer) { _ in try await streams.open() },
        ]
    }

    private func show(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let words = visit.words
        let figures = try await desk.withHours()
        func card(_ name: String, _ title: String, _ path: String) -> Markup {
            "<li><a href=\"\(path)\">\(title)</a><strong data-figure=\"\(name)\">\(figures.number(name))</strong></li>\n"
        }
        return frame.page(
            visit, .overview, title: words("Vue d’ensemble", "Overview"), refreshSeconds: 30,
            """
            <section data-live="\(Self.livePath)">
            <h2>\(words("À faire", "To do"))</h2>
            <ul class="cards">
            \(card("tasks", words("Tâches", "Tasks"), "/console/tasks/"))\
            \(card("events", words("Événements à revoir", "Events to look at"), "/console/events/?outcome=unmatched"))\
            \(card("requests", words("Remboursements à approuver", "Refunds to approve"), "/console/tasks/"))\
            \(card("dead", words("Travaux abandonnés", "Dead jobs"), "/console/queues/"))\
            \(card("conflicted", words("En conflit", "Conflicted"), "/console/payments/?state=conflicted"))</ul>
            <h2>\(words("Paiements", "Payments"))</h2>
            <ul class="cards">
            \(card("total", words("En tout", "In all"), "/console/payments/"))\
            \(card("paid", words("Payés", "Paid"), "/console/payments/?state=paid"))\
            \(card("open", words("En attente", "Waiting"), "/console/payments/?state=pending"))\
            \(card("jobs", words("Travaux en cours", "Jobs under way"), "/console/queues/"))</ul>
            <h2>\(words("Équipes", "Teams"))</h2>
            <ul class="cards">
            \(card("near", words("Près d’une limite", "Near a limit"), "\(ConsumersPage.path)?level=warning"))\
            \(card("grace", words("En délai de grâce", "In grace"), "\(ConsoleFrame.Part.teams.path)?status=grace"))</ul>
            </section>
            <h2>\(words("Les dernières 24 heures", "The last 24 hours"))</h2>
            \(HourChart(hours: figures.hours, words: words).markup)
            <h2>\(words("Par prestataire", "By provider"))</h2>
            \(standings(figures, words))
            """)
    }

    private func standings(_ figures: ConsoleFigures, _ words: Words) -> Markup {
        let rows: [[Markup]] = figures.standings.map { standing in
            let state: Markup = PaymentState(rawValue: standing.state).map { ConsoleParts.badge($0) } ?? "\(standing.state)"
            let name = standing.provider.isEmpty ? words("(aucun)", "(none)") : standing.provider
            return ["\(name)", state, "\(String(standing.count))"]
        }
        return ConsoleParts.table(
            words("Paiements selon leur dernier essai", "Payments by their latest attempt"),
            [words("Prestataire", "Provider"), words("État", "State"), "#\(words("Nombre", "Count"))"], rows,
            none: words("Aucun paiement.", "No payments."))
    }
}

/// Payments begun and paid in each hour, drawn as bars; the numbers stand in a table for those who do not see them.
struct HourChart {
    let hours: [(begun: Int64, paid: Int64)]
    let words: Words

    var markup: Markup {
        let begun = hours.reduce(0) { $0 + $1.begun }
        let paid = hours.reduce(0) { $0 + $1.paid }
        let told = words("\(begun) commencés, dont \(paid) payés", "\(begun) begun, \(paid) of them paid")
        let chart = BarChart(
            bars: hours, told: told, from: words("il y a \(hours.count) h", "\(hours.count) h ago"), to: words("maintenant", "now"),
            most: String(BarChart.most(hours)))
        return """
            \(chart.markup)
            <p class="key quiet"><span class="k-begun">\(words("commencés", "begun"))</span> <span class="k-paid">\(words("payés", "paid"))</span> – \(told)</p>
            """
    }
}
