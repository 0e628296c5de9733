import Database
import Drafts
import EventLoop
import Formats
import Invoicing
import JobQueue
import Notifications
import OperatorCommands
import Outbox
import Payments
import PrivateFiles
import Settings
import Telemetry
import TestSupport
import Testing

@Suite("quittance trace and the listings of SQL")
struct CommandTraceTests {
    /// Everything that happens to a kit: paid, told twice, draft and invoice made, mail sent.
    private func playKit(_ stage: CommandStage) async throws -> OrderedKit {
        let kit = try await stage.orderKit()
        #expect(try await stage.notify(kit) == .applied)
        #expect(try await stage.notify(kit) == .duplicate)
        try await stage.write { connection in
            try Issuer.example().save(nowMs: stage.nowMs, in: connection)
            try GeneratedDraft(
                inquiry: kit.inquiry, payment: kit.payment, path: "drafts/d.docx", sha256: "aa11", size: 1234, createdAtMs: stage.nowMs + 4000
            ).save(in: connection)
        }
        let draft = try await stage.job("draft.generate", of: kit.payment)
        try await stage.finish(draft, as: .done, detail: "drafts/d.docx", atMs: stage.nowMs + 4000)
        try await makeInvoice(stage, kit)
        let mail = try await stage.job("notification.send", of: kit.payment)
        try await stage.finish(mail, as: .done, detail: nil, atMs: stage.nowMs + 6000)
        try await stage.write { connection in
            let message = SendNotification(
                template: .paymentConfirmed, recipient: "aicha@example.org", language: "fr", values: [:], cause: kit.payment)
            let record = try NotificationRecord.intend(
                message, subject: "Paiement reçu", host: "example.com", payment: kit.payment, job: mail.id, nowMs: stage.nowMs + 6000, in: connection)
            try NotificationRecord.markSent(record.key, nowMs: stage.nowMs + 6000, in: connection)
        }
        return kit
    }

    private func makeInvoice(_ stage: CommandStage, _ kit: OrderedKit) async throws {
        let job = try await stage.job("invoice.create", of: kit.payment)
        let database = try Database.open(stage.settings.database, readers: 1)
        let pool = BlockingPool(name: "test", threads: 1)
        let creation = InvoiceCreation(
            database: database, outbox: Outbox(slot: "worker-invoices.0"),
            files: PrivateFiles(root: stage.settings.privateMediaRoot, pool: pool), pool: pool, render: { _ in Array("%PDF".utf8) })
        let envelope = JobEnvelope(
            id: job.id, kind: job.kind, queue: job.queue, args: ["mode": "sandbox"], payment: kit.payment, enqueuedAtMs: 0)
        let outcome = try await creation.run(CreateInvoice(mode: "sandbox"), job: envelope, log: Log(), nowMs: { stage.nowMs + 5000 })
        #expect(outcome == .done)
        await database.close()
    }

