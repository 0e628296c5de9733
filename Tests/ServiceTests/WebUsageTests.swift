import Access
import Database
import Formats
import Plans
import Teams
import TestSupport
import Testing
import Usage

@testable import WebService

@Suite("What teams have used, over HTTP")
struct WebUsageTests {
    @Test("the summary tells plan, month, figures in bytes, MB and GB, limits, percent, level and every project")
    func summary() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", projects: ["shop", "blog"])
            try await stage.traffic("shop", 4 * ByteFigure.gb)
            try await stage.traffic("blog", ByteFigure.gb / 4)
            try await stage.storage("shop", 96 * ByteFigure.mb)
            let answer = try await stage.get("/api/usage/acme")
            #expect(answer.status == 200, "\(answer.text)")
            let period = UsagePeriod(containing: stage.nowMs)
            #expect(answer.string("period") == period.description)
            #expect(answer.json["year"] == .int(Int64(period.year)))
            #expect(answer.json["month"] == .int(Int64(period.month)))
            #expect(answer.json["plan"]?["name"] == "Free")
            #expect(answer.json["level"] == "critical")
            let traffic = try #require(answer.json["traffic"])
            #expect(traffic["bytes"] == .int(4 * ByteFigure.gb + ByteFigure.gb / 4))
            #expect(traffic["mb"] == .number("4352.00"))
            #expect(traffic["gb"] == .number("4.25"))
            #expect(traffic["limit"] == "max_traffic_gb_per_month")
            #expect(traffic["limit_bytes"] == .int(5 * ByteFigure.gb))
            #expect(traffic["percent"] == 85)
            #expect(traffic["level"] == "warning")
            let storage = try #require(answer.json["storage"])
            #expect(storage["mb"] == .number("96.00"))
            #expect(storage["percent"] == 96)
            #expect(storage["level"] == "critical")
            #expect(storage["stale"] == false)
            #expect(storage["measured_at"]?.string != nil)
            let projects = try #require(answer.json["projects"]?.array)
            #expect(projects.map { $0["project_id"] } == ["blog", "shop"])
            #expect(
                projects[1].object?.keys == [
                    "id", "project_id", "month", "year", "traffic_bytes", "storage_bytes", "created_at", "updated_at",
                ])
            #expect(projects[1]["traffic_bytes"] == .int(4 * ByteFigure.gb))
            #expect(projects[1]["storage_bytes"] == .int(96 * ByteFigure.mb))
        }
    }

    @Test("storage that was told here is forgotten on demand, once")
    func forgetStorage() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", projects: ["shop"])
            let path = "/api/usage/shop/storage"
            #expect(try await stage.put(path, ["bytes": 5]).status == 200)
            #expect(try await stage.delete(path).status == 204)
            #expect(try await stage.delete(path).status == 404)
            let project = try await stage.get("/api/usage/acme/projects/shop")
            #expect(project.json["storage_bytes"] == 0)
        }
    }

    @Test("how long answers take is measured by route")
    func requestSeconds() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", projects: ["shop"])
            #expect(try await stage.get("/api/usage/acme").status == 200)
            let metrics = try await stage.get("/metrics").text
            let line = try #require(
                metrics.split(separator: "\n").first { $0.hasPrefix(#"web_request_seconds_count{route="GET /api/usage/{team}"}"#) })
            #expect(line.split(separator: " ").last.flatMap { Int($0) } ?? 0 >= 1)
        }
    }

    @Test(
        "levels go by whole numbers at 80, 95 and 100 percent",
        arguments: [
            (0, 0, "ok"), (79, 79, "ok"), (80, 80, "warning"), (94, 94, "warning"), (95, 95, "critical"), (100, 100, "exceeded"),
            (250, 250, "exceeded"),
        ]
            as [(Int64, Int64, String)])
    func levels(mb: Int64, percent: Int64, level: String) async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", projects: ["shop"])
            try await stage.storage("shop", mb * ByteFigure.mb)
            let storage = try await stage.get("/api/usage/acme").json["storage"]
            #expect(storage?["level"] == .string(level))
            #expect(storage?["percent"] == .int(percent))
        }
    }

    @Test("an unlimited metric has no percent and is ok; storage that is old or was never measured is stale")
    func special() async throws {
        try await WebStage.with { stage in
            try await stage.database.write { connection in
                try connection.execute("UPDATE plans_versions SET max_traffic_bytes_per_month = -1 WHERE plan = 'pay_as_you_go'")
            }
            try await stage.team("acme", plan: Plan.pro, projects: ["shop"])
            try await stage.traffic("shop", 1 << 50)
            let never = try await stage.get("/api/usage/acme")
            #expect(never.json["traffic"]?["percent"] == .null)
            #expect(never.json["traffic"]?["level"] == "ok")
            #expect(never.json["traffic"]?["limit_bytes"] == -1)
            #expect(never.json["plan"]?["max_traffic_gb_per_month"] == -1)
            #expect(never.json["storage"]?["measured_at"] == .null)
            #expect(never.json["storage"]?["stale"] == true)
            try await stage.storage("shop", 5, atMs: stage.nowMs - StorageGauge.staleAfterMs - 60_000)
            #expect(try await stage.get("/api/usage/acme").json["storage"]?["stale"] == true)
            let nobody = try await stage.get("/api/usage/nobody")
            #expect(nobody.status == 404)
        }
    }

    @Test("a month that is over is asked for by its name; what is no month is refused")
    func periods() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", projects: ["shop"])
            let last = UsagePeriod(containing: stage.nowMs).adding(months: -1)
            try await stage.traffic("shop", 321, atMs: last.endMs - 1)
            let answer = try await stage.get("/api/usage/acme?period=\(last)")
            #expect(answer.json["traffic"]?["bytes"] == 321, "\(answer.text)")
            #expect(answer.json["storage"]?["measured_at"] == .null)
            #expect(answer.json["storage"]?["stale"] == .null)
            #expect(try await stage.get("/api/usage/acme").json["traffic"]?["bytes"] == 0)
            for bad in ["2026-13", "2026-00", "2026", "x", "2026-1", "1969-12", ""] {
                #expect(try await stage.get("/api/usage/acme?period=\(bad)").status == 422, "\(bad)")
            }
        }
    }

    @Test("one project's month is told with the state of its storage; another team's project is not there")
    func project() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", projects: ["shop"])
            try await stage.team("other", projects: ["blog"])
            try await stage.traffic("shop", 11)
            let answer = try await stage.get("/api/usage/acme/projects/shop")
            #expect(answer.json["traffic_bytes"] == 11, "\(answer.text)")
            #expect(answer.json["project_id"] == "shop")
            #expect(answer.json["storage_stale"] == true)
            #expect(try await stage.get("/api/usage/acme/projects/blog").status == 404)
            #expect(try await stage.get("/api/usage/acme/projects/none").status == 404)
            let empty = try await stage.get("/api/usage/acme/projects/shop?period=2020-01")
            #expect(empty.json["traffic_bytes"] == 0)
            #expect(empty.json["created_at"] == .null)
        }
    }

    @Test("history gives months without a gap and the days on record")
    func history() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", projects: ["shop"])
            let now = UsagePeriod(containing: stage.nowMs)
            try await stage.traffic("shop", 5)
            try await stage.traffic("shop", 7, atMs: now.adding(months: -1).startMs)
            let answer = try await stage.get("/api/usage/acme/history?months=4&days=366")
            #expect(answer.status == 200, "\(answer.text)")
            let months = try #require(answer.json["months"]?.array)
            #expect(months.map { $0["period"]?.string } == (0..<4).map { now.adding(months: $0 - 3).description })
            #expect(months.map { $0["traffic_bytes"] } == [0, 0, 7, 5])
            let days = try #require(answer.json["days"]?.array)
            #expect(days.compactMap { $0["traffic_bytes"]?.int } == [7, 5])
            #expect(days.last?["date"] == .string(Timestamp.date(stage.nowMs)))
            #expect(try await stage.get("/api/usage/acme/history?days=0").json["days"] == [])
            #expect(try await stage.get("/api/usage/acme/history").json["months"]?.array?.count == 12)
            for bad in ["months=0", "months=37", "months=x", "days=367", "days=-1"] {
                #expect(try await stage.get("/api/usage/acme/history?\(bad)").status == 422)
            }
            #expect(try await stage.get("/api/usage/none/history").status == 404)
        }
    }

    @Test("the export is a file of RFC 4180 in which no field is a formula")
    func export() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme")
            let now = UsagePeriod(containing: stage.nowMs)
            try await stage.database.write { connection in
                for (id, name) in [("-shop", "=HYPERLINK(\"http://evil\")"), ("b", "a,b"), ("c", "+1"), ("d", "@x"), ("e", "Été \"x\"")] {
                    try TeamStore.put(Project(id: id, team: "acme", name: name, createdAtMs: 1), in: connection)
                }
            }
            for id in ["-shop", "b", "c", "d", "e"] { try await stage.traffic(id, 1) }
            try await stage.traffic("b", 2, atMs: now.adding(months: -1).startMs)
            let answer = try await stage.get("/api/usage/acme/export.csv")
            #expect(answer.status == 200)
            #expect(answer.headers["content-type"] == "text/csv; charset=utf-8; header=present")
            #expect(answer.headers["content-disposition"] == "attachment; filename=\"usage-acme-\(now.adding(months: -11))-\(now).csv\"")
            let text = answer.text
            #expect(text.hasSuffix("\r\n"))
            let lines = text.split(separator: "\r\n").map(String.init)
            #expect(lines.count == 7)
            #expect(lines[0] == "team,project_id,project_name,year,month,traffic_bytes,storage_bytes,created_at,updated_at")
            #expect(lines[1].hasPrefix("acme,'-shop,\"'=HYPERLINK(\"\"http://evil\"\")\",\(now.year),\(now.month),1,,"))
            #expect(lines.filter { $0.hasPrefix("acme,b,\"a,b\",") }.count == 2)
            #expect(lines.contains { $0.hasPrefix("acme,c,'+1,") })
            #expect(lines.contains { $0.hasPrefix("acme,d,'@x,") })
            #expect(lines.contains { $0.hasPrefix("acme,e,\"Été \"\"x\"\"\",") })
            let one = try await stage.get("/api/usage/acme/export.csv?from=\(now)&to=\(now)")
            #expect(one.text.split(separator: "\r\n").count == 6)
            for bad in ["from=2026-11&to=2026-10", "from=2020-01&to=2026-01", "from=x", "to=2026-99"] {
                #expect(try await stage.get("/api/usage/acme/export.csv?\(bad)").status == 422, "\(bad)")
            }
            #expect(try await stage.get("/api/usage/none/export.csv").status == 404)
        }
    }

    @Test(
        "a field of a CSV is quoted where it must be, and is never a formula",
        arguments: [
            ("plain", "plain"), ("", ""), ("a\"b", "\"a\"\"b\""), ("a\r\nb", "\"a\r\nb\""), (" a", "\" a\""), ("=1+1", "'=1+1"), ("-2", "'-2"),
            ("\t=1", "'\t=1"), ("\r=1", "\"'\r=1\""), ("＝1", "'＝1"), ("=\"a,b\"", "\"'=\"\"a,b\"\"\""),
        ])
    func field(text: String, written: String) { #expect(CSVText.field(text) == written) }

    @Test("storage measured elsewhere is taken, the newest measurement counts, and what makes no sense is refused")
    func storage() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", projects: ["shop"])
            let now = stage.nowMs
            let first = try await stage.put(
                "/api/usage/shop/storage", ["bytes": 5000, "measured_at": .string(Timestamp.rfc3339(now - 1000))])
            #expect(first.status == 200, "\(first.text)")
            #expect(first.json["taken"] == true)
            #expect(first.json["storage_bytes"] == 5000)
            #expect(first.string("measured_at") == Timestamp.rfc3339(now - 1000))
            let older = try await stage.put("/api/usage/shop/storage", ["bytes": 1, "measured_at": .string(Timestamp.rfc3339(now - 2000))])
            #expect(older.json["taken"] == false)
            #expect(older.json["storage_bytes"] == 5000)
            let newer = try await stage.put("/api/usage/shop/storage", ["bytes": 0])
            #expect(newer.json["storage_bytes"] == 0)
            #expect(try await stage.get("/api/usage/acme").json["storage"]?["bytes"] == 0)
            let bad: [JSON] = [
                [:], ["bytes": -1], ["bytes": .number("1.5")], ["bytes": "5"], ["bytes": .number("9007199254740993")],
                ["bytes": 1, "measured_at": "yesterday"], ["bytes": 1, "measured_at": .string(Timestamp.rfc3339(now + 10 * 60_000))],
                ["bytes": 1, "measured_at": "2020-01-01T00:00:00Z"],
            ]
            for body in bad { #expect(try await stage.put("/api/usage/shop/storage", body).status == 422, "\(body)") }
            #expect(try await stage.put("/api/usage/none/storage", ["bytes": 1]).status == 404)
        }
    }

    @Test("the calls take a key with the scope usage, and no other")
    func scope() async throws {
        try await WebStage.with { stage in
            let other = try await stage.database.write {
                try APIKeys.create(name: "other", scopes: ["payments", "teams", "cron"], nowMs: 1, in: $0).text
            }
            for (method, path) in [
                ("GET", "/api/usage/a"), ("GET", "/api/usage/a/history"), ("GET", "/api/usage/a/export.csv"), ("GET", "/api/usage/a/projects/b"),
                ("PUT", "/api/usage/a/storage"), ("GET", "/api/usage/a/allowed"), ("GET", "/api/teams/a/allowed?resource=members"),
            ] {
                let answer = try await stage.send(method, path, headers: ["authorization": "Bearer \(other)"])
                #expect(answer.status == 403, "\(method) \(path)")
                #expect(try await stage.send(method, path).status == 401)
            }
        }
    }

    @Test("a team of 3,000 projects is summed, told and exported whole")
    func bigTeam() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", plan: Plan.pro, projects: (0..<3000).map { "p\($0)" })
            let now = stage.nowMs
            try await stage.database.write { connection in
                for number in 0..<3000 {
                    try UsageCounters.recordTraffic(
                        project: "p\(number)", bytes: Int64(number), atMs: now, unit: "u\(number)", nowMs: now, in: connection)
                }
            }
            let answer = try await stage.get("/api/usage/acme")
            #expect(answer.json["traffic"]?["bytes"] == .int(2999 * 3000 / 2))
            #expect(answer.json["projects"]?.array?.count == 3000)
            #expect(try await stage.get("/api/usage/acme/export.csv").text.split(separator: "\r\n").count == 3001)
            #expect(try await stage.get("/api/teams/acme").json["projects"]?.array?.count == 3000)
        }
    }
}
