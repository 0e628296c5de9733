import Database
import Formats
import HTTPServer
import JobQueue
import Notifications
import Outbox
import Payments
import Staff
import TestSupport
import Testing

@testable import WebService

@Suite("The console's desk")
struct ConsoleDeskTests {
    private static let identity = EffectIdentity("payout", key: "order-7")

    private func actions(_ stage: WebStage) async throws -> [String] {
        try await stage.database.read { try StaffAudit.list(limit: 100, in: $0).map(\.action) }
    }

    // MARK: Doubtful calls

    private func keep(_ state: EffectRecord.State, fence: Int64, _ stage: WebStage) async throws {
        let now = stage.nowMs
        try await stage.database.write { connection in
            try EffectTable.update(Self.identity, in: connection) { record in
                record = EffectRecord(
                    identity: Self.identity, state: state, rule: .onceThenTask, owner: nil, fence: fence, result: nil, detail: "no answer",
                    beganAtMs: now, changedAtMs: now)
            }
        }
    }

    private func settle(_ client: ConsoleClient, fence: String?, _ outcome: String = "not-done") async throws -> WebStage.Answer {
        var fields = [("name", Self.identity.name), ("key", Self.identity.key), ("outcome", outcome)]
        if let fence { fields.append(("fence", fence)) }
        return try await client.post("/console/effects/settle", fields)
    }

    @Test("a doubtful call is settled as the page showed it; a page of before it was settled or tried again changes nothing and says so")
    func stale() async throws {
        try await WebStage.with { stage in
            let clerk = try await ConsoleClient.signedIn(stage, .operator)
            func record() async throws -> EffectRecord? {
                try await stage.database.read { try EffectTable.find(Self.identity, in: $0) }
            }
            try await keep(.doubtful, fence: 3, stage)
            let page = try await clerk.get("/console/tasks/")
            let shown = try #require(page.text.between("name=\"fence\" value=\"", "\""))
            #expect(shown == "3")
            #expect(try await settle(clerk, fence: nil).status == 422)

            // It was settled, tried again, and is doubtful anew: another call, of which this page knows nothing.
            try await keep(.doubtful, fence: 5, stage)
            let late = try await settle(clerk, fence: shown)
            #expect(late.status == 409 && late.text.contains("out of date") && late.text.contains("tried again since"), "\(late.text)")
            #expect(try await record()?.state == .doubtful)
            // A worker has it in hand: whoever settled it now would have it carried out twice.
            try await keep(.pending, fence: 5, stage)
            let running = try await settle(clerk, fence: "5")
            #expect(running.status == 409 && running.text.contains("is being tried again"), "\(running.text)")
            #expect(try await record()?.state == .pending)

            try await keep(.doubtful, fence: 5, stage)
            #expect(try await settle(clerk, fence: "5").headers["location"] == "/console/tasks/?done=settled")
            #expect(try await record()?.state == .withdrawn)
            let again = try await settle(clerk, fence: "5", "done")
            #expect(again.status == 409 && again.text.contains("it was not done"))
            #expect(try await actions(stage).count(where: { $0 == "effect.settle" }) == 1)
        }
    }

    // MARK: Links

    @Test("a task that asks for another link has the button that sends one; of a kit that is published no more it is closed by hand")
    func reissueTask() async throws {
        try await WebStage.with { stage in
            let staff = try await ConsoleClient.signedIn(stage, .staff)
            let (inquiry, payment) = try await stage.inquire()
            try await stage.receive(payment)
            let now = stage.nowMs
            func stand(_ state: String) async throws {
                try await stage.database.write {
                    try $0.execute("UPDATE drafts_inquiries SET processing_state = $2 WHERE id = $1", [.text(inquiry), .text(state)])
                }
            }
            try await stand("PUBLISHED")
            try await stage.database.write { connection in
                try connection.execute(
                    "INSERT INTO payments_tasks (payment, kind, detail, created_at) VALUES ($1, $2, 'the link did not go out', $3)",
                    [.text(payment), .text(PaymentTask.reissueLink), .integer(now)])
            }
            let deed = "action=\"\(ConsolePath.kit(inquiry))reissue\""
            let page = try await staff.get("/console/tasks/")
            #expect(page.text.split(separator: deed).count == 2, "once, though the kit has no link either")
            #expect(!page.text.contains("/settle\""))
            try await stand("FINAL_UPLOADED")
            let other = try await staff.get("/console/tasks/")
            #expect(!other.text.contains(deed) && other.text.contains("/settle\""))
        }
    }

