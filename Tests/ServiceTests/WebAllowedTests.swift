import Access
import Database
import Formats
import HTTPServer
import PaymentsService
import Plans
import Teams
import TestSupport
import Testing
import Usage

@testable import WebService

@Suite("The web tells gateways whether a project may go on")
struct WebAllowedTests {
    private static let freeTraffic = 5 * ByteFigure.gb
    private static let freeStorage = 100 * ByteFigure.mb

    @Test("a project below its team's limits is allowed; the answer names its age, its limits and what was used")
    func allowed() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", projects: ["shop", "blog"])
            try await stage.traffic("shop", 1000)
            try await stage.traffic("blog", 234)
            try await stage.storage("blog", 77)
            let answer = try await stage.get("/api/usage/shop/allowed")
            #expect(answer.status == 200, "\(answer.text)")
            #expect(answer.json["allowed"] == true)
            #expect(answer.json["project"] == "shop")
            #expect(answer.json["team"] == "acme")
            #expect(answer.json["max_age_ms"] == 5000)
            #expect(answer.string("as_of").flatMap(Timestamp.parse).map { abs($0 - stage.nowMs) < 5000 } == true)
            #expect(
                answer.json["checks"] == [
                    [
                        "limit": "max_traffic_gb_per_month", "metric": "traffic", "used": 1234, "allowed": .int(Self.freeTraffic), "unit": "bytes",
                    ], ["limit": "max_storage_mb", "metric": "storage", "used": 77, "allowed": .int(Self.freeStorage), "unit": "bytes"],
                ])
            #expect(answer.json["storage"]?["stale"] == false)
            #expect(answer.json["refusals"] == [])
            #expect(answer.headers["cache-control"] == "private, max-age=5")
            #expect((0...5).contains(answer.headers["age"].flatMap { Int($0) } ?? -1))
        }
    }

    @Test(
        "a limit that is used up stops every project of the team, and the refusal names limit, team, project, used and allowed",
        arguments: [
            (0, 0, Plan.free, [String]()), (freeTraffic - 1, freeStorage - 1, Plan.free, []),
            (freeTraffic, 0, Plan.free, ["max_traffic_gb_per_month"]), (freeTraffic + 1, 0, Plan.free, ["max_traffic_gb_per_month"]),
            (0, freeStorage, Plan.free, ["max_storage_mb"]), (freeTraffic, freeStorage, Plan.free, ["max_traffic_gb_per_month", "max_storage_mb"]),
            (freeTraffic, freeStorage, Plan.pro, []),
        ] as [(Int64, Int64, String, [String])])
    func refused(traffic: Int64, storage: Int64, plan: String, limits: [String]) async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", plan: plan, projects: ["shop", "idle"])
            if traffic > 0 { try await stage.traffic("shop", traffic) }
            if storage > 0 { try await stage.storage("shop", storage) }
            for project in ["shop", "idle"] {
                let answer = try await stage.get("/api/usage/\(project)/allowed")
                #expect(answer.json["allowed"] == .bool(limits.isEmpty), "\(answer.text)")
                let refusals = answer.json["refusals"]?.array ?? []
                #expect(refusals.compactMap { $0["limit"]?.string } == limits)
                for refusal in refusals {
                    #expect(refusal["team"] == "acme")
                    #expect(refusal["project"] == .string(project))
                    #expect(refusal["used"]?.int ?? 0 >= refusal["allowed"]?.int ?? .max)
                    #expect(refusal["detail"]?.string?.contains("project \(project)") == true)
                }
            }
        }
    }

    @Test("an answer is given from memory until it is five seconds old, and never after")
    func age() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", projects: ["shop"])
            let began = ContinuousClock.now
            let first = try await stage.get("/api/usage/shop/allowed")
            try await stage.traffic("shop", Self.freeTraffic)
            let second = try await stage.get("/api/usage/shop/allowed")
            stage.turnClock(by: 2000)
            let third = try await stage.get("/api/usage/shop/allowed")
            // On a machine that is too busy the answer has been refreshed meanwhile.
            if began.duration(to: .now) < .milliseconds(400) {
                #expect(second.body == first.body)
                #expect(third.body == first.body)
                #expect(["2", "3"].contains(third.headers["age"]))
            }
            stage.turnClock(by: 3001)
            let fourth = try await stage.get("/api/usage/shop/allowed")
            #expect(fourth.json["allowed"] == false, "\(fourth.text)")
            #expect(fourth.string("as_of") != first.string("as_of"))
            // A clock that is put back makes nothing younger. A reading that was already under way on a busy machine may be told once more.
            stage.turnClock(by: -60_000)
            try await stage.database.write { _ = try TeamStore.remove("acme", in: $0) }
            try await eventually("the project is unknown") { try await stage.get("/api/usage/shop/allowed").status == 404 }
        }
    }

    @Test("an answer in use is read anew before it runs out, without anybody waiting")
    func refreshing() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", projects: ["shop"])
            _ = try await stage.get("/api/usage/shop/allowed")
            try await stage.traffic("shop", Self.freeTraffic)
            stage.turnClock(by: AllowedProjects.refreshAfterMs)
            try await eventually("the answer is the new one") {
                try await stage.get("/api/usage/shop/allowed").json["allowed"] == false
            }
        }
    }

    @Test("a month begins with nothing used")
    func month() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", projects: ["shop"])
            try await stage.traffic("shop", Self.freeTraffic)
            #expect(try await stage.get("/api/usage/shop/allowed").json["allowed"] == false)
            stage.turnClock(by: UsagePeriod(containing: stage.nowMs).endMs - stage.nowMs)
            let answer = try await stage.get("/api/usage/shop/allowed")
            #expect(answer.json["allowed"] == true, "\(answer.text)")
            #expect(answer.json["checks"]?[0]?["used"] == 0)
        }
    }

    @Test("a revoked key stops within five seconds, a wrong one and one without the scope at once")
    func keys() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", projects: ["shop"])
            let path = "/api/usage/shop/allowed"
            let gateway = try await stage.database.write { try APIKeys.create(name: "gateway", scopes: [APIKey.usage], nowMs: 1, in: $0) }
            let other = try await stage.database.write { try APIKeys.create(name: "shop", scopes: [APIKey.payments], nowMs: 1, in: $0) }
            func ask(_ key: String) async throws -> WebStage.Answer {
                try await stage.send("GET", path, headers: ["authorization": "Bearer \(key)"])
            }
            for _ in 0..<3 { #expect(try await ask(gateway.text).status == 200) }
            for _ in 0..<3 {
                #expect(try await ask(other.text).status == 403)
                #expect(try await ask(String(gateway.text.dropLast()) + "~").status == 401)
                #expect(try await stage.send("GET", path).status == 401)
            }
            try await stage.database.write { _ = try APIKeys.revoke(gateway.key.id, nowMs: 2, in: $0) }
            stage.turnClock(by: AllowedProjects.maxAgeMs + 1)
            #expect(try await ask(gateway.text).status == 401)
            #expect(try await ask(stage.key).status == 200)
        }
    }

    @Test("a key in use is checked anew before it runs out, so that a revoked one stops early")
    func keyRefresh() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", projects: ["shop"])
            let gateway = try await stage.database.write { try APIKeys.create(name: "gateway", scopes: [APIKey.usage], nowMs: 1, in: $0) }
            let headers: HTTPHeaders = ["authorization": "Bearer \(gateway.text)"]
            #expect(try await stage.send("GET", "/api/usage/shop/allowed", headers: headers).status == 200)
            try await stage.database.write { _ = try APIKeys.revoke(gateway.key.id, nowMs: 2, in: $0) }
            stage.turnClock(by: AllowedProjects.refreshAfterMs)
            try await eventually("the key is refused") {
                try await stage.send("GET", "/api/usage/shop/allowed", headers: headers).status == 401
            }
        }
    }

    @Test("a project that nobody knows is 404 for a second at most")
    func unknown() async throws {
        try await WebStage.with { stage in
            let first = try await stage.get("/api/usage/new-one/allowed")
            #expect(first.status == 404)
            #expect(first.headers["content-type"] == "application/problem+json")
            #expect(first.headers["cache-control"] == "private, max-age=1")
            try await stage.team("acme", projects: ["new-one"])
            stage.turnClock(by: AllowedProjects.unknownMaxAgeMs + 1)
            #expect(try await stage.get("/api/usage/new-one/allowed").status == 200)
            for name in ["a%20b", "%2e%2e", String(repeating: "x", count: 300), "%00", "caf%C3%A9"] {
                #expect(try await stage.get("/api/usage/\(name)/allowed").status == 404, "\(name)")
            }
            #expect(try await stage.get("/api/usage//allowed").status == 404)
        }
    }

    @Test("hundreds of questions at once are answered alike, of one read")
    func together() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", projects: ["shop"])
            let begin = ContinuousClock.now
            let answers = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<300 {
                    group.addTask {
                        let answer = try await stage.get("/api/usage/shop/allowed")
                        return "\(answer.status) \(answer.text)"
                    }
                }
                return try await group.reduce(into: Set<String>()) { $0.insert($1) }
            }
            // On a machine so busy that the answer came of age meanwhile, it was read again.
            let readings = 1 + Int((ContinuousClock.now - begin) / .milliseconds(AllowedProjects.refreshAfterMs))
            #expect(answers.count <= readings, "\(answers)")
            #expect(answers.allSatisfy { $0.hasPrefix("200 ") })
        }
    }

    @Test("a team of 2,000 projects is read once for all of them")
    func bigTeam() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", plan: Plan.pro, projects: (0..<2000).map { "p\($0)" })
            try await stage.traffic("p1999", 10 * ByteFigure.gb)
            let begin = ContinuousClock.now
            let times = try await withThrowingTaskGroup(of: String?.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        let answer = try await stage.get("/api/usage/p\(number * 10)/allowed")
                        #expect(answer.json["allowed"] == false)
                        return answer.string("as_of")
                    }
                }
                return try await group.reduce(into: Set<String?>()) { $0.insert($1) }
            }
            // Two readers may have begun at the same time; on a slow machine what was read meanwhile has to be read anew.
            let rounds = Int(begin.duration(to: .now) / .milliseconds(AllowedProjects.refreshAfterMs)) + 1
            #expect(times.count <= 2 * rounds, "\(times)")
        }
    }

    @Test("what is at hand is answered without SQL, on the spot, and made-up names leave nothing behind")
    func withoutSQL() async throws {
        let folder = try TemporaryFolder("allowed")
        let database = try Database.open(.sqlite(path: folder.file("quittance.db")))
        _ = try database.migrate(Product.migrations)
        let now = WallClock.nowMs
        try await database.write { connection in
            try TeamStore.put(Team(id: "acme", name: "Acme", owner: "o", language: "en", createdAtMs: now), in: connection)
            try TeamStore.put(Project(id: "shop", team: "acme", name: "Shop", createdAtMs: now), in: connection)
        }
        let key = try await database.write { try APIKeys.create(name: "gateway", scopes: [APIKey.usage], nowMs: now, in: $0).text }
        let caller = Caller(try #require(try await database.read { try APIKeys.authenticate(key, in: $0) }))
        let clock = TurnedClock()
        let callers = CallerCheck(database: database, baseURL: "", tokens: nil, crossOrigin: CrossOrigin(origins: []))
        let allowed = AllowedProjects(database: database, callers: callers, nowMs: { clock.nowMs })
        let route = try #require(allowed.routes.first)
        func request(_ project: String, key: String = "k", method: String = "GET") throws -> HTTPRequest {
            try #require(
                HTTPRequest(method: method, target: "/api/usage/\(project)/allowed", headers: ["authorization": "Bearer \(key)"]))
        }
        func ask(_ project: String) async throws -> Int {
            let call = WebCall(request: try request(project), values: ["project": project], caller: caller)
            var status = 0
            // On a machine so busy that a reading takes longer than it is good for, it is refused with 503.
            try await eventually("the question is answered") {
                status = try await route.handler(call).status
                return true
            }
            return status
        }
        for number in 0..<1500 { #expect(try await ask("made-up-\(number)") == 404) }
        #expect(try await ask("shop") == 200)
        // The key was not seen to be good yet.
        #expect(allowed.atOnce(try request("shop")) == nil)
        allowed.keep(caller, keyOf: try request("shop"), readAt: Moment(wallMs: clock.nowMs))
        let counts = allowed.counts
        #expect(counts.known == 1 && counts.keys == 1 && counts.reads == 0)
        #expect(counts.unknown <= 1000)

        await database.close()
        let answer = try #require(allowed.atOnce(try request("shop")))
        #expect(answer.status == 200)
        #expect(answer.headers["cache-control"] == "private, max-age=5")
        for other in [
            try request("shop", key: "other"), try request("never-asked"), try request("shop", method: "HEAD"), try request("sh%6Fp"),
            try request("shop/x"),
        ] { #expect(allowed.atOnce(other) == nil) }
        // Nothing can be read anew: what is known runs out.
        clock.turn(by: AllowedProjects.refreshAfterMs)
        #expect(allowed.atOnce(try request("shop"))?.status == 200)
        clock.turn(by: AllowedProjects.maxAgeMs - AllowedProjects.refreshAfterMs + 1)
        #expect(allowed.atOnce(try request("shop")) == nil)
        await #expect(throws: (any Error).self) { try await ask("shop") }
    }

    @Test("memory is bounded: what came first stays, what has run out makes room, a clock put back makes nothing younger")
    func bounded() {
        var cache = FreshCache<String, Int>(maxAgeMs: 1000, countMax: 100)
        let start = Moment(wallMs: 1_000_000)
        for number in 0..<10_000 { cache.keep(number, for: "name-\(number)", readAt: start, now: start) }
        #expect(cache.count == 100)
        #expect(cache.find("name-99", at: start)?.value == 99)
        #expect(cache.find("name-100", at: start) == nil)
        cache.keep(7, for: "name-5", readAt: start, now: start)
        #expect(cache.find("name-5", at: start)?.value == 7)
        #expect(cache.find("name-5", at: Moment(wallMs: 1_001_000))?.ageMs == 1000)
        #expect(cache.find("name-5", at: Moment(wallMs: 1_001_001)) == nil)
        #expect(cache.find("name-5", at: Moment(wallMs: 999_999)) == nil)
        let later = Moment(wallMs: 1_002_000)
        cache.keep(1, for: "late", readAt: later, now: later)
        #expect(cache.count == 1)
    }
}
