import Formats
import JobQueue
import Synchronization
import TestSupport
import Testing

/// What every driver promises, told in the same tests for all of them.
@Suite("Driver contract")
struct DriverContractTests {
    @Test("bodies are claimed in the order they were put, as they were put", arguments: Backend.contract)
    func order(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let worker = try await bench.driver.worker()
        let odd: [UInt8] = [0, 255, 10, 13, 34, 200]
        try await bench.driver.enqueue([EnqueueItem(body: body("a")), EnqueueItem(body: odd)])
        try await bench.driver.put("c")
        let claimed = try await bench.driver.claim(worker)
        #expect(claimed.map(\.body) == [body("a"), odd, body("c")])
        #expect(Set(claimed.map(\.token)).count == 3)
        #expect(claimed.allSatisfy { $0.redeliveries == 0 })
    }

    @Test("no more is claimed than asked for, and the rest is said to be there", arguments: Backend.contract)
    func claimMax(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let worker = try await bench.driver.worker()
        try await bench.driver.put("a", "b", "c")
        let result = try await bench.driver.step(StepRequest(worker: worker, claimMax: 2))
        #expect(result.claimed.map(text) == ["a", "b"])
        #expect(result.readyDepth == 1)
        #expect(try await bench.driver.counts() == QueueCounts(ready: 1, inFlight: 2, workers: 1))
        #expect(try await bench.driver.claim(worker, 0).isEmpty)
    }

    @Test("an acknowledged body is gone, an ack and the next claim are one step", arguments: Backend.contract)
    func ack(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let worker = try await bench.driver.worker()
        try await bench.driver.put("a", "b")
        let first = try await bench.driver.claim(worker, 1)
        let result = try await bench.driver.step(StepRequest(worker: worker, operations: first.map { .ack($0.token) }, claimMax: 1))
        #expect(result.claimed.map(text) == ["b"])
        #expect(result.staleTokens == 0)
        #expect(try await bench.driver.counts() == QueueCounts(inFlight: 1, workers: 1))
    }

    @Test("an outcome told twice is refused the second time", arguments: Backend.contract)
    func ackTwice(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let worker = try await bench.driver.worker()
        try await bench.driver.put("a")
        let job = try #require(try await bench.driver.claim(worker).first)
        #expect(try await bench.driver.tell(worker, .ack(job.token)).staleTokens == 0)
        #expect(try await bench.driver.tell(worker, .ack(job.token)).staleTokens == 1)
        #expect(try await bench.driver.tell(worker, .retry(job.token, delay: .zero, body: job.body)).staleTokens == 1)
        #expect(try await bench.driver.tell(worker, .bury(job.token, record: record(job, worker))).staleTokens == 1)
        #expect(try await bench.driver.tell(worker, .giveBack(job.token)).staleTokens == 1)
        #expect(try await bench.driver.counts() == QueueCounts(workers: 1))
    }

    @Test("one worker cannot acknowledge what another one claimed", arguments: Backend.contract)
    func foreignAck(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let peer = try await bench.peer()
        let (one, other) = (try await bench.driver.worker("one"), try await peer.worker("other"))
        try await bench.driver.put("a")
        let job = try #require(try await bench.driver.claim(one).first)
        #expect(try await peer.tell(other, .ack(job.token)).staleTokens == 1)
        #expect(try await bench.driver.counts().inFlight == 1)
    }

    @Test("a postponed body comes back with its new bytes when it is due, not before", arguments: Backend.contract)
    func retry(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let worker = try await bench.driver.worker()
        try await bench.driver.put("a")
        let job = try #require(try await bench.driver.claim(worker).first)
        let told = try await bench.driver.tell(worker, .retry(job.token, delay: .milliseconds(2000), body: body("a2")))
        let due = try #require(told.nextDueMs)
        #expect((told.nowMs + 2000 - 1...told.nowMs + 2000 + 1).contains(due))
        #expect(try await bench.driver.counts() == QueueCounts(delayed: 1, workers: 1))
        #expect(try await bench.driver.claim(worker).isEmpty)
        try await bench.pass(.seconds(2))
        try await eventually("the body is due") { try await bench.driver.claim(worker).map(text) == ["a2"] }
    }

