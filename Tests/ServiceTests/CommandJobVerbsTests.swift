import Formats
import JobQueue
import OperatorCommands
import Outbox
import TestSupport
import Testing

@Suite("quittance jobs and queues: cancel, retry, move, delete, hold, drain, clear")
struct CommandJobVerbsTests {
    private static func job(_ number: Int, kind: String = "notification.send", queue: String = "notifications", args: JSON = [:]) -> JobEnvelope {
        JobEnvelope(id: "job_\(number)", kind: kind, queue: queue, args: args, payment: "pay_\(number)", enqueuedAtMs: CommandStage.startMs)
    }

    private func put(_ jobs: [JobEnvelope], dueMs: Int64? = nil, _ stage: CommandStage) async throws {
        for job in jobs { try await stage.withQueue(job.queue) { try await $0.enqueue([EnqueueItem(job, dueMs: dueMs)]) } }
    }

    private func counts(_ queue: String, _ stage: CommandStage) async throws -> QueueCounts {
        try await stage.withQueue(queue) { try await $0.counts() }
    }

    /// A job of the product that stands on its queue, with its record.
    private func recorded(_ stage: CommandStage, dueMs: Int64? = nil) async throws -> JobRecord {
        let kit = try await stage.orderKit()
        try await stage.notify(kit)
        let record = try await stage.job("draft.generate", of: kit.payment)
        try await put(
            [JobEnvelope(id: record.id, kind: record.kind, queue: record.queue, args: [:], payment: kit.payment, enqueuedAtMs: 1)], dueMs: dueMs,
            stage)
        return record
    }

    private func record(_ id: String, _ stage: CommandStage) async throws -> JobRecord? {
        try await stage.write { try JobRecord.find(id, in: $0) }
    }

    // MARK: Jobs

    @Test("a job that waits is cancelled at once, its record says so, and a second time there is nothing to do")
    func cancel() async throws {
        let stage = try await CommandStage.make(redis: true)
        let job = try await recorded(stage, dueMs: WallClock.nowMs + 600_000)
        #expect(await stage.run("jobs", "cancel", job.id, "--dry-run").out == "\(job.id) is delayed on drafts\n")
        #expect(await stage.run("jobs", "cancel", job.id) == CommandResult(code: .ok, out: "\(job.id) is cancelled\n", err: ""))
        #expect(try await counts("drafts", stage) == QueueCounts())
        let after = try await record(job.id, stage)
        #expect(after?.outcome == .skipped && after?.detail == "cancelled")
        let shown = try await stage.json("jobs", "show", job.id, "--json")
        #expect(shown["ended"]?["state"] == "cancelled" && shown["standing"] == .null)
        let again = await stage.run("jobs", "cancel", job.id)
        #expect(again.code == .nothingDue && again.err == "quittance jobs cancel: \(job.id) has ended before: cancelled\n")
        #expect(await stage.run("jobs", "cancel", "job_none").code == .notFound)
    }

