import Formats

/// The messages that can be sent, each in French and English with a fixed list of variables.
public enum MessageTemplate: String, Codable, Sendable, CaseIterable {
    case paymentConfirmed = "payment_confirmed"
    case paymentRefunded = "payment_refunded"
    case draftReady = "draft_ready"
    case invoice
    case creditNote = "credit_note"
    case usageWarning = "usage_warning"
    case usageCritical = "usage_critical"
    case usageExceeded = "usage_exceeded"
    case storageStale = "storage_stale"

    public var variables: [String] {
        switch self {
        case .paymentConfirmed, .paymentRefunded: ["name", "amount", "description", "payment"]
        case .draftReady: ["inquiry", "organisation", "payment"]
        case .invoice: ["name", "amount", "description", "payment", "invoice"]
        case .creditNote: ["name", "amount", "description", "payment", "invoice", "credit_note"]
        case .usageWarning, .usageCritical, .usageExceeded: ["name", "team", "metric", "used", "allowed", "percent", "period", "plan"]
        case .storageStale: ["origin", "measured", "error"]
        }
    }

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
        default: UsageWording.wording(of: self, in: language)
        }
    }
}

/// A message with its variables put in.
public struct RenderedMessage: Sendable, Equatable {
    public let subject: String
    public let text: String
    public let html: String

    /// - Throws: ``MessageError`` when a variable is missing or not one of the template's.
    public init(_ template: MessageTemplate, language: String, values: [String: String]) throws(MessageError) {
        for name in template.variables where values[name] == nil { throw MessageError.missing(variable: name, template: template.rawValue) }
        for name in values.keys.sorted() where !template.variables.contains(name) {
            throw MessageError.unknown(variable: name, template: template.rawValue)
        }
        let (subject, paragraphs) = template.wording(in: language)
        // A line break in a value would break the header.
        self.subject = Self.fill(subject, values).split(whereSeparator: \.isNewline).joined(separator: " ")
        text = paragraphs.map { Self.fill($0, values) }.joined(separator: "\n\n") + "\n"
        let escaped = values.mapValues(HTML.escape)
        let body = paragraphs.map { "<p>" + Self.fill(HTML.escape($0), escaped) + "</p>" }.joined(separator: "\n")
        let page = "<!DOCTYPE html>\n<html lang=\"\(language == "en" ? "en" : "fr")\"><head><meta charset=\"utf-8\"><title>"
        html = page + HTML.escape(self.subject) + "</title></head>\n<body>\n" + body + "\n</body></html>\n"
    }

    /// One pass from left to right: what a value contains is never taken for a variable.
    private static func fill(_ pattern: String, _ values: [String: String]) -> String {
        var result = ""
        var rest = pattern[...]
        while let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") {
            result += rest[..<open]
            result += values[String(rest[rest.index(after: open)..<close])] ?? ""
            rest = rest[rest.index(after: close)...]
        }
        return result + rest
    }
}

/// Why a message cannot be made. No retry helps.
public enum MessageError: Error, Equatable, CustomStringConvertible {
    case missing(variable: String, template: String)
    case unknown(variable: String, template: String)

    public var description: String {
        switch self {
        case .missing(let variable, let template): "message \(template) needs the variable '\(variable)'"
        case .unknown(let variable, let template): "message \(template) has no variable '\(variable)'"
        }
    }
}
