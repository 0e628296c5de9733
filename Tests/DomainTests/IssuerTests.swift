import Database
import Invoicing
import Testing

@Suite("The issuer of invoices")
struct IssuerTests {
    private static func issuer(
        name: String = "Atelier", address: String = "Abidjan", taxIDs: String = "NCC 1", tax: Issuer.Tax = .rate(1800), series: String = "QT",
        mode: String = "live"
    ) throws(InvoicingError) -> Issuer {
        try Issuer(name: name, address: address, taxIDs: taxIDs, tax: tax, series: series, email: nil, mode: mode)
    }

    private static func fault(_ body: () throws(InvoicingError) -> Issuer) -> String? {
        do {
            _ = try body()
            return nil
        } catch {
            guard case .invalid(let field, _) = error else { return "\(error)" }
            return field
        }
    }

    @Test("is refused with the field that breaks its rule")
    func rules() {
        #expect(Self.fault { () throws(InvoicingError) in try Self.issuer() } == nil)
        #expect(Self.fault { () throws(InvoicingError) in try Self.issuer(name: "") } == "name")
        #expect(Self.fault { () throws(InvoicingError) in try Self.issuer(address: String(repeating: "x", count: 401)) } == "address")
        #expect(Self.fault { () throws(InvoicingError) in try Self.issuer(taxIDs: "") } == "tax_ids")
        for rate in [0, -1, 10_001] as [Int64] {
            #expect(Self.fault { () throws(InvoicingError) in try Self.issuer(tax: .rate(rate)) } == "vat_rate")
        }
        #expect(Self.fault { () throws(InvoicingError) in try Self.issuer(tax: .exempt("")) } == "exemption")
        for series in ["", "qt", "Q-T", "É", "QT/2026", "ABCDEFGHIJKLM"] {
            #expect(Self.fault { () throws(InvoicingError) in try Self.issuer(series: series) } == "series")
        }
        #expect(Self.fault { () throws(InvoicingError) in try Self.issuer(mode: "test") } == "mode")
    }

    @Test("is kept and found by its mode; a new one takes its place", arguments: [Issuer.Tax.rate(1925), .exempt("Exonéré, article 355")])
    func kept(tax: Issuer.Tax) async throws {
        let fixture = try DomainFixture()
        let first = try Self.issuer()
        let second = try Self.issuer(name: "Atelier & Fils", tax: tax)
        let (found, sandbox) = try await fixture.database.write { connection in
            try first.save(nowMs: 1, in: connection)
            try second.save(nowMs: 2, in: connection)
            return (try Issuer.of(mode: "live", in: connection), try Issuer.of(mode: "sandbox", in: connection))
        }
        #expect(found == second && sandbox == nil)
    }
}
