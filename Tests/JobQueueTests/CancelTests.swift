import Formats
import JobQueue
import Synchronization
import Telemetry
import TestSupport
import Testing

/// Cancelling a job wherever it stands, the same on every driver.
@Suite("Cancelling")
struct CancelTests {
    @Test("a job that stands on the queue is gone at once, whatever its place, and its keys are free", arguments: Backend.contract)
    func standing(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let driver = bench.driver
        let slots = JobSlots(key: "customer {1}", max: 1)
        try await driver.enqueue(driver.job("ready", unique: "u", slots: slots))
        try await driver.enqueue(driver.job("waiting", unique: "w", slots: slots))
        try await driver.enqueue(driver.job("waiting2", slots: slots))
        try await driver.enqueue(driver.job("delayed", unique: "d"), dueMs: bench.nowMs + 600_000)
        // As another language writes it.
        try await driver.enqueue([
            EnqueueItem(body: body(#"{"v": 1, "id": "job_spaced", "kind": "work", "queue": "\#(driver.queue)", "args": {"name": "x"}}"#))
        ])
        let worker = try await driver.worker()
        try await driver.pause(kind: "rest")
        try await driver.enqueue([EnqueueItem(driver.job("parked", kind: "rest"))])
        let claimed = try await driver.claim(worker)
        let parked = try #require(try claimed.first { try JobEnvelope(decoding: $0.body).id == "job_parked" })
        try await driver.tell(worker, .park(parked.token, kind: "rest"))
        for other in claimed where other.token != parked.token { try await driver.tell(worker, .giveBack(other.token)) }
        #expect(try await driver.counts() == QueueCounts(ready: 2, delayed: 1, workers: 1, parked: 1, waiting: 2))

        for (name, place) in [
            ("waiting2", JobStatus.State.waiting), ("delayed", .delayed), ("parked", .parked), ("spaced", .ready), ("ready", .ready),
        ] {
            #expect(try await driver.status(of: "job_\(name)").state == place, "\(name)")
            guard case .removed(let job) = try await driver.cancel("job_\(name)", reason: "not wanted") else {
                Issue.record("\(name) is not removed")
                continue
            }
            #expect(job.id == "job_\(name)")
            let status = try await driver.status(of: "job_\(name)")
            #expect(status.state == .cancelled && status.reason == "not wanted", "\(name)")
            #expect(try await driver.cancel("job_\(name)") == .ended(.cancelled), "\(name)")
        }
        // The slot of the first one went to the one that waited.
        #expect(try await driver.counts() == QueueCounts(ready: 1, workers: 1))
        #expect(try await driver.claim(worker).map { try JobEnvelope(decoding: $0.body).id } == ["job_waiting"])
        for key in ["u", "d"] { #expect(try await driver.enqueue(driver.job("next-\(key)", unique: key)).isNew, "\(key)") }
        #expect(try await driver.enqueue(driver.job("next-w", unique: "w")).isNew == false)
    }

    @Test("what is unknown, done or dead is not cancelled, and nothing of it is left behind", arguments: Backend.contract)
    func nothingThere(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let driver = bench.driver
        let worker = try await driver.worker()
        #expect(try await driver.cancel("job_never") == .unknown)
        #expect(try await driver.isMarked(cancelled: "job_never") == false)
        try await driver.put([driver.job("done"), driver.job("dead")])
        let claimed = try await driver.claim(worker)
        try await driver.tell(
            worker, .ack(claimed[0].token),
            .bury(claimed[1].token, record: record(claimed[1], worker, reason: "broken", job: "job_dead", nowMs: bench.nowMs)))
        #expect(try await driver.cancel("job_done") == .unknown)
        #expect(try await driver.cancel("job_dead") == .ended(.dead))
        #expect(try await driver.status(of: "job_dead").reason == "broken")
        #expect(try await driver.isMarked(cancelled: "job_dead") == false)
        // One that did not live to hear of it may be replayed.
        try await driver.mark(cancelled: "job_dead")
        #expect(try await driver.replayDead(try #require(try await driver.dead(offset: 0, limit: 1).first).record))
        #expect(try await driver.isMarked(cancelled: "job_dead") == false)
    }

    @Test("a running job is cancelled within a second or so, recorded, not retried, and its keys are free", arguments: Backend.contract)
    func running(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        defer { withExtendedLifetime(bench) {} }
        let driver = bench.driver
        let diary = Diary()
        // No free slot: the worker has no reason to ask for anything.
        let worker = jobWorker(driver, concurrency: 1, onSkip: { job, reason in diary.write("\(job.id) \(reason)") })
        worker.register(Work.self, retry: .fixed(.zero, attemptsMax: 5)) { work, _ in
            diary.write("\(work.name) runs")
            if work.name != "short" { try await Task.sleep(for: .seconds(600)) }
            return .done
        }
        try await worker.start()
        try await driver.enqueue(driver.job("long", unique: "u", slots: JobSlots(key: "s", max: 1)))
        try await driver.enqueue(driver.job("short", slots: JobSlots(key: "s", max: 1)))
        try await eventually("it runs") { diary.all == ["long runs"] }
        #expect(try await driver.status(of: "job_long").state == .running)
        let began = ContinuousClock.now
        #expect(try await (try await bench.peer()).cancel("job_long") == .asked)
        try await eventually("it is told") { diary.all.contains("job_long cancelled") }
        #expect(ContinuousClock.now - began < (.seconds(3) as Duration).stretched)
        try await eventually("the next one has run") { diary.all.last == "short runs" }
        try await eventually("it is recorded") { try await driver.status(of: "job_long").state == .cancelled }
        #expect(try await driver.history(ofJob: "job_long").map(\.reason) == ["cancelled"])
        #expect(try await driver.isMarked(cancelled: "job_long") == false)
        #expect(try await driver.enqueue(driver.job("again", unique: "u")).isNew)
        #expect(diary.all.count { $0 == "long runs" } == 1)
        let counted = MetricRegistry.shared.prometheusText().split(separator: "\n").filter {
            $0.hasPrefix("jobs_finished_total") && $0.contains(driver.queue) && $0.contains("\"work\"") && $0.contains("\"cancelled\"")
        }
        #expect(counted.count == 1 && counted.allSatisfy { $0.hasSuffix(" 1") })
        await worker.stopped()
    }

    @Test("a job that ends by itself although it was cancelled is done, and may come again", arguments: Backend.contract)
    func tooLate(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        defer { withExtendedLifetime(bench) {} }
        let driver = bench.driver
        let (diary, gate) = (Diary(), Gate())
        let worker = jobWorker(driver)
        worker.register(Work.self, retry: once) { work, _ in
            diary.write(work.name)
            // Hears of it, and goes on all the same.
            await withTaskCancellationHandler {
                await Task.detached { try? await gate.pass() }.value
            } onCancel: {
                diary.write("heard")
            }
            return .done
        }
        try await worker.start()
        try await driver.put([driver.job("deaf")])
        try await eventually("it runs") { diary.count == 1 }
        #expect(try await driver.cancel("job_deaf") == .asked)
        try await eventually("it is told") { diary.all == ["deaf", "heard"] }
        gate.unlock()
        try await eventually("it is done") { try await driver.counts().inFlight == 0 }
        try await eventually("the mark is gone") { try await driver.isMarked(cancelled: "job_deaf") == false }
        try await driver.put([driver.job("deaf")])
        try await eventually("it runs again") { diary.all.count { $0 == "deaf" } == 2 }
        await worker.stopped()
    }

    @Test("a marked job is not begun by whoever claims it, a mark that was taken back is nothing", arguments: Backend.contract)
    func claimedLater(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        defer { withExtendedLifetime(bench) {} }
        let driver = bench.driver
        let diary = Diary()
        let worker = jobWorker(driver, onSkip: { job, reason in diary.write("\(job.id) \(reason)") })
        worker.register(Work.self, retry: once) { work, _ in
            diary.write("\(work.name) runs")
            return .done
        }
        try await driver.mark(cancelled: "job_a")
        try await driver.mark(cancelled: "job_b")
        #expect(try await driver.unmark(cancelled: "job_b"))
        #expect(try await driver.unmark(cancelled: "job_b") == false)
        try await worker.start()
        try await driver.put([driver.job("a"), driver.job("b")])
        try await eventually("both are settled") { Set(diary.all) == ["job_a cancelled", "b runs"] }
        try await eventually("the mark is gone") { try await driver.isMarked(cancelled: "job_a") == false }
        await worker.stopped()
    }

    @Test("a cancelled job of a lost worker is cancelled by the one that gets it", arguments: Backend.contract)
    func lost(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        defer { withExtendedLifetime(bench) {} }
        let lost = try await bench.driver.worker("lost")
        try await bench.driver.put([bench.driver.job("a")])
        #expect(try await bench.driver.claim(lost).count == 1)
        #expect(try await bench.driver.cancel("job_a") == .asked)
        try await bench.loseNow(lost)
        let diary = Diary()
        let worker = jobWorker(try await bench.peer(), onSkip: { job, reason in diary.write("\(job.id) \(reason)") })
        worker.register(Work.self, retry: once) { work, _ in
            diary.write("\(work.name) runs")
            return .done
        }
        try await worker.start()
        try await eventually("it is cancelled") { diary.all == ["job_a cancelled"] }
        await worker.stopped()
    }

    @Test("a service cancels a waiting job and tells its kind", arguments: Backend.contract)
    func service(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        defer { withExtendedLifetime(bench) {} }
        let diary = Diary()
        let worker = jobWorker(bench.driver, onSkip: { job, reason in diary.write("\(job.id) \(reason)") })
        worker.register(Work.self, retry: once) { _, _ in .done }
        try await bench.driver.put([bench.driver.job("a")])
        guard case .removed = try await worker.cancel("job_a", reason: "a mistake") else {
            Issue.record("it is not removed")
            return
        }
        #expect(diary.all == ["job_a a mistake"])
        #expect(try await worker.cancel("job_a") == .ended(.cancelled))
    }
}