    @Test("the whole life of a paid kit, in the order of time")
    func life() async throws {
        let stage = try await CommandStage.make()
        let kit = try await playKit(stage)
        let jobs = try await stage.jobs(of: kit.payment)
        let draft = try await stage.job("draft.generate", of: kit.payment).id
        let invoice = try await stage.job("invoice.create", of: kit.payment).id
        let mails = jobs.filter { $0.kind == "notification.send" }.map(\.id)
        try #require(mails.count == 2)
        let json = try await stage.json("trace", kit.payment, "--json")
        let digest = try #require(json["documents"]?[1]?["sha256"]?.string)
        let messageID = try #require(json["mails"]?[0]?["message_id"]?.string)
        let result = await stage.run("trace", kit.payment)
        #expect(
            result
                == CommandResult(
                    code: .ok,
                    out: """
                        Payment \(kit.payment) is paid
                          12500 XOF for kit \(kit.inquiry): Kit Complet - Audit sans peur
                          customer: Aïcha Koné, a***@example.org, +22507******56, fr

                        2026-11-21 08:00:00  state    created by test, kit
                        2026-11-21 08:00:01  attempt  1 at standard-webhooks (sandbox): ours \(kit.attempt)
                        2026-11-21 08:00:02  event    applied: standard-webhooks/msg_1 (sandbox, signed, delivered 2 times); payment is paid
                        2026-11-21 08:00:03  state    created → paid by provider:standard-webhooks, standard-webhooks/msg_1
                        2026-11-21 08:00:03  ledger   12500 XOF to provider:standard-webhooks from sales:kit: captured
                        2026-11-21 08:00:03  job      draft.generate \(draft) made for drafts
                        2026-11-21 08:00:03  job      invoice.create \(invoice) made for invoices
                        2026-11-21 08:00:03  job      notification.send \(mails[0]) made for notifications
                        2026-11-21 08:00:04  job      draft.generate \(draft) done: drafts/d.docx
                        2026-11-21 08:00:04  draft    drafts/d.docx, 1234 bytes, sha256 aa11
                        2026-11-21 08:00:05  job      invoice.create \(invoice) done: EX-2026-000001
                        2026-11-21 08:00:05  job      notification.send \(mails[1]) made for notifications
                        2026-11-21 08:00:05  invoice  EX-2026-000001 (sandbox): invoices/2026/EX-2026-000001.pdf, sha256 \(digest)
                        2026-11-21 08:00:06  job      notification.send \(mails[0]) done
                        2026-11-21 08:00:06  mail     payment_confirmed to a***@example.org sent: Paiement reçu \(messageID)

                        Still open
                          job notification.send \(mails[1]) is not on its queue yet

                        Failed attempts of jobs are not shown: \(Self.redisIsAway)

                        """, err: ""))
    }

    static let redisIsAway = "Redis cannot be used: not connected to 127.0.0.1:1: cannot connect: Connection refused"

    @Test("the JSON has the members that other programs read")
    func members() async throws {
        let stage = try await CommandStage.make()
        let kit = try await playKit(stage)
        let json = try await stage.json("trace", kit.payment, "--json")
        #expect(
            json.object?.keys == [
                "payment", "attempts", "events", "audit", "ledger", "jobs", "plan_moves", "documents", "mails", "tasks", "redis",
            ])
        #expect(json["payment"]?["state"] == "paid")
        #expect(json["payment"]?["customer"]?["phone"] == "+22507******56")
        #expect(json["payment"]?["paid_at"] == "2026-11-21T08:00:03.000Z")
        let outcomes = (json["jobs"]?.array ?? []).map { [$0["kind"], $0["outcome"]] }
        #expect(
            outcomes == [
                ["draft.generate", "done"], ["invoice.create", "done"], ["notification.send", "done"], ["notification.send", .null],
            ])
        let documents = (json["documents"]?.array ?? []).map { [$0["kind"], $0["path"]] }
        #expect(documents == [["draft", "drafts/d.docx"], ["invoice", "invoices/2026/EX-2026-000001.pdf"]])
        #expect(json["events"]?[0]?["deliveries"] == 2)
        #expect(json["mails"]?[0]?["recipient"] == "a***@example.org")
    }

    @Test("a payment is found by everything that names it")
    func search() async throws {
        let stage = try await CommandStage.make()
        let kit = try await playKit(stage)
        let whole = await stage.run("trace", kit.payment)
        for word in [kit.inquiry, kit.attempt, try await stage.jobs(of: kit.payment)[0].id] {
            #expect(await stage.run("trace", word) == whole)
        }
        #expect(
            await stage.run("trace", "pay_none")
                == CommandResult(
                    code: .notFound, out: "",
                    err: "quittance trace: no payment, job, reference, inquiry, team or order is 'pay_none'\n"))
    }

    @Test("failed attempts of a job come from Redis")
    func histories() async throws {
        let stage = try await CommandStage.make(redis: true)
        let kit = try await stage.orderKit()
        try await stage.notify(kit)
        let job = try await stage.job("draft.generate", of: kit.payment)
        try await stage.withQueue("drafts") { driver in
            let worker = WorkerIdentity(name: "test")
            try await driver.register(worker, signal: { _ in })
            try await driver.enqueue([EnqueueItem(body: Array("body".utf8))])
            let claimed = try await driver.step(StepRequest(worker: worker, claimMax: 1)).claimed
            let failure = HistoryEntry(job: job.id, attempt: 1, atMs: stage.nowMs + 3500, worker: "w", reason: "the text service answered 503")
            let token = try #require(claimed.first).token
            _ = try await driver.step(
                StepRequest(worker: worker, operations: [.retry(token, delay: .seconds(60), body: Array("body".utf8), history: failure)], claimMax: 0)
            )
            await driver.retire(worker)
        }
        let result = await stage.run("trace", kit.payment)
        #expect(result.out.contains("2026-11-21 08:00:03  job      draft.generate \(job.id) attempt 1 failed: the text service answered 503\n"))
        let json = try await stage.json("trace", kit.payment, "--json")
        #expect(json["jobs"]?[0]?["history"]?[0]?["reason"] == "the text service answered 503")
        #expect(json["redis"] == .null)
    }

    @Test("payments, events and tasks are listed, as text and as JSON")
    func listings() async throws {
        let stage = try await CommandStage.make()
        #expect(await stage.run("payments") == CommandResult(code: .ok, out: "No payments.\n", err: ""))
        #expect(await stage.run("events") == CommandResult(code: .ok, out: "No events are unmatched or quarantined.\n", err: ""))
        #expect(await stage.run("tasks", "--json") == CommandResult(code: .ok, out: "[]\n", err: ""))
        let kit = try await stage.orderKit()
        // Less than what is owed: a person must look.
        try await stage.notify(kit, amount: "12000")
        try await stage.notify(OrderedKit(payment: "", inquiry: "", attempt: "unknown"), event: "msg_2")
        #expect(
            await stage.run("payments", "--state", "conflicted").out == """
                payment                         state       amount  currency  purpose  subject                         provider           mode     created at
                \(kit.payment)  conflicted   12500  XOF       kit      \(kit.inquiry)  standard-webhooks  sandbox  2026-11-21 08:00:00

                """)
        #expect(await stage.run("payments", "--state=paid").out == "No payment is paid.\n")
        #expect(
            await stage.run("events").out == """
                received at          event                    mode     trust   type                  outcome    payment  deliveries  detail
                2026-11-21 08:00:02  standard-webhooks/msg_2  sandbox  signed  payment.notification  unmatched  -                 1  \
                no payment has ours unknown, order unknown

                """)
        #expect(
            await stage.run("tasks").out == """
                task  created at           payment                         kind        detail
                   1  2026-11-21 08:00:03  \(kit.payment)  conflicted  captured 12000 of 12500 XOF

                """)
        #expect(try await stage.json("events", "--outcome", "applied", "--json")[0]?["received_at"] == "2026-11-21T08:00:02.000Z")
    }

    @Test("status tells everything, and that Redis is away")
    func status() async throws {
        let stage = try await CommandStage.make()
        let kit = try await stage.orderKit()
        try await stage.notify(kit)
        let result = await stage.run("status")
        #expect(result.code == .ok)
        #expect(
            result.out == """
                Payments
                state  count
                paid       1

                Events
                outcome  count
                applied      1

                Job records
                queue          unfinished  unpublished  buried
                drafts                  1            1       0
                invoices                1            1       0
                notifications           1            1       0

                Queues
                \(Self.redisIsAway)

                Usage
                0 teams, 0 projects, 0.00 MB of traffic this month, 0.00 MB of storage
                storage run: never, limits run: never

                Scheduled
                \(CommandCronTests.freshTable)
                Open tasks: 0
                Spool: empty

                """)
    }

    @Test("status with Redis has its queues, in JSON too")
    func statusWithRedis() async throws {
        let stage = try await CommandStage.make(redis: true)
        let json = try await stage.json("status", "--json")
        #expect(json.object?.keys == ["payments", "events", "jobs", "tasks", "queues", "redis", "spool", "usage", "cron"])
        #expect(json["queues"]?[0] == ["queue": "events", "ready": 0, "delayed": 0, "in_flight": 0, "dead": 0, "workers": 0])
        #expect(json["redis"] == .null)
        #expect(json["spool"] == ["bytes": 0, "events": 0])
        #expect(json["usage"]?["teams"] == 0)
        #expect(json["usage"]?["runs"]?[1] == ["kind": "limits", "outcome": .null, "succeeded_at": .null, "duration_ms": .null])
    }
}
