import Database
import EventLoop
import Formats
import HTTPServer
import JobQueue
import JobQueueRedis
import Outbox
import Payments
import RedisClient
import Staff
import TestSupport
import Testing

@testable import WebService

@Suite("What staff do in the console")
struct ConsoleDeedTests {
    private func state(_ stage: WebStage, _ payment: String) async throws -> PaymentState {
        try await stage.database.read { try PaymentStore.require(payment, in: $0).state }
    }

    private func actions(_ stage: WebStage) async throws -> [String] {
        try await stage.database.read { try StaffAudit.list(limit: 100, in: $0).map { "\($0.actor) \($0.action)" } }
    }

    @Test("a refund up to the limit goes out by one person, with a reason, and is in both audits")
    func smallRefund() async throws {
        try await WebStage.with { stage in
            let clerk = try await ConsoleClient.signedIn(stage, .operator, name: "oumar")
            let payment = try await stage.order()
            try await stage.receive(payment)
            let path = ConsolePath.payment(payment) + "refund"
            #expect(try await clerk.post(path, [("amount", "4000"), ("reason", "  ")]).status == 422)
            #expect(try await clerk.post(path, [("amount", "13000"), ("reason", "too much"), ("reference", "T-0")]).status == 422)
            let done = try await clerk.post(path, [("amount", "4000"), ("reason", "a chair less"), ("reference", "T-1")])
            #expect(done.status == 303 && done.headers["location"]?.hasSuffix("done=refunded") == true, "\(done.text)")
            #expect(try await state(stage, payment) == .partiallyRefunded)
            let refund = try #require(try await stage.database.read { try Refund.of(payment: payment, in: $0).first })
            #expect(refund.reason == "a chair less" && refund.requestedBy == "staff:oumar")
            #expect(try await actions(stage).contains("staff:oumar refund"))
        }
    }

    @Test("a refund above the limit waits for another operator: whoever asked can take it back and not approve it")
    func largeRefund() async throws {
        try await WebStage.with { stage in
            let asker = try await ConsoleClient.signedIn(stage, .operator, name: "oumar")
            let second = try await ConsoleClient.signedIn(stage, .operator, name: "fatou")
            let staff = try await ConsoleClient.signedIn(stage, .staff, name: "koffi")
            let payment = try await stage.order()
            try await stage.receive(payment)
            let form = [("amount", "12500"), ("reason", "never delivered"), ("reference", "T-9")]
            let asked = try await asker.post(ConsolePath.payment(payment) + "refund", form)
            #expect(asked.headers["location"]?.hasSuffix("done=waits") == true, "\(asked.text)")
            #expect(try await state(stage, payment) == .paid)
            let again = try await asker.post(ConsolePath.payment(payment) + "refund", form)
            #expect(again.status == 422, "what waits is not asked for twice")
            let request = try #require(try await stage.database.read { try RefundRequest.waiting(limit: 9, in: $0).first })
            let path = "/console/refund-requests/\(request.id)"
            #expect(try await asker.post(path, [("decision", "approve")]).status == 409)
            #expect(try await staff.post(path, [("decision", "approve")]).status == 403)
            #expect(try await state(stage, payment) == .paid)
            #expect(try await second.get("/console/tasks/").text.contains("never delivered"))
            #expect(try await second.post(path, [("decision", "approve")]).status == 303)
            #expect(try await state(stage, payment) == .refunded)
            #expect(try await second.post(path, [("decision", "approve")]).status == 409)
            let refund = try #require(try await stage.database.read { try Refund.of(payment: payment, in: $0).first })
            #expect(refund.requestedBy == "staff:oumar+fatou")
            let other = try await stage.order("order-2")
            try await stage.receive(other)
            _ = try await asker.post(ConsolePath.payment(other) + "refund", form.dropLast() + [("reference", "T-10")])
            #expect(try await asker.post("/console/refund-requests/\(request.id + 1)", [("decision", "refuse")]).status == 303)
            #expect(try await state(stage, other) == .paid)

            // Parts count together.
            let third = try await stage.order("order-3")
            try await stage.receive(third)
            func part(_ amount: String, _ reference: String) async throws -> String? {
                let fields = [("amount", amount), ("reason", "never delivered"), ("reference", reference)]
                return try await asker.post(ConsolePath.payment(third) + "refund", fields).headers["location"]
            }
            #expect(try await part("6000", "T-11")?.hasSuffix("done=refunded") == true)
            #expect(try await part("5000", "T-12")?.hasSuffix("done=waits") == true)
            #expect(try await part("4000", "T-13")?.hasSuffix("done=refunded") == true)
        }
    }

