/// The words of the messages as e-mails.
extension MessageTemplate {
    /// Subject and paragraphs; `{name}` stands for a variable.
    func wording(in language: String) -> (subject: String, paragraphs: [String]) {
        switch (self, language) {
        case (.paymentConfirmed, "en"):
            (
                "Payment received: {description}",
                [
                    "Hello {name},", "We have received your payment of {amount} for {description}.",
                    "We are starting the work now and will write to you as it goes on.", "Reference: {payment}",
                ]
            )
        case (.paymentConfirmed, _):
            (
                "Paiement reçu : {description}",
                [
                    "Bonjour {name},", "Nous avons bien reçu votre paiement de {amount} pour {description}.",
                    "Nous commençons le travail et vous écrirons au fur et à mesure.", "Référence : {payment}",
                ]
            )
        case (.paymentLink, "en"):
            (
                "To be paid: {description}",
                [
                    "Hello {name},", "{amount} is to be paid for {description}. Here you can pay:", "{link}",
                    "The link is good until {expires}.", "Reference: {payment}",
                ]
            )
        case (.paymentLink, _):
            (
                "À payer : {description}",
                [
                    "Bonjour {name},", "{amount} restent à payer pour {description}. Vous pouvez payer ici :", "{link}",
                    "Le lien est valable jusqu’au {expires}.", "Référence : {payment}",
                ]
            )
        case (.paymentFailed, "en"):
            (
                "Payment failed: {description}",
                [
                    "Hello {name},", "Your payment of {amount} for {description} has failed: nothing was taken.",
                    "You can try again where you began, with the same or another means of payment.", "Reference: {payment}",
                ]
            )
        case (.paymentFailed, _):
            (
                "Paiement échoué : {description}",
                [
                    "Bonjour {name},", "Votre paiement de {amount} pour {description} a échoué : rien n’a été débité.",
                    "Vous pouvez réessayer là où vous aviez commencé, avec le même moyen de paiement ou un autre.", "Référence : {payment}",
                ]
            )
        case (.published, "en"):
            (
                "Ready to download: {description}",
                [
                    "Hello {name},", "{description} is ready. Download it here:", "{link}",
                    "The link works once, until {expires}. Write to us if you need another one.", "Reference: {payment}",
                ]
            )
        case (.published, _):
            (
                "Prêt à télécharger : {description}",
                [
                    "Bonjour {name},", "{description} est prêt. Téléchargez-le ici :", "{link}",
                    "Le lien sert une seule fois, jusqu’au {expires}. Écrivez-nous s’il vous en faut un autre.", "Référence : {payment}",
                ]
            )
        case (.paymentRefunded, "en"):
            (
                "Refund: {description}",
                [
                    "Hello {name},", "We have given back {amount} of your payment for {description}.",
                    "Depending on how you paid, it takes some days to reach you.", "Reference: {payment}",
                ]
            )
        case (.paymentRefunded, _):
            (
                "Remboursement : {description}",
                [
                    "Bonjour {name},", "Nous vous avons remboursé {amount} de votre paiement pour {description}.",
                    "Selon le moyen de paiement, il faut quelques jours pour que la somme vous parvienne.", "Référence : {payment}",
                ]
            )
        case (.draftReady, "en"):
            (
                "Draft ready: {organisation}",
                ["The draft for {organisation} is ready to be worked on.", "Inquiry: {inquiry}", "Payment: {payment}"]
            )
        case (.draftReady, _):
            (
                "Brouillon prêt : {organisation}",
                ["Le brouillon pour {organisation} est prêt à être retravaillé.", "Demande : {inquiry}", "Paiement : {payment}"]
            )
        case (.invoice, "en"):
            (
                "Invoice {invoice}",
                ["Hello {name},", "Please find attached invoice {invoice} of {amount} for {description}.", "Reference: {payment}"]
            )
        case (.invoice, _):
            (
                "Facture {invoice}",
                ["Bonjour {name},", "Veuillez trouver ci-joint la facture {invoice} de {amount} pour {description}.", "Référence : {payment}"]
            )
        case (.creditNote, "en"):
            (
                "Credit note {credit_note}",
                [
                    "Hello {name},", "Please find attached credit note {credit_note} of {amount} on invoice {invoice} for {description}.",
                    "Reference: {payment}",
                ]
            )
        case (.creditNote, _):
            (
                "Avoir {credit_note}",
                [
                    "Bonjour {name},", "Veuillez trouver ci-joint l’avoir {credit_note} de {amount} sur la facture {invoice} pour {description}.",
                    "Référence : {payment}",
                ]
            )
        case (.planConfirmed, _), (.planRenewal, _), (.planGrace, _), (.planEnded, _): PlanWording.wording(of: self, in: language)
        default: UsageWording.wording(of: self, in: language)
        }
    }
}
