import Database
import Formats
import TestSupport
import Testing

@Suite("A team that comes near its limit", .timeLimit(.minutes(4)))
struct UsageAlertTests {
    private static let programs = [
        "ingest", "web", "sandbox", "worker-payments", "worker-plans", "worker-notifications", "worker-usage",
    ]
    private static let team = "team-karite"
    private static let gib: Int64 = 1 << 30

    @Test("three schedulers and two workers: one mail for each person in their language, none from further runs, one more after an upgrade")
    func told() async throws {
        try await Stage.run(Self.programs, Instance.Configuration(hasMail: true)) { stage in
            try await stage.instance.start("worker-usage", slot: 1)
            try await Self.enterTeam(stage)
            let shop = try await Shop(stage, scopes: ["payments", "usage"])
            // 85 % of the 5 GB of Free.
            try await Self.use(4 * Self.gib + Self.gib / 4, stage)
            let before = try await shop.call("GET", "/api/usage/\(Self.team)")
            #expect(before["traffic"]?["percent"]?.int == 85 && before["traffic"]?["level"]?.string == "warning", "\(before.text)")

            // The last tick of each entry is due now, at all three at once.
            try await Self.makeDue(stage)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for slot in 0...2 { group.addTask { try await stage.instance.start("scheduler", slot: slot) } }
                try await group.waitForAll()
            }
            try await eventually(within: .seconds(60), "both entries ran") {
                let runs = try await stage.texts("SELECT kind || ' ' || outcome FROM usage_runs ORDER BY kind")
                guard runs == ["limits done", "storage done"] else { throw FixtureError("\(runs)") }
                return true
            }
            try await Self.requireMails(stage, subjects: ["85 % du quota de trafic", "85 % of the traffic"], "Free")

            // By hand, one after the other and several at once: nobody is told again.
            for entry in ["usage-storage", "usage-limits"] {
                let ran = try await stage.runCron(entry, wait: 30)
                #expect(ran.code == 0 && ran.answer["run"]?["outcome"]?.string == "done", "\(ran.answer.text)")
            }
            try await Self.runLimitsThrice(stage)
            try await Self.requireMails(stage, subjects: ["85 % du quota de trafic", "85 % of the traffic"], "Free")

            // A paid plan raises the limit and arms the alert anew.
            try await Self.upgrade(shop)
            let ran = try await stage.runCron("usage-limits", wait: 30)
            #expect(ran.answer["run"]?["items"]?.int == 1, "\(ran.answer.text)")
            try await Self.requireMails(stage, subjects: ["85 % du quota de trafic", "85 % of the traffic"], "Free")
            // Now 96 % of the 10 GB of Pro: a jump over two thresholds.
            try await Self.use(5 * Self.gib + Self.gib * 36 / 100, stage)
            try await Self.runLimitsThrice(stage)
            try await Self.requireMails(
                stage,
                subjects: [
                    "85 % du quota de trafic", "85 % of the traffic", "utilisé 96 % de son quota de trafic", "used 96 % of its traffic",
                ], "Pro")
            let alerts = try await stage.texts(
                "SELECT threshold || ' ' || (limit_bytes / 1073741824) || ' ' || state FROM usage_alerts ORDER BY limit_bytes, threshold")
            #expect(alerts == ["80 5 sent", "80 10 superseded", "95 10 sent"])
        }
    }

    // MARK: Steps

    /// Three people, one of whom does not want to be told.
    private static func enterTeam(_ stage: Stage) async throws {
        for arguments in [
            ["team", "put", team, "--name", "Coopérative Karité", "--owner", "mariam@example.org", "--language", "fr"],
            ["team", "member", team, "mariam@example.org", "--name", "Mariam Ouattara", "--role", "owner"],
            ["team", "member", team, "john@example.org", "--name", "John Doe", "--language", "en"],
            ["team", "member", team, "quiet@example.org", "--name", "Quiet", "--alerts", "off"],
            ["team", "project", team, "karite"],
        ] {
            let made = try await stage.instance.quittance(arguments)
            guard made.code == 0 else { throw FixtureError("quittance \(arguments.joined(separator: " ")): \(made.errors)") }
        }
    }

    /// Posts traffic of now, twice, and waits until it is counted.
    private static func use(_ bytes: Int64, _ stage: Stage) async throws {
        let before = try await counted(stage)
        let batch = UsageTraffic.Batch(
            source: Instance.usageSource, name: "karite-\(ULID.make())",
            samples: (0..<10).map { number in
                UsageTraffic.Sample(project: "karite", bytes: number == 0 ? bytes - bytes / 10 * 9 : bytes / 10, atMs: WallClock.nowMs, id: "")
            })
        for _ in 0..<2 { #expect(try await stage.post(batch.posted()).status == 200) }
        try await eventually("the traffic is counted") {
            let left = try await stage.held(by: "samples").count
            let now = try await counted(stage)
            return left == 0 && now == before + Int(bytes)
        }
    }

    private static func counted(_ stage: Stage) async throws -> Int {
        try await stage.count("SELECT COALESCE(SUM(traffic_bytes), 0) FROM usage_project_months WHERE project = 'karite'")
    }

    /// As if the entries had been there for ever: their last tick is due.
    private static func makeDue(_ stage: Stage) async throws {
        _ = try await stage.database.write { connection in
            try connection.execute(
                """
                INSERT INTO scheduling_entries (name, expression, created_at)
                VALUES ('usage-storage', '0 4 * * *', 0), ('usage-limits', '0 6 * * *', 0)
                ON CONFLICT (name) DO UPDATE SET created_at = 0
                """)
        }
    }

    private static func runLimitsThrice(_ stage: Stage) async throws {
        try await withThrowingTaskGroup(of: (code: Int32, answer: JSON).self) { group in
            for _ in 0..<3 { group.addTask { try await stage.runCron("usage-limits", wait: 30) } }
            for try await ran in group {
                #expect(ran.code == 0 && ran.answer["run"]?["outcome"]?.string == "done", "\(ran.answer.text)")
            }
        }
    }

    private static func upgrade(_ shop: Shop) async throws {
        let stage = shop.stage
        let metadata: JSON = ["plan_upgrade": true, "new_plan": "pro"]
        let initiated = try await shop.call("POST", "/api/payments/\(team)/initiate", ["payment_method": "mobile_money", "metadata": metadata])
        let payment = try #require(initiated["id"]?.string)
        try await stage.sandbox("POST", "/sandbox/pay", ["reference": .string(payment)])
        try await eventually(within: .seconds(30), "the plan is active") {
            try await stage.texts("SELECT plan || ' ' || status FROM plans_subscriptions WHERE team = $1", [.text(team)]) == ["pay_as_you_go active"]
        }
    }

    /// Waits until nothing is left to be sent, and throws unless the team's people got these messages, each once.
    private static func requireMails(_ stage: Stage, subjects: [String], _ plan: String) async throws {
        try await eventually(within: .seconds(30), "all messages are sent") {
            let open = try await stage.texts(
                "SELECT kind || ' ' || id FROM outbox_jobs WHERE finished_at IS NULL AND queue IN ('usage', 'notifications')")
            guard open.isEmpty else { throw FixtureError("\(open)") }
            return true
        }
        let mail = try #require(stage.instance.mail)
        let received = try mail.received().filter { $0.subject.contains("Coopérative Karité") }
        #expect(received.count == subjects.count, "\(received.map { "\($0.to) \($0.subject)" })")
        for (number, subject) in subjects.enumerated() {
            let found = received.filter { $0.subject.contains(subject) }
            #expect(found.count == 1, "\(subject): \(received.map(\.subject))")
            // French and English in turn.
            #expect(found.first?.to == [number.isMultiple(of: 2) ? "mariam@example.org" : "john@example.org"])
            #expect(found.first?.text?.contains(number.isMultiple(of: 2) ? "Bonjour Mariam Ouattara" : "Hello John Doe") == true)
        }
        #expect(received.last?.text?.contains(plan) == true)
        #expect(try mail.received().allSatisfy { $0.to != ["quiet@example.org"] })
    }
}
