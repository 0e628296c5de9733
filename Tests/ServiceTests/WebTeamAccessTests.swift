import Access
import Database
import Formats
import HTTPServer
import Payments
import Plans
import Teams
import TestSupport
import Testing

@testable import WebService

@Suite("Who may ask about a team and act for it")
struct WebTeamAccessTests {
    /// Acme is Aïcha's, with Bakary as a member; another team is Zoé's.
    private func staged(_ body: (WebStage, _ payment: String) async throws -> Void) async throws {
        try await WebStage.with(api: WebStage.takingTokens()) { stage in
            try await stage.team("acme", owner: "aicha", projects: ["shop"])
            try await stage.team("other", owner: "zoe", projects: ["lamp"])
            _ = try await stage.put("/api/teams/acme/members/bakary%40example.org?enforce=false", ["name": "Bakary"])
            try await body(stage, try await stage.beginUpgrade())
        }
    }

    /// Everybody who may.
    private func friends(_ stage: WebStage) -> [(name: String, bearer: String)] {
        [
            ("a key", stage.key), ("the owner", stage.token("aicha")), ("a member by the subject", stage.token("bakary@example.org")),
            ("a member by the address", stage.token("u-77", [("email", "bakary@example.org")])),
            ("a token that names the team", stage.token("svc", [("teams", ["acme"])])),
            ("a token that names two teams in a text", stage.token("svc", [("teams", "other acme")])),
        ]
    }

    /// Everybody who may not.
    private func strangers(_ stage: WebStage) -> [(name: String, bearer: String)] {
        [
            ("another team's owner", stage.token("zoe")), ("nobody's user", stage.token("nobody")),
            ("the owner, with a token for another team", stage.token("aicha", [("teams", ["other"])])),
            ("the owner, with a token for no team", stage.token("aicha", [("teams", [])])),
            ("the owner, with a claim that is none", stage.token("aicha", [("teams", 7)])),
            ("a member by an address that is not proved", stage.token("u-9", [("email", "bakary@example.org"), ("email_verified", false)])),
            ("one whose name begins so", stage.token("aicha2")),
        ]
    }

    private struct Ask {
        let method: String
        let path: String
        var body: JSON?
        var key: String?
        init(_ method: String, _ path: String, _ body: JSON? = nil, key: String? = nil) {
            (self.method, self.path, self.body, self.key) = (method, path, body, key)
        }
    }

    /// What reads: whoever may is answered 200.
    private func readings(_ payment: String, team: String = "acme", project: String = "shop") -> [Ask] {
        [
            Ask("GET", "/api/payments/\(team)/history"), Ask("GET", "/api/payments/\(payment)/status"), Ask("GET", "/api/v1/payments/\(payment)/"),
            Ask("GET", "/api/v1/payments/payment-backend/\(payment)/status/"), Ask("GET", "/api/v1/payments/\(payment)/qr.png"),
            Ask("GET", "/api/v1/payments/\(payment)/qr.svg"), Ask("GET", "/api/v1/payments/\(payment)/refunds/"),
            Ask("GET", "/api/v1/payments/\(payment)/held/"), Ask("GET", "/api/usage/\(team)"), Ask("GET", "/api/usage/\(team)/history"),
            Ask("GET", "/api/usage/\(team)/export.csv"), Ask("GET", "/api/usage/\(team)/projects/\(project)"),
            Ask("GET", "/api/usage/\(project)/allowed"), Ask("GET", "/api/teams/\(team)/allowed?resource=members"), Ask("GET", "/api/teams/\(team)"),
        ]
    }

