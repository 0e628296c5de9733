import Database
import Formats
import PaymentsService
import Settings

/// `quittance migrate`: the only program that changes tables.
enum MigrateCommand {
    static let command = Command(
        CommandSyntax(
            "migrate", "bring the database to this program's version and make the folders it needs",
            options: [.flag("--dry-run", "only say what would be done"), .json],
            notes: ["The other programs refuse to start with a database of another version. Migrating again changes nothing."])
    ) { invocation, context in
        let isTrial = invocation.has("--dry-run")
        let folders = try folders(of: context, make: !isTrial)
        let applied = isTrial ? try await pending(context) : try await migrate(context)
        report(applied, folders: folders, isTrial: isTrial, asJSON: invocation.wantsJSON, context)
        return .ok
    }

    /// One step of a room's tables.
    struct Step: Sendable {
        let room: String
        let number: Int
        let name: String
    }

    private static func migrate(_ context: CommandContext) async throws -> [Step] {
        try await context.withAnyDatabase { database in
            try database.migrate(Product.migrations).map { Step(room: $0.room, number: $0.number, name: $0.name) }
        }
    }

    /// What a database lacks. One that is not there is not made.
    private static func pending(_ context: CommandContext) async throws -> [Step] {
        if let path = context.databasePath, !Folders.exists(path) { return steps(without: []) }
        return try await context.withAnyDatabase { database in
            let applied = try await database.read { connection -> Set<String> in
                let table = try connection.first("SELECT 1 AS found FROM sqlite_schema WHERE name = 'quittance_migrations'")
                guard table != nil else { return [] }
                let rows = try connection.query("SELECT room, number FROM quittance_migrations")
                return Set(try rows.map { "\(try $0.text("room")) \(try $0.int("number"))" })
            }
            let missing = steps(without: applied)
            // Nothing is missing, yet a step may have been edited, or the database be newer.
            if missing.isEmpty { try database.checkMigrated(Product.migrations) }
            return missing
        }
    }

    private static func steps(without applied: Set<String>) -> [Step] {
        Product.migrations.flatMap { set in set.migrations.map { Step(room: set.room, number: $0.number, name: $0.name) } }
            .filter { !applied.contains("\($0.room) \($0.number)") }
    }

    /// The folders that were made, or would be.
    private static func folders(of context: CommandContext, make: Bool) throws -> [String] {
        let settings = context.settings
        return try [settings.varDirectory, settings.privateMediaRoot, settings.spoolDirectory].filter { folder in
            make ? try Folders.make(folder) : !Folders.exists(folder)
        }
    }

    private static func report(_ steps: [Step], folders: [String], isTrial: Bool, asJSON: Bool, _ context: CommandContext) {
        let database = context.databasePath ?? "database"
        if asJSON {
            let applied = steps.map { JSON.object(["room": .string($0.room), "number": .int(Int64($0.number)), "name": .string($0.name)]) }
            return context.output.json([
                "database": .string(database), "dry_run": .bool(isTrial), "applied": .array(applied), "folders": .array(folders.map(JSON.string)),
            ])
        }
        for folder in folders { context.output.line("\(isTrial ? "would make" : "made") the folder \(folder)") }
        for step in steps { context.output.line("\(isTrial ? "would apply" : "applied") \(step.room) \(step.number) (\(step.name))") }
        let count = steps.count == 1 ? "1 migration" : "\(steps.count) migrations"
        let last = steps.isEmpty ? "nothing to apply" : isTrial ? "\(count) to apply" : "\(count) applied"
        context.output.line("\(database): \(last)")
    }
}
