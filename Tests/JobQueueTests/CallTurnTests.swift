import Formats
import JobQueue
import JobQueueRedis
import RedisClient
import Synchronization
import TestSupport
import Testing

@Suite("Turns of calls")
struct CallTurnTests {
    private func store(_ backend: Backend) async throws -> (store: any CallTurnStore, bench: any QueueBench) {
        let bench = try await backend.bench()
        switch bench {
        case let memory as MemoryBench: return (InMemoryCallTurns(clock: memory.clock.clock), memory)
        case let redis as RedisBench: return (RedisCallTurns(connection: redis.process.connection, prefix: "test:\(redis.queue):"), redis)
        default: throw QueueDriverError(.invalid, "no such bench")
        }
    }

    @Test("so many go at once, the next ones keep the pace, and who would wait too long is told when to come back", arguments: Backend.allCases)
    func pace(_ backend: Backend) async throws {
        let (store, bench) = try await store(backend)
        let rate = CallRate(perSecond: 0.05, burst: 3)
        var waits: [Duration] = []
        for _ in 0..<5 {
            guard case .after(let wait) = try await store.take("wave", rate, within: .seconds(60)) else {
                Issue.record("refused")
                return
            }
            waits.append(wait)
        }
        #expect(waits.prefix(3).allSatisfy { $0 == .zero })
        // The two behind the first three come 20 s apart; a real clock goes on meanwhile.
        #expect(waits[3] > .seconds(5) && waits[3] <= .seconds(20), "\(waits)")
        #expect(waits[4] > .seconds(25) && waits[4] <= .seconds(40), "\(waits)")
        guard case .refused(let later) = try await store.take("wave", rate, within: .milliseconds(200)) else {
            Issue.record("a place was kept behind all others")
            return
        }
        #expect(later > .seconds(40) && later <= .seconds(60))
        // Others keep a pace of their own.
        #expect(try await store.take("kkiapay", rate, within: .zero) == .after(.zero))
        // The bench holds the connection.
        try await bench.pass(.zero)
    }

    @Test("a call that was refused keeps no place", arguments: Backend.allCases)
    func noPlace(_ backend: Backend) async throws {
        let (store, bench) = try await store(backend)
        let rate = CallRate(perSecond: 10, burst: 1)
        #expect(try await store.take("a", rate, within: .zero) == .after(.zero))
        for _ in 0..<20 { _ = try await store.take("a", rate, within: .zero) }
        try await bench.pass(.milliseconds(150))
        #expect(try await store.take("a", rate, within: .zero) == .after(.zero))
    }

    @Test("a shared word that calls pass is good for a moment, and ends with the first failure")
    func passes() async throws {
        final class Counting: BreakerStore {
            let inner = InMemoryBreakers()
            let admits = Mutex(0)
            func admit(_ dependency: String, _ rule: BreakerRule) async throws -> BreakerVerdict {
                admits.withLock { $0 += 1 }
                return try await inner.admit(dependency, rule)
            }
            func report(_ dependency: String, _ rule: BreakerRule, succeeded: Bool, isProbe: Bool) async throws -> BreakerState {
                try await inner.report(dependency, rule, succeeded: succeeded, isProbe: isProbe)
            }
            func list() async throws -> [BreakerStanding] { try await inner.list() }
            func reset(_ dependency: String) async throws { try await inner.reset(dependency) }
        }
        let store = Counting()
        let breakers = SharedBreakers(store, isReachable: { true })
        let rule = BreakerRule(failures: 2)
        let begun = ContinuousClock.now
        for _ in 0..<100 { #expect(try await breakers.admit("a", rule) == .pass) }
        let most = 1 + Int((ContinuousClock.now - begun) / SharedBreakers.passes)
        #expect((1...most).contains(store.admits.withLock { $0 }))
        for _ in 0..<2 { try await breakers.report("a", rule, succeeded: false, isProbe: false) }
        guard case .refused = try await breakers.admit("a", rule) else {
            Issue.record("it passes although it is open")
            return
        }
    }

    @Test("while the shared store is away each program keeps a pace and a breaker of its own, without waiting for it")
    func away() async throws {
        struct Away: CallTurnStore, BreakerStore {
            func take(_ dependency: String, _ rate: CallRate, within patience: Duration) async throws -> CallTurn { throw Unlucky() }
            func admit(_ dependency: String, _ rule: BreakerRule) async throws -> BreakerVerdict { throw Unlucky() }
            func report(_ dependency: String, _ rule: BreakerRule, succeeded: Bool, isProbe: Bool) async throws -> BreakerState { throw Unlucky() }
            func list() async throws -> [BreakerStanding] { throw Unlucky() }
            func reset(_ dependency: String) async throws { throw Unlucky() }
        }
        for isReachable in [true, false] {
            let turns = SharedCallTurns(Away(), isReachable: { isReachable })
            let rate = CallRate(perSecond: 0.001, burst: 1)
            #expect(try await turns.take("a", rate, within: .zero) == .after(.zero))
            guard case .refused = try await turns.take("a", rate, within: .zero) else {
                Issue.record("no pace is kept")
                return
            }
            let breakers = SharedBreakers(Away(), isReachable: { isReachable })
            let rule = BreakerRule(failures: 2)
            for _ in 0..<2 { try await breakers.report("a", rule, succeeded: false, isProbe: false) }
            guard case .refused = try await breakers.admit("a", rule) else {
                Issue.record("no breaker opens")
                return
            }
        }
    }
}
