/// The words of the messages on a telephone, by SMS and WhatsApp. In letters that GSM has: `ê`, `ç` and a curved apostrophe would double the
/// price, so that French is chosen to do without them.
///
/// A template at Meta neither begins nor ends with a variable.
extension MessageTemplate {
    func shortWording(in language: String) -> String {
        switch (self, language) {
        case (.paymentLink, "en"): "To be paid: {amount} for {description}. Pay here, until {expires}: {link} ."
        case (.paymentLink, _): "A payer : {amount} pour {description}. Payez ici, avant le {expires} : {link} ."
        case (.paymentConfirmed, "en"): "We have received your payment of {amount} for {description}. Reference {payment}."
        case (.paymentConfirmed, _): "Votre paiement de {amount} pour {description} est bien arrivé. Référence {payment}."
        case (.paymentFailed, "en"):
            "Your payment of {amount} for {description} has failed, nothing was taken. You can try again. Reference {payment}."
        case (.paymentFailed, _):
            "Votre paiement de {amount} pour {description} a échoué, rien n'a été débité. Vous pouvez réessayer. Référence {payment}."
        case (.paymentRefunded, "en"): "We have given back {amount} of your payment for {description}. Reference {payment}."
        case (.paymentRefunded, _): "Nous avons remboursé {amount} de votre paiement pour {description}. Référence {payment}."
        case (.draftReady, "en"): "The draft for {organisation} is ready. Inquiry {inquiry}, payment {payment}."
        case (.draftReady, _): "Le brouillon pour {organisation} attend. Demande {inquiry}, paiement {payment}."
        case (.published, "en"): "Ready: {description}. Download it here, once, until {expires}: {link} ."
        case (.published, _): "Disponible : {description}. A télécharger ici, une seule fois, avant le {expires} : {link} ."
        case (.invoice, "en"): "Invoice {invoice} of {amount} for {description} is issued. Reference {payment}."
        case (.invoice, _): "La facture {invoice} de {amount} pour {description} est émise. Référence {payment}."
        case (.creditNote, "en"): "Credit note {credit_note} of {amount} on invoice {invoice} is issued. Reference {payment}."
        case (.creditNote, _): "Un avoir {credit_note} de {amount} sur la facture {invoice} est émis. Référence {payment}."
        case (.usageWarning, "en"): "Note: {team} has used {percent} % of the {metric} of its plan."
        case (.usageWarning, _): "Note : {team} a utilisé {percent} % du quota de {metric} de sa formule."
        case (.usageCritical, "en"): "Critical: {team} has used {percent} % of the {metric} of its plan."
        case (.usageCritical, _): "Critique : {team} a utilisé {percent} % du quota de {metric} de sa formule."
        case (.usageExceeded, "en"): "Reached: {team} has used all the {metric} of its plan; requests may be refused."
        case (.usageExceeded, _): "Atteinte : la limite de {metric} de {team} ; des demandes peuvent échouer."
        case (.storageStale, "en"): "Storage is no longer measured at {origin} since {measured}."
        case (.storageStale, _): "Le stockage sur {origin} ne se mesure plus depuis le {measured}."
        case (.planConfirmed, "en"): "Your payment of {amount} has come in: {team} has {plan} until {until}. Reference {payment}."
        case (.planConfirmed, _): "Votre paiement de {amount} est bien arrivé : {plan} pour {team}, payé jusqu'au {until}. Référence {payment}."
        case (.planRenewal, "en"): "Paid until {until}: the plan {plan} of {team}. Pay {price} for what follows, until {expires}: {link} ."
        case (.planRenewal, _): "La formule {plan} de {team} est payée jusqu'au {until}. Pour la suite, {price} avant le {expires} : {link} ."
        case (.planGrace, "en"): "Not paid: the plan {plan} of {team} goes on until {until} only. Pay {price} here, until {expires}: {link} ."
        case (.planGrace, _): "La formule {plan} de {team} n'est plus payée et cesse le {until}. Payez {price} ici avant le {expires} : {link} ."
        case (.planEnded, "en"): "The plan {plan} of {team} has ended, the team is on Free. Its page, until {expires}: {link} ."
        case (.planEnded, _): "La formule {plan} de {team} est finie, la formule gratuite la suit. Sa page, jusqu'au {expires} : {link} ."
        }
    }
}
