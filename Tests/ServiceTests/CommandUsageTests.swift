import Database
import Formats
import JobQueue
import OperatorCommands
import Outbox
import Settings
import Teams
import Telemetry
import TestSupport
import Testing
import Usage
import UsageSamples

@Suite("quittance team and usage")
struct CommandUsageTests {
    private static let gb = ByteFigure.gb

    /// A team with two projects and one person, all made by the command.
    static func team(_ stage: CommandStage) async {
        let lines = [
            ["team", "put", "baobab", "--name", "Équipe Baobab", "--owner", "aicha@example.org"],
            ["team", "member", "baobab", "aicha@example.org", "--name", "Aïcha", "--role", "owner"],
            ["team", "project", "baobab", "shop", "--cpu", "0.3", "--memory", "64"], ["team", "project", "baobab", "blog"],
        ]
        for line in lines { #expect(await stage.run(line).code == .ok, "\(line)") }
    }

    /// Counts traffic as worker-usage does.
    static func count(_ bytes: Int64, of project: String, unit: String, _ stage: CommandStage) async throws {
        let nowMs = stage.nowMs
        let isCounted = try await stage.write {
            try UsageCounters.recordTraffic(project: project, bytes: bytes, atMs: nowMs, unit: unit, nowMs: nowMs, in: $0)
        }
        #expect(isCounted)
    }

    // MARK: Teams

    @Test("a team, its people and projects are entered, changed, listed and removed by hand")
    func teams() async throws {
        let stage = try await CommandStage.make()
        #expect(await stage.run("team") == CommandResult(code: .ok, out: "No teams.\n", err: ""))
        await Self.team(stage)
        #expect(await stage.run("team", "put", "baobab", "--language", "en").out == "team baobab changed\n")
        #expect(await stage.run("team", "member", "baobab", "b@example.org").out == "member b@example.org of team baobab entered\n")
        #expect(
            await stage.run("team", "list").out == """
                team    name           owner              language  plan  members  projects  created at
                baobab  Équipe Baobab  aicha@example.org  en        Free        2         2  2026-11-21 08:00:00

                """)
        let json = try await stage.json("team", "show", "baobab", "--json")
        #expect(json["plan"] == ["id": "free", "name": "Free", "version": 1])
        // The second person came when the team spoke English, and one person is all that Free allows.
        #expect(json["members"]?.array?.map { $0["language"] } == ["fr", "en"])
        #expect(json["limits"]?[0] == ["limit": "max_members", "used": 2, "allowed": 1, "unit": "members", "level": "exceeded"])
        let cpu = json["limits"]?.array?.first { $0["limit"] == "max_cpu" }
        #expect(cpu == ["limit": "max_cpu", "used": 300, "allowed": 300, "unit": "thousandths of a CPU", "level": "ok"])
        #expect(json["projects"]?[1]?["cpu"] == "0.30")
        #expect(await stage.run("team", "member", "baobab", "b@example.org", "--remove").out == "member b@example.org of team baobab removed\n")
        #expect(await stage.run("team", "project", "baobab", "blog", "--remove").code == .ok)
        #expect(await stage.run("team", "put", "baobab", "--remove").code == .ok)
        #expect(await stage.run("team", "show", "baobab").code == .notFound)
    }

