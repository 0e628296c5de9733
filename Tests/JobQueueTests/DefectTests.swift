import EventLoop
import Formats
import JobQueue
import JobQueueRedis
import RedisClient
import Synchronization
import TestSupport
import Testing

/// What goes wrong in other Swift job libraries, each as a test that passes here.
@Suite("Defects of other Swift libraries")
struct DefectTests {
    // MARK: swift-jobs and its Valkey driver

    @Test("swift-jobs 1: a job that asks to sleep keeps its body, and runs again when its time has come", arguments: Backend.allCases)
    func sleepingJobKeepsItsBody(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let diary = Diary()
        let worker = jobWorker(bench.driver)
        worker.register(Work.self, retry: once) { parameters, context in
            diary.write("\(parameters.name) \(context.attempt)")
            return diary.count < 3 ? .snooze(.milliseconds(30)) : .done
        }
        try await bench.driver.put([bench.driver.job("a")])
        try await worker.start()
        for round in 1...2 {
            try await eventually("slept \(round) times") { diary.count >= round }
            guard let memory = bench as? MemoryBench else { continue }
            try await eventually("it sleeps") { try await bench.driver.counts().delayed == 1 && memory.clock.sleepers > 0 }
            try await bench.pass(.milliseconds(30))
        }
        try await eventually("done") { diary.count == 3 }
        try await eventually("nothing left") { try await bench.driver.counts() == QueueCounts(workers: 1) }
        await worker.stopped()
        #expect(diary.all == ["a 1", "a 1", "a 1"])
        #expect(try await bench.driver.dead(offset: 0, limit: 1).isEmpty)
    }

    @Test("swift-jobs 2: claiming is one step: a job in nobody's hands cannot be, whenever its worker is killed", arguments: Backend.allCases)
    func claimedJobHasAnOwner(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        try await bench.driver.put("a", "b")
        let lost = try await bench.driver.worker("lost")
        #expect(try await bench.driver.claim(lost).count == 2)
        // Killed before it has said anything more about what it holds.
        try await bench.loseNow(lost)
        let peer = try await bench.driver.worker("peer")
        #expect(try await bench.driver.claim(peer).map(text) == ["a", "b"])
        await bench.driver.retire(peer)
    }

    @Test("swift-jobs 3: while only delayed jobs exist nothing is popped and put back: an idle worker writes its sign of life and no more")
    func delayedJobsCostNothing() async throws {
        let server = try await RedisServer.start()
        let bench = try await RedisBench(server: server)
        let worker = jobWorker(bench.driver)
        worker.register(Work.self, retry: once) { _, _ in .done }
        try await bench.driver.enqueue([EnqueueItem(bench.driver.job("far"), dueMs: bench.nowMs + 3_600_000)])
        try await worker.start()
        try await eventually("it waits") { try await bench.driver.counts() == QueueCounts(delayed: 1, workers: 1) }
        func changes() async throws -> Int64 {
            let info = try await bench.command("INFO", "persistence").string ?? ""
            return info.split(whereSeparator: \.isNewline).first { $0.hasPrefix("rdb_changes_since_last_save:") }
                .flatMap { Int64($0.split(separator: ":")[1]) } ?? .max
        }
        let before = try await changes()
        try await bench.pass(.seconds(2))
        // A sign of life at least every second; the driver of the anchors would have written forty times.
        #expect(try await changes() - before <= 8)
        await worker.stopped()
    }

    @Test(
        "swift-jobs 4: what is not there is nil in Lua as false: replaying or deleting what is not buried changes nothing",
        arguments: Backend.allCases)
    func absentIsAbsent(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let record = DeadRecord(
            burying: bench.driver.job("ghost"), body: bench.driver.job("ghost").encoded(), reason: "never was", nowMs: 1,
            worker: WorkerIdentity(name: "w"))
        #expect(try await bench.driver.replayDead(record) == false)
        #expect(try await bench.driver.deleteDead(record) == false)
        #expect(try await bench.driver.counts() == QueueCounts())
    }