    /// What does something.
    private func deeds(_ payment: String, team: String = "acme", project: String = "shop") -> [Ask] {
        [
            Ask("POST", "/api/payments/\(team)/initiate", WebStage.upgrade), Ask("POST", "/api/payments/\(payment)/cancel", [:]),
            Ask("POST", "/api/v1/payments/\(payment)/cancel/", [:]), Ask("POST", "/api/v1/payments/\(payment)/link/", [:]),
            Ask("DELETE", "/api/v1/payments/\(payment)/link/"),
            Ask("POST", "/api/v1/payments/payment-backend/initiate/", ["payment": .string(payment), "method": "mobile_money"], key: "i-\(payment)"),
            Ask("POST", "/api/v1/payments/payment-backend/retry/\(payment)/", [:], key: "r-\(payment)"),
            Ask("POST", "/api/v1/payments/\(payment)/refund/", ["reason": "x"], key: "b-\(payment)"),
            Ask("POST", "/api/v1/payments/\(payment)/accept/", ["reason": "x"], key: "a-\(payment)"),
            Ask(
                "POST", "/api/v1/payments/\(payment)/held/1/", ["decision": "returned", "provider_reference": "x", "reason": "x"],
                key: "h-\(payment)"),
            Ask(
                "POST", "/api/v1/payments/\(payment)/received/", ["amount": "3", "reference": "x", "method": "cash"], key: "c-\(payment)"),
            Ask(
                "POST", "/api/v1/payments/\(payment)/refunds/ref_x/settle/", ["outcome": "done", "provider_reference": "x", "reason": "x"],
                key: "s-\(payment)"),
            Ask("POST", "/api/teams/\(team)/page-link", [:]), Ask("POST", "/api/teams/\(team)/downgrade", [:]),
            Ask("POST", "/api/teams/\(team)/keep", [:]),
        ]
    }

    /// What enters records: the product's own back end does.
    private func entries(team: String, project: String) -> [Ask] {
        [
            Ask("PUT", "/api/usage/\(project)/storage", ["bytes": 1]), Ask("DELETE", "/api/usage/\(project)/storage"),
            Ask("PUT", "/api/teams/\(team)", ["name": "Mine", "owner": "somebody"]),
            Ask("PUT", "/api/teams/new-one", ["name": "N", "owner": "aicha"]),
            Ask("PUT", "/api/teams/\(team)/members/eve%40example.org?enforce=false", ["name": "Eve", "role": "owner"]),
            Ask("DELETE", "/api/teams/\(team)/members/bakary%40example.org"), Ask("PUT", "/api/teams/\(team)/projects/new-one", [:]),
            Ask("DELETE", "/api/teams/\(team)/projects/\(project)"), Ask("DELETE", "/api/teams/\(team)"),
        ]
    }

    /// All that a team has and has paid, as one text.
    private func written(_ stage: WebStage) async throws -> String {
        try await stage.database.read { connection in
            var text = ""
            for table in [
                "payments_payments", "payments_attempts", "payments_references", "payments_facts", "payments_audit", "payments_refunds",
                "outbox_jobs", "teams_teams", "teams_members", "teams_projects", "plans_subscriptions", "plans_next",
                "access_calls",
            ] { try connection.forEach("SELECT * FROM \(table)") { text += "\(table) \($0.values)\n" } }
            return text
        }
    }

    @Test("the product's key, the owner, its members and tokens that name the team read what is the team's")
    func friendsRead() async throws {
        try await staged { stage, payment in
            for (name, bearer) in friends(stage) {
                for ask in readings(payment) {
                    let answer = try await stage.call(bearer, ask.method, ask.path)
                    #expect(answer.status == 200, "\(name): \(ask.path): \(answer.text)")
                }
            }
            // And they may pay and cancel, each payment once.
            for (name, bearer) in friends(stage) {
                let started = try await stage.call(bearer, "POST", "/api/payments/acme/initiate", WebStage.upgrade)
                #expect(started.status == 201, "\(name): \(started.text)")
                let cancelled = try await stage.call(bearer, "POST", "/api/payments/\(started.string("id") ?? "")/cancel", [:])
                #expect(cancelled.status == 200, "\(name): \(cancelled.text)")
            }
        }
    }