    @Test("team show tells limits, people and projects")
    func show() async throws {
        let stage = try await CommandStage.make()
        await Self.team(stage)
        try await Self.count(1 << 20, of: "shop", unit: "a", stage)
        #expect(
            await stage.run("team", "show", "baobab").out == """
                team      baobab
                name      Équipe Baobab
                owner     aicha@example.org
                language  fr
                plan      Free, version 1
                period    2026-11

                Limits
                limit                        used     allowed  unit                  level
                max_members                     1           1  members               ok
                max_projects                    2           2  projects              ok
                max_cpu                       300         300  thousandths of a CPU  ok
                max_memory_mb                  64         100  MB                    ok
                custom_domains                  0           0  domains               ok
                max_teams                       1           1  teams                 ok
                max_traffic_gb_per_month  1048576  5368709120  bytes                 ok
                max_storage_mb                  0   104857600  bytes                 ok

                Members
                email              name   language  role   gets alerts  created at
                aicha@example.org  Aïcha  fr        owner  yes          2026-11-21 08:00:00

                Projects
                project  name   cpu  memory mb  custom domains  traffic bytes  storage bytes  created at
                blog     blog  0.00          0               0              0              0  2026-11-21 08:00:00
                shop     shop  0.30         64               0        1048576              0  2026-11-21 08:00:00

                """)
    }

    @Test(
        "what is wrong with a team's command is said",
        arguments: [
            (["put", "a b"], ExitCode.usage, "team must have 1 to 64 letters"),
            (["put", "baobab", "--language", "de"], .usage, "--language takes one of fr, en"),
            (["member", "nobody", "a@example.org"], .notFound, "there is no team nobody"),
            (["member", "baobab", "nonsense"], .usage, "email must be a mail address"),
            (["member", "baobab", "z@example.org", "--remove"], .notFound, "there is no member z@example.org of team baobab"),
            (["project", "baobab", "x", "--cpu", "0.3333"], .usage, "--cpu takes a number such as 0.3, with at most three decimals, not '0.3333'"),
            (["project", "other", "shop"], .failed, "project shop belongs to another team"),
            (["project", "baobab", "shop", "--remove", "--cpu", "1"], .usage, "--remove stands alone"),
            (["put", "baobab", "--remove", "--name", "x"], .usage, "--remove stands alone"),
            (["show", "nobody"], .notFound, "there is no team nobody"),
        ])
    func faults(arguments: [String], code: ExitCode, fault: String) async throws {
        let stage = try await CommandStage.make()
        await Self.team(stage)
        _ = await stage.run("team", "put", "other")
        let result = await stage.run(["team"] + arguments)
        #expect(result.code == code && result.out == "" && result.err.contains(fault), "\(result)")
    }

    // MARK: Usage

    @Test("usage show and top tell what is used, how near the limit, and how old the storage figure is")
    func usage() async throws {
        let stage = try await CommandStage.make()
        await Self.team(stage)
        _ = await stage.run("team", "put", "acacia")
        _ = await stage.run("team", "project", "acacia", "site")
        try await Self.count(4 * Self.gb + Self.gb / 2, of: "shop", unit: "a", stage)
        try await Self.count(5, of: "site", unit: "b", stage)
        let measuredMs = stage.nowMs
        try await stage.write { connection in
            _ = try StorageGauges.set(project: "blog", bytes: 100 << 20, origin: "backup", measuredAtMs: measuredMs, in: connection)
        }
        stage.turn(byMs: 3 * 60_000)
        #expect(
            await stage.run("usage", "show", "baobab").out == """
                baobab, Free, 2026-11
                metric   used bytes  limit bytes  percent  level
                traffic  4831838208   5368709120       90  warning
                storage   104857600    104857600      100  exceeded
                Storage: measured 3 min ago

                project  traffic bytes  storage bytes  updated at
                blog                 0      104857600  2026-11-21 08:00:00
                shop        4831838208              0  2026-11-21 08:00:00

                """)
        #expect(try await stage.json("usage", "top", "--json").array?.map { $0["team"] } == ["baobab", "acacia"])
        #expect(try await stage.json("usage", "top", "--by", "storage", "--level", "exceeded", "--json").array?.map { $0["team"] } == ["baobab"])
        #expect(await stage.run("usage", "top", "--level", "critical").out == "No team is that near to its traffic limit.\n")
        stage.turn(byMs: 37 * 60 * 60_000)
        #expect(try await stage.json("usage", "show", "baobab", "--json")["storage_stale"] == true)
        #expect(try await stage.json("usage", "top", "--json")[0]?["storage_stale"] == true)
        let october = try await stage.json("usage", "show", "baobab", "--period", "2026-10", "--json")
        #expect(october["metrics"]?[0]?["used_bytes"] == 0)
        #expect(october["storage_measured_at"] == .null)
        #expect(await stage.run("usage", "show", "baobab", "--period", "October").code == .usage)
        #expect(await stage.run("usage", "show", "nobody").code == .notFound)
        let status = await stage.run("status")
        #expect(
            status.out.contains("Usage\n2 teams, 3 projects, 4.50 GB of traffic this month, 100.00 MB of storage, 1 projects with stale storage\n"))
        #expect(status.out.contains("storage run: never, limits run: never\n"))
    }

    @Test("runs, alerts, rejected samples and origins are listed")
    func records() async throws {
        let stage = try await CommandStage.make()
        for (words, none) in [
            (["usage", "runs"], "No runs.\n"), (["usage", "alerts"], "No alerts.\n"), (["usage", "rejected"], "Nothing was rejected.\n"),
            (["usage", "origins"], "Storage was never measured.\n"), (["usage", "top"], "Nothing is used.\n"),
        ] { #expect(await stage.run(words) == CommandResult(code: .ok, out: none, err: "")) }
        await Self.team(stage)
        try await Self.count(4 * Self.gb + Self.gb / 2, of: "shop", unit: "a", stage)
        let nowMs = stage.nowMs
        try await stage.write { connection in
            _ = try UsageRun.begin(.storage, tick: "2026-11-21T04:00Z", job: "job_1", nowMs: nowMs, in: connection)
            try UsageRun.end(
                .storage, tick: "2026-11-21T04:00Z", as: .failed, UsageRun.Report(items: 3, errors: 1, detail: "docker: refused"), nowMs: nowMs + 250,
                in: connection)
            _ = try UsageAlerts(outbox: Outbox(slot: "test"), overLimit: true).check(team: "baobab", nowMs: nowMs, in: connection)
            let old = SampleBatch(source: "gateway-1", batch: "b1", projects: ["shop"], rows: [.init(project: 0, bytes: 7, atMs: 0)])
            _ = try UsageCounters.apply([SampleTally(old, nowMs: nowMs)], nowMs: nowMs, in: connection)
            try StorageGauges.recordFailure(origin: "docker", error: "refused", nowMs: nowMs, in: connection)
        }
        #expect(
            await stage.run("usage", "runs").out == """
                kind     tick               started at           outcome  items  errors  duration ms  detail
                storage  2026-11-21T04:00Z  2026-11-21 08:00:00  failed       3       1          250  docker: refused

                """)
        #expect(try await stage.json("usage", "runs", "--kind", "limits", "--json") == [])
        #expect(
            await stage.run("usage", "alerts", "--team", "baobab").out == """
                team    metric   period   threshold  used bytes  limit bytes  plan  state  created at
                baobab  traffic  2026-11         80  4831838208   5368709120  Free  sent   2026-11-21 08:00:00

                """)
        #expect(
            await stage.run("usage", "rejected").out == """
                source     batch  reason   samples  bytes  rejected at
                gateway-1  b1     too_old        1      7  2026-11-21 08:00:00

                """)
        #expect(
            await stage.run("usage", "origins").out == """
                origin  scheduled  measured at  age  stale  failed at            error
                docker  yes        -            -    yes    2026-11-21 08:00:00  refused

                """)
    }

    @Test("usage key makes a fresh word each time that the settings take")
    func key() async throws {
        let stage = try await CommandStage.make(migrated: false)
        let first = await stage.run("usage", "key", "gateway-1")
        let again = await stage.run("usage", "key", "gateway-1")
        #expect(first.code == .ok && first.err == "" && first.out != again.out)
        let parts = first.out.split(separator: "=", maxSplits: 1)
        #expect(parts.first == "USAGE_SOURCE_KEYS")
        let word = String(try #require(parts.last).dropLast())
        #expect(try Settings(environment: ["USAGE_SOURCE_KEYS": word]).usage.sources.map(\.name) == ["gateway-1"])
        #expect(await stage.run("usage", "key", "a b").code == .usage)
        let second = try await CommandStage.make(["USAGE_SOURCE_KEYS": word], migrated: false).run("usage", "key", "gateway-2")
        #expect(second.out.hasPrefix("USAGE_SOURCE_KEYS=gateway-2:"))
        #expect(second.err == "Keep what is set now (gateway-1), and add the new word behind it, separated by a blank.\n")
    }
}