    @Test("a body put for later is not ready before", arguments: Backend.contract)
    func delayed(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let worker = try await bench.driver.worker()
        try await bench.driver.enqueue([EnqueueItem(body: body("later"), dueMs: bench.nowMs + 2000), EnqueueItem(body: body("past"), dueMs: 5)])
        #expect(try await bench.driver.claim(worker).map(text) == ["past"])
        #expect(try await bench.driver.counts().delayed == 1)
        try await bench.pass(.seconds(2))
        try await eventually("the body is due") { try await bench.driver.claim(worker).map(text) == ["later"] }
    }

    @Test("bodies given back stand at the head again, in their order", arguments: Backend.contract)
    func giveBack(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let worker = try await bench.driver.worker()
        try await bench.driver.put("a", "b", "c", "d")
        let claimed = try await bench.driver.claim(worker, 3)
        let operations = claimed.map { StepOperation.giveBack($0.token) }
        #expect(try await bench.driver.step(StepRequest(worker: worker, operations: operations, claimMax: 0)).staleTokens == 0)
        #expect(try await bench.driver.peek(limit: 10).map { String(decoding: $0, as: UTF8.self) } == ["a", "b", "c", "d"])
        let again = try await bench.driver.claim(worker)
        #expect(again.map(text) == ["a", "b", "c", "d"])
        #expect(again.allSatisfy { $0.redeliveries == 0 })
    }

    @Test("a buried body is listed with its history, and deleted once", arguments: Backend.contract)
    func bury(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let worker = try await bench.driver.worker()
        try await bench.driver.put("a", "b")
        let claimed = try await bench.driver.claim(worker)
        func entry(_ attempt: Int) -> HistoryEntry {
            HistoryEntry(job: "job_1", attempt: attempt, atMs: 7, worker: "w", reason: "no \"luck\"\nat all")
        }
        try await bench.driver.tell(worker, .retry(claimed[0].token, delay: .zero, body: body("a2"), history: entry(1)))
        let again = try #require(try await bench.driver.claim(worker).first)
        let dead = record(again, worker, job: "job_1")
        try await bench.driver.tell(worker, .bury(again.token, record: dead, history: entry(2)))
        try await bench.driver.tell(worker, .bury(claimed[1].token, record: record(claimed[1], worker, nowMs: 2)))

        let listed = try await bench.driver.dead(offset: 0, limit: 10)
        #expect(listed.count == 2)
        #expect(listed.contains(DeadJob(record: dead, history: [entry(1), entry(2)])))
        #expect(try await bench.driver.dead(offset: 1, limit: 10).count == 1)
        #expect(try await bench.driver.counts() == QueueCounts(dead: 2, workers: 1))
        #expect(try await bench.driver.deleteDead(dead))
        #expect(try await bench.driver.deleteDead(dead) == false)
        #expect(try await bench.driver.history(ofJob: "job_1").isEmpty)
        #expect(try await bench.driver.counts().dead == 1)
    }