    @Test("anybody else is answered as if there were no such team, payment or project, before anything is asked, called or written")
    func strangersDoNot() async throws {
        try await staged { stage, payment in
            // Known to memory, from where keys are answered.
            #expect(try await stage.get("/api/usage/shop/allowed").status == 200)
            let (before, calls) = (try await written(stage), stage.transport.calls)
            let events = Ask("GET", "/api/v1/payments/\(payment)/events/")
            let none = readings("pay_none", team: "none", project: "nil") + deeds("pay_none", team: "none", project: "nil")
            for (name, bearer) in strangers(stage) {
                for (ask, absent) in zip(readings(payment) + deeds(payment) + [events], none + [Ask("GET", "/api/v1/payments/pay_none/events/")]) {
                    let answer = try await stage.call(bearer, ask.method, ask.path, ask.body, key: ask.key)
                    #expect(answer.status == 404, "\(name): \(ask.method) \(ask.path): \(answer.text)")
                    let missing = try await stage.call(bearer, absent.method, absent.path, absent.body, key: absent.key)
                    let told = answer.text.replacing(payment, with: "pay_none").replacing("acme", with: "none").replacing("shop", with: "nil")
                    #expect(told == missing.text, "\(name): \(ask.method) \(ask.path)")
                }
            }
            #expect(try await written(stage) == before)
            #expect(stage.transport.calls == calls)
        }
    }

    @Test("records of teams, projects and their storage are entered by keys: no token changes them, whoever it is of, nor learns what there is")
    func entering() async throws {
        try await staged { stage, _ in
            let before = try await written(stage)
            for (name, bearer) in friends(stage).dropFirst() + strangers(stage) {
                for (team, project) in [("acme", "shop"), ("none", "nil")] {
                    for ask in entries(team: team, project: project) {
                        let answer = try await stage.call(bearer, ask.method, ask.path, ask.body)
                        let isRefused = answer.status == 403 && answer.text.contains("takes an API key")
                        #expect(isRefused, "\(name): \(ask.method) \(ask.path): \(answer.text)")
                    }
                }
            }
            #expect(try await written(stage) == before)
        }
    }

    @Test("the scope plans is that of teams' payments alone: what a page in a browser needs, and nothing of orders; payments holds it")
    func plansAlone() async throws {
        try await staged { stage, payment in
            let order = try await stage.order()
            let narrow = stage.token("aicha", [("scope", "plans")])
            for path in ["/api/payments/acme/history", "/api/payments/\(payment)/status"] {
                #expect(try await stage.call(narrow, "GET", path).status == 200, "\(path)")
            }
            for path in ["/api/v1/payments/\(order)/", "/api/v1/payments/payment-backend/history/", "/api/usage/acme", "/api/teams"] {
                #expect(try await stage.call(narrow, "GET", path).status == 403, "\(path)")
            }
            #expect(try await stage.call(narrow, "GET", "/api/payments/\(order)/status").status == 404)
            #expect(try await stage.call(narrow, "POST", "/api/payments/\(payment)/cancel", [:]).status == 200)
            #expect(try await stage.call(narrow, "POST", "/api/payments/acme/initiate", WebStage.upgrade).status == 201)
            #expect(try await stage.call(stage.token("zoe", [("scope", "plans")]), "GET", "/api/payments/acme/history").status == 404)
            let wide = stage.token("aicha", [("scope", "payments")])
            #expect(try await stage.call(wide, "GET", "/api/payments/acme/history").status == 200)
        }
        // Where tokens get no more than this, one that asks for more gets this.
        try await WebStage.with(api: WebStage.takingTokens(["plans"])) { stage in
            try await stage.team("acme", owner: "aicha")
            for claims in [[], [("scope", JSON.string("payments usage"))]] {
                let bearer = stage.token("aicha", claims)
                #expect(try await stage.call(bearer, "GET", "/api/payments/acme/history").status == 200)
                #expect(try await stage.call(bearer, "GET", "/api/v1/payments/pay_x/").status == 403)
            }
        }
    }

