import JobQueue
import JobQueueTestKit
import Synchronization
import TestSupport
import Testing

private struct Pay: JobParameters, Equatable {
    static let kind = "pay"
    static let queue = "payouts"
    let order: String
}

private struct Receipt: JobParameters, Equatable {
    static let kind = "receipt"
    static let queue = "mail"
    let order: String
}

/// A payment provider that does what it is told as often as it is told.
private final class Provider: Sendable {
    let transfers = Mutex<[String]>([])
    /// One that knows its keys does it once.
    func transfer(_ order: String, key: String? = nil) {
        transfers.withLock { transfers in
            if key == nil || !transfers.contains(order) { transfers.append(order) }
        }
    }
    var all: [String] { transfers.withLock { $0 } }
}

@Suite("Test kit")
struct TestKitTests {
    @Test("drain does the jobs, and those that they put on their own queues")
    func drain() async throws {
        let diary = Diary()
        let kit = JobTestKit { jobs in
            jobs.registerJob(parameters: Pay.self) { pay, _ in
                diary.write("paid \(pay.order)")
                if pay.order == "a" { try await jobs.push(Pay(order: "b")) }
                try await jobs.push(Receipt(order: pay.order))
            }
        }
        try await kit.push(Pay(order: "a"))
        try await kit.drain()
        #expect(diary.all == ["paid a", "paid b"])
        try kit.expectEnqueued(Receipt.self, count: 2)
        try kit.expectEnqueued(Receipt.self) { $0.order == "b" }
        try kit.expectNotEnqueued(Receipt.self) { $0.order == "c" }
        #expect(kit.enqueued(Pay.self) == [Pay(order: "a"), Pay(order: "b")])
        try await kit.expectNothingDead(on: Pay.queue)
        await kit.shutDown()
    }

    @Test("an expectation that is not met says what there is")
    func expectation() async throws {
        let kit = JobTestKit { _ in }
        try await kit.push(Pay(order: "a"))
        let error = #expect(throws: JobExpectationFailure.self) { try kit.expectEnqueued(Receipt.self) }
        #expect(error?.description.contains("expected a job of receipt, found 0; enqueued were: pay job_") == true)
        #expect(throws: JobExpectationFailure.self) { try kit.expectEnqueued(Pay.self, count: 2) }
        await kit.shutDown()
    }

    @Test("retries follow the turned clock by the policy, to the dead set")
    func retries() async throws {
        let times = Mutex<[Int64]>([])
        let kit = JobTestKit { jobs in
            jobs.registerJob(parameters: Pay.self, retryStrategy: .fixed(.seconds(30), attemptsMax: 3)) { _, context in
                times.withLock { $0.append(Int64(context.attempt)) }
                throw Unlucky()
            }
        }
        try await kit.push(Pay(order: "a"))
        let beganMs = kit.clock.nowMs
        try await kit.drain()
        #expect(times.withLock { $0 } == [1])
        try await kit.drain(turning: .seconds(29))
        #expect(times.withLock { $0 } == [1])
        try await kit.drain(turning: .seconds(3600))
        #expect(times.withLock { $0 } == [1, 2, 3])
        #expect(kit.clock.nowMs - beganMs == 60_000)
        await #expect(throws: JobExpectationFailure.self) { try await kit.expectNothingDead(on: Pay.queue) }
        await kit.shutDown()
    }

    @Test(
        "a worker killed after a step leaves its job to the next one, which knows of it",
        arguments: [("claimed", 1), ("transferred", 2), ("handled", 2)])
    func crash(_ step: String, _ transfers: Int) async throws {
        let provider = Provider()
        let diary = Diary()
        let kit = JobTestKit { jobs in
            jobs.registerJob(parameters: Pay.self) { pay, context in
                provider.transfer(pay.order)
                try await context.passed("transferred")
                diary.write("attempt \(context.attempt), redelivered \(context.redeliveries)")
            }
        }
        kit.crashAfter(step: .named(step))
        try await kit.push(Pay(order: "a"))
        try await kit.drain()
        #expect(kit.crashes == 1)
        #expect(provider.all.count == transfers)
        #expect(diary.all.last == "attempt 1, redelivered 1")
        #expect(try await kit.queues.driver(of: Pay.queue).counts() == QueueCounts(workers: 1))
        await kit.shutDown()
    }

    @Test("steps are counted from where the crash was asked for")
    func numbered() async throws {
        let kit = JobTestKit { jobs in jobs.registerJob(parameters: Pay.self) { _, _ in } }
        try await kit.push(Pay(order: "a"))
        try await kit.drain()
        #expect(kit.passedSteps == ["claimed", "handled"])
        kit.crashAfter(step: 2)
        try await kit.push(Pay(order: "b"))
        try await kit.drain()
        #expect(kit.crashes == 1)
        #expect(kit.passedSteps == ["claimed", "handled", "claimed", "handled", "claimed", "handled"])
        await kit.shutDown()
    }

    @Test("a killed worker's own outcome is nobody's: what it comes to after the test is over changes nothing")
    func noOutcome() async throws {
        let diary = Diary()
        let kit = JobTestKit { jobs in
            jobs.registerJob(parameters: Pay.self) { _, context in
                try? await context.passed("here")
                diary.write("went on")
            }
        }
        kit.crashAfter(step: "here")
        try await kit.push(Pay(order: "a"))
        try await kit.drain()
        #expect(diary.all == ["went on"])
        await kit.shutDown()
        try await eventually("what was suspended ends") { diary.count == 2 }
        #expect(try await kit.queues.driver(of: Pay.queue).counts() == QueueCounts())
    }

    @Test("a job that is safe to deliver again is told so, however its worker dies")
    func sameEffects() async throws {
        let steps = try await JobTestKit.expectSameEffects(of: Pay(order: "a"), in: { Provider() }, effects: { $0.all }) { jobs, provider in
            jobs.registerJob(parameters: Pay.self) { pay, context in
                provider.transfer(pay.order, key: pay.order)
                try await context.passed("transferred")
            }
        }
        #expect(steps == ["claimed", "transferred", "handled"])
    }

    @Test("a job that is not safe to deliver again is found out, with the way that shows it")
    func otherEffects() async throws {
        let error = await #expect(throws: JobExpectationFailure.self) {
            try await JobTestKit.expectSameEffects(of: Pay(order: "a"), in: { Provider() }, effects: { $0.all }) { jobs, provider in
                jobs.registerJob(parameters: Pay.self) { pay, _ in provider.transfer(pay.order) }
            }
        }
        #expect(error?.description.contains("pay delivered twice has other effects") == true)
    }

    @Test("a job that only a crash betrays is found out too")
    func crashBetrays() async throws {
        let error = await #expect(throws: JobExpectationFailure.self) {
            try await JobTestKit.expectSameEffects(of: Pay(order: "a"), in: { (Provider(), Diary()) }, effects: { $0.0.all }) { jobs, world in
                jobs.registerJob(parameters: Pay.self) { pay, context in
                    // Remembers too late what it has done.
                    guard !world.1.all.contains(pay.order) else { return }
                    world.0.transfer(pay.order)
                    try await context.passed("transferred")
                    world.1.write(pay.order)
                }
            }
        }
        #expect(error?.description.contains("killed after step 2, transferred") == true)
    }
}
