import Cryptography
import Database
import Formats
import HTTPClient
import HTTPServer
import Ledger
import Money
import Outbox
import Payments
import Plans
import ProviderPort
import StandardWebhooks
import Teams
import Telemetry
import TestSupport
import Testing
import Usage

@testable import WebService

/// Each of the eleven defects of Servelink's own code, with the situation that showed it. Streamed answers, the second half of the seventh, are
/// counted from the log of a real nginx: UsageCollectorTests of the end-to-end tests.
@Suite("What the original of Servelink got wrong")
struct ServelinkDefectTests {
    /// A callback of the payment back end about a payment, signed unless told otherwise. - Returns: what ingest answers.
    private func callback(
        _ stage: WebStage, _ payment: String, _ status: String, amount: String = "3.00", isSigned: Bool = true
    ) async throws -> Int {
        let attempt = try #require(try await stage.attempts(of: payment).last?.id)
        let references = try await stage.database.read { try PaymentStore.references(of: attempt, in: $0) }
        let external = try #require(references.first { $0.kind == "external" }?.value)
        let body = JSON.object(
            JSONObject([
                ("external_payment_id", .string(external)), ("status", .string(status)), ("amount", .string(amount)), ("currency", "EUR"),
                ("metadata", ["attempt": .string(attempt)]),
            ])
        ).bytes
        var headers: HTTPHeaders = [:]
        if isSigned {
            headers = try StandardWebhooksSigner(secret: WebStage.webhookSecret).headers(
                id: "msg_\(ULID.make())", timestamp: WallClock.nowMs / 1000, body: body)
        }
        headers["content-type"] = "application/json"
        let url = "\(stage.ingestURL)/webhooks/payment-backend"
        return try await stage.client.send(HTTPClient.Request(method: "POST", url: url, headers: headers, body: body)).status
    }

    private func status(_ stage: WebStage, _ payment: String) async throws -> String? {
        try await stage.get("/api/payments/\(payment)/status").string("status")
    }

    private func activations(_ stage: WebStage) async throws -> Int {
        try await stage.database.read { try $0.query("SELECT payment FROM plans_activations").count }
    }