    @Test("a refund that a person, not its provider, says to have failed counts on: the next one needs a second person", arguments: [true, false])
    func saidToHaveFailed(byStaff: Bool) async throws {
        try await WebStage.with { stage in
            let asker = try await ConsoleClient.signedIn(stage, .operator, name: "oumar")
            let payment = try await stage.order()
            try await stage.receive(payment)
            func ask(_ amount: String, _ reference: String) async throws -> String? {
                let fields = [("amount", amount), ("reason", "never delivered"), ("reference", reference)]
                return try await asker.post(ConsolePath.payment(payment) + "refund", fields).headers["location"]
            }
            #expect(try await ask("6000", "T-60")?.hasSuffix("done=refunded") == true)
            // It is on its way still; then its provider says that it has failed, or a person does.
            let refund = try await stage.database.write { connection in
                let refund = try #require(try Refund.of(payment: payment, in: connection).first)
                try connection.execute(
                    "UPDATE payments_refunds SET state = $2 WHERE id = $1", [.text(refund.id), .text(byStaff ? "requested" : "failed")])
                return refund
            }
            if byStaff {
                let said = try await asker.post(ConsolePath.payment(payment) + "refunds/\(refund.id)", [("outcome", "failed")])
                #expect(said.status == 303, "\(said.text)")
            }
            #expect(try await ask("5000", "T-61")?.hasSuffix(byStaff ? "done=waits" : "done=refunded") == true)
        }
    }

