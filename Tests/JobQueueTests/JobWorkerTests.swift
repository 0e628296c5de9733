import Formats
import JobQueue
import Synchronization
import TestSupport
import Testing

@Suite("Job worker")
struct JobWorkerTests {
    @Test("jobs are done once each and leave nothing behind", arguments: Backend.allCases)
    func done(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let diary = Diary()
        let worker = jobWorker(bench.driver)
        worker.register(Work.self, retry: once) { parameters, context in
            diary.write("\(parameters.name) \(context.attempt) \(context.isLastAttempt)")
            return .done
        }
        try await bench.driver.put((1...20).map { bench.driver.job("\($0)") })
        try await worker.start()
        try await eventually("the first jobs") { diary.count == 20 }
        try await bench.driver.put([bench.driver.job("late")])
        try await eventually("the late one") { diary.count == 21 }
        try await eventually("all acknowledged") { try await bench.driver.counts() == QueueCounts(workers: 1) }
        await worker.stopped()
        #expect(Set(diary.all) == Set((1...20).map { "\($0) 1 true" } + ["late 1 true"]))
        #expect(try await bench.driver.counts() == QueueCounts())
    }

    @Test("never more jobs at a time than allowed", arguments: Backend.allCases)
    func concurrency(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let now = Mutex((running: 0, most: 0))
        let diary = Diary()
        let gate = Gate()
        let worker = jobWorker(bench.driver, concurrency: 3)
        worker.register(Work.self, retry: once) { _, _ in
            now.withLock { $0 = ($0.running + 1, max($0.most, $0.running + 1)) }
            try await gate.pass()
            now.withLock { $0.running -= 1 }
            diary.write("")
            return .done
        }
        try await bench.driver.put((1...10).map { bench.driver.job("\($0)") })
        try await worker.start()
        try await eventually("three run") { now.withLock { $0.running } == 3 }
        #expect(try await bench.driver.counts() == QueueCounts(ready: 7, inFlight: 3, workers: 1))
        gate.unlock()
        try await eventually("all done") { diary.count == 10 }
        await worker.stopped()
        #expect(now.withLock { $0.most } == 3)
    }

    @Test("a slow job does not hold the fast ones behind it", arguments: Backend.allCases)
    func slow(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let gate = Gate()
        let diary = Diary()
        let worker = jobWorker(bench.driver, concurrency: 2)
        worker.register(Work.self, retry: once) { parameters, _ in
            if parameters.name == "slow" { try await gate.pass() }
            diary.write(parameters.name)
            return .done
        }
        try await bench.driver.put([bench.driver.job("slow")] + (1...50).map { bench.driver.job("\($0)") })
        try await worker.start()
        try await eventually("the fast ones") { diary.count == 50 }
        gate.unlock()
        try await eventually("the slow one") { diary.all.last == "slow" }
        await worker.stopped()
    }

    @Test("a failure is retried by the policy on the turned clock, then buried with its history")
    func retries() async throws {
        let bench = MemoryBench(queue: uniqueQueue())
        let diary = Diary()
        let buried = Diary()
        let worker = jobWorker(bench.driver, clock: bench.clock.clock, onBury: { job, reason in buried.write("\(job.id) \(reason)") })
        let policy = RetryPolicy.exponential(base: .seconds(10), factor: 3, cap: .seconds(60), jitter: .equal, attemptsMax: 4)
        worker.register(Work.self, retry: policy) { _, context in
            diary.write("\(context.attempt)\(context.isLastAttempt ? " last" : "")")
            throw Unlucky()
        }
        try await bench.driver.put([bench.driver.job("a")])
        try await worker.start()
        // Half of the delay and half of the other half: 7.5, 22.5, 45 s.
        for (attempt, delayMs) in [(1, 7500), (2, 22_500), (3, 45_000)] {
            try await eventually("attempt \(attempt)") { try await bench.driver.counts().delayed == 1 && bench.clock.sleepers == 1 }
            #expect(diary.count == attempt)
            bench.clock.turn(by: .milliseconds(delayMs - 1))
            #expect(try await bench.driver.counts().delayed == 1)
            bench.clock.turn(by: .milliseconds(1))
        }
        try await eventually("the burial") { try await bench.driver.counts().dead == 1 }
        await worker.stopped()
        #expect(diary.all == ["1", "2", "3", "4 last"])
        #expect(buried.all == ["job_a no attempt left: no luck"])
        let dead = try #require(try await bench.driver.dead(offset: 0, limit: 1).first)
        #expect(dead.record.job == "job_a" && dead.record.kind == "work" && dead.record.reason == "no attempt left: no luck")
        #expect(dead.history.map(\.attempt) == [1, 2, 3, 4])
        #expect(try JobEnvelope(decoding: dead.record.body).attempt == 3)
    }

