import Access
import Database
import Formats
import JobQueue
import TestSupport
import Testing
import Usage

@Suite("The scheduled entries over HTTP")
struct WebCronTests {
    private static func post(_ stage: WebStage, _ path: String) async throws -> WebStage.Answer {
        try await stage.send("POST", path, headers: ["authorization": "Bearer \(stage.key)"])
    }

    @Test("the entries are listed with their ticks")
    func listing() async throws {
        try await WebStage.with { stage in
            _ = try await Self.post(stage, "/api/v1/cron/sweep/run?now=true")
            let answer = try await stage.get("/api/v1/cron/")
            #expect(answer.status == 200, "\(answer.text)")
            let entries = try #require(answer.json["entries"]?.array)
            #expect(entries.compactMap { $0["entry"]?.string } == ["usage-storage", "usage-limits", "sweep", "broken"])
            let sweep = try #require(entries.first { $0["entry"] == "sweep" })
            #expect(sweep["last_outcome"] == "done")
            #expect(sweep["last_detail"] == "3 swept")
            #expect(sweep["paused"] == false)
            #expect(sweep["zone"] == "UTC" && sweep["catch_up"] == "latest" && sweep["overlap"] == "allow" && sweep["schedule"] == "* * * * *")
            #expect(sweep["next"]?.string.flatMap(Timestamp.parse).map { $0 > stage.nowMs - 60_000 } == true)
        }
    }

    @Test("an entry that works at once is done at once, each tick once")
    func atOnce() async throws {
        try await WebStage.with { stage in
            let first = try await Self.post(stage, "/api/v1/cron/sweep/run")
            #expect(first.status == 200 || first.status == 409, "\(first.text)")
            stage.turnClock(by: 60_000)
            let second = try await Self.post(stage, "/api/v1/cron/sweep/run")
            #expect(second.status == 200, "\(second.text)")
            #expect(second.string("result") == "done")
            #expect(second.string("detail") == "3 swept")
            #expect(second.string("tick")?.hasSuffix("Z") == true)
            let again = try await Self.post(stage, "/api/v1/cron/sweep/run")
            if again.status == 409 {
                #expect(again.string("result") == "already done")
                #expect(again.headers["content-type"] == "application/problem+json")
                #expect(again.string("tick") == second.string("tick"))
            } else {
                // A minute has begun in between.
                #expect(again.string("tick") != second.string("tick"))
            }
            let extra = try await Self.post(stage, "/api/v1/cron/sweep/run?now=true")
            #expect(extra.status == 200)
            #expect(extra.string("tick")?.hasPrefix("manual-") == true)
        }
    }

    @Test("an entry is paused and resumed, and its next ticks are shown")
    func pausing() async throws {
        try await WebStage.with { stage in
            for _ in 0..<2 {
                let paused = try await Self.post(stage, "/api/v1/cron/sweep/pause")
                #expect(paused.status == 200 && paused.json["paused"] == true && paused.json["next"] == .null, "\(paused.text)")
            }
            stage.turnClock(by: 120_000)
            let rests = try await Self.post(stage, "/api/v1/cron/sweep/run")
            #expect(rests.status == 409 && rests.string("result") == "nothing due")
            let resumed = try await Self.post(stage, "/api/v1/cron/sweep/resume")
            #expect(resumed.status == 200 && resumed.json["paused"] == false && resumed.json["entry"] == "sweep")

            let next = try await stage.get("/api/v1/cron/sweep/next?count=3")
            let ticks = try #require(next.json["next"]?.array?.compactMap { $0["at"]?.string.flatMap { Timestamp.parse($0) } })
            #expect(ticks.count == 3 && zip(ticks.dropFirst(), ticks).allSatisfy { $0 - $1 == 60_000 } && ticks[0] > stage.nowMs - 60_000)
            #expect(next.json["zone"] == "UTC" && next.json["next"]?[0]?["tick"]?.string?.hasSuffix("Z") == true)
            #expect(try await stage.get("/api/v1/cron/sweep/next").json["next"]?.array?.count == 10)
            #expect(try await stage.get("/api/v1/cron/sweep/next?count=1001").status == 422)
            #expect(try await stage.get("/api/v1/cron/coffee/next").status == 404)
        }
    }

    @Test("what is due is for the queues' server to say: without its answer nothing runs")
    func serverAway() async throws {
        try await WebStage.with(serverClock: ServerClock(server: NoServer())) { stage in
            for path in ["sweep/run", "sweep/run?now=true", "sweep/pause", "sweep/resume"] {
                let answer = try await Self.post(stage, "/api/v1/cron/\(path)")
                #expect(answer.status == 503 && answer.headers["retry-after"] == "5", "\(path): \(answer.text)")
            }
            #expect(try await stage.get("/api/v1/cron/").status == 503)
        }
    }

