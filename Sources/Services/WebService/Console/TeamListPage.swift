import Database
import Formats
import HTTPServer
import Plans
import Staff
import Teams
import Usage

/// Teams in the order of their ids, or those that a word finds: their plan, what they have and what they use.
struct TeamListPage: Sendable {
    let database: Database
    let desk: TeamsDesk
    let frame: ConsoleFrame

    private static let path = ConsoleFrame.Part.teams.path
    static let pageSize = 50

    var entries: [ConsoleEntry] { [ConsoleEntry("GET", Self.path, .viewer, show)] }

    /// What is asked for behind the `?`.
    private struct Choice {
        let word: String
        let status: String?
        let after: String?

        /// - Throws: ``WebProblem`` 422.
        init(_ visit: ConsoleVisit) throws(WebProblem) {
            func value(_ name: String) -> String? { visit.call.request.queryValue(name).flatMap { $0.isEmpty ? nil : $0 } }
            word = String((value("q") ?? "").trimmingBlanks.prefix(100))
            // A word is looked for among all of them.
            status = word.isEmpty ? value("status") : nil
            after = value("after")
            if let status, !PlanFigures.statuses.contains(status) {
                throw .invalid("status", "must be one of \(PlanFigures.statuses.joined(separator: ", "))")
            }
        }

        var pairs: [(String, String?)] { [("q", word.isEmpty ? nil : word), ("status", status)] }
    }

    private struct Line {
        let id: String
        /// Nil for a subscription of a team that is not known to the product.
        let team: Team?
        let counts: TeamCounts?
        let subscription: Subscription?
        let plan: Plan
    }

    private func show(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let (words, choice) = (visit.words, try Choice(visit))
        let found = try await database.read { try Self.lines(choice, nowMs: visit.nowMs, in: $0) }
        let reading = try await desk.read()
        let lines = Array(found.prefix(Self.pageSize))
        return frame.page(
            visit, .teams, title: words("Équipes", "Teams"), wide: true,
            """
            \(form(choice, words))
            <p><a href="\(ConsumersPage.path)">\(words(
                "Gros consommateurs, limites proches, mesures anciennes, alertes", "Top consumers, near limits, stale gauges, alerts"))</a></p>
            \(summary(reading, words))
            \(table(lines, reading, visit))
            \(pager(choice, next: found.count > Self.pageSize ? lines.last?.id : nil, words))
            """)
    }

    /// One more than a page has, to know whether there is another page.
    private static func lines(_ choice: Choice, nowMs: Int64, in connection: Connection) throws -> [Line] {
        let ids: [(id: String, team: Team?)]
        if let status = choice.status {
            ids = try Subscription.teams(in: status, after: choice.after, limit: pageSize + 1, in: connection)
                .map { ($0, try TeamStore.find($0, in: connection)) }
        } else {
            ids = try TeamStore.search(choice.word, after: choice.after, limit: pageSize + 1, in: connection).map { ($0.id, $0) }
        }
        return try ids.map { id, team in
            Line(
                id: id, team: team, counts: try TeamStore.counts(of: id, in: connection), subscription: try Subscription.of(team: id, in: connection),
                plan: try Plan.of(team: id, nowMs: nowMs, in: connection))
        }
    }

    private func form(_ choice: Choice, _ words: Words) -> Markup {
        let all = ConsoleParts.option("", words("tous", "all"), chosen: nil)
        let statuses = PlanFigures.statuses.map { ConsoleParts.option($0, TeamFigures.name(ofStatus: $0, words), chosen: choice.status) }
        return """
            <form method="get" action="\(Self.path)" class="filter" role="search">
            <div><label for="q">\(words("Identifiant, nom ou propriétaire", "Id, name or owner"))</label>
            <input id="q" name="q" type="search" maxlength="100" value="\(choice.word)"/></div>
            <button>\(words("Trouver", "Find"))</button>
            </form>
            <form method="get" action="\(Self.path)" class="filter">
            <div>\(ConsoleParts.choice("status", "status", words("Abonnement", "Subscription"), [all] + statuses))</div>
            <button>\(words("Filtrer", "Filter"))</button>
            </form>
            """
    }

    private func summary(_ reading: TeamsReading?, _ words: Words) -> Markup {
        guard let reading else { return TeamsDesk.asOf(nil, words) }
        func card(_ title: String, _ path: String, _ value: Int64) -> Markup {
            "<li><a href=\"\(path)\">\(title)</a><strong>\(String(value))</strong></li>\n"
        }
        return """
            <ul class="cards">
            \(card(words("Abonnements actifs", "Active subscriptions"), "\(Self.path)?status=active", reading.subscriptions["active"] ?? 0))\
            \(card(words("En délai de grâce", "In grace"), "\(Self.path)?status=grace", reading.subscriptions["grace"] ?? 0))\
            \(card(words("Près d’une limite", "Near a limit"), "\(ConsumersPage.path)?level=warning", Int64(reading.nearLimits)))\
            \(card(words("Stockage ancien", "Stale storage"), "\(ConsumersPage.path)#stale", Int64(reading.stale.count)))</ul>
            \(TeamsDesk.asOf(reading, words))
            """
    }

    private func table(_ lines: [Line], _ reading: TeamsReading?, _ visit: ConsoleVisit) -> Markup {
        let (words, contact) = (visit.words, Contact(visit))
        let rows: [[Markup]] = lines.map { line in
            let standing = reading?.standings[line.id]
            let runs = line.subscription?.isRunning == true
            return [
                line.team == nil ? "\(line.id)" : TeamFigures.link(line.id), "\(String((line.team?.name ?? "–").prefix(60)))",
                "\(line.team.map { String(contact.address($0.owner).prefix(60)) } ?? "–")", "\(line.plan.name)",
                TeamFigures.status(line.subscription?.status, words),
                "\(runs ? line.subscription.map { UsageWords.shortDay($0.renewsAtMs, words) } ?? "–" : "–")",
                "\(line.counts.map { String($0.members) } ?? "–")", "\(line.counts.map { String($0.projects) } ?? "–")",
                TeamFigures.use(standing?.traffic, words), TeamFigures.use(standing?.storage, words),
            ]
        }
        return ConsoleParts.table(
            words("Dans l’ordre des identifiants ; trafic de ce mois (UTC)", "In the order of their ids; traffic of this month (UTC)"),
            [
                words("Équipe", "Team"), words("Nom", "Name"), words("Propriétaire", "Owner"), words("Forfait", "Plan"),
                words("Abonnement", "Subscription"), words("Payé jusqu’au", "Paid until"), "#\(words("Membres", "Members"))",
                "#\(words("Projets", "Projects"))", "#\(words("Trafic", "Traffic"))", "#\(words("Stockage", "Storage"))",
            ], rows, none: words("Aucune équipe.", "No teams."))
    }

    /// By id, so that it goes on behind one.
    private func pager(_ choice: Choice, next: String?, _ words: Words) -> Markup {
        guard choice.after != nil || next != nil else { return .empty }
        let first: Markup =
            choice.after == nil
            ? .empty : "<a href=\"\(Self.path)\(ConsolePath.query(choice.pairs))\" rel=\"first\">\(words("Les premières", "The first"))</a>"
        let following: Markup =
            next.map {
                "<a href=\"\(Self.path)\(ConsolePath.query(choice.pairs + [("after", $0)]))\" rel=\"next\">\(words("Les suivantes", "The next"))</a>"
            } ?? .empty
        return "<p class=\"pager\">\(first) \(following)</p>"
    }
}
