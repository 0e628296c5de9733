import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import EventLoop

#if canImport(Glibc)
    import Glibc
#endif

/// What happened, in order, from any thread.
private final class Journal: Sendable {
    private let kept = Mutex<[String]>([])
    func note(_ entry: String) { kept.withLock { $0.append(entry) } }
    var entries: [String] { kept.withLock { $0 } }
}

/// A value that many threads change.
private final class Shared<Value: Sendable>: Sendable {
    private let value: Mutex<Value>
    init(_ value: Value) { self.value = Mutex(value) }
    func withLock<Result: Sendable>(_ body: (inout sending Value) -> sending Result) -> Result { value.withLock(body) }
}

@Suite("An event loop") struct EventLoopTests {
    private let loop: EventLoop

    init() throws { loop = try EventLoop.started(name: "test") }

    @Test("runs timers by their time and not by their making")
    func timerOrder() async throws {
        let journal = Journal()
        // All are made in one piece of work, so that a busy machine cannot come between them.
        await loop.run { [loop] in
            for milliseconds in [90, 30, 60, 0] { LoopTimer(on: loop) { journal.note("\(milliseconds)") }.start(after: .milliseconds(milliseconds)) }
        }
        try await eventually("four timers") { journal.entries.count == 4 }
        #expect(journal.entries == ["0", "30", "60", "90"])
        loop.stop()
    }

    @Test("does not run a timer early, nor a cancelled one at all")
    func timerTimes() async throws {
        let journal = Journal()
        let start = ContinuousClock.now
        await loop.run { [loop] in
            let cancelled = LoopTimer(on: loop) { journal.note("cancelled") }
            cancelled.start(after: .milliseconds(10))
            let again = LoopTimer(on: loop) { journal.note("again") }
            again.start(after: .milliseconds(5))
            again.start(after: .milliseconds(50))
            cancelled.cancel()
        }
        try await eventually("the timer") { journal.entries.count == 1 }
        #expect(ContinuousClock.now - start >= .milliseconds(49))
        #expect(journal.entries == ["again"])
        loop.stop()
    }

    @Test("repeats until it is told not to")
    func repeating() async throws {
        let counted = Journal()
        let timer = loop.repeating(every: .milliseconds(2)) { counted.note("tick") }
        try await eventually("five ticks") { counted.entries.count >= 5 }
        timer.cancel()
        let after = await loop.run { counted.entries.count }
        // A later timer of the loop proves that time went on without a tick.
        let passed = Journal()
        loop.schedule(after: .milliseconds(30)) { passed.note("later") }
        try await eventually("the later timer") { !passed.entries.isEmpty }
        #expect(counted.entries.count == after)
        loop.stop()
    }

