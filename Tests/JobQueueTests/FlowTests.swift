import Formats
import JobQueue
import Synchronization
import TestSupport
import Testing

/// Keys, pauses and limits of a queue, the same on every driver.
@Suite("Flow")
struct FlowTests {
    private static func name(_ claimed: ClaimedJob) throws -> String { try JobEnvelope(decoding: claimed.body).id }

    private static func flow(_ claimed: ClaimedJob) throws -> JobFlow? { try JobEnvelope(decoding: claimed.body).flow }

    // MARK: Unique

    @Test("a second job of a unique key is answered with the first one's id until that is done", arguments: Backend.contract)
    func unique(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        defer { withExtendedLifetime(bench) {} }
        let driver = bench.driver
        let worker = try await driver.worker()
        #expect(try await driver.enqueue(driver.job("a", unique: "k")) == EnqueuedJob(id: "job_a", isNew: true))
        #expect(try await driver.enqueue(driver.job("b", unique: "k")) == EnqueuedJob(id: "job_a", isNew: false))
        #expect(try await driver.enqueue(driver.job("a", unique: "k")) == EnqueuedJob(id: "job_a", isNew: false))
        #expect(try await driver.enqueue(driver.job("c", unique: "other")).isNew)
        let claimed = try await driver.claim(worker)
        #expect(try claimed.map(Self.name) == ["job_a", "job_c"])
        #expect(try await driver.enqueue(driver.job("b", unique: "k")).isNew == false, "it runs")

        try await driver.tell(worker, .retry(claimed[0].token, delay: .zero, body: claimed[0].body))
        #expect(try await driver.enqueue(driver.job("b", unique: "k")).isNew == false, "it is retried")
        let again = try #require(try await driver.claim(worker).first)
        try await driver.tell(worker, .ack(again.token, flow: try Self.flow(again)))
        #expect(try await driver.enqueue(driver.job("b", unique: "k")) == EnqueuedJob(id: "job_b", isNew: true))
    }

    @Test("a burial lets the unique key go, and only the owner's end does", arguments: Backend.contract)
    func uniqueBuried(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        defer { withExtendedLifetime(bench) {} }
        let driver = bench.driver
        let worker = try await driver.worker()
        try await driver.enqueue(driver.job("a", unique: "k"))
        let first = try #require(try await driver.claim(worker).first)
        // Told twice: the second time the claim is gone, and the key is somebody else's.
        let bury = StepOperation.bury(first.token, record: record(first, worker), flow: try Self.flow(first))
        try await driver.tell(worker, bury)
        #expect(try await driver.enqueue(driver.job("b", unique: "k")).isNew)
        #expect(try await driver.tell(worker, bury).staleTokens == 1)
        #expect(try await driver.enqueue(driver.job("c", unique: "k")).id == "job_b")
    }

    @Test("a lost worker's job keeps its unique key and its slot", arguments: Backend.contract)
    func uniqueReclaimed(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let lost = try await bench.driver.worker("lost")
        try await bench.driver.enqueue(bench.driver.job("a", unique: "k", slots: JobSlots(key: "s", max: 1)))
        #expect(try await bench.driver.claim(lost).count == 1)
        try await bench.loseNow(lost)
        #expect(try await bench.driver.enqueue(bench.driver.job("b", unique: "k")).id == "job_a")
        #expect(try await bench.driver.enqueue(bench.driver.job("c", slots: JobSlots(key: "s", max: 1))).isNew)
        #expect(try await bench.driver.counts().waiting == 1)
        let peer = try await bench.driver.worker("peer")
        #expect(try await bench.driver.claim(peer).map(Self.name) == ["job_a"])
    }

