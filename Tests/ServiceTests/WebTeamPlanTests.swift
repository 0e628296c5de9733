import Database
import Formats
import Money
import Payments
import Plans
import ProviderPort
import TestSupport
import Testing
import Usage

@testable import WebService

@Suite("What a team sees and does about its plan and payments")
struct WebTeamPlanTests {
    private static func path(_ page: String, _ deed: String) -> String { page.replacing("/settings?", with: "/settings/\(deed)?") }

    private static func open(_ stage: WebStage, plan: String = Plan.free, projects: [String] = ["shop"]) async throws -> String {
        try await stage.team("acme", plan: plan, projects: projects)
        return try await stage.teamLink()
    }

    /// What a camera reads in a picture that stands in a data: address.
    private static func scanned(_ address: String) async throws -> [String] {
        let picture = try #require(address.hasPrefix("data:image/png;base64,") ? Base64.decode(String(address.dropFirst(22))) : nil)
        let folder = try TemporaryFolder("code")
        let process = try await ProcessFixture.start("zbarimg", ["--quiet", "--raw", try folder.write(picture, to: "code.png")])
        try await process.waitForExit()
        return process.output
    }

    // MARK: Paying

    @Test("while a payment is under way the page says so, shows its code, and ends by itself")
    func underway() async throws {
        try await WebStage.with { stage in
            let page = try await Self.open(stage)
            let quiet = try await stage.send("GET", "\(page)&tab=payments")
            #expect(!quiet.text.contains("Payment under way") && !quiet.text.contains("http-equiv"))
            let payment = try await stage.beginUpgrade()
            let waiting = try await stage.send("GET", "\(page)&tab=payments")
            try HTMLCheck.wellFormed(waiting.text)
            #expect(waiting.text.contains("Payment under way"))
            #expect(waiting.text.contains("<noscript><meta http-equiv=\"refresh\" content=\"30\"/></noscript>"))
            let url = try #require(try await stage.attempts(of: payment).last?.paymentURL)
            let start = try #require(waiting.text.firstRange(of: "<img src=\""))
            #expect(try await Self.scanned(String(waiting.text[start.upperBound...].prefix { $0 != "\"" })) == [url])
            #expect(waiting.text.contains("alt=\"QR code of the payment\""))
            #expect(waiting.text.contains("href=\"\(url)\" class=\"button\" target=\"_blank\" rel=\"noopener noreferrer\""))
            #expect(waiting.text.contains("<input type=\"hidden\" name=\"payment\" value=\"\(payment)\"/>"))

            try await stage.pay(payment)
            let paid = try await stage.send("GET", "\(page)&tab=payments")
            #expect(!paid.text.contains("Payment under way") && !paid.text.contains("http-equiv"))
            #expect(paid.text.contains("EUR received.") && paid.text.contains("Your plan changes in a moment."))
            try await stage.activate()
            let active = try await stage.send("GET", "\(page)&tab=payments")
            try HTMLCheck.wellFormed(active.text)
            #expect(active.text.contains("Pro is paid until"))
            stage.turnClock(by: 31 * 60_000)
            #expect(!(try await stage.send("GET", "\(page)&tab=payments")).text.contains("EUR received."))
        }
    }

