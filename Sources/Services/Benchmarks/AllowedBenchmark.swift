import Access
import Database
import EventLoop
import Formats
import HTTPClient
import Subprocess
import Teams
import Usage
import UsageSamples

/// `GET /api/usage/{project}/allowed` of the process web at a fixed rate, as gateways ask it.
enum AllowedBenchmark {
    static let title = "allowed: GET /api/usage/{project}/allowed at 5 000 requests/s, open loop, times from the scheduled moments"

    private static let teams = 200
    private static let projectsOfTeam = 5
    private static let perSecond = 5000.0
    private static let connections = 32
    private static let rounds = 5
    private static let seconds = 4.0
    private static let goal = 1.0

    static func run(in arena: Arena) async throws -> BenchmarkResult {
        let redis = try await arena.startRedis()
        let database = try arena.migratedDatabase()
        _ = try await Installation.fill(database, teams: teams, projectsOfTeam: projectsOfTeam)
        let key = try await database.write { try APIKeys.create(name: "gateway", scopes: [APIKey.usage], nowMs: WallClock.nowMs, in: $0).text }
        await database.close()
        let (web, port) = try await arena.startWeb(redis: redis)
        let idle = Machine.residentMB(of: web.pid) ?? 0
        try await check(key, port, arena)

        var result = BenchmarkResult()
        let loop = OpenLoop(port: port, requests: requests(key), perSecond: perSecond, seconds: seconds, connections: connections)
        var sizes: [Double] = []
        let run = try await OpenLoopRounds.run(
            loop, rounds: rounds, in: arena, into: &result,
            after: { _ in
                sizes.append(Machine.residentMB(of: web.pid) ?? 0)
            })
        result.figures.append(Figure("allowed.requests_per_s", run.perSecond, "requests/s"))
        result.figures.append(Figure("allowed.p50_ms", run.median(50), "ms"))
        result.figures.append(Figure("allowed.p99_ms", run.median(99), "ms", goal: .atMost(goal)))
        result.figures.append(Figure("allowed.p999_ms", run.median(99.9), "ms"))
        result.figures.append(Figure("allowed.web_rss_start_mb", idle, "MB resident"))
        result.figures.append(Figure("allowed.web_rss_mb", sizes[rounds], "MB resident, after \(rounds) rounds"))
        result.figures.append(Figure("allowed.web_rss_growth_mb", sizes[rounds] - sizes[1], "MB, from round 1 to \(rounds)"))
        return result
    }

    /// The answer is what is meant to be measured: one of a project within its limits, and one beyond.
    private static func check(_ key: String, _ port: Int, _ arena: Arena) async throws {
        // Team 42 has sent 130 % of what it may.
        for (team, isAllowed) in [(1, true), (42, false)] {
            let answer = try await arena.http.send(
                HTTPClient.Request(
                    url: "http://127.0.0.1:\(port)\(path(Installation.project(0, of: team)))", headers: ["Authorization": "Bearer \(key)"]))
            guard answer.status == 200, try JSON(parsing: answer.body)["allowed"]?.bool == isAllowed else {
                throw BenchmarkError("team \(team): \(answer.status) \(String(decoding: answer.body.prefix(300), as: UTF8.self))")
            }
        }
    }

    private static func path(_ project: String) -> String { "/api/usage/\(project)/allowed" }

    /// Each project once, in an order that has nothing to do with teams.
    private static func requests(_ key: String) -> [[UInt8]] {
        var random = SeededRandom(seed: 11)
        let projects = (0..<teams).flatMap { team in (0..<projectsOfTeam).map { Installation.project($0, of: team) } }
        return projects.shuffled(using: &random).map { project in
            Array("GET \(path(project)) HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer \(key)\r\n\r\n".utf8)
        }
    }
}
