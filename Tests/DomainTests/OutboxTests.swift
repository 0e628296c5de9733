import Database
import EventLoop
import Formats
import JobQueue
import JobQueueRedis
import Outbox
import RedisClient
import Synchronization
import Telemetry
import TestSupport
import Testing

@Suite("Jobs in the transaction that causes them")
struct OutboxTests {
    private func ids(_ database: Database, unpublished: Bool = false) async throws -> [String] {
        try await database.read { connection in
            let condition = unpublished ? "WHERE published_at IS NULL" : ""
            return try connection.query("SELECT id FROM outbox_jobs \(condition) ORDER BY sequence").map { try $0.text("id") }
        }
    }

    private func add(_ count: Int, to outbox: Outbox, _ database: Database) async throws -> [String] {
        try await database.write { connection in
            try (0..<count).compactMap { try outbox.add(try JobRequest(Note(number: $0)), nowMs: DomainFixture.nowMs, in: connection) }
        }
    }

    /// Lets no row be marked as published, as if the process died each time before it could.
    private func preventMarks(_ database: Database) async throws {
        try await database.write {
            try $0.execute(
                "CREATE TRIGGER no_mark BEFORE UPDATE OF published_at ON outbox_jobs BEGIN SELECT RAISE(ABORT, 'killed before the mark'); END")
        }
    }

    private func allowMarks(_ database: Database) async throws { try await database.write { try $0.execute("DROP TRIGGER no_mark") } }

    @Test("a unique key is entered once, finished or not, and wakes nobody the second time")
    func unique() async throws {
        let fixture = try DomainFixture()
        let woken = Mutex(0)
        let outbox = Outbox(slot: "t.0") { woken.withLock { $0 += 1 } }
        let request = try JobRequest(Note(number: 1), unique: "note:1")
        let first = try #require(try await fixture.database.write { try outbox.add(request, nowMs: 1, in: $0) })
        #expect(try await fixture.database.write { try outbox.add(request, nowMs: 2, in: $0) } == nil)
        let job = request.envelope(id: first, nowMs: 1)
        #expect(try await fixture.database.write { try Outbox.finish(job, as: .done, nowMs: 3, in: $0) })
        #expect(try await fixture.database.write { try outbox.add(request, nowMs: 4, in: $0) } == nil)
        #expect(woken.withLock { $0 } == 1)
    }

