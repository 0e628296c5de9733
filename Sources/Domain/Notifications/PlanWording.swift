/// The words of messages about a plan and the end of its period.
enum PlanWording {
    static func wording(of template: MessageTemplate, in language: String) -> (subject: String, paragraphs: [String]) {
        switch (template, language) {
        case (.planConfirmed, "en"):
            (
                "{plan} for {team} is paid until {until}",
                ["Hello {name},", "We have received your payment of {amount}: {team} has {plan} until {until}.", "Reference: {payment}"]
            )
        case (.planConfirmed, _):
            (
                "{plan} pour {team} est payé jusqu’au {until}",
                ["Bonjour {name},", "Nous avons bien reçu votre paiement de {amount} : {team} a {plan} jusqu’au {until}.", "Référence : {payment}"]
            )
        case (.planRenewal, "en"):
            (
                "{plan} for {team} ends on {until}",
                [
                    "Hello {name},",
                    "The plan {plan} of {team} is paid until {until}. It does not renew by itself: here you can pay {price} for the next period.",
                    "{link}", "No day is lost by paying early: the next period begins where this one ends.",
                    "Without a payment {plan} goes on for seven days more, and then the team is on Free.", linkEnglish,
                ]
            )
        case (.planRenewal, _):
            (
                "La formule {plan} de {team} se termine le {until}",
                [
                    "Bonjour {name},",
                    "La formule {plan} de {team} est payée jusqu’au {until}. Elle ne se renouvelle pas d’elle-même : vous pouvez payer ici "
                        + "{price} pour la période suivante.",
                    "{link}", "Payer tôt ne fait perdre aucun jour : la période suivante commence où celle-ci finit.",
                    "Sans paiement, {plan} reste encore sept jours, puis l’équipe passe à la formule gratuite.", linkFrench,
                ]
            )
        case (.planGrace, "en"):
            (
                "{plan} for {team} is not paid: it goes on until {until}",
                [
                    "Hello {name},", "The period of {plan} that was paid for {team} is over, and the next one is not paid.",
                    "{plan} goes on until {until}. Then the team is on Free, with its limits; nothing is deleted.",
                    "Here you can pay {price} for the next period, which begins where the last one ended:", "{link}", linkEnglish,
                ]
            )
        case (.planGrace, _):
            (
                "{plan} pour {team} n’est pas payé : la formule reste jusqu’au {until}",
                [
                    "Bonjour {name},", "La période de {plan} payée pour {team} est finie, et la suivante n’est pas payée.",
                    "{plan} reste jusqu’au {until}. L’équipe passe ensuite à la formule gratuite et à ses limites ; rien n’est supprimé.",
                    "Vous pouvez payer ici {price} pour la période suivante, qui commence où la dernière a fini :", "{link}", linkFrench,
                ]
            )
        case (_, "en"):
            (
                "{team} is on Free now",
                [
                    "Hello {name},", "The plan {plan} of {team} has ended: the team is on Free, with its limits.",
                    "Nothing was deleted. Where the team has more than Free allows nothing can be added, and requests may be refused.",
                    "The team’s page shows where that is so, and {plan} can be taken again there:", "{link}", linkEnglish,
                ]
            )
        default:
            (
                "{team} est passée à la formule gratuite",
                [
                    "Bonjour {name},", "La formule {plan} de {team} est finie : l’équipe a la formule gratuite, avec ses limites.",
                    "Rien n’a été supprimé. Là où l’équipe dépasse la formule gratuite, rien ne peut être ajouté et des requêtes peuvent être "
                        + "refusées.",
                    "La page de l’équipe dit où il en est ainsi, et {plan} peut y être repris :", "{link}", linkFrench,
                ]
            )
        }
    }

    private static let linkEnglish =
        "The link is good until {expires}. Do not pass it on: whoever has it sees the team’s page, can pay there or cancel a payment, and can say "
        + "whether the plan goes on."
    private static let linkFrench =
        "Le lien est valable jusqu’au {expires}. Ne le transmettez pas : qui l’a voit la page de l’équipe, peut y payer ou annuler un paiement, et "
        + "dire si la formule continue."
}