    struct Classified: JobErrorClassifying { let jobDisposition: JobDisposition }

    @Test("an error says what becomes of its job", arguments: Backend.allCases)
    func dispositions(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let worker = jobWorker(bench.driver, concurrency: 1)
        worker.register(Work.self, retry: .fixed(.seconds(600), attemptsMax: 5)) { parameters, _ in
            switch parameters.name {
            case "bury": throw JobFailure.bury("wrong")
            case "discard": throw JobFailure.discard("too late")
            case "snooze": throw JobFailure.snooze(.seconds(600), "not yet")
            case "retry": throw JobFailure.retry(after: .seconds(900), "busy")
            case "classified": throw Classified(jobDisposition: .bury)
            default: return .snooze(.seconds(600))
            }
        }
        try await bench.driver.put(["bury", "discard", "snooze", "retry", "classified", "said"].map { bench.driver.job($0) })
        try await worker.start()
        try await eventually("all settled") {
            try await bench.driver.counts() == QueueCounts(delayed: 3, dead: 2, workers: 1)
        }
        await worker.stopped()
        #expect(try await bench.driver.history(ofJob: "job_retry").map(\.reason) == ["busy"])
        #expect(try await bench.driver.history(ofJob: "job_snooze").isEmpty)
        #expect(Set(try await bench.driver.dead(offset: 0, limit: 5).map(\.record.job)) == ["job_bury", "job_classified"])
    }

    @Test("a success after failures forgets the history", arguments: Backend.allCases)
    func historyForgotten(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let worker = jobWorker(bench.driver)
        let seen = Diary()
        worker.register(Work.self, retry: .fixed(.zero, attemptsMax: 5)) { _, context in
            seen.write("\(context.attempt)")
            if context.attempt < 3 { throw Unlucky() }
            return .done
        }
        try await bench.driver.put([bench.driver.job("a")])
        try await worker.start()
        try await eventually("done") { try await bench.driver.counts() == QueueCounts(workers: 1) && seen.count == 3 }
        await worker.stopped()
        #expect(try await bench.driver.history(ofJob: "job_a").isEmpty)
        #expect(try await bench.driver.counts() == QueueCounts())
    }

    struct Permission: JobGuard {
        func admit(_ job: JobEnvelope) async throws -> GuardVerdict {
            switch job.payment {
            case "pay_paid": return .run
            case "pay_unknown": throw Unlucky()
            default: return .skip(reason: "not paid")
            }
        }
    }

    @Test("a guard is asked before every attempt: unpaid is skipped and recorded, unknown is retried", arguments: Backend.allCases)
    func guarded(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let diary = Diary()
        let worker = jobWorker(bench.driver, onSkip: { job, reason in diary.write("skip \(job.id) \(reason)") })
        worker.register(PaidWork.self, retry: .fixed(.seconds(600), attemptsMax: 3), guard: Permission()) { parameters, context in
            diary.write("run \(parameters.name) \(try context.payment)")
            return .done
        }
        try await bench.driver.put([
            bench.driver.job("a", kind: PaidWork.kind, payment: "pay_paid"), bench.driver.job("b", kind: PaidWork.kind, payment: "pay_open"),
            bench.driver.job("c", kind: PaidWork.kind, payment: "pay_unknown"), bench.driver.job("d", kind: PaidWork.kind),
        ])
        try await worker.start()
        try await eventually("all settled") { try await bench.driver.counts() == QueueCounts(delayed: 1, dead: 1, workers: 1) }
        await worker.stopped()
        #expect(Set(diary.all) == ["run a pay_paid", "skip job_b not paid"])
        let dead = try #require(try await bench.driver.dead(offset: 0, limit: 1).first)
        #expect(dead.record.job == "job_d" && dead.record.reason == "paid.work is paid-only and names no payment")
    }

