import Database
import Formats
import Money
import Payments
import ProviderPort

/// A final, numbered invoice.
public struct Invoice: Sendable {
    public let id: String
    public let payment: String
    public let kind: String
    /// `EX-2026-000001`.
    public let label: String
    public let number: Int64
    public let year: Int64
    public let mode: String
    public let language: String
    public let issuerName: String
    public let issuerAddress: String
    public let issuerTaxIDs: String
    public let customerName: String
    public let customerEmail: String?
    public let text: String
    public let net: Money
    public let vat: Money
    public let gross: Money
    /// Hundredths of a percent; nil when exempt.
    public let vatRate: Int64?
    public let exemption: String?
    public let issuedAtMs: Int64
    public let paidAtMs: Int64?
    public let pdfPath: String?
    public let pdfSHA256: String?
    /// Of a credit note: which invoice it is of, and of which day.
    public let invoiceLabel: String?
    public let invoiceIssuedAtMs: Int64?
    /// Of a credit note: why.
    public let reason: String?

    init(_ row: Row) throws {
        id = try row.text("id")
        payment = try row.text("payment")
        kind = try row.text("kind")
        label = try row.text("label")
        number = try row.int("number")
        year = try row.int("year")
        mode = try row.text("mode")
        language = try row.text("language")
        let issuer = try JSON(parsing: try row.text("issuer_snapshot"))
        issuerName = issuer["name"]?.string ?? ""
        issuerAddress = issuer["address"]?.string ?? ""
        issuerTaxIDs = issuer["tax_ids"]?.string ?? ""
        customerName = try row.text("customer_name")
        customerEmail = try row.textOrNil("customer_email")
        text = try row.text("description")
        let currency = try Currency(code: try row.text("currency"))
        net = Money(try row.int("net"), currency)
        vat = Money(try row.int("vat"), currency)
        gross = Money(try row.int("gross"), currency)
        vatRate = try row.intOrNil("vat_rate")
        exemption = try row.textOrNil("exemption")
        issuedAtMs = try row.int("issued_at")
        paidAtMs = try row.intOrNil("paid_at")
        pdfPath = try row.textOrNil("pdf_path")
        pdfSHA256 = try row.textOrNil("pdf_sha256")
        invoiceLabel = try row.textOrNil("invoice_label")
        invoiceIssuedAtMs = try row.intOrNil("invoice_issued_at")
        reason = try row.textOrNil("reason")
    }
}

/// Splits a price that includes tax, in whole minor units.
enum Taxation {
    /// net = gross ÷ (1 + rate), rounded half away from zero; the tax is the rest, so that both always add up to the gross.
    static func split(gross: Money, tax: Issuer.Tax) -> (net: Money, vat: Money) {
        guard case .rate(let rate) = tax else { return (gross, Money(0, gross.currency)) }
        let net = gross.minorUnits.scaled(by: 10_000, over: 10_000 + rate)
        return (Money(net, gross.currency), Money(gross.minorUnits - net, gross.currency))
    }
}

/// Invoices in SQL.
public enum InvoiceStore {
    public static let migrations = MigrationSet(
        room: "invoicing",
        migrations: [
            Migration(number: 1, name: "invoices", sqlite: String(decoding: PackageResources._001_invoices_sqlite_sql, as: UTF8.self)),
            Migration(number: 2, name: "credit notes", sqlite: String(decoding: PackageResources._002_credit_notes_sqlite_sql, as: UTF8.self)),
        ])

    public static func of(payment: String, kind: String = "invoice", in connection: Connection) throws -> Invoice? {
        try connection.first("SELECT * FROM invoicing_invoices WHERE payment = $1 AND kind = $2", [.text(payment), .text(kind)]).map(Invoice.init)
    }