    @Test("a refund's button that is pressed twenty times, and one on an old page, gives the money back once")
    func pressedTwice() async throws {
        try await WebStage.with { stage in
            let clerk = try await ConsoleClient.signedIn(stage, .operator, name: "oumar")
            let payment = try await stage.order()
            try await stage.receive(payment)
            func shown() async throws -> String {
                let page = try await clerk.get(ConsolePath.payment(payment)).text
                let field = try #require(page.firstRange(of: "name=\"shown\" value=\""))
                return String(page[field.upperBound...].prefix { $0 != "\"" })
            }
            let old = try await shown()
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<20 {
                    let form = [("amount", "500"), ("reason", "a chair less"), ("reference", "T-3\(number)"), ("shown", old)]
                    group.addTask { try await clerk.post(ConsolePath.payment(payment) + "refund", form).status }
                }
                return try await group.reduce(into: [:]) { $0[$1, default: 0] += 1 }
            }
            #expect(statuses == [303: 1, 409: 19])
            #expect(try await stage.database.read { try Refund.of(payment: payment, in: $0).count } == 1)
            let again = [("amount", "500"), ("reason", "another chair"), ("reference", "T-50"), ("shown", try await shown())]
            #expect(try await clerk.post(ConsolePath.payment(payment) + "refund", again).status == 303)
        }
    }

    @Test("a refund that was approved and came to nothing makes no room for others without a second person")
    func approvedAndFailed() async throws {
        try await WebStage.with { stage in
            let asker = try await ConsoleClient.signedIn(stage, .operator, name: "oumar")
            _ = try await ConsoleClient.signedIn(stage, .operator, name: "fatou")
            let payment = try await stage.order()
            try await stage.receive(payment)
            func ask(_ amount: String, _ reference: String) async throws -> String? {
                let fields = [("amount", amount), ("reason", "never delivered"), ("reference", reference)]
                return try await asker.post(ConsolePath.payment(payment) + "refund", fields).headers["location"]
            }
            #expect(try await ask("11000", "T-20")?.hasSuffix("done=waits") == true)
            // Its refund is none that went out.
            try await stage.database.write { connection in
                try connection.execute(
                    """
                    UPDATE staff_refund_requests SET state = 'approved', decided_at = requested_at, refund = 'ref_failed',
                      decided_by = (SELECT id FROM staff_users WHERE name = 'fatou')
                    """)
            }
            #expect(try await ask("6000", "T-21")?.hasSuffix("done=refunded") == true)
            #expect(try await ask("5000", "T-22")?.hasSuffix("done=waits") == true)
        }
    }

    @Test("of two who approve the same refund at once one does")
    func approvedOnce() async throws {
        try await WebStage.with { stage in
            let asker = try await ConsoleClient.signedIn(stage, .operator, name: "oumar")
            let others = [
                try await ConsoleClient.signedIn(stage, .operator, name: "fatou"), try await ConsoleClient.signedIn(stage, .admin, name: "awa"),
            ]
            let payment = try await stage.order()
            try await stage.receive(payment)
            _ = try await asker.post(
                ConsolePath.payment(payment) + "refund", [("amount", "12500"), ("reason", "never delivered"), ("reference", "T-9")])
            let request = try #require(try await stage.database.read { try RefundRequest.waiting(limit: 9, in: $0).first })
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<20 {
                    group.addTask { try await others[number % 2].post("/console/refund-requests/\(request.id)", [("decision", "approve")]).status }
                }
                return try await group.reduce(into: [:]) { $0[$1, default: 0] += 1 }
            }
            #expect(statuses == [303: 1, 409: 19])
            #expect(try await stage.database.read { try Refund.of(payment: payment, in: $0).count } == 1)
        }
    }

    @Test("a conflict is decided from the tasks: what came in counts, with a reason, and the task is gone")
    func conflict() async throws {
        try await WebStage.with { stage in
            let clerk = try await ConsoleClient.signedIn(stage, .operator)
            let payment = try await stage.order()
            _ = try await stage.post(
                "/api/v1/payments/\(payment)/received/", ["amount": "12000", "reference": "R-1", "method": "cash"],
                headers: ["idempotency-key": "r"])
            #expect(try await state(stage, payment) == .conflicted)
            let tasks = try await clerk.get("/console/tasks/")
            #expect(tasks.text.contains("\(ConsolePath.payment(payment))#decide"))
            #expect(try await clerk.post(ConsolePath.payment(payment) + "accept", [("reason", "")]).status == 422)
            #expect(try await clerk.post(ConsolePath.payment(payment) + "accept", [("reason", "500 were waived")]).status == 303)
            #expect(try await state(stage, payment) == .paid)
            #expect(try await clerk.get("/console/tasks/").text.contains("Nothing to do."))
            #expect(try await clerk.post(ConsolePath.payment(payment) + "accept", [("reason", "once more")]).status == 409)
        }
    }

    @Test("an event that matched nothing: the dry run says what would change and changes nothing, taking it up pays")
    func replay() async throws {
        try await WebStage.with { stage in
            let clerk = try await ConsoleClient.signedIn(stage, .operator)
            #expect(try await stage.report("payment.succeeded", order: "late-order", amount: "12500", currency: "XOF") == 200)
            let event = try #require(try await stage.database.read { try EventArchive.page(outcome: .unmatched, limit: 1, in: $0).first })
            #expect(try await clerk.get("/console/tasks/").text.contains(event.id))
            let payment = try await stage.order("late-order")
            let before = try await stage.content()
            let trial = try await clerk.post(ConsolePath.event(event.id) + "preview")
            #expect(trial.status == 200 && trial.text.contains("What would happen"), "\(trial.text)")
            #expect(try await stage.content() == before)
            #expect(
                try await clerk.post(ConsolePath.event(event.id) + "replay", [("back", "/console/tasks/")]).headers["location"]
                    == "/console/tasks/?done=replayed")
            #expect(try await actions(stage).contains("staff:operator event.replay"))
            _ = payment
        }
    }

    @Test("the provider is asked again by a job, once however often the button is pressed")
    func ask() async throws {
        try await WebStage.with { stage in
            let clerk = try await ConsoleClient.signedIn(stage, .staff)
            let payment = try await stage.order()
            #expect(try await stage.initiate(payment, key: "k").status == 201)
            let attempt = try #require(try await stage.attempts(of: payment).first?.id)
            stage.turnClock(by: 60_000 - stage.nowMs % 60_000)
            for _ in 0..<5 { #expect(try await clerk.post(ConsolePath.payment(payment) + "ask", [("attempt", attempt)]).status == 303) }
            let jobs = try await stage.database.read { try JobRecord.of(payment: payment, in: $0).filter { $0.kind == "payment.verify" } }
            #expect(jobs.count == 1)
            #expect(try await clerk.post(ConsolePath.payment(payment) + "ask", [("attempt", "none")]).status == 404)
        }
    }

    @Test("a task that does not close by itself is closed by a person, with its row in the payment's audit")
    func task() async throws {
        try await WebStage.with { stage in
            let clerk = try await ConsoleClient.signedIn(stage, .staff, name: "koffi")
            let payment = try await stage.order()
            let now = stage.nowMs
            try await stage.database.write { connection in
                for kind in ["surplus", "conflicted"] {
                    try connection.execute(
                        "INSERT INTO payments_tasks (payment, kind, detail, created_at) VALUES ($1, $2, 'look', $3)",
                        [.text(payment), .text(kind), .integer(now)])
                }
            }
            let tasks = try await stage.database.read { try PaymentTask.open(in: $0) }
            func id(_ kind: String) -> Int64 { tasks.first { $0.kind == kind }?.id ?? 0 }
            #expect(try await clerk.post("/console/tasks/\(id("surplus"))/settle", [("back", "/console/tasks/")]).status == 303)
            #expect(try await clerk.post("/console/tasks/\(id("surplus"))/settle").status == 404)
            #expect(try await clerk.post("/console/tasks/\(id("conflicted"))/settle").status == 409)
            let audit = try await stage.database.read { try PaymentAudit.of(payment: payment, in: $0).last }
            #expect(audit?.actor == "staff:koffi" && audit?.detail?.contains("surplus dealt with") == true)
        }
    }

    @Test("entries run now, pause and go on; queues are looked at, and what is dead there goes back or is forgotten")
    func queues() async throws {
        let redis = try await RedisServer.start()
        try await WebStage.with(redis: redis) { stage in
            let clerk = try await ConsoleClient.signedIn(stage, .operator)
            #expect(try await clerk.post("/console/cron/sweep", [("deed", "run")]).status == 303)
            #expect(try await clerk.post("/console/cron/broken", [("deed", "run")]).status == 409)
            #expect(try await clerk.post("/console/cron/none", [("deed", "run")]).status == 404)
            #expect(try await clerk.post("/console/cron/sweep", [("deed", "pause")]).status == 303)
            #expect(try await clerk.get("/console/queues/").text.contains("paused"))
            #expect(try await clerk.post("/console/cron/sweep", [("deed", "resume")]).status == 303)

            let queues = try #require(stage.queues)
            let driver = queues.redisDriver(of: "drafts")
            for number in 1...2 {
                let record = DeadRecord(
                    job: "job_\(number)", kind: "draft.generate", payment: nil, reason: "<b>no template \(number)</b>", buriedAtMs: stage.nowMs,
                    worker: "w",
                    body: Array(
                        #"{"v":1,"id":"job_\#(number)","kind":"draft.generate","queue":"drafts","args":{},"payment":null,"attempt":3,"enqueued_at":1}"#
                            .utf8))
                _ = try await queues.connection.call("ZADD", driver.keys.dead, stage.nowMs, record.bytes)
            }
            let page = try await clerk.get("/console/queues/drafts/dead")
            #expect(page.text.contains("job_1") && page.text.contains("&lt;b&gt;no template 2&lt;/b&gt;"), "\(page.text)")
            #expect(try await clerk.get("/console/tasks/").text.contains("job_2"))
            #expect(try await clerk.post("/console/queues/drafts/dead", [("job", "job_1"), ("deed", "retry")]).status == 303)
            #expect(try await clerk.post("/console/queues/drafts/dead", [("job", "job_2"), ("deed", "bury")]).status == 303)
            let counts = try await driver.counts()
            #expect(counts.dead == 0 && counts.ready == 1)
            #expect(try await clerk.post("/console/queues/drafts/dead", [("job", "job_2"), ("deed", "retry")]).status == 404)
            #expect(try await clerk.get("/console/queues/none/dead").status == 404)
        }
        try await redis.stop()
    }

    @Test("an admin adds users, changes roles and gives new passwords; the last admin stays")
    func users() async throws {
        try await WebStage.with { stage in
            let admin = try await ConsoleClient.signedIn(stage, .admin)
            let added = try await admin.post("/console/users/", [("name", "Koffi"), ("role", "staff")])
            let password = try #require(added.text.between("<p><code>", "</code>"))
            let user = try await stage.database.read { try StaffStore.require("koffi", in: $0) }
            #expect(user.role == .staff && user.mustChangePassword && password.count == 23)
            #expect(try await admin.post("/console/users/", [("name", "koffi"), ("role", "staff")]).status == 422)
            #expect(try await admin.post("/console/users/", [("name", "x y"), ("role", "staff")]).status == 422)
            #expect(try await admin.post("/console/users/\(user.id)/role", [("role", "operator")]).status == 303)
            let own = try await stage.database.read { try StaffStore.require("admin", in: $0).id }
            #expect(try await admin.post("/console/users/\(own)/disable").status == 409)
            #expect(try await admin.post("/console/users/\(own)/role", [("role", "viewer")]).status == 409)
            #expect(try await admin.post("/console/users/\(user.id)/disable").status == 303)
            let koffi = ConsoleClient(stage, name: "koffi")
            #expect(try await koffi.enter(password).status == 401)
            #expect(try await admin.post("/console/users/\(user.id)/enable").status == 303)
            let reset = try await admin.post("/console/users/\(user.id)/password", [("codes", "drop")])
            let newest = try #require(reset.text.between("<p><code>", "</code>"))
            #expect(newest != password)
            #expect(try await koffi.enter(password).status == 401)
            #expect(try await koffi.enter(newest).headers["location"] == "/console/enrol")
        }
    }

    @Test("numbers of an open overview follow by themselves")
    func live() async throws {
        try await WebStage.with { stage in
            let viewer = try await ConsoleClient.signedIn(stage, .viewer)
            let loop = try EventLoop.started(name: "console-live")
            let listener = try EventListener(
                stage.address, "/console/live", headers: ["cookie": "quittance_console=\(viewer.sessionID ?? "")"], on: loop)
            _ = try await stage.order()
            try await eventually(within: .seconds(15), "the number has followed") { listener.text.contains(#""total":"1""#) }
            listener.leave()
        }
    }
}