    @Test("Servelink 1: whoever knows the callback's address could write any status; a paid payment went back to failed")
    func openCallback() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme")
            let payment = try await stage.beginUpgrade()
            #expect(try await callback(stage, payment, "completed", isSigned: false) == 401)
            #expect(try await status(stage, payment) == "pending")
            #expect(try await callback(stage, payment, "completed") == 200)
            #expect(try await status(stage, payment) == "completed")
            try await stage.activate()
            #expect(try await callback(stage, payment, "failed", isSigned: false) == 401)
            for word in ["failed", "pending", "processing", "cancelled"] {
                #expect(try await callback(stage, payment, word) == 200)
                #expect(try await status(stage, payment) == "completed", "\(word)")
            }
            #expect(try await stage.plan().id == Plan.pro)
        }
    }

    @Test("Servelink 2: the amount came from the client, and 0.01 EUR bought Pro")
    func clientsAmount() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme")
            for (amount, currency, field) in [
                (.number("0.01"), "EUR", "amount"), (.string("3.01"), "EUR", "amount"), (.number("0"), "EUR", "amount"),
                (.number("-3.00"), "EUR", "amount"), (.number("3.00"), "USD", "currency"),
            ] as [(JSON, String, String)] {
                let answer = try await stage.post(
                    "/api/payments/acme/initiate",
                    [
                        "amount": amount, "currency": .string(currency), "payment_method": "mobile_money",
                        "metadata": ["plan_upgrade": true, "new_plan": "pro"],
                    ])
                #expect(answer.status == 422, "\(amount.text) \(currency): \(answer.text)")
                #expect(answer.json["errors"]?[0]?["field"]?.string == field && answer.text.contains("3.00 EUR"), "\(answer.text)")
            }
            #expect(try await stage.newestPayment() == nil)
            #expect(stage.transport.calls == 0)

            let payment = try await stage.beginUpgrade()
            #expect(try await stage.get("/api/payments/\(payment)/status").json["amount"]?.numberText == "3.00")
            // And what the back end says was paid is held against what is owed.
            #expect(try await callback(stage, payment, "completed", amount: "0.01") == 200)
            #expect(try await stage.database.read { try PaymentStore.require(payment, in: $0).state } == .conflicted)
            #expect(try await status(stage, payment) == "processing")
            try await stage.activate()
            #expect(try await activations(stage) == 0)
            #expect(try await stage.plan().id == Plan.free)
        }
    }

    @Test("Servelink 3: the metadata were written to the wrong place and lost, the upgrade with them")
    func lostMetadata() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme")
            let started = try await stage.post(
                "/api/payments/acme/initiate",
                [
                    "payment_method": "credit_card",
                    "metadata": [
                        "plan_upgrade": true, "new_plan": "pro", "description": "Passage à Pro", "order": "A-7", "transaction_id": "mine",
                        "team_id": "other", "plan_version": "99",
                    ],
                ])
            #expect(started.status == 201, "\(started.text)")
            let payment = try #require(started.string("id"))
            func told() async throws -> [JSON] {
                [
                    try await stage.get("/api/payments/\(payment)/status").json,
                    try await stage.get("/api/payments/acme/history").json["payments"]?[0] ?? .null,
                ]
            }
            func check(_ answers: [JSON], transaction: JSON) {
                for answer in answers {
                    let metadata = answer["metadata"]
                    #expect(metadata?["description"]?.string == "Passage à Pro", "\(answer.text)")
                    #expect(metadata?["plan_upgrade"]?.bool == true && metadata?["new_plan"]?.string == Plan.pro, "\(answer.text)")
                    #expect(metadata?["order"]?.string == "A-7" && metadata?["team_id"]?.string == "acme", "\(answer.text)")
                    #expect(metadata?["plan_version"]?.string == "1" && metadata?["transaction_id"] == transaction, "\(answer.text)")
                }
            }
            check([started.json] + (try await told()), transaction: .null)
            try await stage.pay(payment)
            check(try await told(), transaction: started.json["external_payment_id"] ?? .null)
            try await stage.activate()
            #expect(try await stage.plan().id == Plan.pro)
        }
    }

    @Test("Servelink 4: a time-out of the back end rolled the payment back, although the back end had made one")
    func lostAnswer() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme")
            stage.transport.set(.answersLost)
            let started = try await stage.post("/api/payments/acme/initiate", WebStage.upgrade)
            #expect(started.status == 502, "\(started.text)")
            stage.transport.set(.open)
            let payment = try #require(try await stage.newestPayment())
            #expect(try await stage.attempts(of: payment).count == 1)
            #expect(try await status(stage, payment) == "pending")
            try await stage.pay(payment)
            try await stage.activate()
            try await stage.activate()
            #expect(try await activations(stage) == 1)
            #expect(try await stage.plan().id == Plan.pro)
        }
    }

    @Test("Servelink 5: status and cancel acted first, and asked afterwards who was asking")
    func permissionAfterwards() async throws {
        try await WebStage.with(api: WebStage.takingTokens(["payments"])) { stage in
            try await stage.team("acme", owner: "aicha")
            try await stage.team("other", owner: "zoe")
            let payment = try await stage.beginUpgrade()
            let (calls, stranger) = (stage.transport.calls, stage.token("zoe"))
            let before = try await stage.content()
            for (method, path, body) in [
                ("GET", "/api/payments/\(payment)/status", nil), ("POST", "/api/payments/\(payment)/cancel", [:]),
                ("GET", "/api/payments/acme/history", nil), ("POST", "/api/payments/acme/initiate", WebStage.upgrade),
            ] as [(String, String, JSON?)] {
                let answer = try await stage.call(stranger, method, path, body)
                let absent = path.replacing(payment, with: "pay_none").replacing("/acme/", with: "/none/")
                let missing = try await stage.call(stranger, method, absent, body)
                #expect(answer.status == 404 && missing.status == 404, "\(path): \(answer.text)")
                #expect(answer.text.replacing(payment, with: "pay_none").replacing("acme", with: "none") == missing.text, "\(path)")
            }
            #expect(try await stage.content() == before)
            #expect(stage.transport.calls == calls)
            #expect(try await stage.call(stage.token("aicha"), "POST", "/api/payments/\(payment)/cancel", [:]).status == 200)
        }
    }

    @Test("Servelink 6: a payment was recorded as cancelled although the back end had refused to cancel it")
    func cancelledAnyway() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme")
            let payment = try await stage.beginUpgrade()
            #expect(try await stage.play("scenario", ["reference": .string(payment), "steps": ["dropped"]]) == 200)
            #expect(try await stage.play("pay", ["reference": .string(payment)]) == 200)
            let answer = try await stage.post("/api/payments/\(payment)/cancel", [:])
            #expect(answer.status == 409 && answer.json["provider_agreed"]?.bool == false, "\(answer.text)")
            #expect(answer.string("status") != "cancelled")
            #expect(try await status(stage, payment) != "cancelled")
            // The callback that was lost comes at last.
            #expect(try await callback(stage, payment, "completed") == 200)
            #expect(try await status(stage, payment) == "completed")
            try await stage.activate()
            #expect(try await stage.plan().id == Plan.pro)
        }
    }

    @Test("Servelink 7: traffic was read, added to and written back, so that what came at once was lost")
    func lostUpdates() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", projects: ["shop"])
            // Two processes that count at once, each with connections of its own to the one file; every unit comes to both.
            let (one, other) = (try stage.openAgain(), try stage.openAgain())
            let now = stage.nowMs
            let counted = try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 1...50 {
                    for database in [one, other] {
                        group.addTask {
                            try await database.write { connection in
                                try UsageCounters.recordTraffic(
                                    project: "shop", bytes: Int64(number), atMs: now, unit: "unit-\(number)", nowMs: now, in: connection)
                            }
                        }
                    }
                }
                return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            await one.close()
            await other.close()
            #expect(counted == 50)
            #expect(try await stage.get("/api/usage/acme").json["traffic"]?["bytes"]?.int == 50 * 51 / 2)
        }
    }

    @Test("Servelink 8: storage began each month at 0, and was judged however old it was")
    func monthlyStorage() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", projects: ["shop"])
            _ = try await stage.put("/api/teams/acme/members/awa%40example.org", ["name": "Awa", "role": "owner"])
            let hour: Int64 = 60 * 60_000
            stage.turnClock(by: UsagePeriod(containing: stage.nowMs).endMs - hour - stage.nowMs)
            let (bytes, measured) = (101 * ByteFigure.mb, stage.nowMs)
            try await stage.traffic("shop", ByteFigure.gb)
            try await stage.storage("shop", bytes, atMs: measured)
            stage.turnClock(by: hour + 1000)
            let first = try await stage.get("/api/usage/acme").json
            #expect(first["traffic"]?["bytes"]?.int == 0)
            #expect(first["storage"]?["bytes"]?.int == bytes && first["storage"]?["stale"]?.bool == false)
            #expect(first["storage"]?["measured_at"]?.string == Timestamp.rfc3339(measured))
            let page = try await stage.send("GET", "\(try await stage.teamLink())&tab=usage")
            #expect(page.text.contains("<strong>101.00\u{A0}MB</strong> of 100\u{A0}MB"))
            #expect(page.text.contains("Measured on \(UsageWords.moment(measured, Words("en")))."))

            #expect(try await stage.get("/api/usage/shop/allowed").json["allowed"]?.bool == false)

            stage.turnClock(by: 37 * hour)
            let alerts = UsageAlerts(outbox: stage.relay.outbox, overLimit: true)
            let now = stage.nowMs
            let check = try await stage.database.write { try alerts.check(team: "acme", nowMs: now, in: $0) }
            #expect(check.hasStaleStorage && check.sent.isEmpty && check.untold == 0)
            #expect(try await stage.get("/api/usage/acme").json["storage"]?["stale"]?.bool == true)
            #expect(try await stage.send("GET", "\(try await stage.teamLink())&tab=usage").text.contains("more than 36 hours old"))
            #expect(try await stage.get("/api/usage/shop/allowed").json["allowed"]?.bool == true)
            // As soon as it is measured again it is judged.
            try await stage.storage("shop", bytes, atMs: now)
            let fresh = try await stage.database.write { try alerts.check(team: "acme", nowMs: now, in: $0) }
            #expect(fresh.sent.map(\.metric) == [.storage] && fresh.messages == 1)
            stage.turnClock(by: AllowedProjects.maxAgeMs + 1000)
            #expect(try await stage.get("/api/usage/shop/allowed").json["allowed"]?.bool == false)
        }
    }

    @Test("Servelink 9: limits were compared in rounded GB, and -1 refused everything")
    func roundedLimits() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", projects: ["shop"])
            func isAllowed(_ project: String) async throws -> Bool? {
                // What was told a moment ago is told from memory.
                stage.turnClock(by: AllowedProjects.maxAgeMs + 1000)
                return try await stage.get("/api/usage/\(project)/allowed").json["allowed"]?.bool
            }
            try await stage.traffic("shop", 5 * ByteFigure.gb - 1)
            #expect(try await isAllowed("shop") == true)
            try await stage.traffic("shop", 1)
            #expect(try await isAllowed("shop") == false)

            try await stage.database.write { connection in
                try connection.execute(
                    "INSERT INTO plans_versions VALUES ('pay_as_you_go', 9, 'Pro', 300, 'EUR', 1, -1, -1, -1, 4000, 6144, -1, -1, 1, $1)",
                    [.integer(.max)])
            }
            try await stage.team("huge", plan: Plan.pro, projects: ["archive"])
            try await stage.database.write { try $0.execute("UPDATE plans_subscriptions SET version = 9 WHERE team = 'huge'") }
            try await stage.traffic("archive", 1 << 52)
            try await stage.storage("archive", 1 << 52)
            #expect(try await isAllowed("archive") == true)
            let usage = try await stage.get("/api/usage/huge").json
            #expect(usage["traffic"]?["percent"]?.isNull == true && usage["traffic"]?["level"]?.string == "ok")
        }
    }

    @Test("Servelink 10: an alert was written every day, of traffic and storage in one, and only into a log")
    func dailyAlerts() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme", projects: ["shop"])
            _ = try await stage.put("/api/teams/acme/members/awa%40example.org", ["name": "Awa", "role": "owner"])
            // A week within one month.
            let monday = UsagePeriod(containing: stage.nowMs).endMs + 2 * UsagePeriod.dayMs
            let alerts = UsageAlerts(outbox: stage.relay.outbox, overLimit: true)
            _ = try await stage.database.write { connection in
                try UsageCounters.recordTraffic(
                    project: "shop", bytes: 5 * ByteFigure.gb / 100 * 85, atMs: monday, unit: "week", nowMs: monday, in: connection)
            }
            var sent: [String] = []
            for day in 0..<7 {
                let now = monday + Int64(day) * UsagePeriod.dayMs + 6 * 60 * 60_000
                sent += try await stage.database.write { connection in
                    try StorageGauges.set(project: "shop", bytes: 96 * ByteFigure.mb, origin: "api", measuredAtMs: now, in: connection)
                    return try alerts.check(team: "acme", nowMs: now, in: connection).sent.map { "\($0.metric.rawValue) \($0.threshold.rawValue)" }
                }
            }
            #expect(sent.sorted() == ["storage 95", "traffic 80"])
            let messages = try await stage.database.read {
                try $0.query("SELECT id FROM outbox_jobs WHERE kind = 'notification.send'").count
            }
            #expect(messages == 2)
        }
    }

    @Test("Servelink 11: money was a floating-point number")
    func floatingMoney() async throws {
        try await WebStage.with { stage in
            try await stage.team("acme")
            for amount in ["3.001", "2.9999999999999996", "3.0000000000000004", "3e0", "0x3"] {
                let body: JSON = [
                    "amount": .string(amount), "payment_method": "mobile_money", "metadata": ["plan_upgrade": true, "new_plan": "pro"],
                ]
                #expect(try await stage.post("/api/payments/acme/initiate", body).status == 422, "\(amount)")
            }
            var taken: Int64 = 0
            for _ in 0..<3 {
                let payment = try await stage.beginUpgrade()
                #expect(try await stage.get("/api/payments/\(payment)/status").text.contains("\"amount\":3.00,"))
                try await stage.pay(payment)
                try await stage.activate()
                let entries = try await stage.database.read { try Ledger.entries(of: payment, in: $0) }
                taken += entries.filter { $0.credit == .sales(PlanPurpose.name) }.reduce(0) { $0 + $1.amount.minorUnits }
            }
            #expect(taken == 900)
            #expect(try await activations(stage) == 3)
        }
    }
}