    private struct NoServer: ServerTime {
        func serverNowMs() async throws(QueueDriverError) -> Int64 { throw QueueDriverError(.unavailable, "away") }
    }

    @Test("a run by a worker is told when it ends while the call waits, and is under way before")
    func waiting() async throws {
        try await WebStage.with { stage in
            let open = try await Self.post(stage, "/api/v1/cron/usage-storage/run?now=true")
            #expect(open.status == 202, "\(open.text)")
            #expect(open.json["run"] == .null)
            #expect(open.string("result") == "done")

            async let waited = Self.post(stage, "/api/v1/cron/usage-limits/run?now=true&wait=20")
            let tick = try await Self.tick(of: CheckLimits.kind, stage)
            let now = stage.nowMs
            try await stage.database.write { connection in
                _ = try UsageRun.begin(.limits, tick: tick, job: "job_x", nowMs: now, in: connection)
            }
            try await stage.database.write { connection in
                let report = UsageRun.Report(items: 12, errors: 1, detail: "12 teams")
                try UsageRun.end(.limits, tick: tick, as: .done, report, nowMs: now + 340, in: connection)
            }
            let answer = try await waited
            #expect(answer.status == 200, "\(answer.text)")
            #expect(answer.string("tick") == tick)
            #expect(answer.json["run"] == ["outcome": "done", "items": 12, "errors": 1, "duration_ms": 340, "detail": "12 teams"])
        }
    }

    /// The tick whose job of a kind has been added.
    private static func tick(of kind: String, _ stage: WebStage) async throws -> String {
        var tick: String?
        try await eventually("the job is there") {
            let row = try await stage.database.read { try $0.first("SELECT args FROM outbox_jobs WHERE kind = $1", [.text(kind)]) }
            guard let row else { return false }
            tick = try JSON(parsing: Array(try row.text("args").utf8))["tick"]?.string
            return tick != nil
        }
        return tick ?? ""
    }

    @Test("a run that has failed is 500 with what it did")
    func failedRun() async throws {
        try await WebStage.with { stage in
            async let waited = Self.post(stage, "/api/v1/cron/usage-storage/run?now=true&wait=20")
            let tick = try await Self.tick(of: MeasureStorage.kind, stage)
            let now = stage.nowMs
            try await stage.database.write { connection in
                _ = try UsageRun.begin(.storage, tick: tick, job: "job_x", nowMs: now, in: connection)
                let report = UsageRun.Report(items: 3, errors: 1, detail: "docker: connection refused")
                try UsageRun.end(.storage, tick: tick, as: .failed, report, nowMs: now + 5, in: connection)
            }
            let answer = try await waited
            #expect(answer.status == 500, "\(answer.text)")
            #expect(answer.json["run"]?["outcome"] == "failed")
            #expect(answer.json["run"]?["errors"] == 1)
            #expect(answer.string("tick") == tick)
            #expect(answer.string("detail") == "docker: connection refused")
        }
    }

    @Test("an entry that fails says so with 500 and why")
    func failing() async throws {
        try await WebStage.with { stage in
            let answer = try await Self.post(stage, "/api/v1/cron/broken/run?now=true&wait=5")
            #expect(answer.status == 500)
            #expect(answer.string("result") == "failed")
            #expect(answer.string("detail")?.contains("the shelf is empty") == true)
        }
    }

    @Test("an unknown entry is 404, odd parameters are 422, a key without the scope 403")
    func refused() async throws {
        try await WebStage.with { stage in
            let unknown = try await Self.post(stage, "/api/v1/cron/coffee/run")
            #expect(unknown.status == 404)
            #expect(unknown.string("detail")?.contains("usage-storage") == true)
            for query in ["wait=-1", "wait=121", "wait=x", "now=1"] {
                #expect(try await Self.post(stage, "/api/v1/cron/sweep/run?\(query)").status == 422, "\(query)")
            }
            let other = try await stage.database.write {
                try APIKeys.create(name: "other", scopes: ["payments", "teams", "usage"], nowMs: 1, in: $0).text
            }
            for (method, path) in [("GET", "/api/v1/cron/"), ("POST", "/api/v1/cron/sweep/run")] {
                #expect(try await stage.send(method, path, headers: ["authorization": "Bearer \(other)"]).status == 403)
                #expect(try await stage.send(method, path).status == 401)
            }
            #expect(try await stage.get("/api/v1/cron/sweep/run").status == 405)
        }
    }
}