    @Test("a replayed job starts anew and keeps its history; anything else comes back as it was", arguments: Backend.contract)
    func replay(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let worker = try await bench.driver.worker()
        var job = JobEnvelope(id: "job_1", kind: "k", queue: bench.driver.queue, args: ["n": 1], enqueuedAtMs: 5)
        job.attempt = 3
        try await bench.driver.enqueue([EnqueueItem(job), EnqueueItem(body: body("opaque"))])
        let claimed = try await bench.driver.claim(worker)
        let entry = HistoryEntry(job: "job_1", attempt: 4, atMs: 7, worker: "w", reason: "no")
        let records = [record(claimed[0], worker, job: "job_1"), record(claimed[1], worker)]
        try await bench.driver.tell(
            worker, .bury(claimed[0].token, record: records[0], history: entry), .bury(claimed[1].token, record: records[1]))
        for record in records { #expect(try await bench.driver.replayDead(record)) }
        #expect(try await bench.driver.replayDead(records[0]) == false)

        let replayed = try await bench.driver.claim(worker)
        job.attempt = 0
        job.unknown = [.init(name: "replayed", value: 1)]
        #expect(try JobEnvelope(decoding: replayed[0].body) == job)
        #expect(replayed[1].body == body("opaque"))
        #expect(try await bench.driver.history(ofJob: "job_1") == [entry])
        try await bench.driver.tell(worker, .ack(replayed[0].token, historyOf: "job_1"))
        #expect(try await bench.driver.history(ofJob: "job_1").isEmpty)
    }

    @Test("the history keeps the last ten attempts", arguments: Backend.contract)
    func historyBound(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let worker = try await bench.driver.worker()
        try await bench.driver.put("a")
        for attempt in 1...13 {
            let job = try #require(try await bench.driver.claim(worker).first)
            let entry = HistoryEntry(job: "j", attempt: attempt, atMs: Int64(attempt), worker: "w", reason: "no")
            try await bench.driver.tell(worker, .retry(job.token, delay: .zero, body: body("a\(attempt)"), history: entry))
        }
        #expect(try await bench.driver.history(ofJob: "j").map(\.attempt) == Array(4...13))
    }

    @Test("a number published before by the same slot is skipped, by another slot not", arguments: Backend.contract)
    func publish(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let worker = try await bench.driver.worker()
        func items(_ numbers: ClosedRange<Int64>) -> [PublishItem] { numbers.map { PublishItem(sequence: $0, body: body("n\($0)")) } }
        #expect(try await bench.driver.publish(slot: "1", items: items(1...3)) == 3)
        #expect(try await bench.driver.publish(slot: "1", items: items(1...3)) == 0)
        #expect(try await bench.peer().publish(slot: "1", items: items(2...5)) == 2)
        #expect(try await bench.driver.publish(slot: "2", items: items(1...1)) == 1)
        let late = PublishItem(sequence: 6, body: body("late"), dueMs: bench.nowMs + 60_000)
        #expect(try await bench.driver.publish(slot: "1", items: [late]) == 1)
        #expect(try await bench.driver.claim(worker).map(text) == ["n1", "n2", "n3", "n4", "n5", "n1"])
        #expect(try await bench.driver.counts().delayed == 1)
    }

    @Test("a worker that waits is told of new work, and of work that becomes due", arguments: Backend.contract)
    func waking(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let signals = Mutex<[WorkerSignal]>([])
        let worker = WorkerIdentity(name: "w")
        try await bench.driver.register(worker) { signal in signals.withLock { $0.append(signal) } }
        #expect(try await bench.driver.claim(worker).isEmpty)
        bench.driver.awaitWork(worker)
        try await bench.peer().put("a")
        try await eventually("the signal") { signals.withLock { $0 } == [.workWaiting] }
        let job = try #require(try await bench.driver.claim(worker).first)

        try await bench.driver.tell(worker, .retry(job.token, delay: .milliseconds(200), body: job.body))
        bench.driver.awaitWork(worker)
        if let memory = bench as? MemoryBench { try await eventually("the alarm is set") { memory.clock.sleepers > 0 } }
        try await bench.pass(.milliseconds(200))
        try await eventually("the second signal") { signals.withLock { $0 } == [.workWaiting, .workWaiting] }
        #expect(try await bench.driver.claim(worker).map(text) == ["a"])
    }

    @Test("what was set aside for a worker without a free slot goes to its peers", arguments: Backend.contract)
    func spill(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let signals = Mutex(0)
        let worker = WorkerIdentity(name: "busy")
        try await bench.driver.register(worker) { _ in signals.withLock { $0 += 1 } }
        bench.driver.awaitWork(worker)
        try await bench.driver.put("a")
        try await eventually("the signal") { signals.withLock { $0 } == 1 }
        #expect(try await bench.driver.claim(worker, 0).isEmpty)
        let peer = try await bench.peer()
        #expect(try await peer.claim(try await peer.worker("free")).map(text) == ["a"])
    }

    @Test("what a lost worker held is back within 5 s at the head and counted, and the lost worker is fenced", arguments: Backend.contract)
    func leaseLost(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let peer = try await bench.peer()
        let (lost, other) = (try await bench.driver.worker("lost"), try await peer.worker("other"))
        try await bench.driver.put("a", "b", "c")
        let held = try await bench.driver.claim(lost, 2)
        await bench.silence(lost, of: bench.driver)
        try await bench.pass(.milliseconds(1500))
        #expect(try await peer.counts().inFlight == 2)

        try await bench.pass(.milliseconds(1600))
        try await eventually(within: .seconds(2), "the work is back") { try await peer.counts().ready == 3 }
        let again = try await peer.claim(other)
        #expect(again.map(text) == ["a", "b", "c"])
        #expect(again.map(\.redeliveries) == [1, 1, 0])

        let late = try await bench.driver.step(StepRequest(worker: lost, operations: held.map { .ack($0.token) }, claimMax: 5))
        #expect(late.fenced)
        #expect(late.claimed.isEmpty)
        #expect(try await peer.counts().inFlight == 3)
        let reborn = try await bench.driver.worker("lost")
        #expect(try await bench.driver.claim(reborn).isEmpty)
    }

    @Test("an outcome forgets the redeliveries of its body", arguments: Backend.contract)
    func redeliveriesForgotten(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let lost = try await bench.driver.worker("lost")
        try await bench.driver.put("a")
        #expect(try await bench.driver.claim(lost).count == 1)
        await bench.silence(lost, of: bench.driver)
        try await bench.pass(.milliseconds(3100))
        let peer = try await bench.peer()
        let other = try await peer.worker("other")
        // A peer that comes to a fresh server gives everybody the time of one lease.
        try await eventually(within: .seconds(6), "the work is back") { try await peer.counts().ready == 1 }
        let again = try #require(try await peer.claim(other).first)
        #expect(again.redeliveries == 1)
        try await peer.tell(other, .ack(again.token))
        try await peer.put("a")
        #expect(try await peer.claim(other).map(\.redeliveries) == [0])
    }

    @Test("a worker that takes its leave gives everything back unspent", arguments: Backend.contract)
    func retire(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let worker = try await bench.driver.worker()
        try await bench.driver.put("a", "b")
        #expect(try await bench.driver.claim(worker, 1).count == 1)
        bench.driver.awaitWork(worker)
        await bench.driver.retire(worker)
        await bench.driver.retire(worker)
        #expect(try await bench.driver.counts() == QueueCounts(ready: 2))
        #expect(try await bench.driver.claim(worker).isEmpty)
        let next = try await bench.driver.worker("next")
        let claimed = try await bench.driver.claim(next)
        #expect(claimed.map(text) == ["a", "b"])
        #expect(claimed.allSatisfy { $0.redeliveries == 0 })
    }

    @Test("a body over the limit is refused, and a retry would not help", arguments: Backend.contract)
    func tooLarge(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let large = [UInt8](repeating: 65, count: QueueLimits.bodyBytesMax + 1)
        await #expect {
            try await bench.driver.enqueue([EnqueueItem(body: large)])
        } throws: { ($0 as? QueueDriverError)?.code == .invalid }
        #expect(try await bench.driver.counts() == QueueCounts())
    }

    @Test("a step claims no more bytes than it may once it holds that many", arguments: Backend.contract)
    func claimBytes(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let worker = try await bench.driver.worker()
        let half = [UInt8](repeating: 65, count: QueueLimits.claimBytesMax / 2 + 1)
        for _ in 0..<4 { try await bench.driver.enqueue([EnqueueItem(body: half)]) }
        #expect(try await bench.driver.claim(worker).count == 2)
        #expect(try await bench.driver.counts().ready == 2)
    }
}
