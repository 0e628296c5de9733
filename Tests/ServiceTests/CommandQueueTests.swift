import Database
import EventLoop
import Formats
import HTTPClient
import HTTPServer
import IngestService
import JobQueue
import JobQueueRedis
import OperatorCommands
import Outbox
import ProviderCatalog
import RedisClient
import Settings
import StandardWebhooks
import Telemetry
import TestSupport
import Testing

@Suite("quittance queues, dead, refused and rebuild-queues")
struct CommandQueueTests {
    /// Buries the job of that kind as a worker would.
    private func bury(_ job: JobRecord, _ stage: CommandStage, reason: String) async throws {
        let envelope = JobEnvelope(id: job.id, kind: job.kind, queue: job.queue, args: [:], payment: job.payment, enqueuedAtMs: 1)
        try await stage.finish(job, as: .buried, detail: reason, atMs: stage.nowMs)
        try await stage.withQueue(job.queue) { driver in
            let worker = WorkerIdentity(name: "test", epoch: 1)
            try await driver.register(worker, signal: { _ in })
            try await driver.enqueue([EnqueueItem(envelope)])
            let claimed = try #require(try await driver.step(StepRequest(worker: worker, claimMax: 1)).claimed.first)
            let record = DeadRecord(burying: envelope, body: claimed.body, reason: reason, nowMs: stage.nowMs, worker: worker)
            let failure = HistoryEntry(job: job.id, attempt: 1, atMs: stage.nowMs, worker: "test:1", reason: reason)
            _ = try await driver.step(
                StepRequest(worker: worker, operations: [.bury(claimed.token, record: record, history: failure)], claimMax: 0))
            await driver.retire(worker)
        }
    }

