import Access
import Database
import Formats
import Plans
import Teams
import TestSupport
import Testing

@testable import WebService

@Suite("Teams, members and projects over HTTP")
struct WebTeamTests {
    static let acme: JSON = ["name": "Acme", "owner": "user-1", "language": "en"]

    @Test("a team is entered, changed, shown with members, projects and plan, listed and removed")
    func life() async throws {
        try await WebStage.with { stage in
            let entered = try await stage.put("/api/teams/acme", Self.acme)
            #expect(entered.status == 201, "\(entered.text)")
            let changed = try await stage.put("/api/teams/acme", ["name": "Acme & Fils", "owner": "user-1", "language": "fr"])
            #expect(changed.status == 200)
            #expect(changed.string("name") == "Acme & Fils")

            let person = try await stage.put("/api/teams/acme/members/awa%40example.org", ["name": "Awa", "role": "owner"])
            #expect(person.status == 201, "\(person.text)")
            #expect(person.json["language"] == "fr")
            #expect(person.json["gets_alerts"] == true)
            let quieter = try await stage.put("/api/teams/acme/members/awa%40example.org", ["name": "Awa", "role": "owner", "gets_alerts": false])
            #expect(quieter.status == 200)
            #expect(quieter.json["gets_alerts"] == false)
            let project = try await stage.put("/api/teams/acme/projects/shop", ["name": "Shop", "cpu": .number("0.25"), "memory_mb": 64])
            #expect(project.status == 201, "\(project.text)")

            let shown = try await stage.get("/api/teams/acme")
            #expect(shown.status == 200)
            #expect(shown.json["members"]?[0]?["email"] == "awa@example.org")
            #expect(shown.json["projects"]?[0]?["cpu"] == .number("0.25"))
            #expect(shown.json["projects"]?[0]?["custom_domains"] == 0)
            #expect(shown.json["subscription"] == .null)
            #expect(shown.json["uses"]?["cpu"] == ["used": .number("0.25"), "max": .number("0.3")])
            #expect(shown.json["over_limits"] == [])

            let list = try await stage.get("/api/teams")
            #expect(list.json["teams"]?.array?.map { $0["id"] } == ["acme"])
            #expect(list.json["next"] == .null)
            #expect(try await stage.delete("/api/teams/acme/members/awa%40example.org").status == 204)
            #expect(try await stage.delete("/api/teams/acme/members/awa%40example.org").status == 404)
            #expect(try await stage.delete("/api/teams/acme/projects/shop").status == 204)
            #expect(try await stage.delete("/api/teams/acme/projects/shop").status == 404)
            #expect(try await stage.delete("/api/teams/acme").status == 204)
            #expect(try await stage.get("/api/teams/acme").status == 404)
            #expect(try await stage.delete("/api/teams/acme").status == 404)
        }
    }