@Suite("quittance cron run of the usage entries")
struct CommandUsageCronTests {
    private static func run(_ stage: CommandStage, _ more: String...) async throws -> (code: ExitCode, json: JSON) {
        let result = await stage.run(["cron", "run", "usage-storage"] + more)
        return (result.code, try JSON(parsing: Array(result.out.utf8)))
    }

    /// The job of the tick that ran last, as worker-usage would find it.
    private static func job(_ stage: CommandStage) async throws -> (id: String, tick: String) {
        try await stage.write { connection in
            let row = try #require(try connection.first("SELECT id, args FROM outbox_jobs WHERE kind = 'storage.measure' ORDER BY sequence DESC"))
            return (try row.text("id"), try JSON(parsing: Array(try row.text("args").utf8))["tick"]?.string ?? "")
        }
    }

    private static func end(
        _ job: (id: String, tick: String), as outcome: UsageRun.Outcome, jobAs: JobRecord.Outcome?, _ stage: CommandStage
    ) async throws {
        let nowMs = stage.nowMs
        try await stage.write { connection in
            _ = try UsageRun.begin(.storage, tick: job.tick, job: job.id, nowMs: nowMs, in: connection)
            try UsageRun.end(
                .storage, tick: job.tick, as: outcome, UsageRun.Report(items: 2, errors: outcome == .done ? 0 : 1, detail: "2 folders"),
                nowMs: nowMs + 40,
                in: connection)
            guard let jobAs else { return }
            let envelope = JobEnvelope(id: job.id, kind: MeasureStorage.kind, queue: MeasureStorage.queue, args: [:], payment: nil, enqueuedAtMs: 0)
            _ = try Outbox.finish(envelope, as: jobAs, nowMs: nowMs + 40, in: connection)
        }
    }

