import Access
import Database
import Formats
import Plans
import TestSupport
import Testing

@testable import WebService

@Suite("What is kept of the calls about teams that users' tokens and links make")
struct WebTeamTraceTests {
    @Test("nothing is kept of a call that was out of reach: within reach it is carried out, and out of it again it is not replayed")
    func idempotency() async throws {
        try await WebStage.with(api: WebStage.takingTokens()) { stage in
            try await stage.team("acme", owner: "aicha")
            let payment = try await stage.beginUpgrade()
            let zoe = stage.token("zoe@example.org")
            let calls: [(String, JSON)] = [
                ("/api/payments/acme/initiate", WebStage.upgrade),
                ("/api/v1/payments/payment-backend/retry/\(payment)/", ["method": "credit_card"]),
            ]
            func status(_ number: Int) async throws -> Int {
                try await stage.call(zoe, "POST", calls[number].0, calls[number].1, key: "key-\(number)").status
            }
            func kept() async throws -> Int { try await stage.database.read { try $0.query("SELECT * FROM access_calls").count } }
            for number in calls.indices { #expect(try await status(number) == 404) }
            #expect(try await kept() == 0)
            #expect(try await stage.put("/api/teams/acme/members/zoe%40example.org", ["name": "Zoé"]).status == 201)
            for number in calls.indices { #expect(try await status(number) == 201) }
            #expect(try await kept() == calls.count)
            #expect(try await stage.delete("/api/teams/acme/members/zoe%40example.org").status == 204)
            for number in calls.indices { #expect(try await status(number) == 404) }
        }
    }

    @Test("a plan's moves say who wanted them: a key, a token's user without the address, or whoever came by a link, given or mailed")
    func actors() async throws {
        try await WebStage.with(api: WebStage.takingTokens()) { stage in
            try await stage.team("acme", owner: "aicha@example.org", plan: Plan.pro)
            #expect(try await stage.post("/api/teams/acme/downgrade", [:]).status == 200)
            #expect(try await stage.call(stage.token("aicha@example.org"), "POST", "/api/teams/acme/keep", [:]).status == 200)
            let given = try await stage.teamLink()
            let mailed = TeamLink(secret: WebStage.secret).mailToken(for: "acme", until: stage.nowMs + 86_400_000).text
            for (path, next) in [(given, "free"), ("/teams/acme/settings?t=\(mailed)", "keep")] {
                #expect(try await stage.form(path.replacing("/settings?", with: "/settings/plan?"), [("next", next)]).status == 303)
            }
            let moves = try await stage.database.read { try PlanMove.list(team: "acme", limit: 10, in: $0) }
            let key = try #require(stage.key.split(separator: "_").dropFirst().first)
            #expect(moves.map(\.actor) == ["link:mail", "link:page", "jwt:a***@example.org", "api:\(key)"])
        }
    }
}
