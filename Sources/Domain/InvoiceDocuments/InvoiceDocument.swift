import Formats
import Invoicing
import Money
import Typesetting

/// The PDF of a final invoice: one A4 page, in the customer's language. The same invoice gives the same bytes.
public struct InvoiceDocument {
    private let invoice: Invoice
    private let words: InvoiceWords
    private static let margin = 56.0
    private static let font = "DejaVu Sans"

    public init(_ invoice: Invoice) {
        self.invoice = invoice
        words = InvoiceWords.of(invoice.language)
    }

    /// - Throws: ``TypesettingError``; blocks for some milliseconds.
    public func pdf() throws -> [UInt8] {
        let document = try PDFDocument(
            metadata: PDFDocument.Metadata(
                title: "\(kind) \(invoice.label)", author: invoice.issuerName, createdMs: invoice.issuedAtMs, language: invoice.language))
        var y = try heading(document)
        y = try parties(document, at: y + 28)
        y = try table(document, at: y + 28)
        try footer(document, at: y + 36)
        return try document.finish()
    }

    private var kind: String { invoice.kind == "credit_note" ? words.creditNote : words.title }

    private func heading(_ document: PDFDocument) throws -> Double {
        var y = Self.margin
        if invoice.mode == "sandbox" {
            y += try document.text(
                words.sandbox, x: Self.margin, y: y, width: width(document), style: style(9, .bold, .centre, Colour(hex: 0xB00020)))
            y += 10
        }
        y += try document.text(invoice.issuerName, x: Self.margin, y: y, width: width(document), style: style(16, .bold))
        y += try document.text(invoice.issuerAddress, x: Self.margin, y: y + 4, width: width(document), style: style(9, colour: .grey)) + 4
        y += try document.text(invoice.issuerTaxIDs, x: Self.margin, y: y + 2, width: width(document), style: style(9, colour: .grey)) + 2
        return y
    }

    private func parties(_ document: PDFDocument, at top: Double) throws -> Double {
        let half = width(document) / 2
        var left = top
        let title = "\(kind) \(words.number)\u{00A0}\(invoice.label)"
        left += try document.text(title, x: Self.margin, y: left, width: half, style: style(invoice.invoiceLabel == nil ? 13 : 10.5, .bold))
        let day = InvoiceNumbers.date(Timestamp.rfc3339(invoice.issuedAtMs), invoice.language)
        left += try document.text("\(words.date) : \(day)", x: Self.margin, y: left + 4, width: half, style: style(10)) + 4
        if let origin = invoice.invoiceLabel {
            let issued = invoice.invoiceIssuedAtMs.map { ", " + InvoiceNumbers.date(Timestamp.rfc3339($0), invoice.language) } ?? ""
            left += try document.text("\(words.origin) : \(origin)\(issued)", x: Self.margin, y: left + 2, width: half - 12, style: style(10)) + 2
        }
        var right = top
        right += try document.text(words.billedTo, x: Self.margin + half, y: right, width: half, style: style(9, colour: .grey))
        right += try document.text(invoice.customerName, x: Self.margin + half, y: right + 2, width: half, style: style(11, .medium)) + 2
        if let email = invoice.customerEmail {
            right += try document.text(email, x: Self.margin + half, y: right + 2, width: half, style: style(9)) + 2
        }
        return max(left, right)
    }

    private func table(_ document: PDFDocument, at top: Double) throws -> Double {
        var y = top
        let amountWidth = 140.0
        let itemWidth = width(document) - amountWidth - 12
        let amountX = Self.margin + itemWidth + 12
        let grey = style(9, colour: .grey)
        _ = try document.text(words.item, x: Self.margin, y: y, width: itemWidth, style: grey)
        y += try document.text(words.amount, x: amountX, y: y, width: amountWidth, style: style(9, .regular, .trailing, .grey)) + 6
        document.line(fromX: Self.margin, fromY: y, toX: Self.margin + width(document), toY: y)
        y += 8
        let itemHeight = try document.text(invoice.text, x: Self.margin, y: y, width: itemWidth, style: style(10))
        _ = try document.text(invoice.net.description, x: amountX, y: y, width: amountWidth, style: style(10, .regular, .trailing))
        y += max(itemHeight, 14) + 10
        document.line(fromX: Self.margin, fromY: y, toX: Self.margin + width(document), toY: y)
        y += 8
        var rows = [(words.net, invoice.net.description, TextStyle.Weight.regular)]
        if let rate = invoice.vatRate {
            rows.append((words.vat(InvoiceNumbers.rate(rate, invoice.language)), invoice.vat.description, .regular))
        }
        rows.append((words.total, invoice.gross.description, .bold))
        for (label, amount, weight) in rows {
            _ = try document.text(label, x: Self.margin, y: y, width: itemWidth, style: style(10, weight, .trailing))
            y += try document.text(amount, x: amountX, y: y, width: amountWidth, style: style(10, weight, .trailing)) + 5
        }
        return y
    }

    private func footer(_ document: PDFDocument, at top: Double) throws {
        var lines: [String] = []
        if let exemption = invoice.exemption { lines.append(exemption) }
        if invoice.invoiceLabel != nil { lines.append("\(words.reason) : \(invoice.reason ?? words.refund)") }
        if let paidAt = invoice.paidAtMs {
            lines.append("\(words.paidOn) \(InvoiceNumbers.date(Timestamp.rfc3339(paidAt), invoice.language))")
        }
        lines.append("\(words.payment) : \(invoice.payment)")
        _ = try document.text(lines.joined(separator: "\n"), x: Self.margin, y: top, width: width(document), style: style(9, colour: .grey))
    }

    private func width(_ document: PDFDocument) -> Double { document.size.width - 2 * Self.margin }

    private func style(
        _ size: Double, _ weight: TextStyle.Weight = .regular, _ alignment: TextStyle.Alignment = .leading, _ colour: Colour = .black
    ) -> TextStyle {
        TextStyle(font: Self.font, size: size, weight: weight, colour: colour, alignment: alignment)
    }

    private func style(_ size: Double, colour: Colour) -> TextStyle { style(size, .regular, .leading, colour) }
}
