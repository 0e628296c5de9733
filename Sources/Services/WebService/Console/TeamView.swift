import Formats
import Payments
import Plans
import Staff
import Teams
import Usage

/// A team's page as HTML.
struct TeamView {
    let content: TeamContent
    let visit: ConsoleVisit

    private var words: Words { visit.words }
    private var contact: Contact { Contact(visit) }

    var markup: Markup {
        """
        \(ConsoleParts.list(facts))
        \(exceeded)
        <h2>\(words("Utilisation de ce mois (UTC)", "Use of this month (UTC)"))</h2>
        \(meters)
        \(days)
        \(limits)
        <h2>\(words("Projets", "Projects"))</h2>
        \(projects)
        <h2>\(words("Personnes", "People"))</h2>
        \(members)
        <h2>\(words("Alertes envoyées", "Alerts sent"))</h2>
        \(TeamFigures.alerts(content.alerts, naming: false, words))
        <h2>\(words("Paiements du forfait", "Payments for the plan"))</h2>
        \(payments)
        <h2>\(words("Mouvements de l’abonnement", "Moves of the subscription"))</h2>
        \(moves)
        \(deeds)
        <p><a href="\(ConsoleFrame.Part.teams.path)">\(words("Toutes les équipes", "All teams"))</a></p>
        """
    }

    private func more(_ count: Int) -> Markup {
        count > 0 ? "<p class=\"quiet\">\(words("Et \(count) de plus.", "And \(count) more."))</p>" : .empty
    }

    // MARK: Plan

    private var facts: [(String, Markup)] {
        let team = content.team
        var facts: [(String, Markup)] = [
            (words("Identifiant", "Id"), "<code>\(team.id)</code>"), (words("Propriétaire", "Owner"), "\(contact.address(team.owner))"),
            (words("Langue", "Language"), "\(team.language)"), (words("Créée (UTC)", "Created (UTC)"), ConsoleParts.time(team.createdAtMs)),
            (words("Forfait", "Plan"), "\(content.usage.plan.name)"),
        ]
        guard let subscription = content.subscription else { return facts }
        facts.append((words("Abonnement", "Subscription"), TeamFigures.status(subscription.status, words)))
        facts.append((words("Payé jusqu’au", "Paid until"), ConsoleParts.time(subscription.renewsAtMs)))
        if subscription.status == "grace" {
            facts.append((words("Le délai de grâce finit le", "The grace ends"), ConsoleParts.time(subscription.graceEndsAtMs)))
        }
        if let next = content.next { facts.append((words("Ensuite", "Then"), "<code>\(next)</code>")) }
        return facts
    }

    private var moves: Markup {
        let rows: [[Markup]] = content.moves.map { move in
            [
                ConsoleParts.time(move.atMs), "\(Self.cause(move.cause, words))", TeamFigures.status(move.status, words),
                "\(move.plan) \(String(move.version))", ConsoleParts.time(move.renewsAtMs), ConsoleParts.paymentLink(move.payment), "\(move.actor)",
            ]
        }
        return ConsoleParts.table(
            words("Du plus récent au plus ancien", "The newest first"),
            [
                words("Quand (UTC)", "When (UTC)"), words("Quoi", "What"), words("Abonnement", "Subscription"), words("Forfait", "Plan"),
                words("Jusqu’au (UTC)", "Until (UTC)"), words("Paiement", "Payment"), words("Par", "By"),
            ], rows, none: words("Rien encore.", "Nothing yet."))
    }

    private static func cause(_ cause: PlanMove.Cause, _ words: Words) -> String {
        switch cause {
        case .bought: words("acheté", "bought")
        case .renewed: words("prolongé", "renewed")
        case .grace: words("délai de grâce", "grace begun")
        case .ended: words("fini", "ended")
        case .downgraded: words("revenu à un autre forfait", "downgraded")
        case .planned: words("changement prévu", "change planned")
        case .kept: words("changement retiré", "change taken back")
        case .takenBack: words("repris : l’argent est reparti", "taken back: the money went back")
        }
    }

