import Formats
import JobQueue
import Synchronization
import TestSupport
import Testing

/// Progress, results and the status of jobs, the same on every driver.
@Suite("Progress and results")
struct ReportTests {
    struct Size: Codable, Sendable, Equatable {
        let width: Int
        var note: String?
    }

    @Test("progress is kept for whoever watches, told by the one who has the job only", arguments: Backend.allCases)
    func progress(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let driver = bench.driver
        let (worker, other) = (try await driver.worker(), try await driver.worker("other"))
        try await driver.put([driver.job("a")])
        let job = try #require(try await driver.claim(worker).first)
        let half = JobProgress(fraction: 0.5, done: 5, total: 10, note: "half \"way\"", attempt: 2)
        #expect(try await driver.tell(half, of: "job_a", claimed: job.token, by: worker))
        #expect(try await driver.tell(JobProgress(fraction: 0.9), of: "job_a", claimed: job.token, by: other) == false)
        #expect(try await driver.tell(JobProgress(fraction: 0.9), of: "job_a", claimed: job.token + 1000, by: worker) == false)
        let status = try await driver.status(of: "job_a")
        #expect(status.state == .running && status.worker == worker.description && status.progress == half)
        try await driver.tell(worker, .retry(job.token, delay: .seconds(600), body: job.body))
        #expect(try await driver.tell(JobProgress(fraction: 1), of: "job_a", claimed: job.token, by: worker) == false)
        let delayed = try await driver.status(of: "job_a")
        #expect(delayed.state == .delayed && delayed.progress == half && delayed.atMs.map { $0 > bench.nowMs } == true)
        try await bench.loseNow(worker)
        #expect(try await driver.tell(JobProgress(fraction: 1), of: "job_a", claimed: job.token, by: worker) == false)
    }

    @Test("of progress that is told too often the first and the latest are sent")
    func throttle() async throws {
        let bench = MemoryBench(queue: uniqueQueue())
        let gate = Gate()
        let worker = jobWorker(bench.driver, clock: bench.clock.clock)
        worker.register(Work.self, retry: once) { _, context in
            for number in 1...100 { await context.report(done: number, of: 200) }
            try await gate.pass()
            return .done
        }
        try await worker.start()
        try await bench.driver.put([bench.driver.job("a")])
        try await eventually("the first is sent") { try await bench.driver.report(ofJob: "job_a")?.progress?.done == 1 }
        try await eventually("the latest is sent when its time has come") {
            try await bench.pass(.milliseconds(250))
            return try await bench.driver.report(ofJob: "job_a")?.progress?.done == 100
        }
        #expect(try await bench.driver.report(ofJob: "job_a")?.progress?.fraction == 0.5)
        gate.unlock()
        await worker.stopped()
    }

    @Test("a result comes to whoever waits for it, and every other end is told", arguments: Backend.allCases)
    func results(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        defer { withExtendedLifetime(bench) {} }
        let driver = bench.driver
        // Its clock is the worker's own: it must move by itself.
        let worker = jobWorker(driver)
        worker.registerJob(parameters: Work.self, retryStrategy: once, keepResult: .seconds(600)) { work, _ in
            switch work.name {
            case "lost": throw Unlucky()
            case "stray": throw JobFailure.discard("no sense")
            case "large": return Size(width: 0, note: String(repeating: "x", count: 70_000))
            default: return Size(width: 7)
            }
        }
        try await worker.start()
        func value(_ name: String, within timeout: Duration = .seconds(10)) async throws(JobHandleError) -> Size {
            try await JobHandle<Size>(id: "job_\(name)", on: driver).value(timeout: timeout)
        }
        try await driver.put(["good", "lost", "stray", "large"].map { driver.job($0) })
        #expect(try await value("good") == Size(width: 7))
        #expect(try await driver.status(of: "job_good").state == .done)
        await #expect { _ = try await value("lost") } throws: { error in
            guard case JobHandleError.ended(.dead, let reason) = error else { return false }
            return reason.contains("no luck")
        }
        await #expect { _ = try await value("stray") } throws: { error in
            guard case JobHandleError.ended(.discarded, "no sense") = error else { return false }
            return true
        }
        await #expect { _ = try await value("large") } throws: { error in
            guard case JobHandleError.noResult(let reason) = error else { return false }
            return reason.contains("65536")
        }
        await #expect { _ = try await value("never", within: .milliseconds(150)) } throws: { error in
            guard case JobHandleError.timedOut = error else { return false }
            return true
        }
        // What is replayed has not ended.
        let dead = try #require(try await driver.dead(offset: 0, limit: 1).first)
        await worker.stopped()
        #expect(try await driver.replayDead(dead.record))
        #expect(try await driver.status(of: "job_lost").state == .ready)
    }

    @Test("an outcome that is refused leaves no end behind", arguments: Backend.allCases)
    func fencedEnding(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let driver = bench.driver
        let worker = try await driver.worker()
        try await driver.put([driver.job("a")])
        let job = try #require(try await driver.claim(worker).first)
        let ending = JobEnding(job: "job_a", state: .done, result: Array("7".utf8))
        #expect(try await driver.tell(worker, .ack(job.token + 1000, ending: ending)).staleTokens == 1)
        #expect(try await driver.report(ofJob: "job_a") == nil)
        #expect(try await driver.tell(worker, .ack(job.token, ending: ending)).staleTokens == 0)
        let ended = try #require(try await driver.report(ofJob: "job_a")?.ending)
        #expect(ended.state == .done && ended.result == Array("7".utf8))
    }

    @Test("an ordinary job leaves nothing behind", arguments: Backend.allCases)
    func nothingKept(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        defer { withExtendedLifetime(bench) {} }
        let worker = jobWorker(bench.driver)
        worker.register(Work.self, retry: once) { _, _ in .done }
        try await worker.start()
        try await bench.driver.put([bench.driver.job("a")])
        try await eventually("it is done") {
            let counts = try await bench.driver.counts()
            return counts.ready + counts.inFlight == 0
        }
        #expect(try await bench.driver.status(of: "job_a").state == .unknown)
        #expect(try await bench.driver.report(ofJob: "job_a") == nil)
        await worker.stopped()
    }
}