    @Test("plainly pushed and published jobs pass their keys when a worker meets them", arguments: Backend.contract)
    func uniqueUnadmitted(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        defer { withExtendedLifetime(bench) {} }
        let driver = bench.driver
        let (diary, gate) = (Diary(), Gate())
        let worker = jobWorker(driver, onSkip: { job, reason in diary.write("skipped \(job.id): \(reason)") })
        worker.register(Work.self, retry: once) { work, _ in
            diary.write("ran \(work.name)")
            try await gate.pass()
            return .done
        }
        try await worker.start()
        try await driver.enqueue([EnqueueItem(driver.job("a", unique: "k"))])
        try await eventually("the first one runs") { diary.all == ["ran a"] }
        try await driver.publish(slot: "s", items: [PublishItem(sequence: 1, body: driver.job("b", unique: "k").encoded())])
        try await eventually("the second one is skipped") {
            diary.all == ["ran a", "skipped job_b: duplicate of job_a, which has the unique key k"]
        }
        gate.unlock()
        try await eventually("all are done") { try await driver.counts().inFlight == 0 }
        #expect(try await driver.enqueue(driver.job("c", unique: "k")).isNew)
        try await eventually("the key was free again") { diary.all.last == "ran c" }
        await worker.stopped()
    }

    // MARK: Slots

    @Test("jobs beyond a key's slots wait in order, each end lets the next one in", arguments: Backend.contract, [1, 2])
    func slots(_ backend: Backend, max: Int) async throws {
        let bench = try await backend.bench()
        defer { withExtendedLifetime(bench) {} }
        let driver = bench.driver
        let worker = try await driver.worker()
        for name in ["a", "b", "c", "d"] {
            try await driver.enqueue(driver.job(name, slots: JobSlots(key: "customer {1}", max: max)))
        }
        try await driver.enqueue(driver.job("free"))
        #expect(try await driver.counts().waiting == 4 - max)
        var running = try await driver.claim(worker)
        #expect(try running.map(Self.name) == ["job_a", "job_b"].prefix(max) + ["job_free"])
        try await driver.tell(worker, .ack(running.removeLast().token))
        var ended: [String] = []
        while !running.isEmpty {
            let first = running.removeFirst()
            ended.append(try Self.name(first))
            running += try await driver.step(
                StepRequest(worker: worker, operations: [.ack(first.token, flow: try Self.flow(first))], claimMax: 10)
            ).claimed
            #expect(running.count <= max)
        }
        #expect(ended == ["job_a", "job_b", "job_c", "job_d"])
        #expect(try await driver.counts() == QueueCounts(workers: 1))
    }

