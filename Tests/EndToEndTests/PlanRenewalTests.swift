import Database
import Formats
import TestSupport
import Testing

@Suite("A plan whose period ends", .timeLimit(.minutes(4)))
struct PlanRenewalTests {
    private static let programs = [
        "ingest", "web", "sandbox", "worker-payments", "worker-plans", "worker-notifications", "worker-usage",
    ]
    private static let team = "team-karite"
    private static let dayMs: Int64 = 86_400_000
    private static let gib: Int64 = 1 << 30

    @Test("bought, reminded, paid on by the mail's link, then not paid: days of grace, then Free, whose limit stops the team's project")
    func life() async throws {
        try await Stage.run(Self.programs, Instance.Configuration(hasMail: true)) { stage in
            try await Self.enterTeam(stage)
            let shop = try await Shop(stage, scopes: ["payments", "usage"])
            try await Self.buy(shop)
            #expect(try await Self.standing(stage) == "active")

            // Six days are left: two schedulers that start at once remind once.
            try await Self.setEnd(inDays: 6, stage)
            try await stage.instance.start("scheduler", slot: 0)
            try await stage.instance.start("scheduler", slot: 1)
            let reminder = try await Self.mail("se termine le", stage)
            // From here on the ticks are the test's own.
            for slot in 0...1 { try await stage.instance.stop("scheduler", slot: slot) }
            for _ in 0..<2 { #expect(try await Self.tick(stage) == "0 reminded, 0 in grace, 0 ended, 0 messages") }
            #expect(reminder.to == ["mariam@example.org"])
            #expect(reminder.text?.contains("Bonjour Mariam Ouattara") == true && reminder.text?.contains("3.00\u{A0}EUR") == true)

            try await Self.payByLink(of: reminder, shop)
            let paid = try await stage.texts("SELECT cause FROM plans_moves ORDER BY id")
            #expect(paid == ["bought", "renewed"])
            _ = try await Self.mail("est payé jusqu", stage)

            // The month that was paid is over.
            try await Self.use(6 * Self.gib, stage)
            try await Self.setEnd(inDays: -1, stage)
            #expect(try await Self.tick(stage) == "0 reminded, 1 in grace, 0 ended, 1 messages")
            _ = try await Self.mail("n’est pas payé", stage)
            #expect(try await Self.standing(stage) == "grace")
            #expect(try await Self.isAllowed(shop))

            try await Self.setEnd(inDays: -8, stage)
            #expect(try await Self.tick(stage) == "0 reminded, 0 in grace, 1 ended, 1 messages")
            let ended = try await Self.mail("est passée à la formule gratuite", stage)
            #expect(try await Self.standing(stage) == "ended")
            // Answers from memory are five seconds old at most.
            try await eventually(within: .seconds(20), "6 GB are more than Free allows") { try await !Self.isAllowed(shop) }
            #expect(try await Self.tick(stage) == "0 reminded, 0 in grace, 0 ended, 0 messages")

            // The page that the last mail links to sells it anew.
            try await Self.payByLink(of: ended, shop)
            try await eventually(within: .seconds(20), "the project may go on") { try await Self.isAllowed(shop) }
            let causes = try await stage.texts("SELECT cause FROM plans_moves ORDER BY id")
            #expect(causes == ["bought", "renewed", "grace", "ended", "bought"])
            let told = try await stage.texts("SELECT step || ' ' || messages FROM plans_notices ORDER BY created_at")
            #expect(told == ["week 1", "grace 1", "ended 1"])
            let said = stage.instance.transcript(linesMax: .max)
            #expect(!said.contains("mariam@example.org") && !said.contains("settings?t="), "neither an address nor a link is in a log")
        }
    }

    @Test("money that goes back takes its period back, and the owner is told")
    func refunded() async throws {
        let programs = ["ingest", "web", "worker-payments", "worker-plans", "worker-notifications"]
        try await Stage.run(programs, Instance.Configuration(hasMail: true)) { stage in
            let plan = try await stage.seedOne(.plan)
            for arguments in [
                ["team", "put", plan.subject, "--name", "Coopérative Karité"],
                ["team", "member", plan.subject, "mariam@example.org", "--name", "Mariam Ouattara", "--role", "owner"],
            ] {
                #expect(try await stage.instance.quittance(arguments).code == 0)
            }
            #expect(try await stage.post(Message.paid(plan)).status == 200)
            try await eventually(within: .seconds(30), "the plan is active") { try await Self.standing(stage) == "active" }
            let refund = Message.payment("payment.refunded", order: plan.attempt, amount: plan.amountText, currency: plan.currency)
            #expect(try await stage.post(refund).status == 200)
            try await eventually(within: .seconds(30), "the plan has ended") { try await Self.standing(stage) == "ended" }
            let mail = try await Self.mail("est passée à la formule gratuite", stage)
            let page = try await HTTPLine.once(port: stage.instance.webPort, "GET", try Self.linkPath(of: mail))
            #expect(page.status == 200 && page.text.contains("Pro"), "the mail's link opens: \(page.status)")
            #expect(try await stage.count("SELECT COUNT(*) FROM plans_activations") == 0)
            #expect(
                try await stage.texts("SELECT cause || ' ' || payment FROM plans_moves ORDER BY id") == [
                    "bought \(plan.id)", "taken_back \(plan.id)",
                ])
            let life = try await stage.instance.quittance(["trace", plan.subject])
            #expect(life.output.contains("of \(plan.subject) bought: active until") && life.output.contains("taken back: ended"), "\(life.output)")
        }
    }

