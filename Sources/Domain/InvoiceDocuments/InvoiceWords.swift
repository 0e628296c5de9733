/// The fixed words of an invoice, in French or English.
struct InvoiceWords {
    let title: String
    let creditNote: String
    let number: String
    let date: String
    let billedTo: String
    let item: String
    let amount: String
    let net: String
    let total: String
    let paidOn: String
    let payment: String
    let sandbox: String
    /// On a credit note: the invoice that it is of, and why.
    let origin: String
    let reason: String
    let refund: String
    let vat: (String) -> String

    static func of(_ language: String) -> InvoiceWords { language == "en" ? english : french }

    private static var french: InvoiceWords {
        InvoiceWords(
            title: "Facture", creditNote: "Avoir", number: "N°", date: "Date", billedTo: "Facturé à", item: "Désignation", amount: "Montant",
            net: "Total HT", total: "Total TTC", paidOn: "Payée le", payment: "Paiement", sandbox: "SPÉCIMEN – mode d’essai, sans valeur",
            origin: "Facture d’origine", reason: "Motif", refund: "remboursement",
            vat: { "TVA \($0)" })
    }

    private static var english: InvoiceWords {
        InvoiceWords(
            title: "Invoice", creditNote: "Credit note", number: "No.", date: "Date", billedTo: "Billed to", item: "Item", amount: "Amount",
            net: "Net total", total: "Total", paidOn: "Paid on", payment: "Payment", sandbox: "SPECIMEN – sandbox mode, without value",
            origin: "Original invoice", reason: "Reason", refund: "refund",
            vat: { "VAT \($0)" })
    }
}

/// Dates and rates as people of a language write them.
enum InvoiceNumbers {
    /// `21/11/2026` in French, `2026-11-21` in English; the day in UTC.
    static func date(_ rfc3339: String, _ language: String) -> String {
        let day = rfc3339.prefix(10)
        guard language != "en" else { return String(day) }
        return day.split(separator: "-").reversed().joined(separator: "/")
    }

    /// Hundredths of a percent: 1800 is `18 %`, 1925 is `19,25 %` (`19.25 %` in English).
    static func rate(_ hundredths: Int64, _ language: String) -> String {
        let whole = hundredths / 100
        let rest = hundredths % 100
        guard rest != 0 else { return "\(whole)\u{00A0}%" }
        let digits = rest % 10 == 0 ? "\(rest / 10)" : (rest < 10 ? "0\(rest)" : "\(rest)")
        return "\(whole)\(language == "en" ? "." : ",")\(digits)\u{00A0}%"
    }
}
