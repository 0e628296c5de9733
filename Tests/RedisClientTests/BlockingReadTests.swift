import Formats
import RedisClient
import TestSupport
import Testing

@Suite struct `blocking reads` {
    @Test func `a blocking read waits on its own connection and is woken by a push`() async throws {
        try await Bench.with { bench in
            let reader = try await bench.connect(purpose: .blocking)
            let redis = try await bench.connect()
            async let taken = reader.callBlocking(RedisCommand("BLMOVE", "ready", "mine", "RIGHT", "LEFT", "5"), for: .seconds(5))
            try await eventually("the read waits") { try await redis.call("INFO", "clients").string?.contains("blocked_clients:1") == true }
            _ = try await redis.call("LPUSH", "ready", "job")
            #expect(try await taken.string == "job")
            #expect(try await redis.call("LRANGE", "mine", 0, -1).array == [.bulk(Array("job".utf8))])
            #expect(try await reader.callBlocking(RedisCommand("BLPOP", "ready", "0.05"), for: .milliseconds(50)) == .null)
        }
    }

    @Test func `a cancelled read ends at once, and the connection can be read from again`() async throws {
        try await Bench.with { bench in
            let reader = try await bench.connect(purpose: .blocking, waits: true)
            let redis = try await bench.connect()
            for round in 1...3 {
                let read = Task { await failure { () throws(RedisError) in try await Self.pop(reader) } }
                try await eventually("the read waits") { try await redis.call("INFO", "clients").string?.contains("blocked_clients:1") == true }
                read.cancel()
                let error = await read.value
                #expect(error?.kind == .cancelled && error?.isTransient == false, "round \(round)")
                try await eventually("nobody waits") { try await redis.call("INFO", "clients").string?.contains("blocked_clients:0") == true }
            }
            let cancelledBefore = Task { () -> RedisError? in
                withUnsafeCurrentTask { $0?.cancel() }
                return await failure { () throws(RedisError) in try await Self.pop(reader) }
            }
            #expect(await cancelledBefore.value?.kind == .cancelled)
            _ = try await redis.call("RPUSH", "list", "after")
            #expect(try await Self.pop(reader).array?.last?.string == "after")
        }
    }

    @Test func `a read of a Redis that stands still ends with its time, and the connection is made anew`() async throws {
        try await Bench.with { bench in
            let reader = try await bench.connect(timeout: .milliseconds(150), purpose: .blocking)
            bench.server.pause()
            let begun = ContinuousClock.now
            let error = await failure { () throws(RedisError) in
                try await reader.callBlocking(RedisCommand("BLPOP", "list", "0.1"), for: .milliseconds(100))
            }
            #expect(error?.kind == .timeout && error?.mayHaveBeenExecuted == true)
            #expect(ContinuousClock.now - begun >= .milliseconds(250))
            #expect(!reader.isConnected)
            bench.server.resume()
            #expect(try await reader.connected(within: .seconds(10)).generation == 2)
        }
    }

    private static func pop(_ reader: RedisConnection) async throws(RedisError) -> RedisValue {
        try await reader.callBlocking(RedisCommand("BLPOP", "list", "30"), for: .seconds(30))
    }
}
