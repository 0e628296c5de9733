import Formats
import JobQueue
import JobQueueRedis
import RedisClient
import Synchronization
import TestSupport
import Testing

/// Breakers with the means to let time pass where they stand.
private struct BreakerBench: Sendable {
    let store: any BreakerStore
    let bench: any QueueBench
    func pass(_ duration: Duration) async throws { try await bench.pass(duration) }
}

extension Backend {
    fileprivate func breakers() async throws -> BreakerBench {
        let bench = try await bench()
        switch bench {
        case let memory as MemoryBench: return BreakerBench(store: InMemoryBreakers(clock: memory.clock.clock), bench: memory)
        case let redis as RedisBench:
            return BreakerBench(store: RedisBreakers(connection: redis.process.connection, prefix: "test:\(redis.queue):"), bench: redis)
        default: throw QueueDriverError(.invalid, "no such bench")
        }
    }
}

private struct Ill: JobErrorClassifying { let jobDisposition = JobDisposition.retry(after: nil) }
private struct Refused: JobErrorClassifying { let jobDisposition = JobDisposition.bury }

@Suite("Circuit breaker")
struct BreakerTests {
    /// Long beside a call to Redis on this machine.
    private static let moment = Duration.milliseconds(250 * Int64(Duration.seconds(1).stretched.components.seconds))
    private static let rule = BreakerRule(
        failures: 3, within: .seconds(60), openFor: moment * 2, openMax: moment * 4, probeFor: moment * 3)

    /// Waits until what was open lets a call through again.
    private static func admitted(_ bench: BreakerBench, within: Duration = moment * 5) async throws -> BreakerVerdict {
        try await bench.pass(within)
        return try await bench.store.admit("smtp", rule)
    }

    private static func fail(_ store: any BreakerStore, _ count: Int, isProbe: Bool = false) async throws {
        for _ in 0..<count { try await store.report("smtp", rule, succeeded: false, isProbe: isProbe) }
    }

