import Access
import Database
import Formats
import Money
import Payments
import Plans
import ProviderPort
import SandboxService
import Teams
import TestSupport
import Testing
import Usage

@testable import WebService

@Suite("The page of a team")
struct WebTeamPageTests {
    /// A new link's path.
    private static func link(_ stage: WebStage, _ team: String = "acme") async throws -> String {
        let answer = try await stage.send("POST", "/api/teams/\(team)/page-link", headers: ["authorization": "Bearer \(stage.key)"])
        guard answer.status == 201, let url = answer.string("url"), url.hasPrefix(WebStage.baseURL) else { throw FixtureError(answer.text) }
        return String(url.dropFirst(WebStage.baseURL.count))
    }

    @Test("the link leads to three tabs, in the team's language, with no script but ours and no inline style", arguments: ["fr", "en"])
    func tabs(language: String) async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", language: language, projects: ["shop"])
            let path = try await Self.link(stage)
            let titles = language == "fr" ? ["Forfait", "Utilisation", "Paiements"] : ["Plan", "Usage", "Payments"]
            for (tab, title) in zip(["plan", "usage", "payments"], titles) {
                let page = try await stage.send("GET", "\(path)&tab=\(tab)")
                #expect(page.status == 200)
                try HTMLCheck.wellFormed(page.text)
                #expect(page.text.contains("<html lang=\"\(language)\">"))
                #expect(page.text.contains("aria-current=\"page\">\(title)</a>"), "\(tab)")
                for title in titles { #expect(page.text.contains(">\(title)</a>")) }
                #expect(page.text.split(separator: "<script").count == 2 && page.text.contains("<script src=\"/assets/team.js\"></script>"))
                #expect(!page.text.contains("style="))
                let policy = page.headers["content-security-policy"] ?? ""
                #expect(policy.hasPrefix("default-src 'none';"))
                #expect(!policy.contains("unsafe"))
                #expect(page.headers["cache-control"] == "no-store")
            }
            let first = try await stage.send("GET", path)
            #expect(first.text.contains("aria-current=\"page\">\(titles[0])</a>"))
            #expect(first.text.contains(language == "fr" ? "Passer à Pro" : "Upgrade to Pro"))
        }
    }

    @Test(
        "bars and alerts show each level, in MB and GB",
        arguments: [
            (ByteFigure.gb, "ok", false, "1.00\u{A0}GB"), (4 * ByteFigure.gb, "warning", true, "4.00\u{A0}GB"),
            (Int64(4.8 * 1024) * ByteFigure.mb, "critical", true, "4.80\u{A0}GB"), (6 * ByteFigure.gb, "exceeded", true, "6.00\u{A0}GB"),
        ] as [(Int64, String, Bool, String)])
    func levels(bytes: Int64, level: String, alerts: Bool, figure: String) async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", projects: ["shop"])
            try await stage.traffic("shop", bytes)
            try await stage.storage("shop", 10 * ByteFigure.mb)
            let path = try await Self.link(stage)
            let page = try await stage.send("GET", "\(path)&tab=usage")
            try HTMLCheck.wellFormed(page.text)
            #expect(page.text.contains("<progress class=\"\(level)\" max=\"100\" value=\"\(min(100, bytes * 100 / (5 * ByteFigure.gb)))\""))
            #expect(page.text.contains("<strong>\(figure)</strong> of 5\u{A0}GB"), "\(page.text)")
            #expect(page.text.contains("<strong>10.00\u{A0}MB</strong> of 100\u{A0}MB"))
            #expect(page.text.contains("<p class=\"alert \(level)\" role=\"status\">") == alerts)
            #expect(page.text.contains("<span class=\"badge \(level)\">"))
            #expect(page.text.contains("Measured on"))
            #expect(!page.text.contains("more than 36 hours old"))
            #expect(page.text.contains("#upgrade\">Upgrade to Pro"))
            // The alert stands above the other tabs too.
            let plan = try await stage.send("GET", path)
            #expect(plan.text.contains("<p class=\"alert \(level)\" role=\"status\">") == alerts)
        }
    }

    @Test("storage says when it was measured, that this is long ago, or that it never was")
    func staleness() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", plan: Plan.pro, projects: ["shop"])
            let path = try await Self.link(stage)
            #expect(try await stage.send("GET", "\(path)&tab=usage").text.contains("Not measured yet."))
            try await stage.storage("shop", 1, atMs: stage.nowMs - StorageGauge.staleAfterMs - 60_000)
            let page = try await stage.send("GET", "\(path)&tab=usage")
            #expect(page.text.contains("more than 36 hours old"))
            // Pro has nothing to be upgraded to.
            #expect(!page.text.contains("#upgrade"))
            #expect(try await stage.send("GET", path).text.contains("Extend Pro"))
        }
    }

    @Test("whatever is wrong with a link is answered alike: nothing tells which teams there are")
    func forged() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme")
            try await stage.team("other")
            let path = try await Self.link(stage)
            let token = String(path.split(separator: "t=", maxSplits: 1)[1])
            let parts = token.split(separator: ".")
            let later = TeamLink(secret: WebStage.secret).token(for: "acme", nowMs: stage.nowMs + 60_000).text
            let foreign = TeamLink(secret: String(WebStage.secret.reversed())).token(for: "acme", nowMs: stage.nowMs).text
            let missing = try await stage.send(
                "GET", "/teams/none/settings?t=\(TeamLink(secret: WebStage.secret).token(for: "none", nowMs: stage.nowMs).text)")
            #expect(missing.status == 404)
            var paths = [
                "/teams/acme/settings", "/teams/acme/settings?t=", "/teams/acme/settings?t=x", "/teams/other/settings?t=\(token)",
                "/teams/none/settings?t=\(token)", "/teams/acme/settings?t=\(token)x", "/teams/acme/settings?t=\(token.dropLast())",
                "/teams/acme/settings?t=0\(token)", "/teams/acme/settings?t=%2B\(token)", "/teams/acme/settings?t=\(parts[0])",
                "/teams/acme/settings?t=\(parts[0]).", "/teams/acme/settings?t=.\(parts[1])", "/teams/acme/settings?t=99999999999.\(parts[1])",
                "/teams/acme/settings?t=\(later)", "/teams/acme/settings?t=\(foreign)", "/teams/acme/settings?t=%ff",
                "/teams/ACME/settings?t=\(token)",
            ]
            for _ in 0..<2 {
                for path in paths {
                    let page = try await stage.send("GET", path)
                    #expect(page.status == 404, "\(path)")
                    #expect(page.body == missing.body, "\(path)")
                }
                #expect(try await stage.send("GET", path).status == (paths.count == 1 ? 404 : 200))
                stage.turnClock(by: TeamLink.lifeMs)
                paths = [path]
            }
            for (deed, field) in [("upgrade", ("payment_method", "mobile_money")), ("cancel", ("payment", "pay_x")), ("plan", ("next", "free"))] {
                let posted = try await stage.form("/teams/acme/settings/\(deed)?t=\(token)", [field])
                #expect(posted.status == 404, "\(deed)")
                #expect(posted.body == missing.body, "\(deed)")
            }
        }
    }

    @Test("the button starts the payment at the plan's price; fifty clicks start one, another method a second attempt of it")
    func paying() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme")
            _ = try await stage.put("/api/teams/acme/members/awa%40example.org", ["name": "Awa", "role": "owner", "language": "fr"])
            let path = try await Self.link(stage)
            let plan = try await stage.send("GET", path)
            let target = path.replacing("/settings?", with: "/settings/upgrade?")
            #expect(plan.text.contains("<form method=\"post\" action=\"\(target)\" target=\"_blank\" rel=\"noopener\" class=\"pay\">"))
            #expect(plan.text.contains("value=\"mobile_money\"") && plan.text.contains("value=\"credit_card\""))
            let locations = try await withThrowingTaskGroup(of: String?.self) { group in
                for _ in 0..<50 { group.addTask { try await stage.form(target, [("payment_method", "mobile_money")]).headers["location"] } }
                return try await group.reduce(into: Set<String?>()) { $0.insert($1) }
            }
            #expect(locations.count == 1)
            #expect((locations.first ?? nil)?.hasPrefix("http://\(stage.sandbox.boundAddress)/") == true, "\(locations)")
            let payments = try await stage.database.read { try PaymentStore.history(purpose: PlanPurpose.name, subject: "acme", limit: 9, in: $0) }
            #expect(payments.count == 1)
            let payment = try #require(payments.first)
            #expect(payment.amount.description == "3.00\u{A0}EUR")
            #expect(payment.customer.email == "awa@example.org")
            #expect(payment.customer.language == "fr")
            #expect(payment.metadata["new_plan"] == Plan.pro)
            #expect(try await stage.attempts(of: payment.id).map(\.method) == ["mobile_money"])

            let card = try await stage.form(target, [("payment_method", "credit_card")])
            #expect(card.status == 303)
            #expect(card.headers["location"] != locations.first)
            #expect(try await stage.attempts(of: payment.id).map(\.method) == ["mobile_money", "credit_card"])
            let tab = try await stage.send("GET", "\(path)&tab=payments")
            try HTMLCheck.wellFormed(tab.text)
            #expect(tab.text.contains("<span class=\"badge pending\">pending</span>"))
            #expect(tab.text.contains(">continue</a>"))
            stage.turnClock(by: AttemptStart.reuseForMs)
            #expect(try await stage.form(target, [("payment_method", "mobile_money")]).status == 303)
            let all = try await stage.database.read { try PaymentStore.history(purpose: PlanPurpose.name, subject: "acme", limit: 9, in: $0) }
            #expect(all.count == 2)
        }
    }

    @Test("a payment is shown with its state in colour as it goes on")
    func states() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme")
            let path = try await Self.link(stage)
            let target = path.replacing("/settings?", with: "/settings/upgrade?")
            #expect(try await stage.send("GET", "\(path)&tab=payments").text.contains("No payments."))
            for (play, badge) in [("pay", "<span class=\"badge completed\">completed"), ("refuse", "<span class=\"badge failed\">failed")] {
                #expect(try await stage.form(target, [("payment_method", "credit_card")]).status == 303)
                let payment = try #require(
                    try await stage.database.read { try PaymentStore.latest(purpose: PlanPurpose.name, subject: "acme", in: $0) })
                #expect(try await stage.play(play, ["reference": .string(payment.id)]) == 200)
                try await eventually("\(badge) is shown") { try await stage.send("GET", "\(path)&tab=payments").text.contains(badge) }
                stage.turnClock(by: AttemptStart.reuseForMs)
            }
        }
    }

    @Test("a history of more than fifty payments says that there are older ones", arguments: ["en", "fr"])
    func longHistory(language: String) async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", language: language)
            let path = "\(try await Self.link(stage))&tab=payments"
            let now = stage.nowMs
            func pay(_ count: Int) async throws {
                let new = NewPayment(
                    purpose: PlanPurpose.name, subject: "acme", description: "Pro", amount: Money(300, .eur),
                    customer: Customer(name: "Awa", email: nil, phone: nil, language: language), metadata: ["new_plan": Plan.pro])
                try await stage.database.write { connection in
                    for _ in 0..<count { _ = try PaymentStore.create(new, actor: "test", nowMs: now, in: connection) }
                }
            }
            let told = language == "en" ? "The latest 50 payments; there are older ones." : "Les 50 derniers paiements ; il y en a de plus anciens."
            try await pay(50)
            #expect(try await !stage.send("GET", path).text.contains(told))
            try await pay(1)
            let page = try await stage.send("GET", path)
            try HTMLCheck.wellFormed(page.text)
            #expect(page.text.contains(told))
            #expect(page.text.split(separator: "<span class=\"badge").count == 52)
        }
    }

    @Test("a method that is none, a cross-site form and a provider in trouble are told in pages")
    func trouble() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme")
            let path = try await Self.link(stage)
            let target = path.replacing("/settings?", with: "/settings/upgrade?")
            let odd = try await stage.form(target, [("payment_method", "cash")])
            #expect(odd.status == 422)
            try HTMLCheck.wellFormed(odd.text)
            #expect(try await stage.form(target, [("payment_method", "mobile_money")], headers: ["sec-fetch-site": "cross-site"]).status == 403)
            stage.transport.set(.failing(ProviderError(.unavailable, "refused", code: "connect")))
            let away = try await stage.form(target, [("payment_method", "mobile_money")])
            #expect(away.status == 503)
            #expect(away.text.contains("/teams/acme/settings?t="))
            try HTMLCheck.wellFormed(away.text)
            #expect(try await stage.database.read { try PaymentStore.list(limit: 5, in: $0).count } == 1)
        }
    }

    @Test("names that are markup are shown as text, and a team of 500 projects shows the busiest")
    func hostile() async throws {
        try await WebStage.with { stage in
            let nowMs = stage.nowMs
            try await stage.team("acme", plan: Plan.pro, projects: (0..<500).map { "p\($0)" })
            try await stage.database.write { connection in
                try TeamStore.put(
                    Team(id: "acme", name: "<b>\"Acme\" & 'Co'", owner: "o", language: "en", createdAtMs: nowMs), in: connection)
                try TeamStore.put(Project(id: "p7", team: "acme", name: "</table><script>x", createdAtMs: nowMs), in: connection)
            }
            try await stage.traffic("p7", ByteFigure.gb)
            let path = try await Self.link(stage)
            let page = try await stage.send("GET", "\(path)&tab=usage")
            try HTMLCheck.wellFormed(page.text)
            #expect(page.text.contains("&lt;/table&gt;&lt;script&gt;x"))
            #expect(!page.text.contains("<script>x"))
            #expect(page.text.contains("And 400 more projects."))
        }
    }

    @Test("a link's token is of one team, lasts an hour, and no other secret makes it")
    func tokens() {
        let link = TeamLink(secret: WebStage.secret)
        let now: Int64 = 1_795_255_824_123
        let token = link.token(for: "acme", nowMs: now)
        #expect(token.expiresAtMs - now <= TeamLink.lifeMs && token.expiresAtMs - now > TeamLink.lifeMs - 1000)
        #expect(link.accepts(token.text, for: "acme", nowMs: now))
        #expect(link.accepts(token.text, for: "acme", nowMs: token.expiresAtMs - 1))
        #expect(!link.accepts(token.text, for: "acme", nowMs: token.expiresAtMs))
        #expect(!link.accepts(token.text, for: "acm", nowMs: now) && !link.accepts(token.text, for: "", nowMs: now))
        #expect(!TeamLink(secret: WebStage.secret + "0").accepts(token.text, for: "acme", nowMs: now))
        // Every letter counts.
        for place in token.text.indices {
            var forged = token.text
            forged.replaceSubrange(place...place, with: forged[place] == "A" ? "B" : "A")
            #expect(!link.accepts(forged, for: "acme", nowMs: now), "\(forged)")
        }
    }

    @Test("a code is shown only when it is a picture and nothing else")
    func codes() {
        #expect(PaymentCode.isImage("data:image/png;base64,iVBORw0KGgo="))
        for code in ["https://pay.example/x", "data:text/html;base64,AAAA", "data:image/png;base64,\"><script>", "data:image/png,AAAA", ""] {
            #expect(!PaymentCode.isImage(code))
        }
    }
}