    @Test("carries out work from many threads, each thread's in its order")
    func executeFromManyThreads() async throws {
        let received = Shared<[Int: [Int]]>([:])
        let loop = loop
        try await withThrowingTaskGroup(of: Void.self) { group in
            let pool = BlockingPool(name: "senders", threads: 8)
            for thread in 0..<8 {
                group.addTask {
                    try await pool.run {
                        for number in 0..<2000 {
                            loop.execute {
                                precondition(loop.isOnLoop)
                                received.withLock { $0[thread, default: []].append(number) }
                            }
                        }
                    }
                }
            }
            try await group.waitForAll()
            pool.close()
        }
        await loop.run {}
        #expect(received.withLock { $0.count } == 8)
        for numbers in received.withLock({ Array($0.values) }) { #expect(numbers == Array(0..<2000)) }
        loop.stop()
    }

    @Test("runs what waits for the end of the turn after all that was ready")
    func turnEnd() async {
        let journal = Journal()
        let loop = loop
        await withCheckedContinuation { continuation in
            // Handed in by the loop itself, so that both pieces belong to one turn.
            loop.execute {
                loop.execute {
                    journal.note("first")
                    loop.atTurnEnd {
                        journal.note("end")
                        loop.atTurnEnd {
                            journal.note("end of the end")
                            continuation.resume()
                        }
                    }
                }
                loop.execute { journal.note("second") }
            }
        }
        #expect(journal.entries == ["first", "second", "end", "end of the end"])
        loop.stop()
    }

    @Test("still carries out what was handed in before it stopped")
    func stopping() {
        let journal = Journal()
        let loop = loop
        for number in 0..<100 { loop.execute { loop.execute { journal.note("\(number)") } } }
        loop.stop()
        #expect(journal.entries.count == 100)
        #expect(!loop.isOnLoop)
        loop.stop()
    }

    private actor Isolated {
        private let loop: EventLoop
        private var count = 0
        init(loop: EventLoop) { self.loop = loop }
        nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

        func add() -> Bool {
            count += 1
            return loop.isOnLoop
        }
        func addAfterWaiting() async -> Bool {
            await Task.yield()
            count += 1
            return loop.isOnLoop
        }
        var total: Int { count }
        nonisolated func addFromLoop() { assumeIsolated { $0.count += 1 } }
    }

    @Test("is the executor of actors, before and after they wait")
    func executor() async {
        let isolated = Isolated(loop: loop)
        await withTaskGroup(of: Bool.self) { group in
            for number in 0..<200 { group.addTask { number % 2 == 0 ? await isolated.add() : await isolated.addAfterWaiting() } }
            for await onLoop in group { #expect(onLoop) }
        }
        // Code that runs on the loop may reach into the actor without waiting.
        await loop.run { isolated.addFromLoop() }
        #expect(await isolated.total == 201)
        loop.stop()
    }

    @Test("knows its own thread from that of another loop")
    func identity() async throws {
        let other = try EventLoop.started(name: "other")
        let loop = loop
        #expect(await loop.run { loop.isOnLoop && !other.isOnLoop })
        #expect(await other.run { other.isOnLoop && !loop.isOnLoop })
        other.stop()
        loop.stop()
    }
}

@Suite("A pool for blocking calls") struct BlockingPoolTests {
    @Test("runs at most as many calls at once as it has threads, and all of them")
    func bounded() async throws {
        let pool = BlockingPool(name: "pool", threads: 3)
        let state = Shared((running: 0, most: 0))
        // Three calls wait for each other, so that all three threads are surely busy at once.
        let gate = Shared(0)
        let results = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<60 {
                group.addTask {
                    try await pool.run {
                        state.withLock { $0 = ($0.running + 1, max($0.most, $0.running + 1)) }
                        gate.withLock { $0 += 1 }
                        while gate.withLock({ $0 }) < 3 {}
                        state.withLock { $0.running -= 1 }
                        return number
                    }
                }
            }
            return try await group.reduce(into: Set<Int>()) { $0.insert($1) }
        }
        #expect(results == Set(0..<60))
        #expect(state.withLock { $0.most } == 3)
        pool.close()
    }

    @Test("starts another thread for a call while the idle one is already spoken for")
    func idleThreadIsCountedOnce() async throws {
        let pool = BlockingPool(name: "pool", threads: 2)
        for _ in 0..<200 {
            // Leaves a thread idle, or about to be.
            try await pool.run {}
            let second = Shared(false)
            async let first: Void = pool.run { while !second.withLock({ $0 }) { sched_yield() } }
            async let other: Void = pool.run { second.withLock { $0 = true } }
            _ = try await (first, other)
        }
        pool.close()
    }

    private struct Refused: Error {}

    @Test("gives errors to their caller and finishes what it has when closed")
    func errorsAndClosing() async throws {
        let pool = BlockingPool(name: "pool", threads: 1)
        await #expect(throws: Refused.self) { try await pool.run { throw Refused() } }
        let journal = Journal()
        for number in 0..<50 { pool.submit { journal.note("\(number)") } }
        pool.close()
        #expect(journal.entries == (0..<50).map(String.init))
    }
}

@Suite("A service group") struct ServiceGroupTests {
    private struct Broken: Error, CustomStringConvertible { let description = "the port is taken" }

    private struct Part: Service {
        let name: String
        let journal: Journal
        var fails = false
        func start() async throws {
            if fails { throw Broken() }
            journal.note("start \(name)")
        }
        func stop(by deadline: ContinuousClock.Instant) async {
            journal.note("stop \(name)\(deadline > .now ? "" : " too late")")
        }
    }

    private func group(_ parts: [Part], _ capture: LogCapture) -> ServiceGroup {
        ServiceGroup(services: parts, grace: .seconds(5), log: Log("group", destination: capture))
    }

    @Test("starts in order and stops in reverse")
    func order() async throws {
        let journal = Journal()
        let group = group(["a", "b", "c"].map { Part(name: $0, journal: journal) }, LogCapture())
        async let exitCode = group.run()
        try await eventually("every part") { journal.entries.count == 3 }
        group.stop()
        #expect(await exitCode == 0)
        #expect(journal.entries == ["start a", "start b", "start c", "stop c", "stop b", "stop a"])
    }

    @Test("that cannot start a part stops those that started and says why")
    func failingStart() async throws {
        let journal = Journal()
        let capture = LogCapture()
        let parts = [Part(name: "a", journal: journal), Part(name: "b", journal: journal, fails: true), Part(name: "c", journal: journal)]
        #expect(await group(parts, capture).run() == 1)
        #expect(journal.entries == ["start a", "stop a"])
        #expect(capture.lines.contains { $0.contains("the port is taken") && $0.contains(#""service":"b""#) })
    }

    @Test("ends with 1 when a part reports that it can go on no longer")
    func failing() async throws {
        let journal = Journal()
        let group = group([Part(name: "a", journal: journal)], LogCapture())
        async let exitCode = group.run()
        try await eventually("the part") { journal.entries.count == 1 }
        group.fail("the disk is gone")
        #expect(await exitCode == 1)
        #expect(journal.entries == ["start a", "stop a"])
    }

    @Test("asked to stop before it runs starts, stops and ends well")
    func stoppedEarly() async {
        let journal = Journal()
        let group = group([Part(name: "a", journal: journal)], LogCapture())
        group.stop()
        #expect(await group.run() == 0)
        #expect(journal.entries == ["start a", "stop a"])
    }
}
