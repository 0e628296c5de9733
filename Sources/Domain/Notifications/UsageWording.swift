/// The words of messages about usage.
enum UsageWording {
    static func wording(of template: MessageTemplate, in language: String) -> (subject: String, paragraphs: [String]) {
        switch (template, language) {
        case (.usageWarning, "en"):
            (
                "{team}: {percent} % of the {metric} allowance used",
                [
                    "Hello {name},", "{team} has used {used} of the {allowed} of {metric} that the {plan} plan allows: {percent} %.", periodEnglish,
                    upgradeEnglish,
                ]
            )
        case (.usageWarning, _):
            (
                "{team} : {percent} % du quota de {metric} utilisés",
                [
                    "Bonjour {name},", "{team} a utilisé {used} sur les {allowed} de {metric} de la formule {plan} : {percent} %.", periodFrench,
                    upgradeFrench,
                ]
            )
        case (.usageCritical, "en"):
            (
                "Critical: {team} has used {percent} % of its {metric} allowance",
                [
                    "Hello {name},", "{team} has used {used} of the {allowed} of {metric} that the {plan} plan allows: {percent} %.",
                    "Little is left: once the limit is reached, requests may be refused.", periodEnglish, upgradeEnglish,
                ]
            )
        case (.usageCritical, _):
            (
                "Critique : {team} a utilisé {percent} % de son quota de {metric}",
                [
                    "Bonjour {name},", "{team} a utilisé {used} sur les {allowed} de {metric} de la formule {plan} : {percent} %.",
                    "Il reste peu : une fois la limite atteinte, des requêtes peuvent être refusées.", periodFrench, upgradeFrench,
                ]
            )
        case (.usageExceeded, "en"):
            (
                "{team} has reached its {metric} limit",
                [
                    "Hello {name},", "{team} has used {used} of the {allowed} of {metric} that the {plan} plan allows: {percent} %.",
                    "The limit is reached: requests may be refused from now on.", periodEnglish, upgradeEnglish,
                ]
            )
        case (.usageExceeded, _):
            (
                "{team} a atteint sa limite de {metric}",
                [
                    "Bonjour {name},", "{team} a utilisé {used} sur les {allowed} de {metric} de la formule {plan} : {percent} %.",
                    "La limite est atteinte : des requêtes peuvent désormais être refusées.", periodFrench, upgradeFrench,
                ]
            )
        case (_, "en"):
            (
                "Storage is no longer measured: {origin}",
                [
                    "The storage measured at {origin} is more than 36 hours old (last measured: {measured}).", "Last error: {error}",
                    "Until it is measured again no storage limit is judged by it.",
                ]
            )
        default:
            (
                "Le stockage n’est plus mesuré : {origin}",
                [
                    "Le stockage mesuré sur {origin} a plus de 36 heures (dernière mesure : {measured}).", "Dernière erreur : {error}",
                    "D’ici la prochaine mesure, aucune limite de stockage n’est jugée d’après lui.",
                ]
            )
        }
    }

    private static let periodEnglish = "Month: {period} (UTC)."
    private static let periodFrench = "Mois : {period} (UTC)."
    private static let upgradeEnglish = "A larger plan raises the limit at once: see the Plan tab of the team’s settings."
    private static let upgradeFrench = "Une formule supérieure relève la limite aussitôt : voir l’onglet Formule des réglages de l’équipe."
}
