import Database
import EventLoop
import Formats
import Settings
import Telemetry

/// `quittance restore`
enum RestoreCommand {
    static let command = Command(
        CommandSyntax(
            "restore", "put a backup in place, once each of its files is proved to be what was backed up",
            operands: [.needed("FOLDER", "a backup, or a folder of backups, whose newest is taken")],
            options: [
                .value("--into", "VAR", "into the folder of another run instead of the places that the settings name"),
                .flag("--force", "put aside what is there now, under names that end in .before- and the moment"), .json,
            ],
            notes: [
                "All programs are stopped first, and Redis is emptied or a new one: what it holds belongs to the database that goes. "
                    + "Then: quittance migrate, Redis alone, quittance rebuild-queues, and the rest.",
                "A backup of a newer program is refused. Journals of ingest that are there stay: they know what came after the backup.",
            ])
    ) { invocation, context in
        let places = try invocation.value("--into").map { InstallationPlaces(in: $0) } ?? InstallationPlaces(context)
        let restoring = BackupRestoring(
            backup: try BackupRestoring.find(invocation.operands[0]), places: places, force: invocation.has("--force"), nowMs: context.nowMs())
        let pool = BlockingPool(name: "restore", threads: 1)
        defer { pool.close() }
        let restored = try await pool.run { try restoring.run() }
        try await prove(places.database, context)
        report(restored, from: restoring.backup, places, asJSON: invocation.wantsJSON, context)
        return .ok
    }

    /// Has SQLite itself read every page of what now counts.
    private static func prove(_ path: String, _ context: CommandContext) async throws {
        let database = try Database.open(.sqlite(path: path), readers: 1, log: context.log.component("database"))
        let faults: [String]
        do {
            faults = try await database.read { try $0.query("PRAGMA quick_check").map { try $0.text("quick_check") } }
        } catch {
            await database.close()
            throw error
        }
        await database.close()
        guard faults == ["ok"] else {
            throw CommandFailure(.failed, "\(path) is restored and is damaged: \(faults.prefix(3).joined(separator: "; "))")
        }
    }

    private static func report(
        _ restored: BackupRestoring.Restored, from backup: String, _ places: InstallationPlaces, asJSON: Bool, _ context: CommandContext
    ) {
        let count = restored.manifest.files.count
        if asJSON {
            return context.output.json([
                "backup": .string(backup), "created_at": .string(Timestamp.rfc3339(restored.manifest.createdAtMs)), "files": .int(Int64(count)),
                "bytes": .int(restored.manifest.bytes), "database": .string(places.database),
                "put_aside": .array(restored.putAside.map(JSON.string)), "needs_migration": .bool(restored.needsMigration),
            ])
        }
        for path in restored.putAside { context.output.line("put aside: \(path)") }
        context.output.line("\(places.database): as of \(Timestamp.rfc3339(restored.manifest.createdAtMs)), \(count) files from \(backup)")
        if restored.needsMigration { context.output.line("the tables are older than this program: run `quittance migrate`") }
        context.output.line("next: an empty Redis, `quittance rebuild-queues`, then the programs")
    }
}
