import Database
import Formats
import HTTPServer
import Staff
import Usage

/// Who uses most and who comes near a limit; where storage was not measured for long; what teams were told.
struct ConsumersPage: Sendable {
    let database: Database
    let desk: TeamsDesk
    let frame: ConsoleFrame

    static let path = "/console/consumers/"
    static let teamsShown = 50
    private static let staleShown = 20
    private static let alertsShown = 50

    var entries: [ConsoleEntry] { [ConsoleEntry("GET", Self.path, .viewer, show)] }

    /// What is asked for behind the `?`.
    private struct Choice {
        let metric: UsageMetric
        let level: UsageLevel
        let team: String?

        /// - Throws: ``WebProblem`` 422.
        init(_ visit: ConsoleVisit) throws(WebProblem) {
            func value(_ name: String) -> String? { visit.call.request.queryValue(name).flatMap { $0.isEmpty ? nil : $0 } }
            guard let metric = UsageMetric(rawValue: value("by") ?? UsageMetric.traffic.rawValue) else {
                throw .invalid("by", "must be traffic or storage")
            }
            guard let level = UsageLevel(rawValue: value("level") ?? UsageLevel.ok.rawValue) else {
                throw .invalid("level", "must be one of \(UsageLevel.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            self.metric = metric
            self.level = level
            team = value("team").map { String($0.trimmingBlanks.prefix(100)) }
        }
    }

    private func show(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let (words, choice) = (visit.words, try Choice(visit))
        let (alerts, origins) = try await database.read { connection in
            (
                try UsageAlert.list(team: choice.team, limit: Self.alertsShown, in: connection), try StorageGauges.origins(in: connection)
            )
        }
        let reading = try await desk.read()
        return frame.page(
            visit, .teams, title: words("Consommation des équipes", "What teams use"), wide: true,
            """
            <p><a href="\(ConsoleFrame.Part.teams.path)">\(words("Toutes les équipes", "All teams"))</a></p>
            <h2>\(words("Les plus gros consommateurs", "Top consumers"))</h2>
            \(form(choice, words))
            \(TeamsDesk.asOf(reading, words))
            \(consumers(choice, reading, visit))
            <h2 id="stale">\(words("Mesures anciennes du stockage", "Stale gauges of storage"))</h2>
            \(Self.origins(origins, visit))
            \(stale(reading, visit))
            <h2 id="alerts">\(words("Alertes envoyées", "Alerts sent"))</h2>
            \(alertForm(choice, words))
            \(TeamFigures.alerts(alerts, naming: true, words))
            """)
    }

    private func form(_ choice: Choice, _ words: Words) -> Markup {
        let metrics = UsageMetric.allCases.map { ConsoleParts.option($0.rawValue, TeamFigures.metric($0, words), chosen: choice.metric.rawValue) }
        let shares = [UsageLevel.warning: "80", .critical: "95", .exceeded: "100"]
        let levels = UsageLevel.allCases.map { level in
            let name = shares[level].map { words("à partir de \($0) %", "from \($0) %") } ?? words("toutes", "all")
            return ConsoleParts.option(level.rawValue, name, chosen: choice.level.rawValue)
        }
        return """
            <form method="get" action="\(Self.path)" class="filter">
            <div>\(ConsoleParts.choice("by", "by", words("Selon", "By"), metrics))</div>
            <div>\(ConsoleParts.choice("level", "level", words("Part de la limite", "Share of the limit"), levels))</div>
            <button>\(words("Montrer", "Show"))</button>
            </form>
            """
    }

    private func consumers(_ choice: Choice, _ reading: TeamsReading?, _ visit: ConsoleVisit) -> Markup {
        guard let reading else { return .empty }
        let words = visit.words
        let rows: [[Markup]] = reading.top(by: choice.metric, atLeast: choice.level, limit: Self.teamsShown).enumerated().map { place, standing in
            [
                "\(place + 1)", TeamFigures.link(standing.team), "\(standing.plan)", TeamFigures.use(standing.traffic, words),
                TeamFigures.use(standing.storage, words),
            ]
        }
        let what = choice.metric == .traffic ? words("trafic de ce mois", "traffic of this month") : words("stockage mesuré", "storage as measured")
        return ConsoleParts.table(
            words("Au plus \(Self.teamsShown), selon le \(what)", "At most \(Self.teamsShown), by \(what)"),
            [
                "#\(words("Rang", "Place"))", words("Équipe", "Team"), words("Forfait", "Plan"), "#\(words("Trafic", "Traffic"))",
                "#\(words("Stockage", "Storage"))",
            ], rows, none: words("Aucune équipe n’en est là.", "No team is that far."))
    }

    // MARK: Storage that is not known

    private static func origins(_ origins: [StorageOrigin], _ visit: ConsoleVisit) -> Markup {
        let words = visit.words
        let rows: [[Markup]] = origins.map { origin in
            let state: Markup =
                origin.isStale(nowMs: visit.nowMs)
                ? ConsoleParts.badge(words("ancienne", "stale"), "bad")
                : origin.isWhole
                    ? ConsoleParts.badge(words("à jour", "fresh"), "ok") : ConsoleParts.badge(words("dite de l’extérieur", "told from outside"))
            return [
                "\(origin.name)", state, ConsoleParts.time(origin.measuredAtMs),
                "\(ConsoleParts.age(origin.measuredAtMs.map { visit.nowMs - $0 }, words))", ConsoleParts.time(origin.failedAtMs),
                "\(String((origin.error ?? "–").prefix(200)))",
            ]
        }
        return ConsoleParts.table(
            words("Où le stockage se mesure", "Where storage is measured"),
            [
                words("Origine", "Origin"), words("État", "State"), words("Mesuré (UTC)", "Measured (UTC)"), words("Il y a", "Age"),
                words("Dernier échec", "Last failure"), words("Erreur", "Error"),
            ], rows, none: words("Rien ne mesure le stockage.", "Nothing measures storage."))
    }

    private func stale(_ reading: TeamsReading?, _ visit: ConsoleVisit) -> Markup {
        guard let reading else { return .empty }
        let words = visit.words
        let rows: [[Markup]] = reading.stale.prefix(Self.staleShown).map { standing in
            let unknown = standing.gauge.unknownItems
            return [
                TeamFigures.link(standing.team), "\(UsageWords.figure(standing.storage.used, words))",
                ConsoleParts.time(standing.gauge.measuredAtMs),
                "\(unknown > 0 ? words("\(unknown) sans taille connue", "\(unknown) of unknown size") : "–")",
            ]
        }
        let more = reading.stale.count - rows.count
        let rest: Markup = more > 0 ? "<p class=\"quiet\">\(words("Et \(more) autres équipes.", "And \(more) more teams."))</p>" : .empty
        let table = ConsoleParts.table(
            words("Équipes jugées sur le trafic seul", "Teams that are judged by traffic alone"),
            [
                words("Équipe", "Team"), "#\(words("Stockage connu", "Known storage"))", words("Mesuré (UTC)", "Measured (UTC)"),
                words("Volumes et images", "Volumes and images"),
            ], rows, none: words("Toutes les mesures sont récentes.", "All gauges are fresh."))
        return "\(table)\(rest)"
    }

    // MARK: Alerts

    private func alertForm(_ choice: Choice, _ words: Words) -> Markup {
        """
        <form method="get" action="\(Self.path)" class="filter">
        <div>\(ConsoleParts.field(
            "team", "team", words("Équipe", "Team"), value: choice.team ?? "", isRequired: false, more: " maxlength=\"100\" placeholder=\"acme\""))</div>
        <button>\(words("Filtrer", "Filter"))</button>
        </form>
        """
    }
}
