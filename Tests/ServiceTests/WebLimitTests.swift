import Database
import Formats
import Plans
import Teams
import TestSupport
import Testing

@Suite("The limits of a plan over HTTP")
struct WebLimitTests {
    struct Situation: Sendable, CustomStringConvertible {
        let resource: String
        let plan: String
        /// What the team has.
        let used: String
        let adding: String
        let max: String
        let isAllowed: Bool
        var description: String { "\(plan): \(used) + \(adding) \(resource) of \(max)" }

        init(_ plan: String, _ resource: String, _ used: String, adding: String, of max: String, _ isAllowed: Bool) {
            (self.plan, self.resource, self.used, self.adding, self.max, self.isAllowed) = (plan, resource, used, adding, max, isAllowed)
        }
    }

    static let situations = [
        Situation("free", "members", "0", adding: "1", of: "1", true), Situation("free", "members", "1", adding: "1", of: "1", false),
        Situation("free", "members", "0", adding: "2", of: "1", false), Situation("free", "members", "3", adding: "0", of: "1", false),
        Situation("pay_as_you_go", "members", "40", adding: "1000", of: "-1", true),
        Situation("free", "projects", "1", adding: "1", of: "2", true), Situation("free", "projects", "2", adding: "1", of: "2", false),
        Situation("free", "projects", "2", adding: "0", of: "2", true), Situation("pay_as_you_go", "projects", "50", adding: "1", of: "-1", true),
        Situation("free", "cpu", "0", adding: "0.299", of: "0.3", true), Situation("free", "cpu", "0", adding: "0.3", of: "0.3", true),
        Situation("free", "cpu", "0", adding: "0.301", of: "0.3", false), Situation("free", "cpu", "0.2", adding: "0.1", of: "0.3", true),
        Situation("free", "cpu", "0.2", adding: "0.101", of: "0.3", false),
        Situation("pay_as_you_go", "cpu", "3.5", adding: "0.5", of: "4", true),
        Situation("pay_as_you_go", "cpu", "3.5", adding: "0.501", of: "4", false),
        Situation("free", "memory_mb", "99", adding: "1", of: "100", true), Situation("free", "memory_mb", "100", adding: "1", of: "100", false),
        Situation("free", "memory_mb", "0", adding: "101", of: "100", false),
        Situation("pay_as_you_go", "memory_mb", "6143", adding: "1", of: "6144", true),
        Situation("pay_as_you_go", "memory_mb", "6144", adding: "1", of: "6144", false),
        Situation("free", "custom_domains", "0", adding: "1", of: "0", false),
        Situation("free", "custom_domains", "0", adding: "0", of: "0", true),
        Situation("pay_as_you_go", "custom_domains", "9", adding: "1", of: "-1", true),
        Situation("free", "teams", "1", adding: "1", of: "1", false), Situation("free", "teams", "1", adding: "0", of: "1", true),
        Situation("pay_as_you_go", "teams", "3", adding: "1", of: "-1", true),
    ]

    /// Makes a team have so much of a resource, whatever its plan says.
    static func prepare(_ situation: Situation, _ stage: WebStage) async throws {
        try await stage.team("acme", owner: "user-1", plan: situation.plan)
        switch situation.resource {
        case "members":
            for number in 0..<(Int(situation.used) ?? 0) {
                _ = try await stage.put("/api/teams/acme/members/m\(number)%40example.org?enforce=false", ["name": "M"])
            }
        case "projects":
            for number in 0..<(Int(situation.used) ?? 0) { _ = try await stage.put("/api/teams/acme/projects/p\(number)?enforce=false", [:]) }
        case "teams":
            for number in 1..<(Int(situation.used) ?? 1) { try await stage.team("other-\(number)", owner: "user-1") }
        default:
            let answer = try await stage.put("/api/teams/acme/projects/first?enforce=false", [situation.resource: .number(situation.used)])
            #expect(answer.status == 201, "\(answer.text)")
        }
    }

    @Test("a question about a resource is answered with limit, team, used, adding and max", arguments: situations)
    func asking(situation: Situation) async throws {
        try await WebStage.with { stage in
            try await Self.prepare(situation, stage)
            let answer = try await stage.get("/api/teams/acme/allowed?resource=\(situation.resource)&adding=\(situation.adding)")
            #expect(answer.status == 200, "\(answer.text)")
            #expect(answer.json["allowed"] == .bool(situation.isAllowed), "\(answer.text)")
            #expect(answer.json["used"] == .number(situation.used))
            #expect(answer.json["adding"] == .number(situation.adding))
            #expect(answer.json["max"] == .number(situation.max))
            #expect(answer.json["team"] == "acme")
            let limit = situation.resource == "custom_domains" ? "custom_domains" : "max_\(situation.resource)"
            #expect(answer.string("limit") == limit)
            #expect(answer.string("detail")?.hasPrefix("\(limit): team acme uses \(situation.used)") == true, "\(answer.text)")
        }
    }

