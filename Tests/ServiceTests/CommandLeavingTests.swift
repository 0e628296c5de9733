import Database
import EventLoop
import Formats
import JobQueue
import JobQueueRedis
import OperatorCommands
import Outbox
import RedisClient
import Settings
import Telemetry
import TestSupport
import Testing

@Suite("quittance jobs cancel and delete: the queue decides, and no crash between loses a job or brings one back")
struct CommandLeavingTests {
    /// A job of the product with its record, on its queue unless told otherwise.
    private struct Order {
        let stage: CommandStage
        let id: String
        let envelope: JobEnvelope

        init(isOnQueue: Bool = true) async throws {
            stage = try await CommandStage.make(redis: true)
            let kit = try await stage.orderKit()
            try await stage.notify(kit)
            let record = try await stage.job("draft.generate", of: kit.payment)
            id = record.id
            envelope = JobEnvelope(id: record.id, kind: record.kind, queue: record.queue, args: [:], payment: kit.payment, enqueuedAtMs: 1)
            // As published long ago, and not by `rebuild-queues` for the first time.
            try await stage.write { try $0.execute("UPDATE outbox_jobs SET published_at = created_at") }
            guard isOnQueue else { return }
            let body = envelope
            try await stage.withQueue(envelope.queue) { try await $0.enqueue([EnqueueItem(body)]) }
        }

        func word(_ outcome: JobRecord.Outcome = .skipped) -> LeavingJob {
            LeavingJob(envelope, as: outcome, detail: outcome == .skipped ? "cancelled" : "deleted: twice", saidAtMs: stage.nowMs)
        }

        func say(_ outcome: JobRecord.Outcome = .skipped) async throws {
            let word = word(outcome)
            try await stage.write { try word.say(in: $0) }
        }

        func record() async throws -> JobRecord? {
            let id = id
            return try await stage.write { try JobRecord.find(id, in: $0) }
        }

        func words() async throws -> Int { try await stage.write { try LeavingJob.all(saidBefore: .max, in: $0).count } }

        /// Ready on its queue, in a worker's hands.
        func standing() async throws -> [Int] {
            let counts = try await stage.withQueue(envelope.queue) { try await $0.counts() }
            return [counts.ready, counts.inFlight]
        }

        /// A worker that is registered under this name.
        func holds(_ key: (QueueKeys) -> String, asHash: Bool) async throws {
            let keys = QueueKeys(queue: envelope.queue)
            try await stage.redis("ZADD", keys.leases, WallClock.nowMs + 600_000, "w:1")
            try await stage.redis("DEL", keys.ready)
            if asHash {
                try await stage.redis("HSET", key(keys), "1", envelope.encoded())
            } else {
                try await stage.redis("LPUSH", key(keys), envelope.encoded())
            }
        }
    }

    @Test("a job that a worker takes between the look and the word keeps its open record", arguments: ["cancel", "delete"])
    func taken(verb: String) async throws {
        let order = try await Order()
        // Seen as ready, and yet some worker's.
        try await order.holds({ $0.woken("w:1") }, asHash: false)
        let arguments = verb == "delete" ? ["jobs", verb, order.id, "--reason", "twice"] : ["jobs", verb, order.id]
        let result = await order.stage.run(arguments)
        #expect(result.out == (verb == "delete" ? "\(order.id) has moved on\n" : "\(order.id) runs, its worker is told\n"))
        #expect(try await order.record()?.finishedAtMs == nil, "its worker says what became of it")
        #expect(try await order.words() == (verb == "cancel" ? 1 : 0), "the word about a running job stays until it has an end")
    }

    @Test("cut off before the queue was asked: the next command ends it, and it is not done", arguments: [JobRecord.Outcome.skipped, .discarded])
    func cutOffBefore(outcome: JobRecord.Outcome) async throws {
        let order = try await Order()
        try await order.say(outcome)
        #expect(try await order.record()?.finishedAtMs == nil, "until then who claims it runs it")
        _ = await order.stage.run("jobs", "retry", "job_other")
        #expect(try await order.standing() == [0, 0])
        #expect(try await order.record()?.outcome == outcome)
        #expect(try await order.words() == 0)
    }

    @Test("cut off after the queue let it go: its record is finished, and nothing brings it back", arguments: [false, true])
    func cutOffAfter(redisIsEmptied: Bool) async throws {
        let order = try await Order()
        try await order.say()
        let answer = try await order.stage.withQueue(order.envelope.queue) { try await $0.cancel(order.id) }
        #expect(answer == .removed(order.envelope))
        if redisIsEmptied { try await order.stage.redis("FLUSHALL") }
        // Adoption alone leaves it out, even when its row counts as unpublished.
        _ = try await order.stage.write { try JobRecord.markUnpublished(in: $0) }
        let rebuilt = await order.stage.run("rebuild-queues")
        #expect(rebuilt.code == .ok, "the other jobs of the order went back")
        #expect(try await order.standing() == [0, 0])
        let record = try await order.record()
        #expect(record?.outcome == .skipped && record?.detail == "cancelled")
        #expect(try await order.words() == 0)
        _ = await order.stage.run("rebuild-queues")
        #expect(try await order.standing() == [0, 0])
    }

