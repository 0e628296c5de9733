import Database
import UsageSamples

/// The tables of usage, and how long their rows are kept.
public enum UsageStore {
    public static let migrations = MigrationSet(
        room: "usage", migrations: [Migration(number: 1, name: "usage", sqlite: PackageResources._001_usage_sqlite_sql)])

    private static let dayMs: Int64 = 24 * 60 * 60_000
    /// Days, runs, alerts and refusals are kept a little over two years; months for good.
    public static let historyKeepMs = 800 * dayMs

    /// Removes what is no longer needed; at most about sixteen times `limit` rows a call.
    /// - Returns: how many were removed.
    public static func purge(nowMs: Int64, limit: Int, in connection: Connection) throws -> Int {
        // Units come faster than anything else that is purged.
        var removed = try connection.execute(
            """
            DELETE FROM usage_batches WHERE (source, batch) IN
              (SELECT source, batch FROM usage_batches WHERE applied_at < $1 ORDER BY applied_at LIMIT $2)
            """, [.integer(nowMs - SampleWindow.batchKeepMs), .int(limit * 12)])
        let cutoff = nowMs - historyKeepMs
        removed += try connection.execute(
            """
            DELETE FROM usage_project_days WHERE (project, day) IN
              (SELECT project, day FROM usage_project_days WHERE day < $1 ORDER BY day LIMIT $2)
            """, [.integer(cutoff / dayMs), .int(limit)])
        for (table, column) in [("usage_rejections", "rejected_at"), ("usage_runs", "started_at"), ("usage_alerts", "created_at")] {
            removed += try connection.execute(
                "DELETE FROM \(table) WHERE rowid IN (SELECT rowid FROM \(table) WHERE \(column) < $1 ORDER BY \(column) LIMIT $2)",
                [.integer(cutoff), .int(limit)])
        }
        return removed
    }
}