    private static func report(_ outcome: String, _ errors: Int64) -> JSON {
        ["outcome": .string(outcome), "items": 2, "errors": .int(errors), "duration_ms": 40, "detail": "2 folders"]
    }

    @Test("a tick that is due adds one job, however often it is asked for; the answer has room for what the job did")
    func oneJob() async throws {
        let stage = try await CommandStage.make(redis: true)
        _ = await stage.run("cron", "run", "usage-storage")
        stage.turn(byMs: 20 * 60 * 60_000)
        let first = try await Self.run(stage)
        #expect(first.code == .ok)
        #expect(first.json["tick"] == "2026-11-22T04:00Z" && first.json["result"] == "done" && first.json["run"] == .null)
        #expect(try await stage.withQueue("usage") { try await $0.counts().ready } == 1)
        let again = try await Self.run(stage)
        #expect(again.code == .nothingDue && again.json["result"] == "already done" && again.json["detail"] == .null)
        let job = try await Self.job(stage)
        #expect(job.tick == "2026-11-22T04:00Z")
        try await Self.end(job, as: .done, jobAs: .done, stage)
        let later = try await Self.run(stage, "--wait", "60")
        #expect(later.code == .nothingDue)
        #expect(later.json["run"] == Self.report("done", 0))
    }

    @Test("a tick missed while everything was down is caught up, once")
    func caughtUp() async throws {
        let stage = try await CommandStage.make()
        _ = await stage.run("cron", "run", "usage-limits")
        // Three days later the last tick of 06:00 is due, and only that one.
        stage.turn(byMs: 3 * 24 * 60 * 60_000)
        let result = await stage.run("cron", "run", "usage-limits")
        #expect(result.out.contains(#""tick":"2026-11-24T06:00Z","result":"done""#))
        #expect(await stage.run("cron", "run", "usage-limits").code == .nothingDue)
        let jobs = try await stage.write { try $0.query("SELECT args FROM outbox_jobs WHERE kind = 'limits.check'").map { try $0.text("args") } }
        #expect(jobs == [#"{"tick":"2026-11-24T06:00Z"}"#])
    }

    @Test("with --wait the end of the job is waited for and told; exit code 1 when it failed")
    func waits() async throws {
        let stage = try await CommandStage.make(redis: true)
        for (outcome, jobAs, code) in [
            (UsageRun.Outcome.done, JobRecord.Outcome.done, ExitCode.ok), (.failed, .buried, .failed),
        ] {
            async let answer = Self.run(stage, "--now", "--wait", "60")
            try await eventually("the job is on its queue") { try await stage.withQueue("usage") { try await $0.counts().ready } > 0 }
            let job = try await Self.job(stage)
            try await Self.end(job, as: outcome, jobAs: jobAs, stage)
            let (got, json) = try await answer
            #expect(got == code)
            #expect(json["tick"]?.string == job.tick && json["result"] == "done")
            #expect(json["run"] == Self.report(outcome.rawValue, outcome == .done ? 0 : 1))
            try await stage.redis("DEL", "quittance:{usage}:ready")
        }
    }

    @Test("a job still at work after the wait is exit code 5, an attempt that failed and comes again is exit code 1")
    func stillAtWork() async throws {
        let stage = try await CommandStage.make(redis: true)
        let first = try await Self.run(stage, "--now", "--wait", "0")
        #expect(first.code == .underWay && first.json["run"] == .null)
        _ = await stage.run("cron", "run", "usage-limits")
        stage.turn(byMs: 20 * 60 * 60_000)
        _ = try await Self.run(stage)
        let job = try await Self.job(stage)
        try await Self.end(job, as: .failed, jobAs: nil, stage)
        let second = try await Self.run(stage, "--wait", "0")
        #expect(second.code == .failed && second.json["run"] == Self.report("failed", 1))
        #expect(await stage.run("cron", "run", "usage-storage", "--wait", "soon").code == .usage)
    }
}
