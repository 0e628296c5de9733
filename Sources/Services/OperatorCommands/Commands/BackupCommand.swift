import Database
import EventLoop
import Formats

/// `quittance backup`
enum BackupCommand {
    private static let keepMax = 10_000

    static let command = Command(
        CommandSyntax(
            "backup", "back up the database, private files, sources and journals, while everything runs",
            operands: [.needed("FOLDER", "where backups stand side by side; each is a folder named by its moment")],
            options: [.value("--keep", "N", "keep the newest N backups in it and remove those before"), .json],
            notes: [
                "A backup is there whole or not at all: database.db, private/, spool/, sources.json and manifest.json with the SHA-256 of each file. "
                    + "It holds secrets and is readable by its owner only. The environment file is not in it.",
                "`quittance restore` puts it back.",
            ])
    ) { invocation, context in
        let keep = invocation.has("--keep") ? try invocation.number("--keep", in: 1...keepMax, standard: 1) : nil
        let places = try InstallationPlaces(context)
        let pool = BlockingPool(name: "backup", threads: 1)
        defer { pool.close() }
        let making = BackupMaking(places: places, shelf: BackupShelf(folder: invocation.operands[0]), pool: pool)
        let made = try await context.withDatabase { try await making.make(of: $0, keeping: keep, nowMs: context.nowMs()) }
        let count = made.manifest.files.count
        if invocation.wantsJSON {
            context.output.json([
                "path": .string(made.path), "files": .int(Int64(count)), "bytes": .int(made.manifest.bytes),
                "removed": .array(made.removed.map(JSON.string)),
            ])
        } else {
            context.output.line("\(made.path): \(count) files, \(made.manifest.bytes) bytes")
            for name in made.removed { context.output.line("removed \(name)") }
        }
        return .ok
    }
}