    @Test("what a key was told from memory is told to no token that may not know it")
    func memory() async throws {
        try await staged { stage, _ in
            let (owner, stranger) = (stage.token("aicha"), stage.token("zoe"))
            for _ in 0..<3 {
                #expect(try await stage.get("/api/usage/shop/allowed").status == 200)
                #expect(try await stage.call(owner, "GET", "/api/usage/shop/allowed").status == 200)
                #expect(try await stage.call(stranger, "GET", "/api/usage/shop/allowed").status == 404)
                #expect(try await stage.call(stranger, "GET", "/api/usage/lamp/allowed").status == 200)
            }
            // A member who leaves the team leaves its figures at once.
            let member = stage.token("bakary@example.org")
            #expect(try await stage.call(member, "GET", "/api/usage/shop/allowed").status == 200)
            let left = try await stage.delete("/api/teams/acme/members/bakary%40example.org")
            #expect(left.status == 204)
            #expect(try await stage.call(member, "GET", "/api/usage/shop/allowed").status == 404)
            #expect(try await stage.call(member, "GET", "/api/payments/acme/history").status == 404)
        }
    }

    @Test("a token lists the teams within its reach, page by page")
    func listing() async throws {
        try await staged { stage, _ in
            for number in 1...4 { try await stage.team("team-\(number)", owner: number % 2 == 0 ? "aicha" : "zoe") }
            func listed(_ bearer: String) async throws -> [String] {
                var ids: [String] = []
                var path: String? = "/api/teams?limit=2"
                while let next = path {
                    let answer = try await stage.call(bearer, "GET", next)
                    ids += answer.json["teams"]?.array?.compactMap { $0["id"]?.string } ?? []
                    path = answer.string("next").map { "/api/teams?limit=2&after=\($0)" }
                }
                return ids
            }
            #expect(try await listed(stage.key) == ["acme", "other", "team-1", "team-2", "team-3", "team-4"])
            #expect(try await listed(stage.token("aicha")) == ["acme", "team-2", "team-4"])
            #expect(try await listed(stage.token("zoe")) == ["other", "team-1", "team-3"])
            #expect(try await listed(stage.token("bakary@example.org")) == ["acme"])
            #expect(try await listed(stage.token("svc", [("teams", ["team-3", "acme", "none"])])) == ["acme", "team-3"])
            #expect(try await listed(stage.token("nobody")).isEmpty)
        }
    }

    @Test("a provider's payments are shown to tokens without those of teams, whole page by whole page; what is of no team is as it was")
    func providerHistory() async throws {
        try await staged { stage, payment in
            let order = try await stage.order()
            let started = try await stage.post(
                "/api/v1/payments/payment-backend/initiate/", ["payment": .string(order), "method": "mobile_money"],
                headers: ["idempotency-key": "o"])
            #expect(started.status == 201, "\(started.text)")
            let path = "/api/v1/payments/payment-backend/history/"
            func ids(_ bearer: String) async throws -> Set<String> {
                Set(try await stage.call(bearer, "GET", path).json["payments"]?.array?.compactMap { $0["id"]?.string } ?? [])
            }
            #expect(try await ids(stage.key) == [payment, order])
            for user in ["aicha", "zoe"] { #expect(try await ids(stage.token(user)) == [order]) }
            // Nor is the place of one that is left out, by however small a page.
            let later = try await stage.beginUpgrade()
            let page = try await stage.call(stage.token("zoe"), "GET", path + "?limit=1")
            #expect(page.json["payments"]?.array?.map { $0["id"]?.string } == [order] && page.json["next"] == .null)
            #expect(!page.text.contains(later))
            #expect(try await stage.call(stage.token("zoe"), "GET", "/api/v1/payments/\(order)/").status == 200)
            // Servelink's paths are about payments of teams alone.
            #expect(try await stage.get("/api/payments/\(order)/status").status == 404)
            #expect(try await stage.post("/api/payments/\(order)/cancel", [:]).status == 404)
            // A payment is not told by the number of an attempt either.
            let attempt = try #require(try await stage.attempts(of: payment).last?.id)
            #expect(try await stage.call(stage.token("aicha"), "GET", "/api/v1/payments/payment-backend/\(attempt)/status/").status == 200)
            let unknown = try await stage.call(stage.token("zoe"), "GET", "/api/v1/payments/payment-backend/\(attempt)/status/")
            #expect(unknown.status == 404 && !unknown.text.contains(payment))
            let retried = try await stage.call(
                stage.token("zoe"), "POST", "/api/v1/payments/payment-backend/retry/\(attempt)/", [:], key: "again")
            #expect(retried.status == 404 && !retried.text.contains(payment))
        }
    }
}