    @Test("what is no job of this queue is buried, never run, never lost", arguments: Backend.allCases)
    func strangers(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let worker = jobWorker(bench.driver)
        worker.register(Work.self, retry: once) { _, _ in .done }
        var foreign = bench.driver.job("foreign")
        foreign.queue = "elsewhere"
        var misfit = bench.driver.job("misfit")
        misfit.args = ["name": 5]
        try await bench.driver.enqueue([
            EnqueueItem(body: [0, 255, 3]), EnqueueItem(foreign), EnqueueItem(misfit), EnqueueItem(bench.driver.job("new", kind: "not.yet")),
        ])
        try await worker.start()
        try await eventually("all settled") { try await bench.driver.counts() == QueueCounts(dead: 3, workers: 1, parked: 1) }
        await worker.stopped()
        let dead = try await bench.driver.dead(offset: 0, limit: 5).map(\.record)
        #expect(Set(dead.map(\.job)) == [nil, "job_foreign", "job_misfit"])
        #expect(dead.contains { $0.body == [0, 255, 3] })
    }

    @Test("an attempt over its time is cancelled and counts as failed")
    func timeout() async throws {
        let bench = MemoryBench(queue: uniqueQueue())
        let gate = Gate()
        let worker = jobWorker(bench.driver, clock: bench.clock.clock)
        worker.register(Work.self, retry: .fixed(.seconds(60), attemptsMax: 2), timeout: .seconds(30)) { _, context in
            #expect(context.deadlineMs == bench.clock.nowMs + 30_000)
            try await gate.pass()
            return .done
        }
        try await bench.driver.put([bench.driver.job("a")])
        try await worker.start()
        try await eventually("the attempt runs under its alarm") { bench.clock.sleepers == 1 }
        bench.clock.turn(by: .seconds(29))
        #expect(worker.running == 1)
        bench.clock.turn(by: .seconds(1))
        try await eventually("it is postponed") { try await bench.driver.counts().delayed == 1 }
        await worker.stopped()
        #expect(try await bench.driver.history(ofJob: "job_a").map(\.reason) == ["timed out after 30.0 seconds"])
    }

    @Test("a graceful stop lets what runs finish and takes nothing new", arguments: Backend.allCases)
    func gracefulStop(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let gate = Gate()
        let diary = Diary()
        let worker = jobWorker(bench.driver, concurrency: 2)
        worker.register(Work.self, retry: once) { parameters, _ in
            diary.write("start \(parameters.name)")
            try await gate.pass()
            diary.write("end")
            return .done
        }
        try await bench.driver.put((1...5).map { bench.driver.job("\($0)") })
        try await worker.start()
        try await eventually("two run") { diary.count == 2 }
        async let stop: Void = worker.stopped(within: .seconds(20))
        try await eventually("it is stopping") { worker.isStopping }
        gate.unlock()
        await stop
        #expect(diary.all.filter { $0 == "end" }.count == 2)
        #expect(try await bench.driver.counts() == QueueCounts(ready: 3))
    }

    @Test("at the deadline interrupted jobs return to the head with their attempt unspent", arguments: Backend.allCases)
    func deadline(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let diary = Diary()
        let worker = jobWorker(bench.driver, concurrency: 2)
        worker.register(Work.self, retry: .fixed(.zero, attemptsMax: 2)) { parameters, _ in
            diary.write(parameters.name)
            // One listens to its cancellation, the other does not.
            if parameters.name == "1" { try await Gate().pass() }
            await Task.detached { try? await Task.sleep(for: .seconds(8)) }.value
            return .done
        }
        let jobs = (1...4).map { bench.driver.job("\($0)") }
        try await bench.driver.put(jobs)
        try await worker.start()
        try await eventually("two run") { diary.count == 2 }
        let began = ContinuousClock.now
        await worker.stopped(within: .seconds(4))
        #expect(ContinuousClock.now - began < (.seconds(6) as Duration).stretched)
        #expect(try await bench.driver.counts() == QueueCounts(ready: 4))
        let waiting = try await bench.driver.peek(limit: 4)
        #expect(Set(waiting.prefix(2)) == Set(jobs.prefix(2).map { $0.encoded() }))
        #expect(waiting.suffix(2) == jobs.suffix(2).map { $0.encoded() })
        #expect(try await bench.driver.history(ofJob: "job_1").isEmpty)
    }