    @Test("a refund's doubtful call is not settled among the tasks, which lead to its payment instead")
    func refundCall() async throws {
        try await WebStage.with { stage in
            let clerk = try await ConsoleClient.signedIn(stage, .operator)
            let payment = try await stage.order()
            try await stage.receive(payment)
            let fields = [("amount", "500"), ("reason", "a chair less"), ("reference", "T-1")]
            #expect(try await clerk.post(ConsolePath.payment(payment) + "refund", fields).status == 303)
            let now = stage.nowMs
            let identity = try await stage.database.write { connection in
                let refund = try #require(try Refund.of(payment: payment, in: connection).first)
                let identity = EffectIdentity(RefundSending.effect, key: refund.id)
                try EffectTable.update(identity, in: connection) { record in
                    record = EffectRecord(
                        identity: identity, state: .doubtful, rule: .ask, owner: nil, fence: 2, result: nil, detail: "no answer", beganAtMs: now,
                        changedAtMs: now)
                }
                return identity
            }
            let page = try await clerk.get("/console/tasks/").text
            #expect(!page.contains("/console/effects/settle") && page.contains("href=\"\(ConsolePath.payment(payment))\""))
            for outcome in ["done", "not-done"] {
                let settled = [("name", identity.name), ("key", identity.key), ("outcome", outcome), ("fence", "2")]
                let answer = try await clerk.post("/console/effects/settle", settled)
                #expect(answer.status == 409 && answer.text.contains("decided on its payment"), "\(answer.text)")
            }
            #expect(try await stage.database.read { try EffectTable.find(identity, in: $0) }?.state == .doubtful)
            #expect(!(try await actions(stage)).contains("effect.settle"))
        }
    }

    // MARK: Opt-outs

    @Test("staff enter who wants no messages, and lift it; viewers see it masked; both are in the audit")
    func optOuts() async throws {
        try await WebStage.with { stage in
            let staff = try await ConsoleClient.signedIn(stage, .staff)
            let viewer = try await ConsoleClient.signedIn(stage, .viewer)
            func add(_ channel: String, _ address: String, _ reason: String = "by telephone") async throws -> Int {
                try await staff.post(OptOutPage.path, [("channel", channel), ("address", address), ("reason", reason)]).status
            }
            #expect(try await add("sms", " +229 01 66 00 00 01 ") == 303)
            #expect(try await add("sms", "0166000001") == 422)
            #expect(try await add("email", "nobody") == 422)
            #expect(try await add("fax", "+2290166000001") == 422)
            #expect(try await add("email", "awa@example.org", " ") == 422)
            let page = try await viewer.get(OptOutPage.path)
            #expect(page.status == 200 && page.text.contains("staff:staff: by telephone") && !page.text.contains("66000001"), "\(page.text)")
            #expect(!page.text.contains("action=\"\(OptOutPage.path)remove\""))
            #expect(try await viewer.get("/console/notifications/").text.contains(OptOutPage.path))
            let id = try #require(try await staff.get(OptOutPage.path).text.between("name=\"id\" value=\"", "\""))
            #expect(try await staff.post("\(OptOutPage.path)remove", [("id", id)]).status == 303)
            #expect(try await staff.post("\(OptOutPage.path)remove", [("id", id)]).status == 404)
            #expect(try await stage.database.read { try OptOut.list(in: $0) }.isEmpty)
            let done = try await actions(stage)
            #expect(done.contains("optout.add") && done.contains("optout.remove"))
        }
    }

    // MARK: Figures

