import Formats
import Plans
import Usage

/// The tab of what was used.
struct TeamUsagePanel {
    let content: TeamPageContent
    let address: TeamPageAddress
    let words: Words

    /// Rows of the table of projects; the rest is in the export.
    static let projectsMax = 100

    var markup: Markup {
        let period = UsageWords.month(content.usage.period, words)
        return """
            <section class="card" data-part="meters">
            <h2>\(words("Utilisation en \(period)", "Usage in \(period)"))</h2>
            \(meter(content.usage.traffic, title: words("Trafic du mois", "Traffic of the month"), note: .empty))
            \(meter(content.usage.storage, title: words("Stockage", "Storage"), note: measured))
            \(upgradeLink)
            </section>
            <section class="card" data-part="days">
            <h2>\(words("Jour par jour", "Day by day"))</h2>
            \(DayChart(days: content.days, limit: content.usage.traffic.limit, words: words).markup)
            \(share)
            </section>
            <div data-part="projects">\(projects)</div>
            \(trend)
            """
    }

    /// What the line in the chart means.
    private var share: Markup {
        guard content.usage.traffic.limit > 0 else { return .empty }
        let text = words(
            "La ligne est un \(content.days.count)e de la limite du mois.", "The line is one \(content.days.count)st of the month’s limit.")
        return "<p class=\"hint\">\(text)</p>"
    }

    private func meter(_ use: MetricUse, title: String, note: Markup) -> Markup {
        let id = "meter-\(use.metric.rawValue)"
        let used = UsageWords.figure(use.used, words)
        guard let percent = use.percent else {
            return """
                <h3 id="\(id)">\(title)</h3>
                <p><strong>\(used)</strong> · \(words("sans limite", "no limit"))</p>
                \(note)
                """
        }
        let most = UsageWords.bytes(use.limit, words)
        return """
            <div class="metric">
            <h3 id="\(id)">\(title) <span class="badge \(use.level.rawValue)">\(UsageWords.level(use.level, words))</span></h3>
            <div class="bar"><progress class="\(use.level.rawValue)" max="100" value="\(Int(min(percent, 100)))" \
            aria-labelledby="\(id)">\(Int(percent)) %</progress></div>
            <p><strong>\(used)</strong> \(words("sur", "of")) \(most) · \(Int(percent))\u{A0}%</p>
            \(note)
            </div>
            """
    }

    /// When storage was measured, and whether that is too long ago.
    private var measured: Markup {
        guard let gauge = content.usage.gauge, let at = gauge.measuredAtMs else {
            return "<p class=\"hint\">\(words("Pas encore mesuré.", "Not measured yet."))</p>"
        }
        let moment = UsageWords.moment(at, words)
        let text: Markup = "<p class=\"hint\">\(words("Mesuré le \(moment).", "Measured on \(moment)."))</p>"
        guard gauge.isStale(nowMs: content.nowMs) else { return text }
        let warning = words(
            "Cette mesure a plus de 36 heures : le stockage a pu changer depuis.",
            "This measurement is more than 36 hours old: storage may have changed since.")
        return "\(text)<p class=\"alert warning\">\(warning)</p>"
    }

    private var upgradeLink: Markup {
        guard let offer = content.offer, !content.isPro else { return .empty }
        return """
            <p><a class="button" href="\(address.path(.plan))#upgrade">\
            \(words("Passer à \(offer.name)", "Upgrade to \(offer.name)"))</a></p>
            """
    }

    private var projects: Markup {
        let sorted = content.usage.projects.sorted { ($0.trafficBytes, $0.storageBytes) > ($1.trafficBytes, $1.storageBytes) }
        guard !sorted.isEmpty else { return .empty }
        let rows: [Markup] = sorted.prefix(Self.projectsMax).map { project in
            """
            <tr><th scope="row">\(content.projectNames[project.projectID] ?? project.projectID)</th>\
            <td>\(UsageWords.figure(project.trafficBytes, words))</td>\
            <td>\(UsageWords.figure(project.storageBytes, words))</td></tr>

            """
        }
        let more = sorted.count - Self.projectsMax
        let rest: Markup =
            more > 0 ? "<p class=\"hint\">\(words("Et \(more) autres projets.", "And \(more) more projects."))</p>" : .empty
        return """
            <section class="card">
            <h2>\(words("Par projet", "By project"))</h2>
            <table>
            <thead><tr><th scope="col">\(words("Projet", "Project"))</th><th scope="col">\(words("Trafic", "Traffic"))</th>\
            <th scope="col">\(words("Stockage", "Storage"))</th></tr></thead>
            <tbody>
            \(rows)</tbody>
            </table>
            \(rest)
            </section>
            """
    }

    private var trend: Markup {
        let most = max(1, content.months.map(\.point.trafficBytes).max() ?? 1)
        let rows: [Markup] = content.months.reversed().map { month in
            let share = Int(Int128(month.point.trafficBytes) * 100 / Int128(most))
            let storage = month.point.storageBytes.map { UsageWords.figure($0, words) } ?? "–"
            return """
                <tr><th scope="row">\(UsageWords.month(month.period, words))</th>\
                <td class="trend"><progress max="100" value="\(share)" aria-hidden="true"></progress>\
                <span>\(UsageWords.figure(month.point.trafficBytes, words))</span></td><td>\(storage)</td></tr>

                """
        }
        return """
            <section class="card" data-part="months">
            <h2>\(words("Les derniers mois", "The last months"))</h2>
            <table>
            <thead><tr><th scope="col">\(words("Mois", "Month"))</th><th scope="col">\(words("Trafic", "Traffic"))</th>\
            <th scope="col">\(words("Stockage", "Storage"))</th></tr></thead>
            <tbody>
            \(rows)</tbody>
            </table>
            </section>
            """
    }
}