    @Test("Free and Pro are shown with all limits in the seed's words and units")
    func plans() async throws {
        try await WebStage.with { stage in
            try await stage.team("small")
            try await stage.team("large", plan: Plan.pro)
            let free = try #require(try await stage.get("/api/teams/small").json["plan"])
            #expect(
                free == [
                    "id": "free", "name": "Free", "version": 1, "max_teams": 1, "max_members": 1, "max_projects": 2, "max_cpu": .number("0.3"),
                    "max_memory_mb": 100, "max_traffic_gb_per_month": 5, "max_storage_mb": 100, "custom_domains": false, "price": .number("0.00"),
                    "currency": "EUR", "period_months": 1,
                ])
            let large = try await stage.get("/api/teams/large")
            #expect(
                large.json["plan"] == [
                    "id": "pay_as_you_go", "name": "Pro", "version": 1, "max_teams": -1, "max_members": -1, "max_projects": -1, "max_cpu": 4,
                    "max_memory_mb": 6144, "max_traffic_gb_per_month": 10, "max_storage_mb": 10240, "custom_domains": true,
                    "price": .number("3.00"), "currency": "EUR", "period_months": 1,
                ])
            #expect(large.json["subscription"]?["status"] == "active")
            #expect(large.json["subscription"]?["plan"] == "pay_as_you_go")
        }
    }

    @Test(
        "every field that breaks a rule is named, and nothing is entered",
        arguments: [
            ("/api/teams/a%20b", ["name": "", "language": "de"], ["team", "name", "owner", "language"]),
            ("/api/teams/acme", ["name": 7, "owner": "a\nb"], ["name", "owner"]),
            ("/api/teams/old/members/nobody", ["name": "A"], ["email"]),
            ("/api/teams/old/members/a%40b.org", ["role": "king", "gets_alerts": "yes"], ["name", "role", "gets_alerts"]),
            (
                "/api/teams/old/projects/a%2Fb", ["cpu": .number("0.0001"), "memory_mb": .number("1.5"), "custom_domains": -1],
                ["project", "cpu", "memory_mb", "custom_domains"]
            ),
            ("/api/teams/old/projects/shop", ["cpu": .number("-1")], ["cpu"]),
            ("/api/teams/old/projects/shop?enforce=maybe", [:], ["enforce"]),
        ] as [(String, JSON, [String])])
    func faults(path: String, body: JSON, fields: [String]) async throws {
        try await WebStage.with { stage in
            try await stage.team("old")
            let answer = try await stage.put(path, body)
            #expect(answer.status == 422, "\(answer.text)")
            #expect(answer.headers["content-type"] == "application/problem+json")
            let named = answer.json["errors"]?.array?.compactMap { $0["field"]?.string } ?? []
            #expect(Set(named) == Set(fields), "\(answer.text)")
            let kept = try await stage.database.read { connection in
                [
                    try TeamStore.everyTeam(in: connection).count, try TeamStore.members(of: "old", in: connection).count,
                    try TeamStore.projects(of: "old", in: connection).count,
                ]
            }
            #expect(kept == [1, 0, 0])
        }
    }

    @Test("what belongs to no team, and what belongs to another one, is told apart")
    func strangers() async throws {
        try await WebStage.with { stage in
            try await stage.team("one", projects: ["shop"])
            try await stage.team("two")
            #expect(try await stage.put("/api/teams/none/projects/shop2", [:]).status == 404)
            #expect(try await stage.put("/api/teams/none/members/a%40b.org", ["name": "A"]).status == 404)
            let taken = try await stage.put("/api/teams/two/projects/shop", [:])
            #expect(taken.status == 409, "\(taken.text)")
            #expect(taken.string("detail") == "project shop belongs to another team")
            #expect(try await stage.delete("/api/teams/two/projects/shop").status == 404)
        }
    }

    @Test("teams are listed page by page, each once")
    func paging() async throws {
        try await WebStage.with { stage in
            let ids = (0..<23).map { "team-\($0 + 100)" }
            try await stage.database.write { connection in
                for id in ids { try TeamStore.put(Team(id: id, name: id, owner: id, language: "fr", createdAtMs: 1), in: connection) }
            }
            var seen: [String] = []
            var path: String? = "/api/teams?limit=10"
            while let next = path {
                let answer = try await stage.get(next)
                seen += answer.json["teams"]?.array?.compactMap { $0["id"]?.string } ?? []
                path = answer.string("next").map { "/api/teams?limit=10&after=\($0)" }
            }
            #expect(seen == ids)
            for limit in ["0", "201", "x", "-1"] { #expect(try await stage.get("/api/teams?limit=\(limit)").status == 422) }
        }
    }

    @Test("the calls take a key with the scope teams, and no other")
    func scope() async throws {
        try await WebStage.with { stage in
            let other = try await stage.database.write { try Self.key(["payments", "usage"], in: $0) }
            for (method, path) in [
                ("GET", "/api/teams"), ("PUT", "/api/teams/a"), ("DELETE", "/api/teams/a"), ("PUT", "/api/teams/a/members/b%40c.de"),
                ("PUT", "/api/teams/a/projects/b"), ("POST", "/api/teams/a/page-link"),
            ] {
                let answer = try await stage.send(method, path, headers: ["authorization": "Bearer \(other)"])
                #expect(answer.status == 403, "\(method) \(path)")
                #expect(try await stage.send(method, path).status == 401)
            }
        }
    }

    static func key(_ scopes: [String], in connection: Connection) throws -> String {
        try APIKeys.create(name: "another", scopes: scopes, nowMs: 1, in: connection).text
    }

    @Test(
        "decimals of at most three places are read and written exactly",
        arguments: [
            ("0.3", 300, "0.3"), ("0", 0, "0"), ("4.0", 4000, "4"), ("0.001", 1, "0.001"), ("12.340", 12340, "12.34"), ("1.5000", 1500, "1.5"),
            ("999999999999", 999_999_999_999_000, "999999999999"),
        ])
    func thousandths(text: String, value: Int64, written: String) {
        #expect(Thousandths.parse(text) == value)
        #expect(Thousandths.text(value) == written)
    }

    @Test("what is no such decimal is none", arguments: ["", ".5", "5.", "-1", "+1", "1e3", "0.0001", "1,5", " 1", "٣", "1000000000000", "1.2.3"])
    func noThousandths(text: String) { #expect(Thousandths.parse(text) == nil) }
}