    @Test("a running job's worker is told, a dead one is not cancelled")
    func cancelRunning() async throws {
        let stage = try await CommandStage.make(redis: true)
        try await put([Self.job(1), Self.job(2)], stage)
        try await stage.withQueue("notifications") { driver in
            let worker = WorkerIdentity(name: "test", epoch: 1)
            try await driver.register(worker, signal: { _ in })
            let claimed = try await driver.step(StepRequest(worker: worker, claimMax: 2)).claimed
            #expect(
                try await stage.json("jobs", "cancel", "job_1", "--json")
                    == [["id": "job_1", "queue": "notifications", "result": "runs, its worker is told", "done": true]])
            let record = DeadRecord(burying: Self.job(2), body: claimed[1].body, reason: "no", nowMs: 1, worker: worker)
            let told = try await driver.step(StepRequest(worker: worker, operations: [.bury(claimed[1].token, record: record)], claimMax: 0))
            #expect(told.cancelled == ["job_1"])
            #expect(try await self.record("job_1", stage) == nil, "its worker says what became of it")
            await driver.retire(worker)
        }
        let dead = await stage.run("jobs", "cancel", "job_2")
        #expect(dead.code == .nothingDue && dead.err == "quittance jobs cancel: job_2 is dead on notifications\n")
    }

    @Test("what is delayed is tried now and what is dead goes back, by kind, payment, age and error")
    func retry() async throws {
        let stage = try await CommandStage.make(redis: true)
        let later = WallClock.nowMs + 600_000
        try await put([Self.job(1), Self.job(2, kind: "letter.send"), Self.job(3)], dueMs: later, stage)
        #expect(await stage.run("jobs", "retry", "--kind", "letter.send").out == "job_2 is tried now\n")
        #expect(await stage.run("jobs", "retry", "--payment", "pay_3").out == "job_3 is tried now\n")
        #expect(try await counts("notifications", stage) == QueueCounts(ready: 2, delayed: 1))
        #expect(await stage.run("jobs", "retry", "--older-than", "1h").code == .nothingDue)
        stage.turn(byMs: 2 * 3_600_000)
        #expect(await stage.run("jobs", "retry", "--older-than", "1h").out == "job_1 is tried now\n")

        let error = ErrorFingerprint(kind: "notification.send", reason: "no answer from 10.0.0.7").description
        try await stage.withQueue("notifications") { driver in
            let worker = WorkerIdentity(name: "test", epoch: 1)
            try await driver.register(worker, signal: { _ in })
            let claimed = try await driver.step(StepRequest(worker: worker, claimMax: 3)).claimed
            func operation(_ claimed: ClaimedJob) throws -> StepOperation {
                let job = try JobEnvelope(decoding: claimed.body)
                let entry = HistoryEntry(job: job.id, attempt: 1, atMs: 1, worker: "w", reason: "no answer from 10.0.0.9")
                if job.id == "job_3" {
                    return .bury(
                        claimed.token, record: DeadRecord(burying: job, body: claimed.body, reason: entry.reason, nowMs: 1, worker: worker),
                        history: entry)
                }
                return .retry(claimed.token, delay: .seconds(600), body: job.afterAttempt().encoded(), history: entry)
            }
            _ = try await driver.step(StepRequest(worker: worker, operations: claimed.map(operation), claimMax: 0))
            await driver.retire(worker)
        }
        #expect(try await stage.json("jobs", "list", "--error", error, "--json").array?.count == 2, "the letter's is another error")
        let both = await stage.run("jobs", "retry", "--error", error)
        #expect(both.code == .ok && both.out == "job_1 is tried now\njob_3 is back on notifications\n")
        #expect(try await counts("notifications", stage) == QueueCounts(ready: 2, delayed: 1))
    }

    @Test("jobs move to another queue, bodies that are no jobs do not")
    func move() async throws {
        let stage = try await CommandStage.make(redis: true)
        try await put([Self.job(1), Self.job(2)], stage)
        try await stage.withQueue("notifications") { try await $0.enqueue([EnqueueItem(body: [7])]) }
        #expect(await stage.run("jobs", "move", "job_1", "--to", "lost").code == .usage)
        #expect(await stage.run("jobs", "move", "job_1", "--to", "plans").out == "job_1 is on plans\n")
        let rest = try await stage.json("jobs", "move", "--queue", "notifications", "--to", "plans", "--json")
        #expect(rest.array?.map { $0["done"] } == [true, false])
        #expect(try await counts("plans", stage) == QueueCounts(ready: 2))
        #expect(try await counts("notifications", stage) == QueueCounts(ready: 1))
        #expect(try await stage.json("jobs", "show", "job_1", "--json")["standing"]?["queue"] == "plans")
    }

    @Test("a deleted job leaves its reason in SQL and in its report")
    func delete() async throws {
        let stage = try await CommandStage.make(redis: true)
        let job = try await recorded(stage)
        #expect(await stage.run("jobs", "delete", job.id).code == .usage, "a reason is needed")
        #expect(await stage.run("jobs", "delete", job.id, "--reason", "ordered twice").out == "\(job.id) is deleted\n")
        let after = try await record(job.id, stage)
        #expect(after?.outcome == .discarded && after?.detail == "deleted: ordered twice")
        #expect(try await stage.json("jobs", "show", job.id, "--json")["ended"]?["reason"] == "deleted: ordered twice")
        #expect(try await counts("drafts", stage) == QueueCounts())
    }

    @Test(
        "what is meant must be said, and only what can be done",
        arguments: [
            (["jobs", "cancel"], "jobs cancel: either ID or a filter is needed"),
            (["jobs", "cancel", "x", "--kind", "k"], "jobs cancel: either ID or a filter is needed"),
            (["jobs", "retry", "--state", "ready"], "jobs retry: --state takes one of delayed, dead here, not 'ready'"),
            (["jobs", "list", "--older-than", "soon"], "jobs list: --older-than takes a time such as 90s, 15m, 6h or 2d, not 'soon'"),
            (["jobs", "move", "x"], "jobs move: --to QUEUE is missing"),
            (["queues", "limit", "plans", "0"], "queues limit: N is a whole number from 1 to 1000000, or none, not '0'"),
            (["queues", "clear", "plans"], "queues clear: --reason TEXT is missing"),
        ])
    func usage(arguments: [String], fault: String) async throws {
        let result = try await CommandStage.make(migrated: false).run(arguments)
        #expect(result.code == .usage && result.err.hasPrefix("quittance: \(fault)\n"))
    }

    // MARK: Dead

    @Test("dead show tells why, with what is sensitive hidden; a filter chooses what goes back")
    func dead() async throws {
        let stage = try await CommandStage.make(redis: true)
        try await stage.withQueue("notifications") { driver in
            let worker = WorkerIdentity(name: "test", epoch: 1)
            try await driver.register(worker, signal: { _ in })
            let jobs = [Self.job(1, args: ["to": ["$sensitive": "hush"], "phone": "+2250707123456"]), Self.job(2, kind: "letter.send")]
            try await driver.enqueue(jobs.map { EnqueueItem($0) })
            let claimed = try await driver.step(StepRequest(worker: worker, claimMax: 2)).claimed
            let burials = zip(jobs, claimed).map { job, claimed in
                StepOperation.bury(
                    claimed.token, record: DeadRecord(burying: job, body: claimed.body, reason: "no answer", nowMs: stage.nowMs, worker: worker),
                    history: HistoryEntry(job: job.id, attempt: 1, atMs: 1, worker: "w", reason: "no answer"))
            }
            _ = try await driver.step(StepRequest(worker: worker, operations: burials, claimMax: 0))
            await driver.retire(worker)
        }
        let shown = try await stage.json("dead", "show", "job_1", "--json")
        #expect(shown["body"]?["args"]?["to"] == "[redacted]" && shown["reason"] == "no answer" && shown["history"]?.array?.count == 1)
        let text = await stage.run("dead", "show", "job_1")
        #expect(text.code == .ok && text.out.contains("no answer"))
        for word in ["hush", "0707123456"] { #expect(!text.out.contains(word) && !shown.text.contains(word), "\(word)") }
        #expect(await stage.run("dead", "show", "job_9").code == .notFound)
        #expect(try await stage.json("dead", "list", "--kind", "letter.send", "--json").array?.count == 1)
        #expect(
            try await stage.json("dead", "replay", "--payment", "pay_2", "--json")
                == [["id": "job_2", "queue": "notifications", "result": "is back on notifications", "done": true]])
        #expect(await stage.run("dead", "delete", "--older-than", "1h").code == .nothingDue)
        stage.turn(byMs: 2 * 3_600_000)
        #expect(await stage.run("dead", "delete", "--older-than", "1h").out == "job_1 is deleted from notifications\n")
    }

    // MARK: Queues

    @Test("a queue is shown, held and bounded")
    func hold() async throws {
        let stage = try await CommandStage.make(redis: true)
        try await put([Self.job(1)], stage)
        #expect(await stage.run("queues", "pause", "notifications").out == "notifications is now paused\n")
        #expect(
            await stage.run("queues", "pause", "notifications")
                == CommandResult(code: .nothingDue, out: "notifications was already paused\n", err: ""))
        #expect(await stage.run("queues", "pause", "notifications", "--kind", "letter.send").code == .ok)
        #expect(await stage.run("queues", "limit", "notifications", "3").out == "notifications: at most 3 at a time\n")
        let shown = try await stage.json("queues", "show", "notifications", "--json")
        #expect(shown["ready"]?.int == 1 && shown["paused"] == true && shown["paused_kinds"] == ["letter.send"] && shown["limit"]?.int == 3)
        #expect(shown["oldest_age_ms"]?.int == 0)
        #expect(await stage.run("queues", "resume", "notifications").out == "notifications is now running\n")
        #expect(try await stage.json("queues", "resume", "notifications", "--kind", "letter.send", "--json")["changed"] == true)
        #expect(await stage.run("queues", "limit", "notifications", "none").out == "notifications: no limit\n")
        try await stage.withQueue("notifications") {
            try await $0.pause(kind: UnhandledKind(kind: "draft.generate", version: 2).parkedAs)
        }
        #expect(
            await stage.run("queues", "show", "notifications").out == """
                  queue          notifications
                  ready          1
                  delayed        0
                  waiting        0
                  parked         0
                  in flight      0
                  moving         0
                  dead           0
                  workers        0
                  oldest         0 s
                  paused         no
                  paused kinds   -
                  unknown kinds  draft.generate, version 2
                  limit          -

                """)
        #expect(await stage.run("queues", "show", "lost").code == .usage)
    }

    @Test("draining waits for what stood there, not for what comes later, and says when it took too long")
    func drain() async throws {
        let stage = try await CommandStage.make(redis: true)
        #expect(await stage.run("queues", "drain", "notifications").code == .nothingDue)
        try await put([Self.job(1), Self.job(2), Self.job(3, kind: "letter.send")], stage)
        let late = await stage.run("queues", "drain", "notifications", "--timeout", "0s")
        #expect(
            late
                == CommandResult(
                    code: .underWay, out: "waiting for 3 on notifications\n0 of 3 on notifications have come to their end\n", err: ""))

        let recorded = RecordedOutput()
        let context = CommandContext(settings: stage.settings, output: recorded.output, nowMs: { stage.nowMs })
        async let code = OperatorProgram.run(
            ["queues", "drain", "notifications", "--kind", "notification.send", "--timeout", "60s"], in: context)
        try await eventually("it waits for two") { recorded.standardOutput == "waiting for 2 on notifications\n" }
        try await stage.withQueue("notifications") { driver in
            let worker = WorkerIdentity(name: "test", epoch: 1)
            try await driver.register(worker, signal: { _ in })
            try await driver.enqueue([EnqueueItem(Self.job(4))])
            let claimed = try await driver.step(StepRequest(worker: worker, claimMax: 2)).claimed
            _ = try await driver.step(StepRequest(worker: worker, operations: claimed.map { .ack($0.token) }, claimMax: 0))
            await driver.retire(worker)
        }
        #expect(await code == .ok)
        #expect(recorded.standardOutput.hasSuffix("\n2 of 2 on notifications have come to their end\n"))
        #expect(try await counts("notifications", stage) == QueueCounts(ready: 2))
    }

    @Test("clearing deletes the jobs that stand there, each recorded, and leaves other bodies")
    func clear() async throws {
        let stage = try await CommandStage.make(redis: true)
        let job = try await recorded(stage)
        try await stage.withQueue("drafts") { driver in
            try await driver.enqueue([
                EnqueueItem(body: [7]), EnqueueItem(Self.job(2, kind: "other", queue: "drafts"), dueMs: WallClock.nowMs + 600_000),
            ])
        }
        #expect(await stage.run("queues", "clear", "drafts", "--reason", "x", "--dry-run").out == "2 jobs would be deleted from drafts\n")
        #expect(await stage.run("queues", "clear", "drafts", "--reason", "x", "--kind", "other").out == "1 jobs are deleted from drafts\n")
        #expect(try await stage.json("queues", "clear", "drafts", "--reason", "a rehearsal", "--json")["deleted"]?.int == 1)
        #expect(try await record(job.id, stage)?.detail == "deleted: a rehearsal")
        #expect(try await counts("drafts", stage) == QueueCounts(ready: 1))
        #expect(await stage.run("queues", "clear", "drafts", "--reason", "x").code == .nothingDue)
    }
}
