import Cryptography
import Database
import EventLoop
import Formats
import Invoicing
import Payments
import PrivateFiles
import Settings

/// `quittance invoices verify`
enum InvoicesCommand {
    private static let page = 200
    /// A final invoice waits this long for its file before somebody should look.
    private static let fileWaitMs: Int64 = 60 * 60_000

    static let command = Command(
        CommandSyntax(
            "invoices verify", "prove that no invoice number is missing or given twice",
            options: [.flag("--files", "compare every stored file with its hash too"), .json],
            notes: ["Exit codes: 0 all is well, 1 it is not."])
    ) { invocation, context in
        let (faults, what) = try await context.withDatabase { database in
            var faults = try await database.read { try InvoiceStore.verify(in: $0) }
            guard invocation.has("--files") else { return (faults, "invoice numbers") }
            let (count, more) = try await fileFaults(database, context)
            faults += more
            return (faults, "invoice numbers and \(count) files")
        }
        context.output.faults(faults, of: what, asJSON: invocation.wantsJSON)
        return faults.isEmpty ? .ok : .failed
    }

    private static func fileFaults(_ database: Database, _ context: CommandContext) async throws -> (count: Int, faults: [String]) {
        let pool = BlockingPool(name: "files", threads: 1)
        let files = PrivateFiles(root: context.settings.privateMediaRoot, pool: pool)
        var faults: [String] = []
        var count = 0
        var last: String?
        while true {
            let before = last
            let (ids, invoices) = try await database.read { connection in
                let payments = try PaymentStore.list(before: before, limit: page, in: connection)
                return (payments.map(\.id), try payments.flatMap { try InvoiceStore.all(of: $0.id, in: connection) })
            }
            for invoice in invoices {
                if invoice.pdfPath != nil { count += 1 }
                if let fault = await fault(of: invoice, files, nowMs: context.nowMs()) { faults.append(fault) }
            }
            guard ids.count == page else { break }
            last = ids.last
        }
        pool.close()
        return (count, faults)
    }

    private static func fault(of invoice: Invoice, _ files: PrivateFiles, nowMs: Int64) async -> String? {
        guard let path = invoice.pdfPath else {
            return nowMs - invoice.issuedAtMs > fileWaitMs ? "\(invoice.label): has no file after more than an hour" : nil
        }
        do {
            let digest = Hex.encode(Digest.sha256(try await files.read(path)))
            return digest == invoice.pdfSHA256 ? nil : "\(invoice.label): \(path) is not the file that was made"
        } catch {
            return "\(invoice.label): \(error)"
        }
    }
}