    @Test("a plan's payment has a code to scan: in the answer that starts it, as a picture, and none once it is paid")
    func code() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme")
            let started = try await stage.post("/api/payments/acme/initiate", WebStage.upgrade)
            let url = try #require(started.string("payment_url"))
            #expect(try await Self.scanned(try #require(started.string("qr_code"))) == [url])
            let payment = try #require(started.string("id"))
            let png = try await stage.get("/api/v1/payments/\(payment)/qr.png")
            #expect(try await Self.scanned("data:image/png;base64,\(Base64.encode(png.body))") == [url])
            try await stage.pay(payment)
            let status = try await stage.get("/api/payments/\(payment)/status")
            #expect(status.string("status") == "completed" && status.json["qr_code"]?.isNull == true)
        }
    }

    @Test("cancelling on the page says whether the provider agreed, said no, could not be asked, or had nothing to cancel")
    func cancelling() async throws {
        try await WebStage.with { stage in
            let page = try await Self.open(stage)
            func cancel(_ payment: String) async throws -> String {
                let answer = try await stage.form(Self.path(page, "cancel"), [("payment", payment)])
                #expect(answer.status == 303, "\(answer.text)")
                return answer.headers["location"] ?? ""
            }
            let first = try await stage.beginUpgrade()
            stage.transport.set(.failing(ProviderError(.unavailable, "refused", code: "connect")))
            #expect(try await cancel(first) == "\(page)&tab=payments&note=unasked")
            stage.transport.set(.open)
            let agreed = try await cancel(first)
            #expect(agreed == "\(page)&tab=payments&note=cancelled")
            let told = try await stage.send("GET", agreed)
            try HTMLCheck.wellFormed(told.text)
            #expect(told.text.contains("The provider has cancelled the payment."))
            #expect(told.text.contains("<span class=\"badge cancelled\">cancelled</span>"))
            #expect(try await cancel(first) == "\(page)&tab=payments&note=over")

            let second = try await stage.beginUpgrade()
            #expect(try await stage.play("scenario", ["reference": .string(second), "steps": ["dropped"]]) == 200)
            #expect(try await stage.play("pay", ["reference": .string(second)]) == 200)
            let refused = try await cancel(second)
            #expect(refused == "\(page)&tab=payments&note=refused")
            #expect(try await stage.send("GET", refused).text.contains("The provider has not cancelled the payment."))
            #expect(try await stage.get("/api/payments/\(second)/status").string("status") != "cancelled")

            // Nobody else's payment, and none that buys something else.
            try await stage.team("other")
            let foreign = try await stage.beginUpgrade("other")
            let nowhere = try await stage.form(Self.path(page, "cancel").replacing("acme", with: "none"), [("payment", first)])
            for payment in [foreign, try await stage.order(), "pay_none", ""] {
                let answer = try await stage.form(Self.path(page, "cancel"), [("payment", payment)])
                #expect(answer.status == 404 && answer.body == nowhere.body, "\(payment)")
            }
            #expect(try await stage.get("/api/payments/\(foreign)/status").string("status") == "pending")
            let crossSite = try await stage.form(Self.path(page, "cancel"), [("payment", foreign)], headers: ["sec-fetch-site": "cross-site"])
            #expect(crossSite.status == 403)
        }
    }

    @Test("after the payment the provider's page leads to one that says the team's page follows, without that page's token")
    func wayBack() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", language: "en")
            let payment = try await stage.beginUpgrade()
            let attempt = try #require(try await stage.attempts(of: payment).last?.id)
            for isPaid in [false, true] {
                if isPaid { try await stage.pay(payment) }
                let page = try await stage.send("GET", "/payments/payment-backend/return/?attempt=\(attempt)")
                #expect(page.status == 200)
                try HTMLCheck.wellFormed(page.text)
                #expect(page.text.contains("la page de votre équipe") || page.text.contains("your team’s page follows by itself"))
                #expect(!page.text.contains("/teams/"))
            }
        }
    }

    // MARK: The plan after this one

    @Test("Free after the period, and the plan kept after all: on the page and over the API; nothing changes before")
    func downgrade() async throws {
        try await WebStage.with { stage in
            let page = try await Self.open(stage)
            #expect(!(try await stage.send("GET", page)).text.contains("Go back to Free"))
            #expect(try await stage.post("/api/teams/acme/downgrade", [:]).status == 409)
            #expect(try await stage.form(Self.path(page, "plan"), [("next", "free")]).headers["location"] == "\(page)&tab=plan")
            let payment = try await stage.beginUpgrade()
            try await stage.pay(payment)
            try await stage.activate()
            #expect(try await stage.send("GET", page).text.contains("Go back to Free on"))

            let chosen = try await stage.form(Self.path(page, "plan"), [("next", "free")])
            #expect(chosen.status == 303 && chosen.headers["location"] == "\(page)&tab=plan&note=ending", "\(chosen.text)")
            let ending = try await stage.send("GET", chosen.headers["location"] ?? "")
            try HTMLCheck.wellFormed(ending.text)
            #expect(ending.text.contains("nothing changes before the paid period ends"))
            #expect(ending.text.contains("Free from") && ending.text.contains(">Keep Pro</button>"))
            #expect(ending.text.contains("<span class=\"chip\">Pro</span>"))
            #expect(try await stage.plan().id == Plan.pro)
            let team = try await stage.get("/api/teams/acme")
            #expect(team.json["subscription"]?["next_plan"]?.string == Plan.free)
            #expect(team.json["subscription"]?["grace_ends_at"]?.isNull == true)

            let kept = try await stage.form(Self.path(page, "plan"), [("next", "keep")])
            #expect(kept.headers["location"] == "\(page)&tab=plan&note=kept")
            #expect(try await stage.get("/api/teams/acme").json["subscription"]?["next_plan"]?.isNull == true)
            for (call, next) in [("downgrade", "free"), ("downgrade", "free"), ("keep", nil), ("keep", nil)] as [(String, String?)] {
                let answer = try await stage.post("/api/teams/acme/\(call)", [:])
                #expect(answer.status == 200 && answer.json["subscription"]?["next_plan"]?.string == next, "\(call): \(answer.text)")
            }
            #expect(try await stage.post("/api/teams/none/downgrade", [:]).status == 404)
            #expect(try await stage.form(Self.path(page, "plan"), [("next", "gold")]).status == 422)
        }
    }

    @Test(
        "a plan in its grace says on every tab until when it goes on, and after it the limits that are passed are named", arguments: ["fr", "en"])
    func grace(language: String) async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", language: language, plan: Plan.pro, projects: ["a", "b", "c"])
            let page = try await stage.teamLink()
            let (now, end) = (stage.nowMs, stage.nowMs - 86_400_000)
            try await stage.database.write { connection in
                try connection.execute("UPDATE plans_subscriptions SET status = 'grace', renews_at = $1", [.integer(end)])
            }
            let until = UsageWords.day(end + PlanTerms.graceMs, Words(language))
            for tab in TeamPageTab.allCases {
                let text = try await stage.send("GET", "\(page)&tab=\(tab.rawValue)").text
                try HTMLCheck.wellFormed(text)
                #expect(text.contains("<p class=\"alert critical\" role=\"status\">") && text.contains(until), "\(tab)")
            }
            let team = try await stage.get("/api/teams/acme").json["subscription"]
            #expect(team?["status"]?.string == "grace")
            #expect(team?["grace_ends_at"]?.string == Timestamp.rfc3339(end + PlanTerms.graceMs))
            #expect(try await stage.plan().id == Plan.pro)

            try await stage.database.write { try $0.execute("UPDATE plans_subscriptions SET status = 'ended', updated_at = $1", [.integer(now)]) }
            let text = try await stage.send("GET", page).text
            #expect(text.contains(language == "fr" ? "Limites dépassées : Projets." : "Limits that are passed: Projects."))
            #expect(!text.contains(until))
        }
    }

    // MARK: Days

    @Test("the chart has a bar for every day with traffic, whose days of this month are the month's figure; the table has all 31 days")
    func days() async throws {
        try await WebStage.with { stage in
            let page = try await Self.open(stage, projects: ["shop", "blog"])
            let now = stage.nowMs
            var sent: [Int64: Int64] = [:]
            let used: [(Int64, Int64)] = [(0, 3 * ByteFigure.gb), (1, 40 * ByteFigure.mb), (5, 7), (30, ByteFigure.gb), (31, ByteFigure.gb)]
            for (back, bytes) in used {
                for project in ["shop", "blog"] { try await stage.traffic(project, bytes, atMs: now - back * UsagePeriod.dayMs) }
                sent[now / UsagePeriod.dayMs - back] = 2 * bytes
            }
            let content = try #require(try await stage.database.read { try TeamPageContent(of: "acme", nowMs: now, in: $0) })
            #expect(content.days.count == 31)
            #expect(content.days.map(\.startMs) == (0..<31).map { (now / UsagePeriod.dayMs - 30 + $0) * UsagePeriod.dayMs })
            for day in content.days { #expect(day.trafficBytes == sent[day.startMs / UsagePeriod.dayMs] ?? 0) }
            let month = UsagePeriod(containing: now)
            let ofMonth = content.days.filter { UsagePeriod(containing: $0.startMs) == month }.reduce(0) { $0 + $1.trafficBytes }
            #expect(ofMonth == content.usage.traffic.used)

            let text = try await stage.send("GET", "\(page)&tab=usage").text
            try HTMLCheck.wellFormed(text)
            let chart = try #require(text.split(separator: "<svg").last?.split(separator: "</svg>").first)
            #expect(chart.split(separator: "<rect").count - 1 == 4)
            // 6 GB on one day are more than a 31st of 5 GB, 14 bytes are not.
            #expect(chart.contains("class=\"over\"") && chart.contains("class=\"within\"") && chart.contains("<line "))
            #expect(chart.contains("6.00\u{A0}GB</title>"))
            let table = try #require(text.split(separator: "<details>").last?.split(separator: "</details>").first)
            #expect(table.split(separator: "<tr>").count - 2 == 31)
        }
    }

    // MARK: The five endpoints

    @Test("a team's history is told fifty at a time, newest first, each once")
    func paging() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme")
            let now = stage.nowMs
            let made = try await stage.database.write { connection in
                try (0..<123).map { number in
                    let new = NewPayment(
                        purpose: PlanPurpose.name, subject: "acme", description: "Pro", amount: Money(300, .eur),
                        customer: Customer(name: "A", email: nil, phone: nil, language: "fr"), metadata: ["new_plan": Plan.pro])
                    return try PaymentStore.create(new, actor: "test", nowMs: now + Int64(number), in: connection).id
                }
            }
            var (seen, sizes): ([String], [Int]) = ([], [])
            var path: String? = "/api/payments/acme/history"
            while let next = path {
                let answer = try await stage.get(next)
                let page = answer.json["payments"]?.array?.compactMap { $0["id"]?.string } ?? []
                (seen, sizes) = (seen + page, sizes + [page.count])
                path = answer.string("next").map { "/api/payments/acme/history?before=\($0)" }
            }
            #expect(sizes == [50, 50, 23])
            #expect(seen == made.reversed())
            for limit in ["0", "51", "-1", "x"] { #expect(try await stage.get("/api/payments/acme/history?limit=\(limit)").status == 422) }
        }
    }

    @Test("every state of ours is one of the five words, and our own stands beside it", arguments: PaymentState.allCases)
    func words(state: PaymentState) async throws {
        #expect(["pending", "processing", "completed", "failed", "cancelled"].contains(TeamPayment.word(for: state)))
        try await WebStage.with { stage in
            try await stage.team("acme")
            let payment = try await stage.beginUpgrade()
            try await stage.database.write {
                try $0.execute("UPDATE payments_payments SET state = $2 WHERE id = $1", [.text(payment), .text(state.rawValue)])
            }
            let answer = try await stage.get("/api/payments/\(payment)/status")
            #expect(answer.string("status") == TeamPayment.word(for: state))
            #expect(answer.string("state") == state.rawValue)
            let page = try await stage.send("GET", "\(try await stage.teamLink())&tab=payments")
            try HTMLCheck.wellFormed(page.text)
            #expect(page.text.contains("<span class=\"badge \(UsageWords.colour(of: state))\">\(UsageWords.status(state, Words("en")))</span>"))
        }
    }
}
