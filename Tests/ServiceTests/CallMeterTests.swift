import EventLoop
import Formats
import JobQueueRedis
import RedisClient
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import WebService

@Suite("Calls are counted by the minute")
struct CallMeterTests {
    private static let start: Int64 = 29_000_000 * CallWindow.lengthMs

    private static func meter(_ calls: Int, store: (any SharedCounts)? = nil, callersMax: Int = CallMeter.callersMax) -> CallMeter {
        CallMeter(limits: CallLimits(calls: calls, statusCalls: calls * 6), store: store, callersMax: callersMax)
    }

    @Test("so many are taken and no more, and the answer says how many are left and when")
    func countsDown() throws {
        let meter = Self.meter(3)
        var standing = try #require(meter.take(.call, by: "a", nowMs: Self.start + 10_000))
        #expect(standing == .init(isAllowed: true, limit: 3, room: 2, resetMs: 50_000, waitMs: 0))
        _ = meter.take(.call, by: "a", nowMs: Self.start + 10_000)
        standing = try #require(meter.take(.call, by: "a", nowMs: Self.start + 10_001))
        #expect(standing.isAllowed && standing.room == 0)
        standing = try #require(meter.take(.call, by: "a", nowMs: Self.start + 20_000))
        #expect(!standing.isAllowed)
        #expect(standing.waitMs == 40_001)
        // Each caller and each kind has a count of its own, and what is free is not counted.
        #expect(meter.take(.call, by: "b", nowMs: Self.start + 20_000)?.isAllowed == true)
        #expect(meter.take(.status, by: "a", nowMs: Self.start + 20_000)?.room == 17)
        #expect(meter.take(.free, by: "a", nowMs: Self.start) == nil)
        #expect(CallMeter(limits: .none, store: nil).take(.call, by: "a", nowMs: Self.start) == nil)
    }

    @Test("whoever waits as long as told is let in, and not much before, wherever in the minute; twice the limit never passes at once")
    func waits() throws {
        var random = SplitMix(seed: 7)
        for _ in 0..<500 {
            let limit = Int.random(in: 1...120, using: &random)
            var window = CallWindow(nowMs: Self.start)
            var now = Self.start + Int64.random(in: 0..<60_000, using: &random)
            var taken: [Int64] = []
            for _ in 0..<300 {
                if window.take(limit: limit, nowMs: now) {
                    taken.append(now)
                    if Int.random(in: 0..<4, using: &random) == 0 { now += Int64.random(in: 0..<3000, using: &random) }
                } else {
                    let wait = window.waitMs(limit: limit, nowMs: now)
                    #expect(wait > 0)
                    var early = window
                    let isEarly = early.take(limit: limit, nowMs: now + max(0, wait - 2))
                    #expect(!isEarly, "limit \(limit), wait \(wait)")
                    now += wait
                }
            }
            for (index, at) in taken.enumerated() {
                let second = taken[index...].prefix { $0 < at + 1000 }.count
                #expect(second <= limit + limit / 60 + 2)
            }
        }
    }

    @Test("refused calls are not counted, so whoever goes on asking gets in again")
    func refusedIsNotCounted() {
        let meter = Self.meter(5)
        for _ in 0..<100 { _ = meter.take(.call, by: "a", nowMs: Self.start) }
        #expect(meter.take(.call, by: "a", nowMs: Self.start + CallWindow.lengthMs + 59_999)?.isAllowed == true)
    }

    @Test("a clock that is put back counts on, and two idle minutes forget")
    func clocks() {
        let meter = Self.meter(2)
        #expect(meter.take(.call, by: "a", nowMs: Self.start)?.isAllowed == true)
        #expect(meter.take(.call, by: "a", nowMs: Self.start - 3_600_000)?.isAllowed == true)
        #expect(meter.take(.call, by: "a", nowMs: Self.start - 3_600_000)?.isAllowed == false)
        #expect(meter.take(.call, by: "a", nowMs: Self.start + 2 * CallWindow.lengthMs)?.room == 1)
    }

    @Test("memory is bounded: callers who come when it is full share one count, and idle ones make room")
    func bounded() {
        let meter = Self.meter(10, callersMax: 100)
        for caller in 0..<10_000 { _ = meter.take(.call, by: "c\(caller)", nowMs: Self.start) }
        #expect(meter.count == 101)
        #expect(meter.take(.call, by: "c5", nowMs: Self.start)?.isAllowed == true)
        #expect(meter.take(.call, by: "c9999", nowMs: Self.start)?.isAllowed == false)
        #expect(meter.take(.call, by: "c9999", nowMs: Self.start + 2 * CallWindow.lengthMs)?.isAllowed == true)
        #expect(meter.count == 1)
    }

    @Test("processes count together through Redis; while it is away each counts for itself, and afterwards together again")
    func shared() async throws {
        let redis = try await RedisServer.start()
        let loop = try EventLoop.started(name: "meter")
        let queues = RedisQueues(loop: loop, address: redis.address, prefix: "t:", name: "meter")
        _ = try await queues.connection.connected(within: .seconds(20))
        let store = RedisCounts(connection: queues.connection, prefix: queues.prefix)
        let (one, two) = (Self.meter(100, store: store), Self.meter(100, store: store))
        let now = Self.start + 5000

        for _ in 0..<60 { #expect(one.take(.call, by: "a", nowMs: now)?.isAllowed == true) }
        #expect(two.take(.call, by: "a", nowMs: now)?.isAllowed == true)
        try await eventually("both have told") {
            let keys = try await queues.connection.call("KEYS", "t:{calls}:call:*").array ?? []
            guard keys.count == 1 else { return false }
            return try await queues.connection.call("GET", keys[0].string ?? "").int == 61
        }
        #expect(two.take(.call, by: "a", nowMs: now)?.isAllowed == true)
        try await eventually("the second knows of the first's") { two.room(.call, of: "a", nowMs: now) == 38 }
        var taken = 0
        while two.take(.call, by: "a", nowMs: now)?.isAllowed == true { taken += 1 }
        #expect(taken == 38)
        let key = try await queues.connection.call("KEYS", "*").array?.first?.string
        let life = try await queues.connection.call("TTL", try #require(key)).int ?? 0
        #expect((1...Int64(RedisCounts.keptSeconds)).contains(life))
        try await eventually("the first knows that nothing is left") { one.take(.call, by: "a", nowMs: now)?.isAllowed == false }

        try await redis.kill9()
        for _ in 0..<100 { #expect(one.take(.call, by: "b", nowMs: now)?.isAllowed == true) }
        #expect(one.take(.call, by: "b", nowMs: now)?.isAllowed == false)
        #expect(two.take(.call, by: "b", nowMs: now)?.isAllowed == true)
        try await redis.restart()
        try await eventually("what was counted meanwhile is told") { two.take(.call, by: "b", nowMs: now)?.isAllowed == false }
        one.close()
        two.close()
        queues.close()
        // Joining a thread blocks: not on Swift's own.
        let ending = BlockingPool(name: "end", threads: 1)
        try await ending.run { loop.stop() }
        ending.close()
    }

    @Test("a call costs next to nothing")
    func cost() {
        let meter = Self.meter(1_000_000)
        let begin = ContinuousClock.now
        for call in 0..<100_000 { _ = meter.take(.status, by: call % 2 == 0 ? "qk-one" : "qk-two", nowMs: Self.start + Int64(call / 10)) }
        let took = begin.duration(to: .now)
        // 20 µs each in a debug build; a release build takes a tenth of what this does.
        #expect(took < .seconds(2).stretched, "\(took)")
    }
}

/// The same numbers each time.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