    @Test("swift-jobs 5: what is checked and what is done are one step: four processes claim at once and no body goes to two")
    func checkAndActAreOne() async throws {
        let bench = try await RedisBench(server: try await SharedRedis.server())
        try await bench.driver.put((0..<2000).map { bench.driver.job("\($0)") })
        let drivers = [bench.driver, try await bench.peer(), try await bench.peer(), try await bench.peer()]
        let bodies = try await withThrowingTaskGroup { group in
            for driver in drivers {
                group.addTask {
                    let worker = try await driver.worker()
                    var seen: [[UInt8]] = []
                    while true {
                        let claimed = try await driver.claim(worker, 7)
                        if claimed.isEmpty { break }
                        seen += claimed.map(\.body)
                        _ = try await driver.step(
                            StepRequest(worker: worker, operations: claimed.map { .ack($0.token) }, claimMax: 0))
                    }
                    await driver.retire(worker)
                    return seen
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(bodies.count == 2000)
        #expect(Set(bodies).count == 2000)
    }

    @Test("swift-jobs 5: a lease that was lost is not won back by renewing it: the step is fenced and does nothing", arguments: Backend.allCases)
    func lostLeaseStaysLost(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        try await bench.driver.put("a")
        let frozen = try await bench.driver.worker("frozen")
        let job = try #require(try await bench.driver.claim(frozen).first)
        try await bench.loseNow(frozen)
        let peer = try await bench.driver.worker("peer")
        #expect(try await bench.driver.claim(peer).count == 1)
        #expect(try await bench.driver.tell(frozen, .ack(job.token)).fenced)
        #expect(try await bench.driver.counts() == QueueCounts(inFlight: 1, workers: 1))
        await bench.driver.retire(peer)
    }

    @Test(
        "swift-jobs 6: a stop that cuts jobs short fails none of them: they are back at the head with no attempt spent", arguments: Backend.allCases)
    func stopFailsNothing(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let diary = Diary()
        let gate = Gate()
        let worker = jobWorker(bench.driver, concurrency: 2)
        worker.register(Work.self, retry: once) { parameters, _ in
            diary.write(parameters.name)
            try await gate.pass()
            return .done
        }
        let jobs = ["paid", "order", "third"].map { bench.driver.job($0) }
        try await bench.driver.put(jobs)
        try await worker.start()
        try await eventually("two run") { diary.count == 2 }
        // A fifth of it is for handing back: enough on a machine that is busy with other tests.
        await worker.stopped(within: .seconds(4))
        #expect(try await bench.driver.counts() == QueueCounts(ready: 3))
        #expect(try await Set(bench.driver.peek(limit: 3)) == Set(jobs.map { $0.encoded() }))
        #expect(try await bench.driver.peek(limit: 3).last == jobs[2].encoded())
    }

    @Test("swift-jobs 7: a job that ignores its time-out keeps its slot and no other, and holds up no stop", arguments: Backend.allCases)
    func deafJobHoldsOneSlot(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let diary = Diary()
        let open = Mutex(false)
        let worker = jobWorker(bench.driver, concurrency: 2)
        worker.register(Work.self, retry: once, timeout: .milliseconds(50)) { parameters, _ in
            // Deaf: sleeps in tasks that nobody cancels.
            while parameters.name == "deaf" && !open.withLock({ $0 }) { await Task { try? await Task.sleep(for: .milliseconds(2)) }.value }
            diary.write(parameters.name)
            return .done
        }
        try await bench.driver.put([bench.driver.job("deaf")] + (1...50).map { bench.driver.job("\($0)") })
        try await worker.start()
        try await eventually("all others are done") { diary.count == 50 }
        try await eventually("only the deaf one runs") { worker.running == 1 }
        let began = ContinuousClock.now
        await worker.stopped(within: .seconds(1))
        #expect(ContinuousClock.now - began < (.seconds(5) as Duration).stretched)
        // Its job is whole, on the queue, with no attempt spent.
        try await eventually("it is back") { try await bench.driver.counts() == QueueCounts(ready: 1) }
        #expect(try await bench.driver.peek(limit: 1) == [bench.driver.job("deaf").encoded()])
        open.withLock { $0 = true }
        try await eventually("it ends") { diary.count == 51 }
        #expect(try await bench.driver.counts() == QueueCounts(ready: 1))
    }

    // MARK: Vapor Queues

    @Test("Vapor 8a: a retry is one step: at every moment the job is in hand or delayed, never nowhere")
    func retryIsOneStep() async throws {
        let bench = try await RedisBench(server: try await SharedRedis.server())
        try await bench.driver.put("a")
        let worker = try await bench.driver.worker()
        let keys = bench.redis.keys
        let look = "return redis.call('LLEN', KEYS[1]) + redis.call('ZCARD', KEYS[2]) + redis.call('HLEN', KEYS[3]) + redis.call('LLEN', KEYS[4])"
        let watching = Mutex(true)
        async let smallest: Int64 = {
            let peer = try await bench.peerProcess()
            var smallest = Int64.max
            while watching.withLock({ $0 }) {
                let reply = try await peer.connection.call(
                    "EVAL", look, 4, keys.ready, keys.delayed, keys.inflight(worker.description), keys.woken(worker.description))
                smallest = min(smallest, reply.int ?? 0)
            }
            return smallest
        }()
        for _ in 0..<300 {
            let job = try #require(try await bench.driver.claim(worker).first)
            try await bench.driver.tell(worker, .retry(job.token, delay: .zero, body: job.body))
        }
        watching.withLock { $0 = false }
        #expect(try await smallest == 1)
        await bench.driver.retire(worker)
    }

    @Test("Vapor 8b: what cannot be read is buried with the reason and leaves the worker's hands", arguments: Backend.allCases)
    func unreadableIsBuried(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let worker = jobWorker(bench.driver)
        worker.register(Work.self, retry: once) { _, _ in .done }
        try await bench.driver.put("", "no json", #"{"v":1}"#)
        try await bench.driver.put([JobEnvelope(id: "job_1", kind: "work", queue: bench.driver.queue, args: ["name": 7], enqueuedAtMs: 1)])
        try await worker.start()
        try await eventually("all are buried") { try await bench.driver.counts() == QueueCounts(dead: 4, workers: 1) }
        await worker.stopped()
        #expect(try await bench.driver.dead(offset: 0, limit: 9).allSatisfy { !$0.record.reason.isEmpty })
    }

    @Test("Vapor 8c: a delayed job ahead of the others holds nobody up", arguments: Backend.allCases)
    func delayedHeadHoldsNobodyUp(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let diary = Diary()
        let worker = jobWorker(bench.driver, concurrency: 1)
        worker.register(Work.self, retry: once) { parameters, _ in
            diary.write(parameters.name)
            return .done
        }
        try await bench.driver.enqueue([EnqueueItem(bench.driver.job("later"), dueMs: bench.nowMs + 3_600_000)])
        try await bench.driver.put((1...100).map { bench.driver.job("\($0)") })
        try await worker.start()
        try await eventually("the others") { diary.count == 100 }
        try await eventually("the delayed one waits") { try await bench.driver.counts() == QueueCounts(delayed: 1, workers: 1) }
        await worker.stopped()
        #expect(diary.all == (1...100).map(String.init))
    }

    @Test("Vapor 8d: what is in progress is counted down too, whatever became of it", arguments: Backend.allCases)
    func inProgressGoesDown(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let worker = jobWorker(bench.driver)
        worker.register(Work.self, retry: once) { parameters, _ in
            switch parameters.name {
            case "throws": throw Unlucky()
            case "buries": return .bury(reason: "bad")
            case "discards": return .discard(reason: "old")
            case "skips": return .skipped(reason: "no")
            default: return .done
            }
        }
        try await bench.driver.put(["done", "throws", "buries", "discards", "skips"].map { bench.driver.job($0) })
        try await worker.start()
        try await eventually("all ended") { try await bench.driver.counts() == QueueCounts(dead: 2, workers: 1) }
        try await eventually("nothing runs") { worker.running == 0 }
        await worker.stopped()
    }
}
