import Database
import EventLoop
import Formats
import Outbox
import Payments
import PaymentsService
import Plans
import ProviderPort
import Settings
import Teams
import Telemetry
import TestSupport
import Testing
import Usage

@Suite("Figures of the whole product")
struct ProductMetricsTests {
    private static let gb = ByteFigure.gb

    /// Reads all figures of a stage's database once.
    private func read(_ stage: CommandStage, into registry: MetricRegistry, providers: ProviderRegistry? = nil) async throws {
        let loop = try EventLoop.started(name: "test-metrics")
        let database = try Database.open(stage.settings.database, readers: 1)
        await ProductMetrics(
            database: database, providers: providers, loop: loop, registry: registry, log: Log(), nowMs: { stage.nowMs }
        ).read()
        await database.close()
        try await BlockingPool(name: "test-end", threads: 1).run { loop.stop() }
    }

    /// What a scrape sees of a stage's database.
    static func samples(of stage: CommandStage) async throws -> [String: String] {
        let registry = MetricRegistry()
        let suite = ProductMetricsTests()
        try await suite.read(stage, into: registry)
        return suite.samples(registry)
    }

    /// The samples as a scrape sees them.
    private func samples(_ registry: MetricRegistry) -> [String: String] {
        var samples: [String: String] = [:]
        for line in registry.prometheusText().split(separator: "\n") where !line.hasPrefix("#") {
            guard let blank = line.lastIndex(of: " ") else { continue }
            samples[String(line[..<blank])] = String(line[line.index(after: blank)...])
        }
        return samples
    }

