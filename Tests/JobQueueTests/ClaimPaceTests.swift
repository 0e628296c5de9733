import Formats
import TestSupport
import Testing

@testable import JobQueue

private struct Errand: JobParameters {
    static let kind = "errand"
    static let queue = "ignored"
    let isSlow: Bool
}

@Suite("How much a claim brings")
struct ClaimPaceTests {
    @Test("jobs that begin at once fill all slots after a few claims")
    func grows() {
        var pace = ClaimPace(most: 1000)
        var sizes: [Int] = []
        for _ in 0..<7 {
            sizes.append(pace.allowance)
            pace.claimed()
            pace.began(after: .milliseconds(1))
        }
        #expect(sizes == [32, 64, 128, 256, 512, 1000, 1000])
        #expect(ClaimPace(most: 4).allowance == 4)
    }

    @Test("jobs that queue up for the processors come in ever smaller claims, never in none")
    func shrinks() {
        var pace = ClaimPace(most: 1000)
        for expected in [32, 16, 8, 4, 2, 1, 1] {
            #expect(pace.allowance == expected)
            pace.claimed()
            pace.began(after: .milliseconds(60))
        }
        // In between nothing changes.
        pace.claimed()
        pace.began(after: .milliseconds(30))
        #expect(pace.allowance == 1)
    }

    @Test("two claims may be on their way to the processors, no third")
    func bounded() {
        var pace = ClaimPace(most: 100)
        pace.claimed()
        #expect(pace.allowance == 32)
        pace.claimed()
        #expect(pace.allowance == 0)
        pace.began(after: .milliseconds(20))
        #expect(pace.allowance == 32)
    }

    @Test("one slow job never holds a hundred fast ones", arguments: Backend.allCases)
    func slowOneAside(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let diary = Diary()
        let gate = Milestone()
        let worker = jobWorker(bench.driver, concurrency: 4)
        worker.register(Errand.self, retry: once) { errand, context in
            if errand.isSlow { _ = await gate.wait(until: .now + .seconds(60)) }
            diary.write(errand.isSlow ? "slow" : "fast")
            return .done
        }
        try await bench.driver.put(
            (0...100).map { number in
                JobEnvelope(
                    id: "job_\(number)", kind: Errand.kind, queue: bench.driver.queue, args: ["isSlow": .bool(number == 0)], enqueuedAtMs: 1)
            })
        try await worker.start()
        try await eventually("the fast ones are done, and acknowledged") {
            let counts = try await bench.driver.counts()
            return diary.all.count == 100 && counts == QueueCounts(inFlight: 1, workers: 1)
        }
        #expect(!diary.all.contains("slow"))
        gate.reach()
        try await eventually("and the slow one") { try await bench.driver.counts() == QueueCounts(workers: 1) }
        await worker.stopped()
    }
}
