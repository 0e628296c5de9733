import EventLoop
import RedisClient
import TestSupport
import Testing

@Suite struct `scripts` {
    static let double = RedisScript(name: "double", source: "redis.call('INCR', KEYS[1]); return {ARGV[1] * 2, ARGV[2], #KEYS}")

    @Test func `a script runs by SHA, is loaded when Redis lacks it, and again after a flush`() async throws {
        try await Bench.with { bench in
            let redis = try await bench.connect()
            #expect(try await redis.call("SCRIPT", "LOAD", Self.double.source).string == Self.double.sha1)
            for flush in [false, true, true] {
                if flush { _ = try await redis.call("SCRIPT", "FLUSH") }
                let reply = try await redis.run(Self.double, keys: ["{q}:a", "{q}:b"], arguments: [21, [0, 255, 13, 10] as [UInt8]])
                #expect(reply == .array([.integer(42), .bulk([0, 255, 13, 10]), .integer(2)]))
            }
            #expect(try await redis.call("GET", "{q}:a").int == 3)
            #expect(try await redis.call("SCRIPT", "EXISTS", Self.double.sha1) == .array([.integer(1)]))
        }
    }

    @Test func `many calls in flight across a flush each run once`() async throws {
        try await Bench.with { bench in
            let redis = try await bench.connect()
            let seen = Seen<Bool>()
            bench.loop.execute {
                for number in 0..<300 {
                    if number % 100 == 50 { redis.send(RedisCommand("SCRIPT", "FLUSH")) { _ in } }
                    redis.run(RedisScriptCall(Self.double, keys: ["count"], arguments: [number, ""])) { result in
                        if case .success(.array(let values)) = result { seen.add(values[0] == .integer(Int64(number * 2))) }
                    }
                }
            }
            try await eventually("all replies") { seen.count == 300 }
            #expect(!seen.all.contains(false))
            #expect(try await redis.call("GET", "count").int == 300)
        }
    }

    @Test func `a script's own error is a server error`() async throws {
        try await Bench.with { bench in
            let redis = try await bench.connect()
            let fenced = RedisScript(name: "fenced", source: "return redis.error_reply('FENCED the lease is gone')")
            let error = await failure { () throws(RedisError) in try await redis.run(fenced, keys: []) }
            #expect(error?.serverCode == "FENCED")
            let broken = RedisScript(name: "broken", source: "return redis.call('LPUSH')")
            #expect(await failure { () throws(RedisError) in try await redis.run(broken, keys: []) }?.mayHaveBeenExecuted == true)
        }
    }
}