    // MARK: Steps

    private static func enterTeam(_ stage: Stage) async throws {
        for arguments in [
            ["team", "put", team, "--name", "Coopérative Karité", "--owner", "mariam@example.org", "--language", "fr"],
            ["team", "member", team, "mariam@example.org", "--name", "Mariam Ouattara", "--role", "owner", "--alerts", "off"],
            ["team", "project", team, "karite"],
        ] {
            let made = try await stage.instance.quittance(arguments)
            guard made.code == 0 else { throw FixtureError("quittance \(arguments.joined(separator: " ")): \(made.errors)") }
        }
    }

    /// Pays for Pro through the sandbox, as the product's own back end has it done.
    private static func buy(_ shop: Shop) async throws {
        let metadata: JSON = ["plan_upgrade": true, "new_plan": "pro"]
        let initiated = try await shop.call("POST", "/api/payments/\(team)/initiate", ["payment_method": "mobile_money", "metadata": metadata])
        try await pay(try #require(initiated["id"]?.string), shop)
    }

    /// Follows the link of a mail, presses the button there and pays.
    private static func payByLink(of mail: SMTPServer.Received, _ shop: Shop) async throws {
        let stage = shop.stage
        let path = try linkPath(of: mail)
        let page = try await HTTPLine.once(port: stage.instance.webPort, "GET", path)
        #expect(page.status == 200 && page.text.contains("Pro"), "\(page.status)")
        let pressed = try await HTTPLine.once(
            port: stage.instance.webPort, "POST", path.replacing("/settings?", with: "/settings/upgrade?").replacing("&tab=plan", with: ""),
            headers: [("content-type", "application/x-www-form-urlencoded")], body: Array("payment_method=mobile_money".utf8))
        #expect(pressed.status == 303, "\(pressed.text)")
        let payments = try await shop.call("GET", "/api/payments/\(team)/history")["payments"]?.array
        try await pay(try #require(payments?.first?["id"]?.string), shop)
    }

    private static func linkPath(of mail: SMTPServer.Received) throws -> String {
        let link = try #require(mail.text?.split(whereSeparator: \.isNewline).first { $0.contains("/settings?t=") })
        return String(link[try #require(link.firstRange(of: "/teams/")).lowerBound...])
    }

    private static func pay(_ payment: String, _ shop: Shop) async throws {
        try await shop.stage.sandbox("POST", "/sandbox/pay", ["reference": .string(payment)])
        try await eventually(within: .seconds(30), "\(payment) has bought its period") {
            try await shop.stage.count("SELECT COUNT(*) FROM plans_activations WHERE payment = $1", [.text(payment)]) == 1
        }
    }

    /// As if so many days had to pass until the period's end, or had passed since.
    private static func setEnd(inDays days: Int64, _ stage: Stage) async throws {
        let endMs = WallClock.nowMs + days * dayMs
        try await stage.database.write {
            _ = try $0.execute("UPDATE plans_subscriptions SET renews_at = $2 WHERE team = $1", [.text(team), .integer(endMs)])
        }
    }

    private static func standing(_ stage: Stage) async throws -> String? {
        try await stage.texts("SELECT status FROM plans_subscriptions").first
    }

    /// What the scheduler's entry does, by hand.
    private static func tick(_ stage: Stage) async throws -> String? {
        try await stage.runCron("plans-renewal", wait: 1).answer["detail"]?.string
    }

    /// Traffic of now.
    private static func use(_ bytes: Int64, _ stage: Stage) async throws {
        let sample = UsageTraffic.Sample(project: "karite", bytes: bytes, atMs: WallClock.nowMs, id: "")
        let batch = UsageTraffic.Batch(source: Instance.usageSource, name: "karite-\(ULID.make())", samples: [sample])
        #expect(try await stage.post(batch.posted()).status == 200)
        try await eventually("the traffic is counted") {
            try await stage.count("SELECT COALESCE(SUM(traffic_bytes), 0) FROM usage_project_months WHERE project = 'karite'") == Int(bytes)
        }
    }

    private static func isAllowed(_ shop: Shop) async throws -> Bool {
        try await shop.call("GET", "/api/usage/karite/allowed")["allowed"]?.bool == true
    }

    /// The one mail with these words in its subject.
    private static func mail(_ words: String, _ stage: Stage) async throws -> SMTPServer.Received {
        let server = try #require(stage.instance.mail)
        try await eventually(within: .seconds(40), "a mail “\(words)”") { try server.received().contains { $0.subject.contains(words) } }
        let found = try server.received().filter { $0.subject.contains(words) }
        #expect(found.count == 1, "\(found.map(\.subject))")
        return try #require(found.first)
    }
}
