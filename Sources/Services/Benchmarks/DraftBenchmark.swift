import Database
import DraftGeneration
import Drafts
import EventLoop
import Formats
import InvoiceDocuments
import Invoicing

/// Documents that are made of what customers gave and paid for, on one core each: drafts by the process that fills templates, invoices by the
/// typesetter.
enum DraftBenchmark {
    static let title = "drafts: kits filled by docxtpl and invoices typeset, one after the other in one process"

    private static let python = ".venv/bin/python"
    private static let rounds = 5
    private static let draftsOfRound = 30
    private static let invoicesOfRound = 200

    static func run(in arena: Arena) async throws -> BenchmarkResult {
        var result = BenchmarkResult()
        let drafts = try await drafts(arena, &result)
        result.figures.append(Figure("drafts.per_s_core", drafts, "documents/s", goal: .atLeast(5)))
        let invoices = try await invoices(arena, &result)
        result.figures.append(Figure("invoices.per_s_core", invoices, "documents/s", goal: .atLeast(150)))
        return result
    }

    // MARK: Drafts

    /// The template of the set-up with all its 17 variables full, as worker-drafts has it filled: request, filling, opening again, answer.
    private static func drafts(_ arena: Arena, _ result: inout BenchmarkResult) async throws -> Double {
        let template = arena.folder + "/kit.docx"
        _ = try await arena.run(python, ["deploy/docx/make_template.py", template], limit: .seconds(60))
        let templates = DocumentTemplates(python: python, script: "deploy/docx/fill_template.py", processes: 1)
        // Round 0 starts the process.
        var rates: [Double] = []
        for round in 0...rounds {
            let begun = ContinuousClock.now
            var size = 0
            for number in 0..<draftsOfRound { size += try await templates.fill(template, values(round * draftsOfRound + number)).count }
            let rate = Double(draftsOfRound) / (ContinuousClock.now - begun).seconds
            result.notes.append("drafts, round \(round): \(Number.text(rate))/s, \(size / draftsOfRound / 1000) KB each")
            if round > 0 { rates.append(rate) }
        }
        return Statistics.median(rates)
    }

    /// As customers write: short fields, some pages of text, four thousand tokens of answer.
    private static func values(_ number: Int) -> JSONObject {
        let paragraph = "L'organisation n° \(number) prépare ses comptes & rapports <annuels> avec soin ; les pièces sont réunies chaque trimestre. "
        let long = String(repeating: paragraph, count: 6)
        let answer = (0..<24).map { "Étape \($0)\n" + long }.joined(separator: "\n\n")
        let names = ["organization_name", "contact_name", "email"] + InquiryForm.textFields
        return JSONObject(
            names.map { ($0, JSON.string($0.hasSuffix("_text") ? long : "\($0) \(number)")) }
                + [("generated_content", .string(answer)), ("documents_count", .int(3))])
    }

    // MARK: Invoices

    private static func invoices(_ arena: Arena, _ result: inout BenchmarkResult) async throws -> Double {
        let database = try arena.migratedDatabase()
        try await database.write { connection in
            try connection.execute(
                """
                INSERT INTO invoicing_invoices (id, payment, kind, issuer, issuer_snapshot, year, number, label, mode, language, customer_name,
                  customer_email, description, net, vat, gross, currency, vat_rate, issued_at, paid_at)
                VALUES ('inv_bench', 'pay_bench', 'invoice', 'iss', $1, 2026, 1, 'EX-2026-000001', 'live', 'fr', 'Été & Fils SARL',
                  'compta@example.org', 'Kit Complet - Audit sans peur', 10593, 1907, 12500, 'XOF', 1800, 1795248000000, 1795248000000)
                """,
                [.text(#"{"name":"Quittance SARL","address":"12 rue des Jardins\nCotonou","tax_ids":"IFU 3201900000000\nRCCM RB/COT/19 B 1"}"#)])
        }
        let found = try await database.read { try InvoiceStore.of(payment: "pay_bench", in: $0) }
        await database.close()
        guard let invoice = found else { throw BenchmarkError("the invoice was not entered") }
        var rates: [Double] = []
        for round in 0...rounds {
            let (rate, size) = try await arena.pool.run { () -> (Double, Int) in
                let begun = ContinuousClock.now
                var size = 0
                for _ in 0..<invoicesOfRound { size += try InvoiceDocument(invoice).pdf().count }
                return (Double(invoicesOfRound) / (ContinuousClock.now - begun).seconds, size / invoicesOfRound)
            }
            result.notes.append("invoices, round \(round): \(Number.text(rate))/s, \(size / 1000) KB each")
            // Round 0 loads the fonts.
            if round > 0 { rates.append(rate) }
        }
        return Statistics.median(rates)
    }
}
