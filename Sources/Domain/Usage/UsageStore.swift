import Database

/// The tables of usage.
public enum UsageStore {
    public static let migrations = MigrationSet(
        room: "usage", migrations: [Migration(number: 1, name: "usage", sqlite: PackageResources._001_usage_sqlite_sql)])
}