    @Test("failures in a row open it, one probe at a time finds out, its success closes it", arguments: Backend.allCases)
    func course(_ backend: Backend) async throws {
        let bench = try await backend.breakers()
        let store = bench.store
        try await Self.fail(store, 2)
        // A success in between begins the count anew.
        #expect(try await store.report("smtp", Self.rule, succeeded: true, isProbe: false) == .closed)
        try await Self.fail(store, 2)
        #expect(try await store.admit("smtp", Self.rule) == .pass)
        #expect(try await store.report("smtp", Self.rule, succeeded: false, isProbe: false) == .open)
        guard case .refused(let delay) = try await store.admit("smtp", Self.rule) else {
            Issue.record("open, and yet it lets a call through")
            return
        }
        #expect(delay > .zero && delay <= Self.moment * 2)
        // A call that began before says nothing.
        #expect(try await store.report("smtp", Self.rule, succeeded: true, isProbe: false) == .open)
        #expect(try await store.list().map(\.state) == [.open])

        #expect(try await Self.admitted(bench) == .probe)
        guard case .refused = try await store.admit("smtp", Self.rule) else {
            Issue.record("two probes at a time")
            return
        }
        #expect(try await store.list().map(\.state) == [.halfOpen])
        #expect(try await store.report("smtp", Self.rule, succeeded: true, isProbe: true) == .closed)
        #expect(try await store.admit("smtp", Self.rule) == .pass)
        #expect(
            try await store.list() == [BreakerStanding(dependency: "smtp", state: .closed, failures: 0, retryAtMs: nil)])
    }

    @Test("a probe that fails keeps it open for longer, up to the maximum; one that is lost is replaced", arguments: Backend.allCases)
    func probes(_ backend: Backend) async throws {
        let bench = try await backend.breakers()
        let store = bench.store
        try await Self.fail(store, 3)
        for _ in 0..<2 {
            #expect(try await Self.admitted(bench) == .probe)
            try await Self.fail(store, 1, isProbe: true)
            guard case .refused(let delay) = try await store.admit("smtp", Self.rule) else {
                Issue.record("it is not open")
                return
            }
            #expect(delay > Self.moment * 2.5 && delay <= Self.moment * 4)
        }
        #expect(try await Self.admitted(bench) == .probe)
        #expect(try await Self.admitted(bench) == .probe, "the lost one is replaced")
        try await store.reset("smtp")
        #expect(try await store.admit("smtp", Self.rule) == .pass)
    }

    @Test("failures far apart open nothing")
    func apart() async throws {
        let bench = try await Backend.memory.breakers()
        for _ in 0..<10 {
            try await Self.fail(bench.store, 1)
            try await bench.pass(.seconds(61))
        }
        #expect(try await bench.store.admit("smtp", Self.rule) == .pass)
    }

    @Test("what the dependency answers for good is no illness, and is passed on")
    func refusals() async throws {
        let store = InMemoryBreakers()
        let breaker = CircuitBreaker(dependency: "smtp", store: store, rule: Self.rule)
        for _ in 0..<5 { await #expect(throws: Refused.self) { try await breaker.run { throw Refused() } } }
        #expect(try await breaker.run { 7 } == 7)
        for _ in 0..<3 { await #expect(throws: Ill.self) { try await breaker.run { throw Ill() } } }
        let open = await #expect(throws: BreakerOpen.self) { try await breaker.run { 7 } }
        #expect(open?.effectCannotHaveHappened == true)
        guard case .snooze(let delay)? = open?.jobDisposition else {
            Issue.record("an attempt would be spent")
            return
        }
        #expect(delay > .zero && delay <= Self.moment * 2.5)
    }

    @Test("a store that is away keeps nobody from calling")
    func away() async throws {
        struct Away: BreakerStore {
            func admit(_ dependency: String, _ rule: BreakerRule) async throws -> BreakerVerdict { throw Unlucky() }
            func report(_ dependency: String, _ rule: BreakerRule, succeeded: Bool, isProbe: Bool) async throws -> BreakerState { throw Unlucky() }
            func list() async throws -> [BreakerStanding] { throw Unlucky() }
            func reset(_ dependency: String) async throws { throw Unlucky() }
        }
        #expect(try await CircuitBreaker(dependency: "smtp", store: Away()).run { 7 } == 7)
    }

    @Test("while a dependency is ill its jobs wait without spending attempts, one of them tries, and all are done when it is well")
    func jobs() async throws {
        let bench = try await RedisBench(server: try await SharedRedis.server())
        let store = RedisBreakers(connection: bench.process.connection, prefix: "test:\(bench.queue):")
        let breaker = CircuitBreaker(
            dependency: "llm", store: store,
            rule: BreakerRule(failures: 3, openFor: .seconds(3), openMax: .seconds(3)))
        let ill = Mutex(true)
        let (calls, done) = (Diary(), Diary())
        let worker = jobWorker(bench.driver, concurrency: 2)
        worker.register(Work.self, retry: .fixed(.zero, attemptsMax: 20)) { parameters, context in
            try await breaker.run {
                calls.write(parameters.name)
                if ill.withLock({ $0 }) { throw Ill() }
            }
            done.write("\(context.attempt)")
            return .done
        }
        try await bench.driver.put((0..<20).map { bench.driver.job("\($0)") })
        try await worker.start()
        try await eventually("it is open") { try await store.list().first?.state == .open }
        try await eventually("all wait") { try await bench.driver.counts().delayed == 20 }
        // Two run at a time: three failures, and at most one more that was under way; on a busy machine a try or two besides.
        let before = calls.count
        #expect(before <= 4 + 2)
        ill.withLock { $0 = false }
        try await eventually(within: .seconds(30), "all are done") { done.count == 20 }
        await worker.stopped()
        #expect(done.all.compactMap { Int($0) }.reduce(0) { $0 + $1 - 1 } == calls.count - 20, "only calls that were made are spent attempts")
        #expect(try await store.list().first?.state == .closed)
    }
}
