import Database
import Formats
import Usage

/// Teams with three projects each that have traffic and storage of this month; every fourth has paid for its plan.
enum ManyTeams {
    static let count = 10_000

    static func fill(_ database: Database) async throws {
        let now = WallClock.nowMs
        let month = UsagePeriod(containing: now)
        let numbers = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < \(count - 1))"
        let projects = "\(numbers), p(i, k) AS (SELECT i, k FROM n, (SELECT 0 AS k UNION SELECT 1 UNION SELECT 2))"
        let (team, project) = ("printf('team-%05d', i)", "printf('p-%05d-%d', i, k)")
        let (traffic, storage) = ("(i * 7919 + k * 31) % 2000 * \(ByteFigure.mb)", "(i * 7027 + k) % 40 * \(ByteFigure.mb)")
        let statements = [
            "\(numbers) INSERT INTO teams_teams SELECT \(team), 'Team ' || i, 'owner-' || (i / 3), 'fr', \(now) FROM n",
            """
            \(projects) INSERT INTO teams_projects (id, team, name, cpu_milli, memory_mb, custom_domains, created_at)
            SELECT \(project), \(team), 'Project ' || k, 100, 64, 0, \(now) FROM p
            """,
            """
            \(projects) INSERT INTO usage_project_months (project, year, month, traffic_bytes, storage_bytes, created_at, updated_at)
            SELECT \(project), \(month.year), \(month.month), \(traffic), \(storage), \(now), \(now) FROM p
            """,
            """
            \(projects) INSERT INTO usage_project_days (project, day, traffic_bytes)
            SELECT \(project), \(now / UsagePeriod.dayMs), \(traffic) FROM p
            """,
            "INSERT INTO usage_origins (origin, is_whole, measured_at) VALUES ('folders', 1, \(now))",
            """
            \(projects) INSERT INTO usage_storage (project, origin, bytes, unknown_items, measured_at, known_at)
            SELECT \(project), 'folders', \(storage), 0, \(now), \(now) FROM p
            """,
            """
            \(numbers) INSERT INTO plans_subscriptions
            SELECT \(team), 'pay_as_you_go', 1, 'active', \(now), \(now + 10 * UsagePeriod.dayMs), 1, \(now) FROM n WHERE i % 4 = 0
            """,
        ]
        for sql in statements { try await database.write { _ = try $0.execute(sql) } }
    }
}