    @Test("workers run the jobs of a serial key one after the other, however they came", arguments: Backend.contract)
    func serial(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        defer { withExtendedLifetime(bench) {} }
        let driver = bench.driver
        let running = Mutex((now: 0, most: 0, done: 0))
        let workers = [jobWorker(driver, concurrency: 8), jobWorker(try await bench.peer(), concurrency: 8)]
        for worker in workers {
            worker.register(Work.self, retry: once) { _, _ in
                running.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1), $0.done) }
                await Task.yield()
                running.withLock { $0 = ($0.now - 1, $0.most, $0.done + 1) }
                return .done
            }
            try await worker.start()
        }
        let slots = JobSlots(key: "one", max: 1)
        for number in 0..<20 { try await driver.enqueue(driver.job("e\(number)", slots: slots)) }
        try await driver.put((0..<20).map { driver.job("p\($0)", slots: slots) })
        try await eventually("all have run") { running.withLock { $0.done } == 40 }
        #expect(running.withLock { $0.most } == 1)
        try await eventually("nothing is left") {
            let counts = try await driver.counts()
            return counts.waiting + counts.ready + counts.inFlight == 0
        }
        for worker in workers { await worker.stopped() }
    }

    // MARK: Rates

    @Test("starts under a rate key are reserved apart, after the burst", arguments: Backend.contract)
    func rates(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let rate = JobRate(key: "r", count: 1, perMs: 60_000, burst: 2)
        func admit(_ name: String) async throws -> Admission {
            try await bench.driver.admit(try #require(FlowItem(bench.driver.job(name, rate: rate))))
        }
        let nowMs = bench.nowMs
        #expect(try await admit("a") == .admitted)
        #expect(try await admit("b") == .admitted)
        for (name, minutes) in [("c", Int64(1)), ("d", 2)] {
            guard case .delayed(let untilMs) = try await admit(name) else {
                Issue.record("\(name) is not delayed")
                continue
            }
            #expect((-2000...5000).contains(untilMs - (nowMs + minutes * 60_000)), "\(name)")
        }
        #expect(try await bench.driver.counts() == QueueCounts(ready: 2, delayed: 2))
    }

    // MARK: Pause

    @Test("a paused queue hands nothing over, and goes on when it is resumed", arguments: Backend.contract)
    func pause(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        defer { withExtendedLifetime(bench) {} }
        let driver = bench.driver
        let diary = Diary()
        let worker = jobWorker(driver)
        worker.register(Work.self, retry: once) { work, _ in
            diary.write(work.name)
            return .done
        }
        try await worker.start()
        try await driver.put([driver.job("a")])
        try await eventually("the worker works") { diary.all == ["a"] }
        try await driver.pause(kind: nil)
        #expect(try await driver.control() == QueueControl(isPaused: true))
        try await driver.put([driver.job("b"), driver.job("c")])
        let probe = try await driver.worker("probe")
        let result = try await driver.step(StepRequest(worker: probe, claimMax: 10))
        #expect(result.isHeld && result.claimed.isEmpty)
        await driver.retire(probe)
        #expect(diary.count == 1)
        try await driver.resume(kind: nil)
        try await eventually("it goes on") { Set(diary.all) == ["a", "b", "c"] }
        await worker.stopped()
    }

    @Test("jobs of a paused kind are put aside unspent, and come back in their order", arguments: Backend.contract)
    func pauseKind(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        defer { withExtendedLifetime(bench) {} }
        let driver = bench.driver
        let diary = Diary()
        let worker = jobWorker(driver, concurrency: 1)
        worker.register(Work.self, retry: once) { work, context in
            diary.write("\(work.name) \(context.attempt)")
            return .done
        }
        try await driver.pause(kind: Work.kind)
        try await driver.put([driver.job("a"), driver.job("b")])
        try await worker.start()
        try await eventually("both are aside") { try await driver.counts().parked == 2 }
        try await driver.put([driver.job("c")])
        try await eventually("the third one too") { try await driver.counts().parked == 3 }
        #expect(diary.count == 0)
        #expect(try await driver.control().pausedKinds == [Work.kind])
        #expect(try await driver.resume(kind: Work.kind) == 3)
        try await eventually("all have run") { diary.all == ["a 1", "b 1", "c 1"] }
        await worker.stopped()
    }

    @Test("a body of a kind that was resumed meanwhile goes back to the head", arguments: Backend.contract)
    func parkTooLate(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        defer { withExtendedLifetime(bench) {} }
        let driver = bench.driver
        let worker = try await driver.worker()
        try await driver.put("a", "b", "c")
        let claimed = try await driver.claim(worker, 2)
        try await driver.tell(worker, .park(claimed[0].token, kind: "k"), .park(claimed[1].token, kind: "k"))
        #expect(try await driver.claim(worker).map(text) == ["a", "b", "c"])
    }

    // MARK: Limits

    @Test("all workers together hold no more than the queue allows", arguments: Backend.contract)
    func concurrency(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let peer = try await bench.peer()
        let (one, other) = (try await bench.driver.worker("one"), try await peer.worker("other"))
        try await bench.driver.setConcurrency(3)
        #expect(try await bench.driver.control().concurrency == 3)
        try await bench.driver.put("a", "b", "c", "d", "e")
        let first = try await bench.driver.claim(one, 2)
        #expect(first.count == 2)
        #expect(try await peer.claim(other).count == 1)
        let full = try await bench.driver.step(StepRequest(worker: one, claimMax: 10))
        #expect(full.isHeld && full.claimed.isEmpty && full.readyDepth == 2)
        #expect(try await bench.driver.step(StepRequest(worker: one, operations: [.ack(first[0].token)], claimMax: 10)).claimed.count == 1)
        await peer.retire(other)
        #expect(try await bench.driver.claim(one).count == 1, "a worker that has left holds nothing")
        try await bench.driver.setConcurrency(nil)
        #expect(try await bench.driver.claim(one).count == 1)
    }

    // MARK: Deadline

    @Test("an expired job is recorded, not run, and lets its keys go", arguments: Backend.contract)
    func expired(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        defer { withExtendedLifetime(bench) {} }
        let driver = bench.driver
        let diary = Diary()
        let worker = jobWorker(driver, onSkip: { job, reason in diary.write("\(job.id) \(reason)") })
        worker.register(Work.self, retry: once) { work, _ in
            diary.write(work.name)
            return .done
        }
        try await driver.enqueue(driver.job("late", unique: "k", expiresAtMs: 1))
        try await driver.put([driver.job("good", expiresAtMs: .max)])
        try await worker.start()
        try await eventually("both are settled") { Set(diary.all) == ["job_late expired", "good"] }
        try await eventually("the key is free") { try await driver.enqueue(driver.job("next", unique: "k")).isNew }
        await worker.stopped()
    }

    @Test("a job that expires while it runs is stopped, recorded as expired and not retried", arguments: Backend.allCases)
    func expiresRunning(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        defer { withExtendedLifetime(bench) {} }
        let driver = bench.driver
        let diary = Diary()
        let gate = Gate()
        let worker = jobWorker(driver, onSkip: { job, reason in diary.write("\(job.id) \(reason)") })
        worker.register(Work.self, retry: .fixed(.zero, attemptsMax: 3), timeout: .seconds(600)) { work, context in
            diary.write("\(work.name) \((context.deadlineMs ?? .max) < WallClock.nowMs + 60_000)")
            try await gate.pass()
            return .done
        }
        try await driver.put([driver.job("b", expiresAtMs: .max)])
        try await worker.start()
        // On a busy machine a short life may be over before the job has begun.
        var began: [String] = []
        for (tries, lifeMs) in ([400, 1600, 6400] as [Int64]).enumerated() where began.isEmpty {
            let name = "a\(tries)"
            try await driver.enqueue(driver.job(name, unique: name, expiresAtMs: bench.nowMs + lifeMs))
            try await eventually("it is stopped") { diary.all.contains("job_\(name) expired") }
            began = diary.all.filter { $0 == "\(name) true" }
            try await eventually("the key is free") { try await driver.enqueue(driver.job("next\(tries)", unique: name)).isNew }
        }
        #expect(began.count == 1, "once, with what it had left to live as its deadline")
        try await eventually("the other runs on") { diary.all.contains("b false") }
        gate.unlock()
        try await eventually("the rest is done") { try await driver.counts() == QueueCounts(workers: 1) }
        #expect(!diary.all.contains("job_b expired"))
        await worker.stopped()
    }

    @Test("the keys of a job survive being written, and old bodies are read as before")
    func envelope() throws {
        let driver = InMemoryDriver(queue: "q")
        for slots in [JobSlots(key: "s", max: 1), JobSlots(key: "s", max: 7)] {
            let job = driver.job(
                "a", unique: "u", slots: slots, rate: JobRate(key: "r", count: 3, perMs: 1000, burst: 2), expiresAtMs: 9)
            #expect(try JobEnvelope(decoding: job.encoded()) == job)
            var admitted = job
            admitted.admitted = .wholly
            #expect(try JobEnvelope(decoding: admitted.encoded()) == admitted)
        }
        #expect(try JobEnvelope(decoding: driver.job("a").encoded()).flow == nil)
        for (text, field) in [
            (#""serial":"s","concurrency":{"key":"s","max":2}"#, "concurrency"), (#""serial":7"#, "serial"),
            (#""concurrency":{"key":"s","max":0}"#, "concurrency.max"), (#""rate":{"key":"r","count":1}"#, "rate.per_ms"),
            (#""admitted":3"#, "admitted"), (#""expires_at":-1"#, "expires_at"),
        ] {
            #expect(throws: EnvelopeError.self, "\(field)") {
                try JobEnvelope(decoding: Array(#"{"v":1,"id":"a","kind":"k","queue":"q",\#(text)}"#.utf8))
            }
        }
    }
}
