import Database
import Formats
import RedisClient
import TestSupport
import Testing

@Suite("Paid-only work that nobody paid for", .timeLimit(.minutes(4)))
struct UnpaidWorkTests {
    private static func job(_ kind: String, _ queue: String, payment: String?, args: JSON, id: String = ULID.make()) -> (id: String, body: [UInt8]) {
        let job: JSON = [
            "v": 1, "id": .string("job_\(id)"), "kind": .string(kind), "queue": .string(queue), "args": args, "payment": .optional(payment),
            "attempt": 0, "enqueued_at": .int(WallClock.nowMs),
        ]
        return ("job_\(id)", job.bytes)
    }

    @Test("jobs pushed by hand for unpaid payments are skipped with the reason; without a payment they are buried; neither does anything")
    func skipped() async throws {
        let programs = ["worker-drafts", "worker-plans", "worker-invoices"]
        try await Stage.run(programs, Instance.Configuration(hasTemplate: true)) { stage in
            let kit = try await stage.seedOne(.kit)
            let plan = try await stage.seedOne(.plan)
            let order = try await stage.seedOne(.order)
            var skipped: [String] = []
            var buried: [String: [String]] = [:]
            for (kind, queue, payment, args) in [
                ("draft.generate", "drafts", kit.id, ["inquiry": .string(kit.subject)] as JSON),
                ("plan.activate", "plans", plan.id, ["team": .string(plan.subject), "plan": "pay_as_you_go"]),
                ("invoice.create", "invoices", order.id, ["mode": "sandbox"]),
            ] {
                let unpaid = Self.job(kind, queue, payment: payment, args: args)
                let stranger = Self.job(kind, queue, payment: "pay_nobody", args: args)
                let without = Self.job(kind, queue, payment: nil, args: args)
                skipped += [unpaid.id, stranger.id]
                buried[queue] = [without.id]
                for job in [unpaid, stranger, without] { _ = try await stage.redis.call("LPUSH", stage.key(queue, "ready"), job.body) }
            }
            for (queue, ids) in buried {
                try await eventually("the job without a payment is buried on \(queue)") {
                    try await stage.dead(on: queue).compactMap { $0["job"]?.string } == ids
                }
                let dead = try await stage.dead(on: queue)
                #expect(dead[0]["reason"]?.string?.contains("payment") == true)
            }
            for id in skipped {
                try await eventually("\(id) is recorded as skipped") {
                    try await stage.texts("SELECT outcome FROM outbox_jobs WHERE id = $1", [.text(id)]) == ["skipped"]
                }
            }
            let reasons = Set(try await stage.texts("SELECT detail FROM outbox_jobs WHERE outcome = 'skipped'"))
            #expect(reasons == ["payment is created", "payment pay_nobody does not exist"])
            for queue in buried.keys {
                // What became of a job is on record in SQL a moment before its queue lets it go.
                try await eventually("nothing is tried again on \(queue)") { try await stage.held(by: queue).isEmpty }
                #expect(try await stage.redis.call("HLEN", stage.key(queue, "history")).int ?? 0 <= 1, "a skip is no failure")
            }
            for table in ["drafts_generated", "drafts_answers", "plans_activations", "invoicing_invoices"] {
                #expect(try await stage.count("SELECT COUNT(*) FROM \(table)") == 0, "\(table) has rows")
            }
            #expect(try await stage.texts("SELECT processing_state FROM drafts_inquiries") == ["INQUIRY_RECEIVED"])
        }
    }

    @Test("a job pushed again under another id, after its effect, does nothing a second time and is not retried")
    func pushedAgain() async throws {
        let programs = ["ingest", "worker-payments", "worker-plans", "worker-invoices"]
        try await Stage.run(programs) { stage in
            let plan = try await stage.seedOne(.plan)
            #expect(try await stage.post(Message.paid(plan)).status == 200)
            try await stage.requirePaidOnce([plan])
            try await stage.awaitJobs()
            let renewsAt = try await stage.count("SELECT renews_at FROM plans_subscriptions")
            let again = [
                Self.job("plan.activate", "plans", payment: plan.id, args: ["team": .string(plan.subject), "plan": "pay_as_you_go"]),
                Self.job("invoice.create", "invoices", payment: plan.id, args: ["mode": "sandbox"]),
            ]
            for (job, queue) in zip(again, ["plans", "invoices"]) {
                _ = try await stage.redis.call("LPUSH", stage.key(queue, "ready"), job.body)
                try await eventually("\(job.id) on \(queue) has an outcome") {
                    let outcome = try await stage.texts("SELECT outcome FROM outbox_jobs WHERE id = $1", [.text(job.id)])
                    return outcome == ["skipped"] || outcome == ["done"]
                }
                // SQL has the outcome before the queue is told.
                try await eventually("the queue has let \(job.id) go") { try await stage.held(by: queue).isEmpty }
                #expect(try await stage.dead(on: queue).isEmpty)
            }
            #expect(try await stage.count("SELECT renews_at FROM plans_subscriptions") == renewsAt)
            #expect(try await stage.count("SELECT COUNT(*) FROM plans_activations") == 1)
            try await stage.requireGaplessInvoices(1)
        }
    }

    @Test("a refund between payment and work stops the work")
    func refundedBeforeWork() async throws {
        try await Stage.run(["ingest", "worker-payments"]) { stage in
            let plan = try await stage.seedOne(.plan)
            #expect(try await stage.post(Message.paid(plan)).status == 200)
            try await stage.requirePaidOnce([plan])
            let refund = Message.payment("payment.refunded", order: plan.attempt, amount: plan.amountText, currency: plan.currency)
            #expect(try await stage.post(refund).status == 200)
            try await eventually("the payment is refunded") { try await stage.state(of: plan.id) == "refunded" }
            try await stage.instance.start(all: ["worker-plans", "worker-invoices"])
            try await stage.awaitJobs()
            // All but the credit note's, which finds that nothing was invoiced.
            let ends = try await stage.texts("SELECT outcome || ': ' || detail FROM outbox_jobs WHERE kind <> 'credit_note.create'")
            #expect(Set(ends) == ["skipped: payment is refunded"])
            #expect(try await stage.count("SELECT COUNT(*) FROM plans_activations") == 0)
            #expect(try await stage.count("SELECT COUNT(*) FROM invoicing_invoices") == 0)
        }
    }
}