    @Test("usage by team, on average, by month, and the age of gauges")
    func usage() async throws {
        let stage = try await CommandStage.make()
        await CommandUsageTests.team(stage)
        _ = await stage.run("team", "put", "acacia")
        // Last month's, this month's, and some of a project that no team has.
        stage.turn(byMs: -30 * 24 * 60 * 60_000)
        try await CommandUsageTests.count(Self.gb, of: "shop", unit: "october", stage)
        stage.turn(byMs: 30 * 24 * 60 * 60_000)
        try await CommandUsageTests.count(3000, of: "shop", unit: "a", stage)
        try await CommandUsageTests.count(600, of: "blog", unit: "b", stage)
        try await CommandUsageTests.count(300, of: "stray", unit: "c", stage)
        let nowMs = stage.nowMs
        try await stage.write { connection in
            _ = try StorageGauges.record(
                StorageMeasurement(origin: "folders", measuredAtMs: nowMs - 60_000, projects: ["shop": .init(bytes: 5000)]), in: connection)
            _ = try StorageGauges.set(project: "blog", bytes: 70, origin: "backup", measuredAtMs: nowMs - 40 * 60 * 60_000, in: connection)
            try StorageGauges.recordFailure(origin: "docker", error: "refused", nowMs: nowMs, in: connection)
            _ = try UsageRun.begin(.storage, tick: "t", job: "j", nowMs: nowMs - 5000, in: connection)
            try UsageRun.end(.storage, tick: "t", as: .done, UsageRun.Report(items: 1, errors: 0, detail: ""), nowMs: nowMs - 3500, in: connection)
            _ = try UsageRun.begin(.storage, tick: "u", job: "k", nowMs: nowMs - 2000, in: connection)
            try UsageRun.end(.storage, tick: "u", as: .failed, UsageRun.Report(items: 0, errors: 1, detail: ""), nowMs: nowMs - 1000, in: connection)
        }
        let registry = MetricRegistry()
        try await read(stage, into: registry)
        let seen = samples(registry)
        let wanted = [
            #"usage_team_traffic_bytes{team="baobab"}"#: "3600", #"usage_team_traffic_bytes{team=""}"#: "300",
            #"usage_team_storage_bytes{team="baobab"}"#: "5070", #"usage_team_storage_bytes{team=""}"#: "0",
            // Three projects, two teams.
            #"usage_average_traffic_bytes{per="project"}"#: "1300", #"usage_average_traffic_bytes{per="team"}"#: "1950",
            #"usage_average_storage_bytes{per="project"}"#: "1690", #"usage_average_storage_bytes{per="team"}"#: "2535",
            #"usage_month_traffic_bytes{month="this"}"#: "3900", #"usage_month_traffic_bytes{month="last"}"#: "\(Self.gb)",
            #"usage_month_storage_bytes{month="this"}"#: "5070", #"usage_month_storage_bytes{month="last"}"#: "0",
            #"usage_storage_age_seconds{origin="folders"}"#: "60", #"usage_storage_age_seconds{origin="docker"}"#: "+Inf",
            // Docker was never measured, so nobody's figure is whole.
            "usage_storage_stale": "2", #"usage_runs{kind="storage",outcome="failed"}"#: "1", #"usage_runs{kind="storage",outcome="done"}"#: "0",
            #"usage_runs{kind="limits",outcome="done"}"#: "0", #"usage_run_seconds{kind="storage"}"#: "1",
            #"usage_run_success_timestamp_seconds{kind="storage"}"#: "\(Double(nowMs - 3500) / 1000)",
            #"usage_samples_rejected{reason="too_old"}"#: "0",
        ]
        for (name, value) in wanted { #expect(seen[name] == value, "\(name)") }
        #expect(seen[#"usage_team_traffic_bytes{team="acacia"}"#] == nil)
        #expect(seen[#"usage_run_seconds{kind="limits"}"#] == nil)
    }

    @Test("the greatest 500 teams have series of their own, all others are one sum, and a team that goes takes its series along")
    func manyTeams() async throws {
        let stage = try await CommandStage.make()
        let nowMs = stage.nowMs
        try await stage.write { connection in
            for number in 1...520 {
                let id = "team-\(number)"
                _ = try TeamStore.put(Team(id: id, name: id, owner: id, language: "fr", createdAtMs: nowMs), in: connection)
                _ = try TeamStore.put(Project(id: "project-\(number)", team: id, name: id, createdAtMs: nowMs), in: connection)
                _ = try UsageCounters.recordTraffic(
                    project: "project-\(number)", bytes: Int64(number), atMs: nowMs, unit: "u\(number)", nowMs: nowMs, in: connection)
            }
        }
        let registry = MetricRegistry()
        try await read(stage, into: registry)
        let seen = samples(registry)
        #expect(seen.keys.count { $0.hasPrefix("usage_team_traffic_bytes{") } == 501)
        #expect(seen[#"usage_team_traffic_bytes{team="team-520"}"#] == "520")
        #expect(seen[#"usage_team_traffic_bytes{team="team-20"}"#] == nil)
        #expect(seen[#"usage_team_traffic_bytes{team=""}"#] == "\((1...20).reduce(0, +))")
        _ = await stage.run("team", "put", "team-520", "--remove")
        try await read(stage, into: registry)
        let later = samples(registry)
        #expect(later[#"usage_team_traffic_bytes{team="team-520"}"#] == nil)
        #expect(later[#"usage_team_traffic_bytes{team="team-20"}"#] == "20")
        // What it used is still there, of no team.
        #expect(later[#"usage_team_traffic_bytes{team=""}"#] == "\((1...19).reduce(0, +) + 520)")
    }

    @Test("a source that is on and silent: since its last event, or since it was first paid at, with what was begun meanwhile")
    func silence() async throws {
        let stage = try await CommandStage.make([
            "PROVIDER_MODE_WAVE": "sandbox", "WAVE_API_KEY": "k", "WAVE_WEBHOOK_SECRET": "w", "PROVIDER_MODE_MANUAL": "sandbox",
        ])
        let registry = MetricRegistry()
        func seen() async throws -> [String: String] {
            try await read(stage, into: registry, providers: try Product.providers(stage.settings))
            return samples(registry)
        }
        func name(_ metric: String, _ source: String) -> String { #"\#(metric){mode="sandbox",source="\#(source)"}"# }
        let (silent, unheard) = ("payments_source_silent_seconds", "payments_source_unheard_attempts")
        func value(_ metric: String, _ source: String) async throws -> String? {
            let seen = try await seen()
            return seen[name(metric, source)] ?? seen[#"\#(metric){source="\#(source)",mode="sandbox"}"#]
        }
        #expect(try await value(silent, "wave") == nil)
        #expect(try await value(unheard, "wave") == "0")
        let kit = try await stage.orderKit()
        try await stage.notify(kit)
        stage.turn(byMs: 3_600_000)
        // The event came two seconds after the stage's time of then.
        #expect(try await value(silent, "standard-webhooks") == "3598")
        #expect(try await value(unheard, "standard-webhooks") == "0")
        for _ in 0..<3 { _ = try await stage.orderKit() }
        #expect(try await value(unheard, "standard-webhooks") == "0")
        stage.turn(byMs: 3_600_000)
        #expect(try await value(unheard, "standard-webhooks") == "3")
        try await stage.write { connection in
            let payment = try PaymentStore.require(kit.payment, in: connection)
            try connection.execute("UPDATE payments_attempts SET provider = 'wave' WHERE payment = $1", [.text(payment.id)])
        }
        #expect(try await value(silent, "wave") == "7199")
        #expect(try await seen().keys.allSatisfy { !$0.contains("manual") || !$0.hasPrefix("payments_source") })
    }

    @Test("plans, conversions, payments by state, the success ratio and the preferred method")
    func plansAndPayments() async throws {
        let stage = try await CommandStage.make()
        await CommandUsageTests.team(stage)
        _ = await stage.run("team", "put", "acacia")
        _ = await stage.run("team", "put", "neem")
        let nowMs = stage.nowMs
        try await stage.write { connection in
            for (team, status) in [("baobab", "active"), ("acacia", "ended"), ("elsewhere", "grace")] {
                try connection.execute(
                    "INSERT INTO plans_subscriptions VALUES ($1, 'pay_as_you_go', 1, $2, 0, 0, 1, 0)", [.text(team), .text(status)])
                try connection.execute("INSERT INTO plans_activations VALUES ($1, $1, 'pay_as_you_go', 1, 0, 0, 0, 0)", [.text(team)])
            }
            let states = ["paid", "paid", "refunded", "failed", "pending"]
            for (number, state) in states.enumerated() {
                let payment = "pay_\(number)"
                try connection.execute(
                    """
                    INSERT INTO payments_payments (id, purpose, subject, description, amount, currency, state, customer_name, language, metadata,
                      created_at, updated_at) VALUES ($1, 'order', 's', 'd', 1, 'XOF', $2, 'n', 'fr', '{}', $3, $3)
                    """, [.text(payment), .text(state), .integer(nowMs)])
                for attempt in 1...(number == 0 ? 2 : 1) {
                    try connection.execute(
                        """
                        INSERT INTO payments_attempts (id, payment, number, provider, mode, method, created_at)
                        VALUES ($1, $2, $3, $4, 'sandbox', $5, $6)
                        """,
                        [
                            .text("a\(number)-\(attempt)"), .text(payment), .int(attempt), .text(attempt == 2 ? "wave" : "cinetpay"),
                            number == 4 ? .null : .text(number < 3 ? "mobile_money" : "credit_card"), .integer(nowMs),
                        ])
                }
            }
        }
        let registry = MetricRegistry()
        try await read(stage, into: registry)
        let seen = samples(registry)
        let wanted = [
            #"plans_teams{plan="free"}"#: "2", #"plans_teams{plan="pay_as_you_go"}"#: "2", "plans_conversions": "3", "plans_conversion_ratio": "0.75",
            // The first payment failed at one provider and was paid at another.
            #"payments_states{provider="wave",state="paid"}"#: "1", #"payments_states{provider="cinetpay",state="paid"}"#: "1",
            #"payments_states{provider="cinetpay",state="failed"}"#: "1", "payments_success_ratio": "0.75",
            #"payments_attempts{method="mobile_money"}"#: "4", #"payments_attempts{method="credit_card"}"#: "1",
            #"payments_attempts{method=""}"#: "1",
        ]
        for (name, value) in wanted { #expect(seen[name] == value, "\(name)") }
    }

    @Test("subscriptions by status, and those that nobody has moved on a quarter of an hour after their period or their grace")
    func subscriptions() async throws {
        let stage = try await CommandStage.make()
        let (now, minute) = (stage.nowMs, Int64(60_000))
        let rows: [(status: String, renewsAt: Int64)] = [
            ("active", now + minute), ("active", now - 14 * minute), ("active", now - 16 * minute),
            ("grace", now - 16 * minute), ("grace", now - PlanTerms.graceMs - 14 * minute), ("grace", now - PlanTerms.graceMs - 16 * minute),
            ("ended", now - 60 * 24 * 60 * minute),
        ]
        try await stage.write { connection in
            for (number, row) in rows.enumerated() {
                try connection.execute(
                    "INSERT INTO plans_subscriptions VALUES ($1, 'pay_as_you_go', 1, $2, 0, $3, 1, 0)",
                    [.text("team-\(number)"), .text(row.status), .integer(row.renewsAt)])
            }
        }
        let seen = try await Self.samples(of: stage)
        for (status, count) in [("active", "3"), ("grace", "3"), ("ended", "1")] {
            #expect(seen[#"plans_subscriptions{status="\#(status)"}"#] == count, "\(status)")
        }
        #expect(seen["plans_overdue"] == "2")
    }

    @Test("the payments of the last 24 hours by method and by what became of them; older ones are not among them")
    func day() async throws {
        let stage = try await CommandStage.make()
        let (now, hour) = (stage.nowMs, Int64(3_600_000))
        let payments: [(state: PaymentState, methods: [String?], ageMs: Int64)] = [
            (.paid, ["mobile_money"], hour), (.refunded, ["credit_card", "mobile_money"], 23 * hour), (.failed, ["mobile_money"], 2 * hour),
            (.expired, ["credit_card"], 3 * hour), (.cancelled, [nil], hour), (.pending, [], hour), (.conflicted, ["credit_card"], hour),
            (.failed, ["mobile_money"], 25 * hour), (.paid, ["credit_card"], 300 * hour),
        ]
        try await stage.write { connection in
            for (number, payment) in payments.enumerated() {
                let at = now - payment.ageMs
                let id = "pay_\(ULID.lowest(atMs: at).dropLast(2))1\(number)"
                try connection.execute(
                    """
                    INSERT INTO payments_payments (id, purpose, subject, description, amount, currency, state, customer_name, language, metadata,
                      created_at, updated_at) VALUES ($1, 'order', 's', 'd', 1, 'XOF', $2, 'n', 'fr', '{}', $3, $3)
                    """, [.text(id), .text(payment.state.rawValue), .integer(at)])
                for (place, method) in payment.methods.enumerated() {
                    try connection.execute(
                        """
                        INSERT INTO payments_attempts (id, payment, number, provider, mode, method, created_at)
                        VALUES ($1, $2, $3, 'cinetpay', 'sandbox', $4, $5)
                        """, [.text("\(id)-\(place)"), .text(id), .int(place + 1), .optional(method), .integer(at)])
                }
            }
        }
        let seen = try await Self.samples(of: stage)
        let wanted: [String: [String: String]] = [
            "mobile_money": ["paid": "2", "failed": "1", "open": "0"], "credit_card": ["paid": "0", "failed": "1", "open": "1"],
            "": ["paid": "0", "failed": "1", "open": "1"],
        ]
        for (method, outcomes) in wanted {
            for (outcome, count) in outcomes {
                #expect(seen[#"payments_day{method="\#(method)",outcome="\#(outcome)"}"#] == count, "\(method) \(outcome)")
            }
        }
        #expect(seen.keys.count { $0.hasPrefix("payments_day{") } == 9)
    }

    @Test("a part that cannot be read keeps its last figures, and the others are read all the same")
    func robust() async throws {
        let stage = try await CommandStage.make()
        await CommandUsageTests.team(stage)
        try await CommandUsageTests.count(3000, of: "shop", unit: "a", stage)
        let registry = MetricRegistry()
        try await read(stage, into: registry)
        #expect(samples(registry)["plans_conversions"] == "0")
        let first = samples(registry)[#"product_metrics_read_timestamp_seconds{part="usage"}"#]
        try await stage.write { connection in
            try connection.execute("ALTER TABLE usage_project_months RENAME TO elsewhere")
            try connection.execute("INSERT INTO plans_activations VALUES ('p', 'baobab', 'pay_as_you_go', 1, 0, 0, 0, 0)")
        }
        stage.turn(byMs: 60_000)
        try await read(stage, into: registry)
        let seen = samples(registry)
        #expect(seen[#"usage_team_traffic_bytes{team="baobab"}"#] == "3000")
        #expect(seen[#"product_metrics_read_timestamp_seconds{part="usage"}"#] == first)
        #expect(seen["plans_conversions"] == "1")
        #expect(seen[#"product_metrics_read_timestamp_seconds{part="plans"}"#] != first)
    }

    @Test("a running scheduler shows them, with its ticks and its process")
    func scheduler() async throws {
        let stage = try await CommandStage.make(redis: true)
        await CommandUsageTests.team(stage)
        let port = try freePort()
        let environment = [
            "VAR_DIRECTORY": stage.folder.file("var"), "REDIS_URL": stage.redis?.url ?? "", "METRICS_ADDRESS": "127.0.0.1:\(port)",
            "PATH": "/usr/bin:/bin",
        ]
        let process = try await ProcessFixture.start(try builtProduct("scheduler"), [], environment: environment)
        try await process.waitForLine(containing: "\"started\"", within: .seconds(60))
        var text = ""
        try await eventually(within: .seconds(30), "the figures are there") {
            text = try await HTTPLine.once(port: port, "GET", "/metrics").text
            return text.contains("outbox_jobs") && text.contains(#"cron_ticks_total{entry="outbox-sweep",outcome="done"}"#)
        }
        for name in [
            #"plans_teams{plan="free"} 1"#, "usage_storage_stale 0", #"cron_ticks_total{entry="usage-storage",outcome="failed"} 0"#,
            #"product_metrics_seconds{part="payments"}"#, "process_resident_memory_bytes",
        ] { #expect(text.contains(name), "\(name)") }
        process.terminate()
        #expect(try await process.waitForExit(within: .seconds(40)) == .exited(0))
    }
}
