import Database
import Formats
import Invoicing
import PaymentsService
import Scheduling
import Settings

/// The database: its version, its health, and what must be in it.
enum DatabaseChecks {
    /// STRICT tables came with 3.37.
    private static let versionMin = [3, 37]
    /// The most frequent entry runs every minute.
    private static let silenceMs: Int64 = 10 * 60_000

    static func findings(_ context: CommandContext) async -> [Finding] {
        do {
            if let path = context.databasePath, !Folders.exists(path) {
                return [.fail("database", "there is none at \(path): run `quittance migrate`")]
            }
            return try await context.withAnyDatabase { database in
                var findings = try await database.read { try health(in: $0) }
                do throws(DatabaseError) {
                    try database.checkMigrated(Product.migrations)
                    findings.append(.ok("migrations", "current"))
                } catch {
                    return findings + [.fail("migrations", error.message)]
                }
                findings += try await issuers(database, context)
                return findings + [try await scheduler(database, context)]
            }
        } catch {
            return [.fail("database", "\(error)")]
        }
    }

    private static func health(in connection: Connection) throws -> [Finding] {
        let version = try connection.first("SELECT sqlite_version() AS version")?.text("version") ?? ""
        let journal = try connection.first("PRAGMA journal_mode")?.values.first.flatMap(text) ?? "unknown"
        let check = try connection.query("PRAGMA quick_check(3)").compactMap { $0.values.first.flatMap(text) }
        let numbers = version.split(separator: ".").compactMap { Int($0) }
        return [
            numbers.lexicographicallyPrecedes(versionMin)
                ? .fail("SQLite", "\(version) is too old: 3.37 is needed for STRICT tables") : .ok("SQLite", version),
            journal == "wal" ? .ok("journal", "WAL") : .fail("journal", "\(journal): the programs set WAL; is the file on a network disk?"),
            check == ["ok"]
                ? .ok("integrity", "quick_check finds nothing")
                : .fail("integrity", "\(check.joined(separator: "; ")): stop everything and restore a backup"),
        ]
    }

    private static func text(_ value: SQLValue) -> String? {
        if case .text(let text) = value { text } else { nil }
    }

    /// Without its issuer a mode's invoices wait.
    private static func issuers(_ database: Database, _ context: CommandContext) async throws -> [Finding] {
        let modes = Set(context.settings.providers.values.filter(\.isOn).map(\.mode.rawValue)).sorted()
        return try await database.read { connection in
            try modes.map { mode in
                guard let issuer = try Issuer.of(mode: mode, in: connection) else {
                    return .warn("issuer", "none for \(mode): its invoices wait; run `quittance issuer set --mode \(mode) …`")
                }
                return .ok("issuer", "\(mode): \(issuer.name), series \(issuer.series)")
            }
        }
    }

    private static func scheduler(_ database: Database, _ context: CommandContext) async throws -> Finding {
        let ticks = try await CronCommands.table(database, context).listing(nowMs: context.nowMs()).compactMap(\.lastTick)
        let latest = ticks.compactMap { Timestamp.parse(String($0.dropLast()) + ":00Z") }.max()
        guard let latest else { return .warn("scheduler", "nothing scheduled has run yet: is the scheduler, or an outside one, running?") }
        let age = context.nowMs() - latest
        if age > silenceMs { return .warn("scheduler", "nothing scheduled has run for \(PlainTime.age(age)): is the scheduler running?") }
        return .ok("scheduler", "last tick \(PlainTime.text(latest))")
    }
}
