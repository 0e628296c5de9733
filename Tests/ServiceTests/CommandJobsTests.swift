import Formats
import JobQueue
import JobQueueRedis
import OperatorCommands
import Outbox
import TestSupport
import Testing

@Suite("quittance jobs, workers and dead letters by error")
struct CommandJobsTests {
    private static func job(_ number: Int, kind: String = "notification.send", queue: String = "notifications", args: JSON = [:]) -> JobEnvelope {
        JobEnvelope(id: "job_\(number)", kind: kind, queue: queue, args: args, payment: "pay_\(number)", enqueuedAtMs: CommandStage.startMs)
    }

    /// Buries jobs with these reasons.
    private func bury(_ reasons: [String], _ stage: CommandStage, kind: String = "notification.send") async throws {
        try await stage.withQueue("notifications") { driver in
            let worker = WorkerIdentity(name: "test", epoch: 1)
            try await driver.register(worker, signal: { _ in })
            for (number, reason) in reasons.enumerated() {
                let job = Self.job(number + 1, kind: kind)
                try await driver.enqueue([EnqueueItem(job)])
                let claimed = try #require(try await driver.step(StepRequest(worker: worker, claimMax: 1)).claimed.first)
                let record = DeadRecord(burying: job, body: claimed.body, reason: reason, nowMs: stage.nowMs + Int64(number), worker: worker)
                _ = try await driver.step(StepRequest(worker: worker, operations: [.bury(claimed.token, record: record)], claimMax: 0))
            }
            await driver.retire(worker)
        }
    }

    @Test("jobs list shows them by queue, kind and state, with secrets and numbers masked")
    func list() async throws {
        let stage = try await CommandStage.make(redis: true)
        #expect(await stage.run("jobs") == CommandResult(code: .ok, out: "No such job stands on a queue.\n", err: ""))
        let args: JSON = [
            "phone": "+2250707123456", "api_key": "very-secret-word", "deep": ["password": "x", "text": "write to aicha@example.org"],
            "marked": ["$sensitive": "hush"],
        ]
        try await stage.withQueue("notifications") { driver in
            try await driver.enqueue([
                EnqueueItem(Self.job(1, args: args)), EnqueueItem(Self.job(2, kind: "letter.send")),
                EnqueueItem(Self.job(3), dueMs: WallClock.nowMs + 600_000),
            ])
        }
        let all = try await stage.json("jobs", "list", "--json")
        #expect(all.array?.map { $0["id"]?.string } == ["job_1", "job_2", "job_3"])
        #expect(all.array?.map { $0["state"]?.string } == ["ready", "ready", "delayed"])
        #expect(all[0]?["args"]?["api_key"] == "[redacted]" && all[0]?["args"]?["deep"]?["password"] == "[redacted]")
        let text = all.text
        for word in ["0707123456", "very-secret-word", "aicha@", "hush"] { #expect(!text.contains(word), "\(word)") }
        #expect(try await stage.json("jobs", "list", "--kind", "letter.send", "--json").array?.count == 1)
        #expect(try await stage.json("jobs", "list", "--state", "delayed", "--json").array?.count == 1)
        #expect(try await stage.json("jobs", "list", "--queue", "plans", "--json") == [])
        #expect(await stage.run("jobs", "list", "--state", "lost").code == .usage)
        #expect(await stage.run("jobs", "list", "--queue", "lost").code == .usage)
        #expect(
            await stage.run("jobs", "list", "--kind", "letter.send").out == """
                id     queue          kind         state  attempt  payment  enqueued at          due at  worker
                job_2  notifications  letter.send  ready        0  pay_2    2026-11-21 08:00:00  -       -

                """)
    }

    @Test("jobs list pages through a long queue, the first to be claimed first")
    func pages() async throws {
        let stage = try await CommandStage.make(redis: true)
        try await stage.withQueue("notifications") { driver in
            try await driver.enqueue((1...450).map { EnqueueItem(Self.job($0, kind: $0 == 450 ? "last.one" : "notification.send")) })
        }
        let all = try await stage.json("jobs", "list", "--limit", "1000", "--json").array ?? []
        #expect(all.map { $0["id"]?.string } == (1...450).map { "job_\($0)" })
        #expect(try await stage.json("jobs", "list", "--kind", "last.one", "--json")[0]?["id"] == "job_450")
    }

    @Test("jobs show tells one job's record, place and failed attempts")
    func show() async throws {
        let stage = try await CommandStage.make(redis: true)
        let kit = try await stage.orderKit()
        try await stage.notify(kit)
        let record = try await stage.job("draft.generate", of: kit.payment)
        var job = JobEnvelope(
            id: record.id, kind: record.kind, queue: record.queue, args: ["inquiry": "inq_1"], payment: kit.payment, enqueuedAtMs: 1)
        try await stage.withQueue("drafts") { driver in
            let worker = WorkerIdentity(name: "test", epoch: 1)
            try await driver.register(worker, signal: { _ in })
            try await driver.enqueue([EnqueueItem(job)])
            let claimed = try #require(try await driver.step(StepRequest(worker: worker, claimMax: 1)).claimed.first)
            let failure = HistoryEntry(job: job.id, attempt: 1, atMs: stage.nowMs, worker: "test:1", reason: "token=abcdefghijklmnop1234 was refused")
            job = job.afterAttempt()
            _ = try await driver.step(
                StepRequest(
                    worker: worker, operations: [.retry(claimed.token, delay: .seconds(600), body: job.encoded(), history: failure)], claimMax: 0))
            await driver.retire(worker)
        }
        let shown = try await stage.json("jobs", "show", record.id, "--json")
        #expect(shown["record"]?["kind"] == "draft.generate" && shown["record"]?["finished_at"] == .null)
        #expect(shown["standing"]?["state"] == "delayed" && shown["standing"]?["attempt"]?.int == 1)
        #expect(shown["history"]?[0]?["reason"] == "token=[redacted] was refused")
        let text = await stage.run("jobs", "show", record.id)
        #expect(text.code == .ok && text.out.contains("delayed on drafts") && text.out.contains("token=[redacted] was refused"))
        #expect(
            await stage.run("jobs", "show", "job_none")
                == CommandResult(code: .notFound, out: "", err: "quittance jobs show: there is no job 'job_none'\n"))