    /// What is not metered and more than the plan allows: after a fall back to Free nothing is taken away, and nothing more fits.
    private var exceeded: Markup {
        let lines: [Markup] = content.allowances.filter { !$0.allowance.isAllowed }.map { resource, allowance in
            let (used, most) = (UsageWords.count(allowance.used, resource, words), UsageWords.most(allowance.allowed, resource, words))
            let name = UsageWords.name(resource, words)
            return "<li>\(words("\(name) : \(used), permis : \(most)", "\(name): \(used), allowed: \(most)"))</li>\n"
        }
        guard !lines.isEmpty else { return .empty }
        return """
            <div class="alarm"><p>\(words("L’équipe a plus que ce que son forfait permet :", "The team has more than its plan allows:"))</p>
            <ul>\(lines)</ul></div>
            """
    }

    private var deeds: Markup {
        guard let subscription = content.subscription, subscription.isRunning, visit.may(.operator) else { return .empty }
        let path = ConsolePath.team(content.team.id)
        if content.next != nil {
            return ConsoleParts.reasoned(visit, .operator, path + "keep", words("Garder le forfait", "Keep the plan"), id: "keep", style: "main")
        }
        let day = UsageWords.day(subscription.renewsAtMs, words)
        let sentence =
            subscription.renewsAtMs > visit.nowMs
            ? words("Ce qui est payé reste valable jusqu’au \(day).", "What is paid stays good until \(day).")
            : words("La période est finie : cela vaut dans les minutes qui suivent.", "The period is over: this takes effect within minutes.")
        return ConsoleParts.reasoned(
            visit, .operator, path + "end", words("Revenir à Free en fin de période", "Back to Free at the end of the period"), id: "end",
            style: "danger",
            more: "<p>\(sentence)</p>")
    }

    // MARK: Use

    private var meters: Markup {
        let rows: [[Markup]] = [content.usage.traffic, content.usage.storage].map { use in
            let percent = use.percent.map { "\($0)\u{A0}%" } ?? words("sans limite", "no limit")
            let most = use.limit < 0 ? words("sans limite", "no limit") : UsageWords.bytes(use.limit, words)
            return [
                "\(TeamFigures.metric(use.metric, words))", "\(UsageWords.figure(use.used, words))", "\(most)", "\(percent)",
                TeamFigures.badge(use.level, words),
            ]
        }
        let table = ConsoleParts.table(
            words("Au regard du forfait", "Against the plan"),
            [
                words("Mesure", "Metric"), "#\(words("Utilisé", "Used"))", "#\(words("Permis", "Allowed"))", "#\(words("Part", "Share"))",
                words("Niveau", "Level"),
            ], rows, none: "")
        return "\(table)\(gauge)"
    }

    private var gauge: Markup {
        guard let gauge = content.usage.gauge, let at = gauge.measuredAtMs else {
            return "<p class=\"quiet\">\(words("Le stockage n’est pas encore mesuré.", "Storage is not measured yet."))</p>"
        }
        let stale: Markup = gauge.isStale(nowMs: visit.nowMs) ? " \(ConsoleParts.badge(words("ancienne", "stale"), "bad"))" : .empty
        let unknown: Markup =
            gauge.unknownItems > 0
            ? " · \(words("\(gauge.unknownItems) éléments sans taille connue", "\(gauge.unknownItems) items of unknown size"))" : .empty
        return "<p class=\"quiet\">\(words("Stockage mesuré à", "Storage measured at")) \(ConsoleParts.time(at)) UTC\(stale)\(unknown)</p>"
    }

