import Formats
import Money
import Payments

/// Where a payment stands, told to the customer.
enum PaymentSentence {
    /// Title and sentence of a state in which there is nothing left to pay here.
    static func closing(_ state: PaymentState, _ words: Words) -> (title: String, sentence: String)? {
        switch state {
        case .paid:
            (
                words("Paiement reçu", "Payment received"),
                words(
                    "Merci. Votre paiement est confirmé ; la suite vous parvient par e-mail.",
                    "Thank you. Your payment is confirmed; the rest reaches you by e-mail.")
            )
        case .refunded, .partiallyRefunded:
            (words("Paiement remboursé", "Payment refunded"), words("Ce paiement a été remboursé.", "This payment was refunded."))
        case .conflicted, .chargedBack, .authorised:
            (
                words("Paiement en cours de vérification", "Payment being checked"),
                words(
                    "Nous vérifions ce paiement à la main. Inutile de payer une seconde fois.",
                    "We are checking this payment by hand. Please do not pay a second time.")
            )
        case .created, .pending, .processing, .partiallyPaid, .failed, .cancelled, .expired: nil
        }
    }

    /// What is paid for, and how much.
    static func recap(_ payment: Payment, _ words: Words, more: [Markup] = []) -> Markup {
        """
        <dl>
        <dt>\(words("Produit", "Product"))</dt><dd>\(payment.description)</dd>
        <dt>\(words("Montant", "Amount"))</dt><dd>\(payment.amount.description)</dd>
        \(more)</dl>
        """
    }

    /// What to say above the buttons.
    static func note(_ state: PaymentState, _ words: Words) -> String? {
        switch state {
        case .pending, .processing:
            words(
                "Un paiement a été commencé. S’il est déjà fait, sa confirmation arrive ; sinon, reprenez-le ci-dessous.",
                "A payment was started. If it is done already, its confirmation is on the way; if not, take it up again below.")
        case .failed: words("Le dernier essai a échoué. Rien n’a été débité.", "The last try failed. Nothing was charged.")
        case .cancelled: words("Le dernier essai a été annulé.", "The last try was cancelled.")
        case .expired: words("Le dernier essai a expiré.", "The last try has expired.")
        case .partiallyPaid: words("Une partie du montant est reçue.", "Part of the amount has been received.")
        default: nil
        }
    }
}