    @Test("what is entered is held against the same limits and refused with the same body, unless it is so already")
    func entering() async throws {
        for situation in Self.situations where situation.adding != "0" && situation.adding != "1000" && situation.adding != "2" {
            try await WebStage.with { stage in
                try await Self.prepare(situation, stage)
                func enter(_ query: String = "") async throws -> WebStage.Answer {
                    switch situation.resource {
                    case "members": try await stage.put("/api/teams/acme/members/new%40example.org\(query)", ["name": "N"])
                    case "projects": try await stage.put("/api/teams/acme/projects/new\(query)", [:])
                    case "teams": try await stage.put("/api/teams/new\(query)", ["name": "New", "owner": "user-1"])
                    default: try await stage.put("/api/teams/acme/projects/new\(query)", [situation.resource: .number(situation.adding)])
                    }
                }
                let answer = try await enter()
                guard !situation.isAllowed else { return #expect(answer.status == 201, "\(situation): \(answer.text)") }
                #expect(answer.status == 403, "\(situation): \(answer.text)")
                #expect(answer.headers["content-type"] == "application/problem+json")
                let asked = try await stage.get("/api/teams/acme/allowed?resource=\(situation.resource)&adding=\(situation.adding)")
                for name in ["allowed", "resource", "limit", "team", "used", "adding", "max", "unit", "detail"] {
                    #expect(answer.json[name] == asked.json[name], "\(situation): \(name)")
                }
                #expect(answer.json["refusals"]?.array?.count == 1)
                #expect(try await stage.get("/api/teams/new").status == 404)

                let entered = try await enter("?enforce=false")
                #expect(entered.status == 201, "\(situation): \(entered.text)")
                let over = try await stage.get("/api/teams/acme").json["over_limits"]?.array ?? []
                #expect(over.contains { $0["resource"] == .string(situation.resource) && $0["allowed"] == false }, "\(situation): \(over)")
            }
        }
    }

    @Test("a project may be changed where a limit is passed already, as long as it grows in nothing that is full")
    func shrinking() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme")
            let big: JSON = ["cpu": 2, "memory_mb": 500, "custom_domains": 3]
            #expect(try await stage.put("/api/teams/acme/projects/shop?enforce=false", big).status == 201)
            #expect(try await stage.put("/api/teams/acme/projects/shop", ["cpu": 1, "memory_mb": 500, "custom_domains": 3]).status == 200)
            #expect(try await stage.put("/api/teams/acme/projects/tiny", [:]).status == 201)
            let grown = try await stage.put("/api/teams/acme/projects/shop", ["cpu": .number("1.001"), "memory_mb": 501, "custom_domains": 1])
            #expect(grown.status == 403)
            #expect(grown.json["refusals"]?.array?.compactMap { $0["limit"]?.string } == ["max_cpu", "max_memory_mb"])
            #expect(grown.json["refusals"]?[0]?["used"] == 1)
            #expect(grown.json["refusals"]?[0]?["adding"] == .number("0.001"))
            #expect(try await stage.get("/api/teams/acme").json["projects"]?[0]?["cpu"] == 1)
        }
    }

    @Test("an owner has as many teams as the widest plan of any of them allows, and a team cannot slip to a full owner")
    func owners() async throws {
        try await WebStage.with { stage in
            #expect(try await stage.put("/api/teams/first", ["name": "F", "owner": "user-1"]).status == 201)
            #expect(try await stage.put("/api/teams/second", ["name": "S", "owner": "user-1"]).status == 403)
            #expect(try await stage.put("/api/teams/second", ["name": "S", "owner": "user-2"]).status == 201)
            let moved = try await stage.put("/api/teams/second", ["name": "S", "owner": "user-1"])
            #expect(moved.status == 403)
            #expect(moved.string("limit") == "max_teams")
            #expect(try await stage.put("/api/teams/second", ["name": "S 2", "owner": "user-2"]).status == 200)
            try await stage.team("rich", owner: "user-1", plan: Plan.pro)
            #expect(try await stage.put("/api/teams/third", ["name": "T", "owner": "user-1"]).status == 201)
        }
    }

    @Test("of two calls at once that would both fit alone one is refused, for members, projects and CPU")
    func races() async throws {
        try await WebStage.with { stage in
            for (number, kind) in ["members", "projects", "cpu"].enumerated() {
                let team = "team-\(number)"
                try await stage.team(team, projects: kind == "projects" ? ["p-\(number)"] : [])
                let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                    for call in 0..<8 {
                        group.addTask {
                            switch kind {
                            case "members": try await stage.put("/api/teams/\(team)/members/m\(call)%40example.org", ["name": "M"]).status
                            case "projects": try await stage.put("/api/teams/\(team)/projects/new-\(number)-\(call)", [:]).status
                            default:
                                try await stage.put("/api/teams/\(team)/projects/new-\(number)-\(call % 2)-\(call)", ["cpu": .number("0.2")]).status
                            }
                        }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(statuses.filter { $0 == 201 }.count == 1, "\(kind): \(statuses)")
                #expect(statuses.filter { $0 == 403 }.count == 7, "\(kind): \(statuses)")
            }
        }
    }

    @Test(
        "a question that makes no sense is refused with the rule",
        arguments: [
            "", "?resource=gold", "?resource=members&adding=x",
            "?resource=members&adding=-1", "?resource=members&adding=0.5", "?resource=cpu&adding=0.0001", "?resource=cpu&adding=99999999",
        ])
    func badQuestions(query: String) async throws {
        try await WebStage.with { stage in
            try await stage.team("acme")
            let answer = try await stage.get("/api/teams/acme/allowed\(query)")
            #expect(answer.status == 422, "\(answer.text)")
            #expect(try await stage.get("/api/teams/none/allowed?resource=members").status == 404)
        }
    }
}
