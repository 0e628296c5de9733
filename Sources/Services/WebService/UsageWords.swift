import Formats
import Money
import Payments
import Plans
import Usage

/// Figures and terms of a team's page in its two languages.
enum UsageWords {
    private static let months = (
        french: [
            "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre",
        ],
        english: [
            "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
        ]
    )

    private static func month(_ number: Int, _ words: Words) -> String { words(months.french[number - 1], months.english[number - 1]) }

    /// `novembre 2026`
    static func month(_ period: UsagePeriod, _ words: Words) -> String { "\(month(period.month, words)) \(period.year)" }

    /// `21 novembre 2026`
    static func day(_ ms: Int64, _ words: Words) -> String {
        let civil = Timestamp.civil(ms)
        return "\(civil.day)\u{A0}\(month(civil.month, words)) \(civil.year)"
    }

    /// `21/11/2026`, for tables.
    static func shortDay(_ ms: Int64, _ words: Words) -> String {
        let civil = Timestamp.civil(ms)
        let day = civil.day < 10 ? "0\(civil.day)" : "\(civil.day)"
        return words(
            "\(day)/\(civil.month < 10 ? "0" : "")\(civil.month)/\(civil.year)",
            "\(day)\u{A0}\(months.english[civil.month - 1].prefix(3))\u{A0}\(civil.year)")
    }

    /// `21 novembre 2026 à 04:00 UTC`
    static func moment(_ ms: Int64, _ words: Words) -> String {
        "\(day(ms, words)) \(words("à", "at")) \(Timestamp.rfc3339(ms).dropFirst(11).prefix(5))\u{A0}UTC"
    }

    /// A figure that no line break takes from its unit.
    static func figure(_ bytes: Int64, _ words: Words) -> String {
        ByteFigure.text(bytes, language: words.language).replacing(" ", with: "\u{A0}")
    }

    /// A limit: without decimals where there are none.
    static func bytes(_ bytes: Int64, _ words: Words) -> String {
        figure(bytes, words).replacing(words(",00\u{A0}", ".00\u{A0}"), with: "\u{A0}")
    }

    static func amount(_ money: Money, _ words: Words) -> String {
        words(money.description.replacing(".", with: ","), money.description)
    }

    static func price(_ plan: Plan, _ words: Words) -> String {
        let period =
            plan.periodMonths == 1
            ? words("par mois", "a month") : words("pour \(plan.periodMonths) mois", "for \(plan.periodMonths) months")
        return "\(amount(plan.price, words)) \(period)"
    }

    static func level(_ level: UsageLevel, _ words: Words) -> String {
        switch level {
        case .ok: words("Tout va bien", "All is well")
        case .warning: words("Attention", "Warning")
        case .critical: words("Critique", "Critical")
        case .exceeded: words("Limite atteinte", "Limit reached")
        }
    }

    static func alert(_ use: MetricUse, percent: Int64, _ words: Words) -> String {
        let what = use.metric == .traffic ? words("le trafic du mois", "this month’s traffic") : words("le stockage", "the storage")
        let most = bytes(use.limit, words)
        switch use.level {
        case .exceeded:
            return words(
                "La limite de \(most) pour \(what) est atteinte : vos projets peuvent être arrêtés.",
                "The limit of \(most) for \(what) is reached: your projects may be stopped.")
        case .critical:
            return words(
                "\(percent)\u{A0}% de la limite de \(most) pour \(what) sont utilisés : elle est presque atteinte.",
                "\(percent)% of the limit of \(most) for \(what) are used: it is almost reached.")
        case .warning, .ok:
            return words(
                "\(percent)\u{A0}% de la limite de \(most) pour \(what) sont utilisés.",
                "\(percent)% of the limit of \(most) for \(what) are used.")
        }
    }

    static func name(_ resource: ResourceLimits.Resource, _ words: Words) -> String {
        switch resource {
        case .members: words("Membres", "Members")
        case .projects: words("Projets", "Projects")
        case .cpu: words("CPU", "CPUs")
        case .memoryMB: words("Mémoire (Mo)", "Memory (MB)")
        case .customDomains: words("Domaines propres", "Custom domains")
        case .teams: words("Équipes du propriétaire", "Teams of the owner")
        }
    }