    @Test("a transaction that fails takes its jobs with it and wakes nobody")
    func rolledBack() async throws {
        let fixture = try DomainFixture()
        let woken = Mutex(0)
        let outbox = Outbox(slot: "t.0") { woken.withLock { $0 += 1 } }
        await #expect(throws: FixtureError.self) {
            try await fixture.database.write { connection in
                try outbox.add(try JobRequest(Note(number: 1)), nowMs: 1, in: connection)
                throw FixtureError("no")
            }
        }
        #expect(try await ids(fixture.database).isEmpty)
        #expect(woken.withLock { $0 } == 0)
    }

    @Test("a job is finished once; one from outside gets its record; a buried one may be taken up again, a done one not")
    func finish() async throws {
        let fixture = try DomainFixture()
        let outside = try JobRequest(Note(number: 1), payment: "pay_1").envelope(id: "job_outside", nowMs: 1)
        let results = try await fixture.database.write { connection in
            [
                try Outbox.isFinished(outside.id, in: connection), try Outbox.finish(outside, as: .buried, detail: "x", nowMs: 2, in: connection),
                try Outbox.isFinished(outside.id, in: connection), try Outbox.finish(outside, as: .done, nowMs: 3, in: connection),
                try Outbox.reopen(outside.id, in: connection), try Outbox.finish(outside, as: .done, nowMs: 4, in: connection),
                try Outbox.reopen(outside.id, in: connection),
            ]
        }
        #expect(results == [false, true, true, false, true, true, false])
        let record = try #require(try await fixture.record(of: outside))
        #expect(record.slot == "outside" && record.outcome == .done && record.payment == "pay_1" && record.publishedAtMs != nil)
    }

    @Test("jobs are published after each commit, in order, each to its queue, and marked")
    func order() async throws {
        let fixture = try DomainFixture()
        let publisher = RecordingPublisher()
        let left = try await add(3, to: Outbox(slot: "t.0"), fixture.database)
        let stranger = try await add(1, to: Outbox(slot: "t.1"), fixture.database)
        let relay = OutboxRelay(slot: "t.0", database: fixture.database, publisher: publisher, log: Log())
        try await relay.start()
        var expected = left
        for round in 0..<20 {
            expected += try await fixture.database.write { connection in
                let note = try relay.outbox.add(try JobRequest(Note(number: round)), nowMs: DomainFixture.nowMs, in: connection)
                try relay.outbox.add(try JobRequest(OtherNote(number: round)), nowMs: DomainFixture.nowMs, in: connection)
                return [note].compactMap { $0 }
            }
        }
        let all = expected
        try await eventually { publisher.pushes.count == all.count + 20 }
        let notes = publisher.pushes.filter { $0.queue == "notes" }
        #expect(notes.map(\.id) == all)
        #expect(notes.map(\.sequence) == notes.map(\.sequence).sorted())
        #expect(publisher.pushes.allSatisfy { $0.slot.hasPrefix("t.0@") })
        try await eventually { try await ids(fixture.database, unpublished: true) == stranger }
        await relay.stop(by: .now.advanced(by: .seconds(2)))
        #expect(publisher.pushes.count == all.count + 20, "nothing is pushed twice")
    }

    @Test("what was skipped of a payment for one of these reasons goes out again: the same job, under a number above all before")
    func resumed() async throws {
        let fixture = try DomainFixture()
        let publisher = RecordingPublisher()
        let relay = OutboxRelay(slot: "t.0", database: fixture.database, publisher: publisher, log: Log())
        try await relay.start()
        let outcomes: [(JobRecord.Outcome, String)] = [(.skipped, "in doubt"), (.skipped, "cancelled"), (.done, "in doubt")]
        let ids = try await fixture.database.write { connection in
            try outcomes.enumerated().map { number, end in
                let request = try JobRequest(Note(number: number), payment: "pay_1", unique: "note:\(number)")
                let id = try #require(try relay.outbox.add(request, nowMs: 1, in: connection))
                #expect(try Outbox.finish(request.envelope(id: id, nowMs: 1), as: end.0, detail: end.1, nowMs: 2, in: connection))
                return id
            }
        }
        try await eventually { publisher.pushes.count == 3 }
        let resumed = try await fixture.database.write { connection in
            [
                try relay.outbox.resume(of: "pay_2", skippedFor: ["in doubt"], nowMs: 3, in: connection),
                try relay.outbox.resume(of: "pay_1", skippedFor: ["in doubt"], nowMs: 3, in: connection),
                try relay.outbox.resume(of: "pay_1", skippedFor: ["in doubt"], nowMs: 3, in: connection),
            ]
        }
        #expect(resumed == [0, 1, 0])
        try await eventually { publisher.pushes.count == 4 }
        let last = try #require(publisher.pushes.last)
        #expect(last.id == ids[0] && publisher.pushes.dropLast().allSatisfy { $0.sequence < last.sequence })
        // Its key is its own still.
        let again = try JobRequest(Note(number: 0), unique: "note:0")
        #expect(try await fixture.database.write { try relay.outbox.add(again, nowMs: 4, in: $0) } == nil)
        #expect(try await fixture.database.read { connection in try ids.map { try Outbox.isFinished($0, in: connection) } } == [false, true, true])
        await relay.stop(by: .now.advanced(by: .seconds(2)))
    }

    @Test("more jobs than one batch go out whole")
    func batches() async throws {
        let fixture = try DomainFixture()
        let publisher = RecordingPublisher()
        let added = try await add(OutboxRelay.batchMax * 2 + 7, to: Outbox(slot: "t.0"), fixture.database)
        let relay = OutboxRelay(slot: "t.0", database: fixture.database, publisher: publisher, log: Log())
        try await relay.start()
        try await eventually { try await ids(fixture.database, unpublished: true).isEmpty }
        #expect(publisher.pushes.map(\.id) == added)
        await relay.stop(by: .now.advanced(by: .seconds(2)))
    }

    @Test("a queue that is away is tried again until it is back; a stop meanwhile is quick and loses nothing")
    func recovers() async throws {
        let fixture = try DomainFixture()
        let publisher = RecordingPublisher()
        publisher.fail(times: 2)
        let relay = OutboxRelay(slot: "t.0", database: fixture.database, publisher: publisher, log: Log())
        try await relay.start()
        let added = try await add(5, to: relay.outbox, fixture.database)
        try await eventually { publisher.pushes.count == 5 }
        #expect(publisher.failures == 2 && publisher.pushes.map(\.id) == added)

        publisher.fail(times: .max)
        let late = try await add(2, to: relay.outbox, fixture.database)
        try await eventually { publisher.failures > 2 }
        let begun = ContinuousClock.now
        await relay.stop(by: begun.advanced(by: .milliseconds(50)))
        #expect(ContinuousClock.now - begun < (.seconds(5) as Duration).stretched)
        #expect(try await ids(fixture.database, unpublished: true) == late)
    }

    @Test("a crash between push and mark pushes again under the same numbers")
    func crash() async throws {
        let fixture = try DomainFixture()
        let publisher = RecordingPublisher()
        try await preventMarks(fixture.database)
        let relay = OutboxRelay(slot: "t.0", database: fixture.database, publisher: publisher, log: Log())
        try await relay.start()
        let added = try await add(3, to: relay.outbox, fixture.database)
        try await eventually { publisher.pushes.count >= 6 }
        await relay.stop(by: .now.advanced(by: .milliseconds(50)))
        try await allowMarks(fixture.database)
        let before = publisher.pushes
        let next = OutboxRelay(slot: "t.0", database: fixture.database, publisher: publisher, log: Log())
        try await next.start()
        try await eventually { try await ids(fixture.database, unpublished: true).isEmpty }
        await next.stop(by: .now.advanced(by: .seconds(2)))
        let pushes = publisher.pushes
        #expect(pushes.count == before.count + 3)
        for start in stride(from: 0, to: pushes.count, by: 3) {
            #expect(Array(pushes[start..<(start + 3)]) == Array(before[0..<3]), "each push is the first one again")
        }
        #expect(pushes.prefix(3).map(\.id) == added)
    }

    @Test("on a real Redis a crash between push and mark leaves every job there once, in order; an emptied Redis gets all unfinished ones back")
    func realRedis() async throws {
        let fixture = try DomainFixture()
        let redis = try await RedisServer.start()
        let loop = try EventLoop.started(name: "outbox-redis")
        let queues = RedisQueues(loop: loop, address: redis.address, name: "outbox-tests")
        let publisher = QueuePublisher(queues: queues)
        try await preventMarks(fixture.database)
        let dying = OutboxRelay(slot: "worker-payments.0", database: fixture.database, publisher: publisher, log: Log())
        try await dying.start()
        let added = try await add(40, to: dying.outbox, fixture.database)
        let driver = queues.redisDriver(of: Note.queue)
        try await eventually { try await driver.counts().ready == 40 }
        await dying.stop(by: .now.advanced(by: .milliseconds(50)))
        try await allowMarks(fixture.database)
        // The next process of the slot, and beside it the scheduler that thinks the slot is silent.
        let next = OutboxRelay(slot: "worker-payments.0", database: fixture.database, publisher: publisher, log: Log())
        let sweeper = OutboxRelay(slot: "scheduler.0", database: try fixture.another(), publisher: publisher, log: Log())
        try await next.start()
        _ = try await sweeper.adopt(slot: "worker-payments.0")
        let further = try await add(5, to: next.outbox, fixture.database)
        try await eventually { try await ids(fixture.database, unpublished: true).isEmpty }
        try await eventually { try await driver.counts().ready >= 45 }
        #expect(try await driver.peek(limit: 100).map { try JobEnvelope(decoding: $0).id } == added + further)

        // One job has had its effect; then Redis loses everything.
        let done = try JobEnvelope(decoding: try #require(try await driver.peek(limit: 1).first))
        _ = try await fixture.database.write { try Outbox.finish(done, as: .done, nowMs: 1, in: $0) }
        _ = try await queues.connection.call("FLUSHALL")
        #expect(try await fixture.database.write { try JobRecord.markUnpublished(in: $0) } == 44)
        #expect(try await sweeper.adopt(slot: "worker-payments.0") == 44)
        #expect(try await driver.peek(limit: 100).map { try JobEnvelope(decoding: $0).id } == Array((added + further).dropFirst()))
        await next.stop(by: .now.advanced(by: .seconds(2)))
        queues.close()
    }
}

/// Publishes as the programs do.
private struct QueuePublisher: JobPublisher {
    let queues: any QueueDirectory
    func publish(_ items: [PublishItem], slot: String, queue: String) async throws {
        try await queues.driver(of: queue).publish(slot: slot, items: items)
    }
}