    @Test("queues counts what is where")
    func queues() async throws {
        let stage = try await CommandStage.make(redis: true)
        try await stage.withQueue("plans") { driver in
            try await driver.enqueue([EnqueueItem(body: [1]), EnqueueItem(body: [2]), EnqueueItem(body: [3], dueMs: WallClock.nowMs + 600_000)])
        }
        #expect(
            await stage.run("queues")
                == CommandResult(
                    code: .ok,
                    out: """
                        queue          ready  delayed  in flight  dead  workers
                        events             0        0          0     0        0
                        payments           0        0          0     0        0
                        drafts             0        0          0     0        0
                        plans              2        1          0     0        0
                        invoices           0        0          0     0        0
                        notifications      0        0          0     0        0
                        usage              0        0          0     0        0
                        samples            0        0          0     0        0
                        receipts           0        0          0     0        0
                        maintenance        0        0          0     0        0

                        """, err: ""))
    }

    @Test("without Redis its commands say so in a sentence", arguments: [["queues"], ["dead"], ["refused"], ["rebuild-queues"]])
    func redisIsAway(arguments: [String]) async throws {
        let stage = try await CommandStage.make()
        let name = ["dead", "queues"].contains(arguments[0]) ? "\(arguments[0]) list" : arguments[0]
        #expect(
            await stage.run(arguments)
                == CommandResult(code: .failed, out: "", err: "quittance \(name): \(CommandTraceTests.redisIsAway)\n"))
    }

    @Test("what is dead is listed with its reason and put back, its record opened again")
    func replay() async throws {
        let stage = try await CommandStage.make(redis: true)
        #expect(await stage.run("dead") == CommandResult(code: .ok, out: "Nothing is dead.\n", err: ""))
        let kit = try await stage.orderKit()
        try await stage.notify(kit)
        let job = try await stage.job("draft.generate", of: kit.payment)
        try await bury(job, stage, reason: "insufficient_quota")
        #expect(
            await stage.run("dead").out == """
                id                              queue   kind            payment                         buried at            attempts  reason
                \(job.id)  drafts  draft.generate  \(kit.payment)  2026-11-21 08:00:00         1  insufficient_quota

                """)
        #expect(try await stage.json("dead", "list", "--queue", "drafts", "--json")[0]?["history"]?[0]?["reason"] == "insufficient_quota")
        #expect(await stage.run("dead", "--queue", "plans").out == "Nothing is dead.\n")

        #expect(await stage.run("dead", "replay", job.id) == CommandResult(code: .ok, out: "\(job.id) is back on drafts\n", err: ""))
        #expect(try await stage.job("draft.generate", of: kit.payment).outcome == nil)
        #expect(try await stage.withQueue("drafts") { try await $0.counts() } == QueueCounts(ready: 1))
        #expect(
            await stage.run("replay", job.id)
                == CommandResult(code: .notFound, out: "", err: "quittance replay: nothing dead has the id '\(job.id)'\n"))
    }

    @Test("what is dead can be forgotten, all of a queue at once")
    func delete() async throws {
        let stage = try await CommandStage.make(redis: true)
        let kit = try await stage.orderKit()
        try await stage.notify(kit)
        let job = try await stage.job("invoice.create", of: kit.payment)
        try await bury(job, stage, reason: "a")
        #expect(
            await stage.run("dead", "delete", "--all", "--queue", "invoices")
                == CommandResult(code: .ok, out: "\(job.id) is deleted from invoices\n", err: ""))
        #expect(
            await stage.run("dead", "delete", "--all", "--queue", "invoices")
                == CommandResult(code: .nothingDue, out: "Nothing is dead on invoices.\n", err: ""))
        #expect(try await stage.job("invoice.create", of: kit.payment).outcome == .buried)
    }

    @Test(
        "dead asks for what it needs",
        arguments: [
            (["dead", "replay"], "dead replay: one of ID, --all and a filter is needed"),
            (["dead", "delete", "x", "--all"], "dead delete: one of ID, --all and a filter is needed"),
            (["dead", "replay", "--all"], "dead replay: --all needs --queue"),
            (
                ["dead", "--queue", "letters"],
                "dead list: there is no queue 'letters'; the queues are events, payments, drafts, plans, invoices, notifications, "
                    + "usage, samples, receipts, maintenance"
            ),
        ])
    func deadUsage(arguments: [String], fault: String) async throws {
        let result = try await CommandStage.make(migrated: false).run(arguments)
        #expect(result.code == .usage && result.err.hasPrefix("quittance: \(fault)\nUsage: quittance dead "))
    }

    // MARK: Ingest

    /// A real ingest beside the stage, in whose folder its journal stays.
    private func withIngest(_ stage: CommandStage, _ body: (String) async throws -> Void) async throws {
        let sources = try ProviderCatalog.sources(stage.settings).map {
            IngestSource(adapter: $0.adapter, mode: $0.mode, bodyLimit: $0.bodyLimit, otherPaths: $0.otherPaths)
        }
        let ingest = try IngestServer(
            IngestConfiguration(
                address: SocketAddress("127.0.0.1", 0), redis: stage.settings.redis, queuePrefix: stage.settings.queuePrefix,
                spoolDirectory: stage.settings.spoolDirectory, loops: 1, sources: sources), log: Log())
        try await ingest.start()
        do { try await body("http://\(ingest.address)") } catch {
            await ingest.stop(by: .now + .seconds(5))
            throw error
        }
        await ingest.stop(by: .now + .seconds(5))
    }

    private func post(_ url: String, id: String, signed: Bool = true) async throws -> Int {
        let loop = try EventLoop.started(name: "test-post")
        let client = HTTPClient(loop: loop)
        let body = Array(#"{"type":"payment.pending","data":{"order_id":"\#(id)","amount":"1","currency":"XOF"}}"#.utf8)
        let signer = try StandardWebhooksSigner(secret: CommandStage.webhookSecret)
        let headers = signer.headers(id: id, timestamp: WallClock.nowMs / 1000, body: signed ? body : [])
        let answer = try await client.send(
            HTTPClient.Request(method: "POST", url: "\(url)/webhooks/standard-webhooks", headers: headers, body: body))
        await client.close()
        let ending = BlockingPool(name: "test-end", threads: 1)
        try await ending.run { loop.stop() }
        ending.close()
        return answer.status
    }

    @Test("an emptied Redis is filled again from SQL and from ingest's journal")
    func rebuild() async throws {
        let stage = try await CommandStage.make(redis: true)
        try await withIngest(stage) { url in
            try await eventually { try await post(url, id: "msg_first") == 200 }
            #expect(try await post(url, id: "msg_second") == 200)
            // What came before Redis was there went by way of the disk.
            try await eventually("both are on the list") { try await stage.withQueue("events") { try await $0.peek(limit: 10).count } == 2 }
        }
        let kit = try await stage.orderKit()
        try await stage.notify(kit)
        stage.turn(byMs: 60_000)
        #expect(await stage.run("cron", "run", "outbox-sweep").code == .ok)
        try await stage.finish(try await stage.job("invoice.create", of: kit.payment), as: .done, detail: nil, atMs: stage.nowMs)
        let before = try await stage.withQueue("events") { try await $0.peek(limit: 10) }
        try await stage.redis("FLUSHALL")
        // Not even the numbering may be in the way: a program publishes a later job meanwhile.
        try await stage.redis("HSET", "quittance:{drafts}:published", "worker-payments.0", "1000")

        let trial = await stage.run("rebuild-queues", "--dry-run")
        #expect(
            trial
                == CommandResult(
                    code: .ok,
                    out: """
                        2 unfinished jobs would go back onto their queues
                        2 of 2 events in the journal are not in SQL and would go back onto the list

                        """, err: ""))
        #expect(
            await stage.run("rebuild-queues")
                == CommandResult(
                    code: .ok,
                    out: """
                        2 unfinished jobs went back onto their queues
                        2 of 2 events in the journal are not in SQL and went back onto the list

                        """, err: ""))
        // Not in their order: what went by way of the disk may have come onto the list later than what came after it.
        #expect(Set(try await stage.withQueue("events") { try await $0.peek(limit: 10) }) == Set(before))
        #expect(before.count == 2)
        #expect(try await stage.withQueue("drafts") { try await $0.counts().ready } == 1)
        #expect(try await stage.withQueue("notifications") { try await $0.counts().ready } == 1)
        #expect(try await stage.withQueue("invoices") { try await $0.counts().ready } == 0)
    }

    @Test("nothing to put back is said with its own exit code")
    func nothingToRebuild() async throws {
        let stage = try await CommandStage.make(redis: true)
        #expect(await stage.run("rebuild-queues", "--json").code == .nothingDue)
    }

    @Test("refused posts are shown with their reason, without their secrets")
    func refused() async throws {
        let stage = try await CommandStage.make(redis: true)
        #expect(await stage.run("refused") == CommandResult(code: .ok, out: "Nothing was refused.\n", err: ""))
        try await withIngest(stage) { url in
            try await eventually { try await post(url, id: "msg_good") == 200 }
            #expect(try await post(url, id: "msg_bad", signed: false) == 401)
            try await eventually { try await stage.redis("LLEN", "quittance:{refused}:standard-webhooks").int == 1 }
        }
        let result = await stage.run("refused", "standard-webhooks")
        #expect(result.code == .ok)
        #expect(result.out.contains("standard-webhooks"))
        #expect(result.out.contains("/webhooks/standard-webhooks"))
        let json = try await stage.json("refused", "--json")
        #expect(json.array?.count == 1)
        let headers = (json[0]?["headers"]?.array ?? []).compactMap(\.string)
        #expect(headers.contains("webhook-signature: [redacted]"))
        #expect(
            await stage.run("refused", "nobody")
                == CommandResult(
                    code: .notFound, out: "",
                    err: "quittance refused: there is no source 'nobody'; the sources are cinetpay, feexpay, icount, kkiapay, manual, orange-money, "
                        + "payment-backend, standard-webhooks, wave, africas-talking, orange-sms, whatsapp, usage\n"))
    }
}
