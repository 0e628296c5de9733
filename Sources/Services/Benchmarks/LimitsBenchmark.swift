import Database
import Formats
import JobQueue
import Plans
import Subprocess
import Teams
import Usage
import UsageSamples

/// The limits run over a large installation, by the process worker-usage: from the job on its list to the recorded run.
enum LimitsBenchmark {
    static let title = "limits: 100 000 projects of 20 000 teams looked at by worker-usage, SQLite on disk with synchronous=FULL"

    private static let teams = 20_000
    private static let projectsOfTeam = 5
    /// Runs after the first, with nothing left to tell.
    private static let again = 3
    private static let goal = 3.0

    static func run(in arena: Arena) async throws -> BenchmarkResult {
        let redis = try await arena.startRedis()
        let database = try arena.migratedDatabase()
        let filling = ContinuousClock.now
        let expected = try await Installation.fill(database, teams: teams, projectsOfTeam: projectsOfTeam)
        let filled = ContinuousClock.now - filling
        let worker = try await arena.startUsageWorker(redis: redis)
        let idle = Machine.residentMB(of: worker.pid) ?? 0

        var seconds: [Double] = []
        var sizes: [Double] = []
        for number in 0...again {
            let tick = "bench-\(number)"
            let (time, run) = try await arena.usageRun(
                .limits, try JobRequest(CheckLimits(tick: tick)), tick: tick, redis: redis, database: database)
            seconds.append(time)
            sizes.append(Machine.residentMB(of: worker.pid) ?? 0)
            guard run.items == teams else { throw BenchmarkError("the run looked at \(run.items) teams: \(run.detail)") }
            try await verify(expected, after: run, database)
        }
        await arena.stop(worker)
        await database.close()

        var result = BenchmarkResult()
        result.notes.append(
            "\(teams * projectsOfTeam) projects entered in \(Number.text(filled.seconds)) s; \(expected) alerts to be told, a mail each")
        result.notes.append("runs: \(seconds.map { Number.text($0) }.joined(separator: ", ")) s")
        result.figures.append(Figure("limits.check_100k_s", seconds[0], "s, with \(expected) alerts", goal: .atMost(goal)))
        result.figures.append(
            Figure("limits.check_again_s", Statistics.median(Array(seconds.dropFirst())), "s, with none left to tell", goal: .atMost(goal)))
        result.figures.append(Figure("limits.worker_rss_start_mb", idle, "MB resident"))
        result.figures.append(Figure("limits.worker_rss_mb", sizes[again], "MB resident, after \(again + 1) runs"))
        result.figures.append(Figure("limits.worker_rss_growth_mb", sizes[again] - sizes[1], "MB, from run 2 to \(again + 1)"))
        return result
    }

    /// Every alert once with its mail, whichever run it is.
    private static func verify(_ expected: Int, after run: UsageRun, _ database: Database) async throws {
        let (alerts, mails) = try await database.read { connection in
            let sent = try UsageAlert.list(limit: .max, in: connection).count { $0.state == .sent }
            let mails = try connection.first("SELECT COUNT(*) AS mails FROM outbox_jobs WHERE kind = 'notification.send'")?.int("mails")
            return (sent, Int(mails ?? 0))
        }
        guard alerts == expected, mails == expected else {
            throw BenchmarkError("\(alerts) alerts and \(mails) mails instead of \(expected): \(run.detail)")
        }
    }
}

/// Teams with their people, plans, projects and usage.
enum Installation {
    /// A seventh of the teams has reached a threshold of traffic, a fiftieth one of storage; all others are at most at 75 %.
    /// - Returns: how many alerts are to be sent.
    static func fill(_ database: Database, teams: Int, projectsOfTeam: Int) async throws -> Int {
        let now = WallClock.nowMs
        let numbers = Array(0..<teams)
        for start in stride(from: 0, to: teams, by: 500) {
            let chunk = numbers[start..<min(start + 500, teams)]
            try await database.write { connection in
                for number in chunk { try enter(number, projectsOfTeam, nowMs: now, in: connection) }
            }
        }
        return try await use(database, teams: teams, projectsOfTeam: projectsOfTeam, nowMs: now)
    }

