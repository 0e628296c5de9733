import Database
import Settings
import Telemetry

/// Opens the database of a program other than `quittance`, which alone migrates.
public enum DatabaseStart {
    /// - Throws: ``DatabaseError`` when it cannot be opened, or is not at the version that this program was built for.
    public static func open(_ settings: Settings, migrations: [MigrationSet], log: Log) async throws -> Database {
        let database = try Database.open(settings.database, log: log)
        do { try database.checkMigrated(migrations) } catch {
            await database.close()
            throw error
        }
        return database
    }
}
