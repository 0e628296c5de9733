import Database
import Formats

/// Who issues invoices: name, address, tax numbers, rate or exemption, and the series' prefix. One per mode.
public struct Issuer: Sendable, Equatable {
    public enum Tax: Sendable, Equatable {
        /// Hundredths of a percent, 1…10 000: 1800 is 18 %.
        case rate(Int64)
        /// The words that the law wants on an exempt invoice.
        case exempt(String)
    }

    public let id: String
    public let name: String
    /// Lines.
    public let address: String
    /// Lines such as `RCCM CI-ABJ-…` and `NCC …`.
    public let taxIDs: String
    public let tax: Tax
    /// Prefix of the invoice's label: `QT` gives `QT-2026-000001`.
    public let series: String
    public let email: String?
    /// `sandbox` or `live`.
    public let mode: String

    /// - Throws: ``InvoicingError/invalid(field:rule:)``.
    public init(
        id: String = "main", name: String, address: String, taxIDs: String, tax: Tax, series: String, email: String?, mode: String
    ) throws(InvoicingError) {
        func text(_ field: String, _ value: String, limit: Int) throws(InvoicingError) -> String {
            guard !value.isEmpty, value.count <= limit else { throw .invalid(field: field, rule: "1 to \(limit) characters") }
            return value
        }
        self.id = try text("id", id, limit: 40)
        self.name = try text("name", name, limit: 120)
        self.address = try text("address", address, limit: 400)
        self.taxIDs = try text("tax_ids", taxIDs, limit: 400)
        switch tax {
        case .rate(let rate):
            guard (1...10_000).contains(rate) else {
                throw .invalid(field: "vat_rate", rule: "1 to 10000 hundredths of a percent; 0 is written as an exemption")
            }
        case .exempt(let words): _ = try text("exemption", words, limit: 300)
        }
        self.tax = tax
        let prefix = try text("series", series, limit: 12)
        guard prefix.utf8.allSatisfy({ (65...90).contains($0) || (48...57).contains($0) }) else {
            throw .invalid(field: "series", rule: "capital letters and digits")
        }
        self.series = prefix
        self.email = email
        guard ["sandbox", "live"].contains(mode) else { throw .invalid(field: "mode", rule: "sandbox or live") }
        self.mode = mode
    }

    /// The example issuer that `make run` uses in sandbox.
    public static func example() throws(InvoicingError) -> Issuer {
        try Issuer(
            id: "example", name: "Exemple SARL", address: "12 rue des Jardins\nCocody, Abidjan\nCôte d'Ivoire",
            taxIDs: "RCCM CI-ABJ-2024-B-00000\nNCC 0000000 X", tax: .rate(1800), series: "EX", email: "compta@example.com", mode: "sandbox")
    }

    // MARK: Store

    /// Sets the issuer of its mode. Invoices already numbered keep the issuer as it was.
    public func save(nowMs: Int64, in connection: Connection) throws {
        let (rate, exemption): (Int64?, String?) =
            switch tax {
            case .rate(let rate): (rate, nil)
            case .exempt(let words): (nil, words)
            }
        let taken = try connection.first(
            "SELECT mode FROM invoicing_invoices WHERE label LIKE $1 || '-%' AND mode <> $2 LIMIT 1", [.text(series), .text(mode)])
        if let other = try taken?.text("mode") { throw InvoicingError.invalid(field: "series", rule: "\(series) numbers \(other) invoices already") }
        try connection.execute("DELETE FROM invoicing_issuers WHERE mode = $1", [.text(mode)])
        try connection.execute(
            """
            INSERT INTO invoicing_issuers (id, name, address, tax_ids, vat_rate, exemption, series, email, mode, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            """,
            [
                .text(id), .text(name), .text(address), .text(taxIDs), .optional(rate), .optional(exemption), .text(series),
                .optional(email), .text(mode), .integer(nowMs),
            ])
    }

    public static func of(mode: String, in connection: Connection) throws -> Issuer? {
        try connection.first("SELECT * FROM invoicing_issuers WHERE mode = $1", [.text(mode)]).map { row in
            let tax: Tax = if let rate = try row.intOrNil("vat_rate") { .rate(rate) } else { .exempt(try row.text("exemption")) }
            return try Issuer(
                id: try row.text("id"), name: try row.text("name"), address: try row.text("address"), taxIDs: try row.text("tax_ids"), tax: tax,
                series: try row.text("series"), email: try row.textOrNil("email"), mode: try row.text("mode"))
        }
    }

    var snapshot: String {
        JSON.object(["name": .string(name), "address": .string(address), "tax_ids": .string(taxIDs), "email": .optional(email)]).text
    }
}

/// What goes wrong in this room. A retry helps for ``noIssuer(mode:)`` only, once an issuer is set.
public enum InvoicingError: Error, Equatable, CustomStringConvertible {
    case invalid(field: String, rule: String)
    case noIssuer(mode: String)
    case damaged(String)

    public var description: String {
        switch self {
        case .invalid(let field, let rule): "\(field): \(rule)"
        case .noIssuer(let mode): "no issuer is set for \(mode): run 'quittance issuer set'"
        case .damaged(let what): "the row of \(what) is damaged"
        }
    }
}