    /// Makes the invoice of a payment final: takes the next number of (issuer, kind, year) and enters the invoice under it, in
    /// the caller's transaction, so that a number is never skipped nor given twice. A payment that has its invoice keeps it. What is invoiced
    /// is what came in, up to what was owed: less, where a person has taken less as payment; a surplus was never sold.
    /// - Throws: ``InvoicingError/noIssuer(mode:)``.
    static func finalise(_ payment: Payment, mode: String, nowMs: Int64, in connection: Connection) throws -> Invoice {
        if let existing = try of(payment: payment.id, in: connection) { return existing }
        guard let issuer = try Issuer.of(mode: mode, in: connection) else { throw InvoicingError.noIssuer(mode: mode) }
        let year = Int64(Timestamp.civil(nowMs).year)
        let number = try takeNumber(issuer: issuer.id, kind: "invoice", year: year, in: connection)
        let gross = Money(min(payment.amount.minorUnits, payment.captured), payment.amount.currency)
        let (net, vat) = Taxation.split(gross: gross, tax: issuer.tax)
        let (rate, exemption): (Int64?, String?) =
            switch issuer.tax {
            case .rate(let rate): (rate, nil)
            case .exempt(let words): (nil, words)
            }
        try connection.execute(
            """
            INSERT INTO invoicing_invoices (id, payment, kind, issuer, issuer_snapshot, year, number, label, mode, language, customer_name,
              customer_email, description, net, vat, gross, currency, vat_rate, exemption, issued_at, paid_at)
            VALUES ($1, $2, 'invoice', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
            """,
            [
                .text("inv_" + ULID.make(nowMs: nowMs)), .text(payment.id), .text(issuer.id), .text(issuer.snapshot), .integer(year),
                .integer(number), .text(label(issuer.series, year, number)), .text(mode), .text(payment.customer.language),
                .text(payment.customer.name), .optional(payment.customer.email), .text(payment.description), .integer(net.minorUnits),
                .integer(vat.minorUnits), .integer(gross.minorUnits), .text(gross.currency.code), .optional(rate),
                .optional(exemption), .integer(nowMs), .optional(payment.paidAtMs),
            ])
        guard let made = try of(payment: payment.id, in: connection) else { throw InvoicingError.damaged(payment.id) }
        return made
    }

    /// Enters the file made from a final invoice; a second file for the same invoice changes nothing.
    static func attach(path: String, sha256: String, size: Int64, to invoice: String, in connection: Connection) throws {
        try connection.execute(
            "UPDATE invoicing_invoices SET pdf_path = $2, pdf_sha256 = $3, pdf_size = $4 WHERE id = $1 AND pdf_sha256 IS NULL",
            [.text(invoice), .text(path), .text(sha256), .integer(size)])
    }

    /// Proves every series: no gap, no duplicate, and the counter where it should be.
    /// - Returns: a sentence per fault; empty when all is well.
    public static func verify(in connection: Connection) throws -> [String] {
        let rows = try connection.query(
            """
            SELECT i.issuer, i.kind, i.year, COUNT(*) AS n, MIN(i.number) AS low, MAX(i.number) AS high, s.next_number AS next_number
            FROM invoicing_invoices i LEFT JOIN invoicing_series s ON s.issuer = i.issuer AND s.kind = i.kind AND s.year = i.year
            GROUP BY i.issuer, i.kind, i.year
            """, [])
        var faults: [String] = []
        for row in rows {
            let series = "\(try row.text("issuer")) \(try row.text("kind")) \(try row.int("year"))"
            let (count, low, high) = (try row.int("n"), try row.int("low"), try row.int("high"))
            if low != 1 || high != count { faults.append("\(series): \(count) invoices are numbered \(low) to \(high)") }
            if try row.intOrNil("next_number") != high + 1 { faults.append("\(series): the counter does not follow \(high)") }
        }
        let unused = try connection.query(
            """
            SELECT s.issuer, s.kind, s.year, s.next_number FROM invoicing_series s WHERE s.next_number > 1 AND NOT EXISTS
              (SELECT 1 FROM invoicing_invoices i WHERE i.issuer = s.issuer AND i.kind = s.kind AND i.year = s.year)
            """, [])
        for row in unused {
            let series = "\(try row.text("issuer")) \(try row.text("kind")) \(try row.int("year"))"
            faults.append("\(series): numbers up to \(try row.int("next_number") - 1) were taken, but there is no invoice")
        }
        return faults + (try creditFaults(in: connection))
    }

    static func takeNumber(issuer: String, kind: String, year: Int64, in connection: Connection) throws -> Int64 {
        try connection.execute(
            """
            INSERT INTO invoicing_series (issuer, kind, year, next_number) VALUES ($1, $2, $3, 2)
            ON CONFLICT (issuer, kind, year) DO UPDATE SET next_number = next_number + 1
            """, [.text(issuer), .text(kind), .integer(year)])
        let row = try connection.first(
            "SELECT next_number - 1 AS number FROM invoicing_series WHERE issuer = $1 AND kind = $2 AND year = $3",
            [.text(issuer), .text(kind), .integer(year)])
        guard let row else { throw InvoicingError.damaged("series \(issuer) \(kind) \(year)") }
        return try row.int("number")
    }

    /// The label's number has six digits and grows beyond them if need be.
    static func label(_ series: String, _ year: Int64, _ number: Int64) -> String {
        let digits = String(number)
        return "\(series)-\(year)-" + String(repeating: "0", count: max(0, 6 - digits.count)) + digits
    }
}