    private var days: Markup {
        let bars = content.days.map { (begun: Int64(0), paid: $0.trafficBytes) }
        let total = UsageWords.figure(bars.reduce(0) { min($0 + $1.paid, ByteFigure.counterMax) }, words)
        let told = words("Trafic de \(bars.count) jours : \(total)", "Traffic of \(bars.count) days: \(total)")
        func date(_ day: TeamDay?) -> String { day.map { Timestamp.date($0.startMs) } ?? "" }
        let chart = BarChart(
            bars: bars, told: told, from: date(content.days.first), to: date(content.days.last), most: UsageWords.figure(BarChart.most(bars), words))
        let rows: [[Markup]] = content.days.reversed().map { day in
            ["\(date(day))", "\(UsageWords.figure(day.trafficBytes, words))", "\(day.storageBytes.map { UsageWords.figure($0, words) } ?? "–")"]
        }
        let table = ConsoleParts.table(
            words("Le jour le plus récent d’abord", "The latest day first"),
            [words("Jour (UTC)", "Day (UTC)"), "#\(words("Trafic", "Traffic"))", "#\(words("Stockage", "Storage"))"], rows, none: "")
        return """
            \(chart.markup)
            <p class="key quiet"><span class="k-paid">\(words("trafic", "traffic"))</span> – \(told)</p>
            <details><summary>\(words("Jour par jour", "Day by day"))</summary>
            \(table)
            </details>
            """
    }

    private var limits: Markup {
        let rows: [[Markup]] = content.allowances.map { resource, allowance in
            [
                "\(UsageWords.name(resource, words))", "\(UsageWords.count(allowance.used, resource, words))",
                "\(UsageWords.most(allowance.allowed, resource, words))",
            ]
        }
        return ConsoleParts.table(
            words("Ce que l’équipe a", "What the team has"),
            [words("Limite", "Limit"), "#\(words("Utilisé", "Used"))", "#\(words("Permis", "Allowed"))"], rows, none: "")
    }

    private var projects: Markup {
        let rows: [[Markup]] = content.projects.map { project in
            let stale: Markup =
                project.gauge.bytes > 0 && project.gauge.isStale(nowMs: visit.nowMs)
                ? " \(ConsoleParts.badge(words("ancienne", "stale"), "bad"))" : .empty
            return [
                "<code>\(project.usage.projectID)</code>", "\(String(project.name.prefix(60)))",
                "\(UsageWords.figure(project.usage.trafficBytes, words))",
                "\(UsageWords.figure(project.usage.storageBytes, words))", "\(ConsoleParts.time(project.gauge.measuredAtMs))\(stale)",
            ]
        }
        let table = ConsoleParts.table(
            words("Le plus de trafic d’abord", "The most traffic first"),
            [
                words("Projet", "Project"), words("Nom", "Name"), "#\(words("Trafic", "Traffic"))", "#\(words("Stockage", "Storage"))",
                words("Mesuré (UTC)", "Measured (UTC)"),
            ], rows, none: words("Aucun projet.", "No projects."))
        return "\(table)\(more(content.usage.projects.count - rows.count))"
    }

    // MARK: People and payments

    private var members: Markup {
        let rows: [[Markup]] = content.members.prefix(TeamContent.membersShown).map { member in
            [
                "\(String(member.name.prefix(60)))", "\(contact.address(member.email))", "\(member.role.rawValue)", "\(member.language)",
                "\(member.getsAlerts ? words("oui", "yes") : words("non", "no"))",
            ]
        }
        let table = ConsoleParts.table(
            words("Dans l’ordre d’arrivée", "In the order in which they came"),
            [
                words("Nom", "Name"), words("Adresse", "Address"), words("Rôle", "Role"), words("Langue", "Language"), words("Alertes", "Alerts"),
            ], rows, none: words("Personne.", "Nobody."))
        return "\(table)\(more(content.members.count - rows.count))"
    }

    private var payments: Markup {
        let rows: [[Markup]] = content.payments.map { payment in
            [
                ConsoleParts.time(payment.createdAtMs), ConsoleParts.paymentLink(payment.id), ConsoleParts.badge(payment.state),
                "\(ConsoleParts.money(payment.amount, words))", ConsoleParts.time(payment.paidAtMs),
            ]
        }
        return ConsoleParts.table(
            words("Du plus récent au plus ancien", "The newest first"),
            [
                words("Créé (UTC)", "Created (UTC)"), words("Paiement", "Payment"), words("État", "State"), "#\(words("Montant", "Amount"))",
                words("Payé (UTC)", "Paid (UTC)"),
            ], rows, none: words("Aucun paiement.", "No payments."))
    }
}