        // One that an outside producer pushed has no record.
        try await stage.withQueue("plans") { try await $0.enqueue([EnqueueItem(Self.job(9, kind: "plan.activate", queue: "plans"))]) }
        let outside = try await stage.json("jobs", "show", "job_9", "--json")
        #expect(outside["record"] == .null && outside["standing"]?["queue"] == "plans")
    }

    @Test("jobs show tells the record while Redis is away")
    func away() async throws {
        let stage = try await CommandStage.make()
        let kit = try await stage.orderKit()
        try await stage.notify(kit)
        let record = try await stage.job("draft.generate", of: kit.payment)
        let shown = try await stage.json("jobs", "show", record.id, "--json")
        #expect(shown["record"]?["queue"] == "drafts" && shown["redis"]?.string?.contains("Redis cannot be used") == true)
        #expect(await stage.run("jobs", "show", "job_none").code == .failed)
    }

    @Test("workers list shows who works what, with what is in hand")
    func workers() async throws {
        let stage = try await CommandStage.make(redis: true)
        #expect(await stage.run("workers").out == "No worker is registered.\n")
        try await stage.withQueue("plans") { driver in
            let worker = WorkerIdentity(name: "one", epoch: 35)
            try await driver.register(worker, signal: { _ in })
            try await driver.enqueue([EnqueueItem(Self.job(1, queue: "plans"))])
            #expect(try await driver.step(StepRequest(worker: worker, claimMax: 1)).claimed.count == 1)
            let seen = try await stage.json("workers", "list", "--json")
            #expect(seen.array?.count == 1 && seen[0]?["queue"] == "plans" && seen[0]?["worker"] == "one:z" && seen[0]?["in_flight"]?.int == 1)
            let lease = try #require(seen[0]?["lease_ms"]?.int)
            #expect((1...3000).contains(lease))
            #expect(try await stage.json("jobs", "list", "--state", "in_flight", "--json")[0]?["worker"] == "one:z")
            await driver.retire(worker)
        }
        #expect(try await stage.json("workers", "list", "--queue", "drafts", "--json") == [])
    }

    @Test("dead letters of one error are one line, and go back together, a few at first")
    func byError() async throws {
        let stage = try await CommandStage.make(redis: true)
        try await bury(
            ["550 mailbox m-17@example.org unknown", "no answer from 10.0.0.7", "550 mailbox x-9@example.org unknown", "no answer from 10.0.0.8"] + [
                "no answer from 10.0.0.9"
            ], stage)
        let groups = try await stage.json("dead", "--by-error", "--json")
        #expect(groups.array?.map { $0["count"]?.int } == [3, 2])
        let error = try #require(groups[0]?["error"]?.string)
        #expect(groups[0]?["kind"] == "notification.send" && groups[0]?["queues"] == ["notifications"])
        #expect(groups[0]?["reason"] == "no answer from 10.0.0.9")
        #expect(try await stage.json("dead", "list", "--error", error, "--json").array?.count == 3)

        #expect(await stage.run("dead", "replay", "--error", error, "--limit", "1").out == "job_5 is back on notifications\n")
        #expect(try await stage.withQueue("notifications") { try await $0.counts() } == QueueCounts(ready: 1, dead: 4))
        #expect(await stage.run("dead", "replay", "--error", error).out.split(separator: "\n").count == 2)
        #expect(try await stage.withQueue("notifications") { try await $0.counts() } == QueueCounts(ready: 3, dead: 2))
        let gone = await stage.run("dead", "replay", "--error", error)
        #expect(gone.code == .notFound && gone.err == "quittance dead replay: nothing dead has the error '\(error)'\n")
        let other = try #require(groups[1]?["error"]?.string)
        #expect(await stage.run("dead", "delete", "--error", other).out.split(separator: "\n").count == 2)
        #expect(await stage.run("dead", "replay", "job_1", "--error", other).code == .usage)
    }

    @Test(
        "what differs from one failure to the next is not part of its error",
        arguments: [
            ("payment pay_01ABC is gone", "payment pay_99XYZ is gone", true), ("HTTP 503 from psp", "HTTP 502 from psp", false),
            ("timed out after 30.0 seconds", "timed out after 12.5 seconds", true), ("No such file", "no such  file", true),
            ("no such file", "no such folder", false), ("attempt 3", "attempt 14", true),
        ])
    func fingerprints(left: String, right: String, isOne: Bool) {
        #expect((ErrorFingerprint(kind: "a", reason: left) == ErrorFingerprint(kind: "a", reason: right)) == isOne)
        #expect(ErrorFingerprint(kind: "a", reason: left) != ErrorFingerprint(kind: "b", reason: left))
    }
}
