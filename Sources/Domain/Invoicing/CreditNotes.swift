import Database
import Formats
import Money
import Payments

/// Credit notes: what was invoiced and went back, under numbers of their own without a gap.
extension InvoiceStore {
    /// Every document of a payment, the invoice first.
    public static func all(of payment: String, in connection: Connection) throws -> [Invoice] {
        try connection.query(
            "SELECT * FROM invoicing_invoices WHERE payment = $1 ORDER BY kind DESC, number", [.text(payment)]
        ).map(Invoice.init)
    }

    /// Makes a credit note final for what of an invoiced payment has gone back and is not credited yet, in the caller's transaction.
    /// - Parameters:
    ///   - refunded: what had gone back of the payment in all, in minor units; with the payment it names the credit note.
    ///   - reason: why, in the customer's language where it is known.
    /// - Returns: nil where there is nothing to credit: no invoice, or money that was no part of what was invoiced.
    static func credit(_ payment: Payment, refunded: Int64, reason: String?, nowMs: Int64, in connection: Connection) throws -> Invoice? {
        if let made = try creditNote(of: payment.id, refunded: refunded, in: connection) { return made }
        guard let invoice = try of(payment: payment.id, in: connection) else { return nil }
        let before = try all(of: payment.id, in: connection).filter { $0.kind == "credit_note" }
        let credited = before.reduce(0) { $0 + $1.gross.minorUnits }
        // A surplus that went back was never invoiced.
        let invoiced = min(invoice.gross.minorUnits, payment.captured)
        let due = min(max(0, invoiced - (payment.captured - refunded)), invoice.gross.minorUnits) - credited
        guard due > 0 else { return nil }
        let gross = Money(due, invoice.gross.currency)
        let vat = vat(of: gross, isRest: credited + due == invoice.gross.minorUnits, invoice, before)
        let year = Int64(Timestamp.civil(nowMs).year)
        let row = try connection.first("SELECT issuer, issuer_snapshot FROM invoicing_invoices WHERE id = $1", [.text(invoice.id)])
        guard let row else { throw InvoicingError.damaged(invoice.id) }
        let issuer = try row.text("issuer")
        let number = try takeNumber(issuer: issuer, kind: "credit_note", year: year, in: connection)
        try connection.execute(
            """
            INSERT INTO invoicing_invoices (id, payment, kind, issuer, issuer_snapshot, year, number, label, mode, language, customer_name,
              customer_email, description, net, vat, gross, currency, vat_rate, exemption, issued_at, invoice_label, invoice_issued_at, reason,
              refunded)
            VALUES ($1, $2, 'credit_note', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)
            """,
            [
                .text("inv_" + ULID.make(nowMs: nowMs)), .text(payment.id), .text(issuer), .text(try row.text("issuer_snapshot")),
                .integer(year), .integer(number), .text(label(series(of: invoice) + "-CN", year, number)), .text(invoice.mode),
                .text(invoice.language), .text(invoice.customerName), .optional(invoice.customerEmail), .text(invoice.text),
                .integer(due - vat), .integer(vat), .integer(due), .text(gross.currency.code), .optional(invoice.vatRate),
                .optional(invoice.exemption), .integer(nowMs), .text(invoice.label), .integer(invoice.issuedAtMs),
                .optional(reason.map { String($0.prefix(500)) }), .integer(refunded),
            ])
        guard let made = try creditNote(of: payment.id, refunded: refunded, in: connection) else { throw InvoicingError.damaged(payment.id) }
        return made
    }

    private static func creditNote(of payment: String, refunded: Int64, in connection: Connection) throws -> Invoice? {
        try connection.first(
            "SELECT * FROM invoicing_invoices WHERE payment = $1 AND kind = 'credit_note' AND refunded = $2", [.text(payment), .integer(refunded)]
        ).map(Invoice.init)
    }

    /// As on the invoice; the last one takes what rounding has left, so that all of them together are the invoice.
    private static func vat(of gross: Money, isRest: Bool, _ invoice: Invoice, _ before: [Invoice]) -> Int64 {
        if isRest { return invoice.vat.minorUnits - before.reduce(0) { $0 + $1.vat.minorUnits } }
        guard let rate = invoice.vatRate else { return 0 }
        return Taxation.split(gross: gross, tax: .rate(rate)).vat.minorUnits
    }

    /// `EX` of `EX-2026-000001`.
    private static func series(of invoice: Invoice) -> String {
        let tail = "-\(invoice.year)-"
        return invoice.label.firstRange(of: tail).map { String(invoice.label[..<$0.lowerBound]) } ?? invoice.label
    }

    /// Proves that no more was credited than invoiced, each in its invoice's currency and name.
    static func creditFaults(in connection: Connection) throws -> [String] {
        try connection.query(
            """
            SELECT c.payment, MIN(i.label) AS invoice, SUM(c.gross) AS credited, MIN(i.gross) AS invoiced, MIN(i.currency = c.currency) AS same,
              MIN(c.invoice_label = i.label) AS named
            FROM invoicing_invoices c LEFT JOIN invoicing_invoices i ON i.payment = c.payment AND i.kind = 'invoice'
            WHERE c.kind = 'credit_note' GROUP BY c.payment
            """
        ).compactMap { row in
            guard let invoice = try row.textOrNil("invoice"), let invoiced = try row.intOrNil("invoiced") else {
                return "payment \(try row.text("payment")) has a credit note and no invoice"
            }
            let (isSame, isNamed) = (try row.int("same") == 1, try row.int("named") == 1)
            guard isSame && isNamed else { return "\(invoice): a credit note of another currency or another invoice's" }
            let credited = try row.int("credited")
            return credited > invoiced ? "\(invoice): \(credited) credited of \(invoiced) invoiced" : nil
        }
    }
}