    static func team(_ number: Int) -> String { "team-\(number)" }
    static func project(_ number: Int, of team: Int) -> String { "project-\(team)-\(number)" }

    private static func enter(_ number: Int, _ projects: Int, nowMs: Int64, in connection: Connection) throws {
        let id = team(number)
        try TeamStore.put(Team(id: id, name: "Team \(number)", owner: "owner-\(number / 2)", language: "fr", createdAtMs: nowMs), in: connection)
        for (name, role) in [("owner", TeamMember.Role.owner), ("member", .member)] {
            try TeamStore.put(
                TeamMember(
                    team: id, email: "\(name).\(number)@example.org", name: "Awa", language: number % 3 == 0 ? "en" : "fr", role: role,
                    getsAlerts: role == .owner, createdAtMs: nowMs), in: connection)
        }
        for place in 0..<projects {
            try TeamStore.put(Project(id: project(place, of: number), team: id, name: "Shop \(place)", createdAtMs: nowMs), in: connection)
        }
        // Every other team pays; a payment for each would be another benchmark.
        guard number % 2 == 0 else { return }
        try connection.execute(
            """
            INSERT INTO plans_subscriptions (team, plan, version, status, period_start, renews_at, anchor_day, updated_at)
            VALUES ($1, $2, 1, 'active', $3, $4, 1, $3)
            """, [.text(id), .text(Plan.pro), .integer(nowMs), .integer(nowMs + 30 * UsagePeriod.dayMs)])
    }

    private static func use(_ database: Database, teams: Int, projectsOfTeam: Int, nowMs: Int64) async throws -> Int {
        let (free, pro) = try await database.read { connection in
            (try Plan.of(team: team(1), nowMs: nowMs, in: connection), try Plan.of(team: team(0), nowMs: nowMs, in: connection))
        }
        let high: [Int64] = [80, 85, 94, 95, 99, 100, 130]
        var alerts = 0
        var storage: [String: StorageMeasurement.Part] = [:]
        var names: [String] = []
        var bytes: [Int64] = []
        for number in 0..<teams {
            let plan = number % 2 == 0 ? pro : free
            let traffic = number % 7 == 0 ? high[number / 7 % high.count] : Int64(number % 76)
            let kept = number % 50 == 1 ? high[number / 50 % high.count] : Int64(number % 73)
            alerts += (traffic >= 80 ? 1 : 0) + (kept >= 80 ? 1 : 0)
            for place in 0..<projectsOfTeam {
                let name = project(place, of: number)
                names.append(name)
                bytes.append(part(place, of: projectsOfTeam, percent: traffic, of: plan.maxTrafficBytesPerMonth))
                storage[name] = StorageMeasurement.Part(bytes: part(place, of: projectsOfTeam, percent: kept, of: plan.maxStorageBytes))
            }
        }
        for start in stride(from: 0, to: names.count, by: SampleBatch.samplesMax) {
            let places = start..<min(start + SampleBatch.samplesMax, names.count)
            let batch = SampleBatch(
                source: "bench", batch: "use-\(start)", projects: Array(names[places]),
                rows: places.map { SampleBatch.Row(project: Int32($0 - start), bytes: bytes[$0], atMs: nowMs) })
            _ = try await database.write { try UsageCounters.apply([SampleTally(batch, nowMs: nowMs)], nowMs: nowMs, in: $0) }
        }
        let measurement = StorageMeasurement(origin: "docker", measuredAtMs: nowMs, projects: storage)
        _ = try await database.write { try StorageGauges.record(measurement, in: $0) }
        return alerts
    }

    /// Equal parts that together are at least so many percent, by less than a hundred bytes a part.
    private static func part(_ place: Int, of parts: Int, percent: Int64, of limit: Int64) -> Int64 {
        let total = (limit * percent + 99) / 100
        return total / Int64(parts) + (place == 0 ? total % Int64(parts) : 0)
    }
}
