import JobQueue
import Synchronization
import TestSupport
import Testing

func batchWorker(_ driver: any QueueDriver, batchMax: Int = 10, handle: @escaping BatchWorker.Handler) -> BatchWorker {
    BatchWorker(
        driver: driver, configuration: .init(name: "batches", batchMax: batchMax, pause: .milliseconds(5), random: { 0.5 }), handle: handle)
}

extension BatchWorker {
    func stopped(within grace: Duration = .seconds(5)) async { await stop(by: .now + grace) }
}

@Suite("Batch worker")
struct BatchWorkerTests {
    @Test("bodies come in order, in batches of at most so many, one batch at a time", arguments: Backend.allCases)
    func batches(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let batches = Mutex<[[String]]>([])
        let busy = Mutex(false)
        for number in 1...25 { try await bench.driver.put("\(number)") }
        let worker = batchWorker(bench.driver) { batch in
            #expect(
                busy.withLock { busy in
                    defer { busy = true }
                    return !busy
                })
            batches.withLock { $0.append(batch.map(text)) }
            await Task.yield()
            busy.withLock { $0 = false }
            return batch.map { _ in .ack }
        }
        try await worker.start()
        try await eventually("all acknowledged") { try await bench.driver.counts() == QueueCounts(workers: 1) }
        try await bench.driver.put("late")
        try await eventually("the late one") { batches.withLock { $0.last } == ["late"] }
        await worker.stopped()
        #expect(batches.withLock { Array($0.joined()) } == (1...25).map(String.init) + ["late"])
        #expect(batches.withLock { $0.map(\.count) } == [10, 10, 5, 1])
        #expect(try await bench.driver.counts() == QueueCounts())
    }

    @Test("each body of a batch has its own outcome", arguments: Backend.allCases)
    func outcomes(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        try await bench.driver.put("good", "bad", "early")
        let worker = batchWorker(bench.driver) { batch in
            batch.map { job in
                switch text(job) {
                case "bad": .bury(reason: "unreadable")
                case "early": .retry(after: .seconds(600))
                default: .ack
                }
            }
        }
        try await worker.start()
        try await eventually("all settled") { try await bench.driver.counts() == QueueCounts(delayed: 1, dead: 1, workers: 1) }
        await worker.stopped()
        let dead = try #require(try await bench.driver.dead(offset: 0, limit: 1).first)
        #expect(dead.record.body == body("bad") && dead.record.reason == "unreadable" && dead.record.job == nil)
    }

    @Test("when the closure throws it is given the same batch again", arguments: Backend.allCases)
    func failing(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let seen = Mutex<[[String]]>([])
        try await bench.driver.put("a", "b")
        let worker = batchWorker(bench.driver) { batch in
            let times = seen.withLock { seen in
                seen.append(batch.map(text))
                return seen.count
            }
            if times < 4 { throw Unlucky() }
            return batch.map { _ in .ack }
        }
        try await worker.start()
        try await eventually("acknowledged") { try await bench.driver.counts() == QueueCounts(workers: 1) }
        await worker.stopped()
        #expect(seen.withLock { $0 } == Array(repeating: ["a", "b"], count: 4))
    }

    @Test("at the deadline the batch in hand returns to the head", arguments: Backend.allCases)
    func deadline(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let diary = Diary()
        try await bench.driver.put("a", "b", "c")
        let worker = batchWorker(bench.driver, batchMax: 2) { batch in
            diary.write("")
            try await Gate().pass()
            return batch.map { _ in .ack }
        }
        try await worker.start()
        try await eventually("it runs") { diary.count == 1 }
        await worker.stopped(within: .seconds(1))
        #expect(try await bench.driver.counts() == QueueCounts(ready: 3))
        #expect(try await bench.driver.peek(limit: 3) == ["a", "b", "c"].map(body))
    }

    @Test("a body that was redelivered five times is buried, a suspect stands alone", arguments: Backend.allCases)
    func poison(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        try await bench.driver.put("poison", "innocent")
        for round in 0..<QueueLimits.redeliveriesMax {
            let victim = try await bench.driver.worker("victim")
            // As the worker does from the second time on: alone.
            let claimed = try await bench.driver.claim(victim, round < QueueLimits.suspectRedeliveries ? 2 : 1)
            #expect(claimed.first.map(text) == "poison")
            try await bench.loseNow(victim)
        }
        let batches = Mutex<[[String]]>([])
        let worker = batchWorker(bench.driver) { batch in
            batches.withLock { $0.append(batch.map(text)) }
            return batch.map { _ in .ack }
        }
        try await worker.start()
        try await eventually("all settled") { try await bench.driver.counts() == QueueCounts(dead: 1, workers: 1) }
        await worker.stopped()
        #expect(batches.withLock { $0 } == [["innocent"]])
        #expect(try await bench.driver.dead(offset: 0, limit: 1).first?.record.body == body("poison"))
    }

    @Test("while a suspect is handled, what was claimed with it is back on the list: it is not blamed for what happens", arguments: Backend.allCases)
    func suspectAlone(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        try await bench.driver.put("poison", "innocent", "guiltless")
        for _ in 0..<QueueLimits.suspectRedeliveries {
            let victim = try await bench.driver.worker("victim")
            #expect(try await bench.driver.claim(victim, 3).count == 3)
            try await bench.loseNow(victim)
        }
        let gate = Gate()
        let batches = Mutex<[[String]]>([])
        let worker = batchWorker(bench.driver) { batch in
            batches.withLock { $0.append(batch.map(text)) }
            try await gate.pass()
            return batch.map { _ in .ack }
        }
        try await worker.start()
        try await eventually("the suspect is handled") { batches.withLock { $0 } == [["poison"]] }
        #expect(try await bench.driver.counts() == QueueCounts(ready: 2, inFlight: 1, workers: 1))
        gate.unlock()
        try await eventually("all settled") { try await bench.driver.counts() == QueueCounts(workers: 1) }
        await worker.stopped()
        #expect(batches.withLock { $0 } == [["poison"], ["innocent"], ["guiltless"]])
    }

    @Test("copies of one body in the hands of one lost worker are one redelivery", arguments: Backend.allCases)
    func copies(_ backend: Backend) async throws {
        let bench = try await backend.bench()
        let copies = QueueLimits.redeliveriesMax + 1
        for _ in 0..<copies { try await bench.driver.put("copy") }
        let victim = try await bench.driver.worker("victim")
        #expect(try await bench.driver.claim(victim, copies).count == copies)
        try await bench.loseNow(victim)
        let seen = Mutex<[Int]>([])
        let worker = batchWorker(bench.driver) { batch in
            seen.withLock { $0 += batch.map(\.redeliveries) }
            return batch.map { _ in .ack }
        }
        try await worker.start()
        try await eventually("all settled") { try await bench.driver.counts() == QueueCounts(workers: 1) }
        await worker.stopped()
        #expect(seen.withLock { $0 } == Array(repeating: 1, count: copies))
    }
}