    @Test("a word alone keeps adoption from publishing a job")
    func adoption() async throws {
        let order = try await Order(isOnQueue: false)
        try await order.say()
        _ = try await order.stage.write { try JobRecord.markUnpublished(in: $0) }
        let publisher = StagePublisher(stage: order.stage)
        try await publisher.adoptAll()
        #expect(try await order.standing() == [0, 0])
        let word = order.word()
        try await order.stage.write { connection in
            try word.withdraw(in: connection)
            _ = try JobRecord.markUnpublished(in: connection)
        }
        try await publisher.adoptAll()
        #expect(try await order.standing() == [1, 0], "without it the job is published")
    }

    @Test("the scheduler's sweep ends what was cut off a minute ago, not what is being said")
    func sweep() async throws {
        let order = try await Order()
        try await order.say()
        let publisher = StagePublisher(stage: order.stage)
        #expect(try await publisher.settle(olderThanMs: order.stage.nowMs) == 0)
        #expect(try await order.standing() == [1, 0])
        #expect(try await publisher.settle(olderThanMs: order.stage.nowMs + 60_000) == 1)
        #expect(try await order.standing() == [0, 0])
        #expect(try await order.record()?.outcome == .skipped)
    }

    @Test("a running job that was cancelled does not come back when its worker and Redis are lost; one meant to be deleted does")
    func lostWhileRunning() async throws {
        for (outcome, comesBack) in [(JobRecord.Outcome.skipped, 0), (.discarded, 1)] {
            let order = try await Order()
            try await order.holds({ $0.inflight("w:1") }, asHash: true)
            try await order.say(outcome)
            _ = await order.stage.run("jobs", "retry", "job_other")
            #expect(try await order.words() == (outcome == .skipped ? 1 : 0))
            #expect(try await order.record()?.finishedAtMs == nil)
            try await order.stage.redis("FLUSHALL")
            _ = await order.stage.run("rebuild-queues")
            #expect(try await order.standing() == [comesBack, 0])
        }
    }

    @Test("a job that came to its own end needs no word, and one that is replayed has none")
    func ownEnd() async throws {
        let order = try await Order()
        try await order.holds({ $0.inflight("w:1") }, asHash: true)
        #expect(await order.stage.run("jobs", "cancel", order.id).code == .ok)
        try await order.stage.finish(try #require(try await order.record()), as: .buried, detail: "no", atMs: 7)
        let id = order.id
        #expect(try await order.stage.write { try Outbox.reopen(id, in: $0) })
        #expect(try await order.words() == 0)
        try await order.say()
        try await order.stage.finish(try #require(try await order.record()), as: .done, detail: nil, atMs: 8)
        _ = await order.stage.run("jobs", "retry", "job_other")
        #expect(try await order.words() == 0)
        #expect(try await order.record()?.outcome == .done)
    }

    @Test("jobs show finds a job between two queues")
    func moving() async throws {
        let order = try await Order()
        try await order.stage.withQueue(order.envelope.queue) { driver in
            let standing = try #require(try await driver.find(job: order.id))
            _ = try await driver.depart(standing, to: "plans")
        }
        let shown = try await order.stage.json("jobs", "show", order.id, "--json")
        #expect(shown["standing"]?["state"] == "moving" && shown["standing"]?["queue"] == .string(order.envelope.queue))
        let cancelled = await order.stage.run("jobs", "cancel", order.id)
        #expect(cancelled.code == .nothingDue && cancelled.err.contains("is moving on"))
    }
}

/// The scheduler's relay, with the stage's queues.
private struct StagePublisher: Sendable {
    let stage: CommandStage

    private func withRelay<Value: Sendable>(_ body: (OutboxRelay, Database) async throws -> Value) async throws -> Value {
        let loop = try EventLoop.started(name: "test-relay")
        let queues = RedisQueues(loop: loop, address: stage.settings.redis, prefix: stage.settings.queuePrefix, name: "test")
        let database = try Database.open(stage.settings.database, readers: 1)
        let relay = OutboxRelay(slot: "scheduler.0", database: database, publisher: Publisher(queues: queues), log: Log())
        let result: Result<Value, any Error>
        do { result = .success(try await body(relay, database)) } catch { result = .failure(error) }
        queues.close()
        await database.close()
        return try result.get()
    }

    func adoptAll() async throws {
        try await withRelay { relay, database in
            for slot in try await database.read({ try JobRecord.silentSlots(olderThan: .max, in: $0) }) { _ = try await relay.adopt(slot: slot) }
        }
    }

    func settle(olderThanMs: Int64) async throws -> Int {
        try await withRelay { relay, _ in try await relay.settleLeaving(olderThanMs: olderThanMs, nowMs: stage.nowMs) }
    }

    private struct Publisher: JobPublisher {
        let queues: RedisQueues
        var directory: (any QueueDirectory)? { queues }

        func publish(_ items: [PublishItem], slot: String, queue: String) async throws {
            try await queues.driver(of: queue).publish(slot: slot, items: items)
        }
    }
}