    @Test("figures tell a period's payments by day, provider and purpose, of one currency, on a page and as a file")
    func figures() async throws {
        try await WebStage.with { stage in
            let viewer = try await ConsoleClient.signedIn(stage, .viewer)
            let paid = try await stage.order("one", amount: "12500")
            try await stage.receive(paid)
            _ = try await stage.order("two", amount: "4000")
            _ = try await stage.order("three", amount: "20.50", currency: "EUR")
            let path = "/console/figures/"
            try await eventually("they are counted") { try await viewer.get("\(path)?days=7").text.contains("<svg") }
            let page = try await viewer.get("\(path)?days=7")
            #expect(page.text.contains("12\u{A0}500\u{A0}XOF") && page.text.contains("100.0 %"), "\(page.text)")
            #expect(page.text.contains("manual") && page.text.contains("order") && !page.text.contains("20.50"))
            #expect(try await viewer.get("\(path)?currency=EUR").text.contains("EUR"))
            for wrong in ["days=8", "days=x", "currency=nothing"] { #expect(try await viewer.get("\(path)?\(wrong)").status == 422, "\(wrong)") }
            let file = try await viewer.get("/console/figures.csv?days=7")
            let lines = file.text.split(separator: "\r\n")
            #expect(file.headers["content-type"] == "text/csv; charset=utf-8" && lines.count == 4, "\(file.text)")
            #expect(lines[0].hasPrefix("day,currency,provider,method,network,purpose,state,payments,paid,owed"))
            #expect(lines.contains { $0.contains(",XOF,manual,") && $0.contains(",paid,1,1,12500,12500,0,0,") })
            #expect(lines.contains { $0.contains(",EUR,") && $0.contains(",20.50,0.00,0.00,") })
            #expect(!file.text.contains("Aïcha"), "sums only")
        }
    }

    @Test("a chart of sums of money stays within its frame however large they are")
    func chart() throws {
        let bars = [(begun: Int64(0), paid: Int64.max / 2), (begun: 0, paid: 0), (begun: 0, paid: Int64.max / 4)]
        let markup = BarChart(bars: bars, told: "<b>", from: "a", to: "b", most: "m").markup.text
        #expect(markup.split(separator: "<rect").count == 3 && markup.contains("height=\"132\"") && markup.contains("height=\"66\""))
        #expect(markup.contains("aria-label=\"&lt;b&gt;\""))
        #expect(BarChart.most([]) == 1)
    }

    // MARK: Queues

    @Test("queues tell how much comes in, is done and given up a minute")
    func rates() async throws {
        let redis = try await RedisServer.start()
        try await WebStage.with(redis: redis) { stage in
            let viewer = try await ConsoleClient.signedIn(stage, .viewer)
            let now = stage.nowMs
            try await stage.database.write { connection in
                try connection.execute("DELETE FROM outbox_jobs")
                for number in 0..<12 {
                    try connection.execute(
                        """
                        INSERT INTO outbox_jobs (id, queue, kind, args, slot, created_at, finished_at, outcome)
                        VALUES ($1, 'drafts', 'draft.generate', '{}', 't.0', $2, $3, $4)
                        """,
                        [
                            .text("job_\(number)"), .integer(now - 1000), .optional(number < 7 ? now : nil),
                            .optional(number < 7 ? (number < 6 ? "done" : "buried") : nil),
                        ])
                }
            }
            let text = try await viewer.get("/console/queues/").text
            let row = try #require(text.split(separator: "<tr>").first { $0.hasPrefix("<td>drafts ") })
            let cells = row.split(separator: "<td class=\"number\">").dropFirst().map { String($0.prefix { $0 != "<" }) }
            #expect(cells[4..<7].map { $0 } == ["2.4", "1.2", "0.2"], "\(row)")
            let samples = try #require(text.split(separator: "<tr>").first { $0.hasPrefix("<td>samples ") })
            #expect(samples.contains("–"))
        }
        try await redis.stop()
    }

    @Test(
        "a rate is told to a tenth", arguments: [(Int64(0), "0.0", "0,0"), (1, "0.2", "0,2"), (12, "2.4", "2,4"), (5000, "1000.0", "1000,0")])
    func perMinute(count: Int64, english: String, french: String) {
        #expect(RatesDesk.perMinute(count, Words("en")) == english && RatesDesk.perMinute(count, Words("fr")) == french)
    }

    // MARK: Users

    @Test("users come page by page, in the order of their names, and a full page stays under 60 KB")
    func users() async throws {
        try await WebStage.with { stage in
            let admin = try await ConsoleClient.signedIn(stage, .admin, name: "a-first")
            for number in 10..<55 { try await ConsoleClient.add(stage, "user-with-a-rather-long-name-\(number)", .viewer) }
            var seen: [String] = []
            var path: String? = "/console/users/"
            while let next = path {
                let page = try await admin.get(next)
                #expect(page.status == 200 && page.body.count < 60 * 1024, "\(page.body.count)")
                let rows = page.text.split(separator: "<tr><td>").dropFirst().map { String($0.prefix { $0 != "<" }) }
                #expect(rows.count <= UserPages.pageSize)
                seen += rows
                path = page.text.between("<a href=\"/console/users/?after=", "\"").map { "/console/users/?after=\($0)" }
            }
            #expect(seen.count == 46 && seen == seen.sorted() && Set(seen).count == 46)
        }
    }

    // MARK: What is kept

    @Test("what takes long is not waited for longer than asked, and is there for whoever asks next, read from what was read before")
    func kept() async throws {
        let (gate, opener) = AsyncStream<Void>.makeStream()
        let reading = KeptReading<Int>(freshness: .zero, staleness: .seconds(3600)) { before in
            guard let before else {
                for await _ in gate { break }
                return 1
            }
            return before + 1
        }
        #expect(try await reading.value(within: .milliseconds(5)) == nil)
        opener.yield()
        try await eventually("it is read") { try await reading.value(within: .milliseconds(5)) != nil }
        try await eventually("it goes on from what was there") { try await reading.value(within: .milliseconds(5)) ?? 0 > 2 }
    }
}
