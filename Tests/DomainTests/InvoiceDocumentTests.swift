import EventLoop
import Formats
import InvoiceDocuments
import Invoicing
import JobQueue
import Money
import PrivateFiles
import Testing

@Suite("The page of an invoice, read back by poppler")
struct InvoiceDocumentTests {
    private static let live = Result {
        try Issuer(
            name: "Atelier Sève & Fils", address: "12 rue des Jardins\nAbidjan", taxIDs: "RCCM CI-ABJ-1\nNCC 2", tax: .rate(1925), series: "QT",
            email: nil, mode: "live")
    }

    @Test("French, in sandbox: every part is there, and SPÉCIMEN above all")
    func french() async throws {
        let room = try await InvoicingFixture(issuers: [try .example()])
        let (payment, job) = try await room.paid(Money(12_500, .xof), name: "Awa Koné & Fils <SARL>", description: "Kit Complet – œuvre")
        #expect(try await room.creation().deliver(job) == .done)
        let text = try await room.text(of: try #require(try await room.invoice(of: payment)))
        for part in [
            "SPÉCIMEN – mode d’essai, sans valeur", "Facture N° EX-2026-000001", "Exemple SARL", "12 rue des Jardins", "Côte d'Ivoire",
            "NCC 0000000 X",
            "Date : 31/01/2026", "Facturé à", "Awa Koné & Fils <SARL>", "awa@example.org", "Kit Complet – œuvre", "Total HT", "10 593 XOF",
            "TVA 18 %",
            "1 907 XOF", "Total TTC", "12 500 XOF", "Payée le 31/01/2026", "Paiement : \(payment)",
        ] { #expect(text.contains(part), "'\(part)' is missing in:\n\(text)") }
    }

    @Test("English, live: its own words and dates, a rate with decimals, no specimen")
    func english() async throws {
        let room = try await InvoicingFixture(issuers: [try Self.live.get()])
        let (payment, job) = try await room.paid(Money(124_990, .eur), language: "en", mode: "live")
        #expect(try await room.creation().deliver(job) == .done)
        let text = try await room.text(of: try #require(try await room.invoice(of: payment)))
        for part in [
            "Invoice No. QT-2026-000001", "Atelier Sève & Fils", "Date : 2026-01-31", "Billed to", "Awa Koné", "Net total", "1 048.13 EUR",
            "VAT 19.25 %",
            "201.77 EUR", "1 249.90 EUR", "Paid on 2026-01-31",
        ] { #expect(text.contains(part), "'\(part)' is missing in:\n\(text)") }
        #expect(!text.contains("SPECIMEN") && !text.contains("SPÉCIMEN"))
    }

    @Test("an exempt invoice says so in the words of the law and has no line for the tax")
    func exempt() async throws {
        let issuer = try Issuer(
            name: "Association", address: "Lomé", taxIDs: "NIF 3", tax: .exempt("Exonéré de TVA, article 355 du CGI"), series: "AS", email: nil,
            mode: "live")
        let room = try await InvoicingFixture(issuers: [issuer])
        let (payment, job) = try await room.paid(Money(1_000_000, .xof), mode: "live")
        #expect(try await room.creation().deliver(job) == .done)
        let text = try await room.text(of: try #require(try await room.invoice(of: payment)))
        #expect(text.contains("Exonéré de TVA, article 355 du CGI") && text.contains("1 000 000 XOF") && !text.contains("TVA 1"))
    }

    @Test("the same invoice gives the same bytes")
    func repeatable() async throws {
        let room = try await InvoicingFixture(issuers: [try .example()])
        let (payment, job) = try await room.paid(Money(12_500, .xof))
        _ = try await room.creation().deliver(job)
        let invoice = try #require(try await room.invoice(of: payment))
        let drawn = try await DomainFixture.pool.run { try (0..<2).map { _ in try InvoiceDocument(invoice).pdf() } }
        #expect(drawn[0] == drawn[1])
        #expect(try await room.files.read(invoice.pdfPath ?? "") == drawn[0])
    }
}