    static func count(_ value: Int64, _ resource: ResourceLimits.Resource, _ words: Words) -> String {
        resource == .cpu ? cpus(value, words) : String(value)
    }

    private static func cpus(_ milli: Int64, _ words: Words) -> String { Thousandths.text(milli).replacing(".", with: words(",", ".")) }

    static func most(_ value: Int64, _ resource: ResourceLimits.Resource, _ words: Words) -> String {
        if value < 0 { return words("sans limite", "no limit") }
        return resource == .customDomains && value == 0 ? words("non", "none") : count(value, resource, words)
    }

    /// What a plan has to offer.
    static func advantages(of plan: Plan, _ words: Words) -> [String] {
        func most(_ value: Int64, _ text: String, _ unit: String) -> String {
            value < 0 ? words("\(unit) sans limite", "unlimited \(unit)") : "\(text) \(unit)"
        }
        var lines = [
            most(plan.maxTrafficBytesPerMonth, bytes(plan.maxTrafficBytesPerMonth, words), words("de trafic par mois", "of traffic a month")),
            most(plan.maxStorageBytes, bytes(plan.maxStorageBytes, words), words("de stockage", "of storage")),
            most(plan.maxProjects, String(plan.maxProjects), words("projets", "projects")),
            most(plan.maxMembers, String(plan.maxMembers), words("membres", "members")),
            most(plan.maxCPUMilli, cpus(plan.maxCPUMilli, words), words("CPU", "CPUs")),
            most(plan.maxMemoryMB, String(plan.maxMemoryMB), words("Mo de mémoire", "MB of memory")),
        ]
        if plan.customDomains { lines.append(words("domaines propres", "custom domains")) }
        return lines
    }

    static func method(_ method: String, _ words: Words) -> String {
        switch method {
        case "mobile_money": words("Mobile Money", "Mobile money")
        case "credit_card": words("Carte bancaire", "Bank card")
        default: method
        }
    }

    /// Where a payment stands, told to people.
    static func status(_ state: PaymentState, _ words: Words) -> String {
        switch state {
        case .created, .pending: words("en attente", "pending")
        case .processing, .authorised: words("en cours", "processing")
        case .paid: words("terminé", "completed")
        case .failed: words("échoué", "failed")
        case .expired: words("expiré", "expired")
        case .cancelled: words("annulé", "cancelled")
        case .refunded: words("remboursé", "refunded")
        case .partiallyRefunded: words("remboursé en partie", "partly refunded")
        case .chargedBack: words("contesté", "charged back")
        case .partiallyPaid, .conflicted: words("en vérification", "being checked")
        }
    }

    /// What was just done by a team's page.
    static func told(_ note: TeamPageNote, _ words: Words) -> String {
        switch note {
        case .cancelled:
            words("Le prestataire a annulé le paiement.", "The provider has cancelled the payment.")
        case .refused:
            words(
                "Le prestataire n’a pas annulé le paiement. S’il a été payé entre-temps, cela apparaît ici.",
                "The provider has not cancelled the payment. If it was paid meanwhile, that will be seen here.")
        case .unasked:
            words(
                "Le prestataire n’a pas pu être interrogé : le paiement attend toujours. Réessayez plus tard.",
                "The provider could not be asked: the payment still waits. Please try again later.")
        case .over:
            words("Ce paiement n’attendait plus rien : il n’y avait rien à annuler.", "This payment was over already: there was nothing to cancel.")
        case .ending: words("C’est noté : rien ne change avant la fin de la période payée.", "Noted: nothing changes before the paid period ends.")
        case .kept: words("C’est noté : votre forfait continue s’il est payé.", "Noted: your plan goes on if it is paid.")
        }
    }

    /// The class that colours a state.
    static func colour(of state: PaymentState) -> String {
        switch state {
        case .paid: "completed"
        case .created, .pending, .processing, .authorised: "pending"
        case .failed, .expired: "failed"
        case .cancelled: "cancelled"
        case .refunded, .partiallyRefunded: "refunded"
        case .chargedBack, .partiallyPaid, .conflicted: "checked"
        }
    }
}
