import Database
import Drafts
import EventLoop
import Formats
import HTTPClient
import ObjectStorage
import PaymentsService
import PrivateFiles
import Publication
import Settings

/// `quittance kit attach`: hands in the document that the customer gets.
enum KitFileCommands {
    static let attach = Command(
        CommandSyntax(
            "kit attach", "make a Word or PDF document the final of a kit; one of before stays as an older version",
            operands: [KitCommands.inquiry, .needed("FILE", "at most 20 MB")], options: [KitCommands.reason])
    ) { invocation, context in
        let (id, path, why) = (invocation.operands[0], invocation.operands[1], invocation.value("--reason") ?? "")
        let settings = context.settings
        let bytes = try SmallFile.read(path, limit: Int(FinalAsset.sizeMax))
        try await context.withDatabase { database in
            try await database.read { connection in try KitCommands.check { try Publication.checkAttachable(id, in: connection) } }
        }
        let now = context.nowMs()
        let final = try await withStorage(settings) { storage in
            let file: CheckedFile
            do {
                file = try await FileIntake.take(bytes, to: storage, folder: "finals/\(id)", name: path, rules: .final)
            } catch let error as FileIntakeError {
                throw CommandFailure(.failed, error.description)
            }
            do {
                return try await KitCommands.write(context) { outbox, connection in
                    try Product.publication(settings, outbox: outbox)
                        .attach(file, to: id, actor: KitCommands.actor, reason: why, nowMs: now, in: connection)
                }
            } catch {
                try await storage.delete(file.path)
                throw error
            }
        }
        context.output.line("\(final.fileName) is version \(final.version) of the final of \(id)")
        return .ok
    }

    /// Lends the storage of private objects.
    static func withStorage<Value: Sendable>(
        _ settings: Settings, _ body: (any ObjectStorage) async throws -> Value
    ) async throws -> Value {
        let loop = try EventLoop.started(name: "storage")
        let client = HTTPClient(loop: loop)
        let pool = BlockingPool(name: "storage", threads: 1)
        let storage = settings.objectStorage(files: PrivateFiles(root: settings.privateMediaRoot, pool: pool), client: client)
        let result: Result<Value, any Error>
        do { result = .success(try await body(storage)) } catch { result = .failure(error) }
        await client.close()
        // Joining a thread blocks: not on Swift's own.
        try? await pool.run { loop.stop() }
        pool.close()
        return try result.get()
    }
}