    @Test("a worker whose lease was lost drops its work and comes back under a new identity", arguments: Backend.allCases)
    func fenced(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let diary = Diary()
        let identities = Mutex<[WorkerIdentity]>([])
        let worker = jobWorker(bench.driver, concurrency: 1)
        worker.register(Work.self, retry: once) { _, context in
            identities.withLock { $0.append(context.worker) }
            guard context.redeliveries == 0 else { return .done }
            do { try await Gate().pass() } catch {
                diary.write("cancelled")
                throw error
            }
            return .done
        }
        try await bench.driver.put([bench.driver.job("a")])
        try await worker.start()
        try await eventually("it runs") { identities.withLock { $0.count } == 1 }
        let peer = try await bench.peer()
        _ = try await peer.worker("peer")
        let first = try #require(identities.withLock { $0.first })
        await bench.silence(first, of: bench.driver)
        try await bench.pass(.milliseconds(3100))
        try await eventually(within: .seconds(2), "the job is back") { try await peer.counts().ready == 1 }
        bench.revive(first, of: bench.driver)
        try await eventually(within: .seconds(4), "it was done again") {
            try await bench.driver.counts() == QueueCounts(workers: 2) && identities.withLock { $0.count } == 2
        }
        await worker.stopped()
        #expect(diary.all == ["cancelled"])
        #expect(identities.withLock { Set($0).count } == 2)
        #expect(identities.withLock { Set($0.map(\.name)) } == ["worker"])
    }

    @Test("a job that was redelivered five times is buried without being run", arguments: Backend.allCases)
    func poison(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let diary = Diary()
        let job = bench.driver.job("poison")
        try await bench.driver.put([job])
        for round in 0..<QueueLimits.redeliveriesMax {
            let victim = try await bench.driver.worker("victim")
            let claimed = try #require(try await bench.driver.claim(victim).first)
            #expect(claimed.redeliveries == round)
            try await bench.loseNow(victim)
        }
        let worker = jobWorker(bench.driver, onBury: { job, reason in diary.write("\(job.id) \(reason)") })
        worker.register(Work.self, retry: .fixed(.zero, attemptsMax: 100)) { _, _ in
            diary.write("run")
            return .done
        }
        try await worker.start()
        try await eventually("the burial") { try await bench.driver.counts() == QueueCounts(dead: 1, workers: 1) }
        await worker.stopped()
        #expect(diary.all == ["job_poison redelivered 5 times without an outcome"])
        #expect(try await bench.driver.dead(offset: 0, limit: 1).first?.record.body == job.encoded())
    }

    @Test("a suspect runs alone: the innocents that were claimed with it are not blamed", arguments: Backend.allCases)
    func suspects(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let jobs = (1...6).map { bench.driver.job("\($0)") }
        try await bench.driver.put(jobs)
        for _ in 0..<QueueLimits.suspectRedeliveries {
            let victim = try await bench.driver.worker("victim")
            #expect(try await bench.driver.claim(victim).count == 6)
            try await bench.loseNow(victim)
        }
        let now = Mutex((running: 0, most: 0))
        let diary = Diary()
        let worker = jobWorker(bench.driver, concurrency: 6)
        worker.register(Work.self, retry: once) { parameters, _ in
            now.withLock { $0 = ($0.running + 1, max($0.most, $0.running + 1)) }
            await Task.yield()
            diary.write(parameters.name)
            now.withLock { $0.running -= 1 }
            return .done
        }
        try await worker.start()
        try await eventually("all done") { try await bench.driver.counts() == QueueCounts(workers: 1) }
        await worker.stopped()
        #expect(diary.all == ["1", "2", "3", "4", "5", "6"])
        #expect(now.withLock { $0.most } == 1)
    }
}
