import EventLoop
import Formats
import RedisClient
import TestSupport
import Testing

@Suite struct `commands` {
    @Test func `replies come in the order of the commands, from the loop and from tasks`() async throws {
        try await Bench.with { bench in
            let redis = try await bench.connect()
            let seen = Seen<Int64>()
            bench.loop.execute {
                for number in 0..<1000 {
                    redis.send(RedisCommand("ECHO", number)) { result in
                        if case .success(let value) = result, let echoed = value.int { seen.add(echoed) }
                    }
                }
            }
            try await eventually("all replies") { seen.count == 1000 }
            #expect(seen.all == Array(0..<1000))
            let results = await redis.pipeline((0..<500).map { RedisCommand("ECHO", "n\($0)") })
            #expect(try results.map { try $0.get().string } == (0..<500).map { "n\($0)" })
        }
    }

    @Test func `any bytes and large values come back as they went`() async throws {
        try await Bench.with { bench in
            let redis = try await bench.connect()
            let odd: [UInt8] = Array(0...255) + Array("\r\n$5\r\n*2\r\n".utf8)
            #expect(try await redis.call("SET", odd, odd) == .simple("OK"))
            #expect(try await redis.call("GET", odd) == .bulk(odd))
            #expect(try await redis.call("SET", "", "") == .simple("OK"))
            #expect(try await redis.call("GET", "") == .bulk([]))
            #expect(try await redis.call("GET", "missing") == .null)
            let large = (0..<(1 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            #expect(try await redis.call("SET", "large", large) == .simple("OK"))
            async let first = redis.call("GET", "large")
            async let second = redis.call("GET", "large")
            #expect(try await first == .bulk(large))
            #expect(try await second == .bulk(large))
            _ = await redis.pipeline((0..<3000).map { RedisCommand("RPUSH", "list", "item \($0)") })
            #expect(try await redis.call("LRANGE", "list", 0, -1).array?.compactMap(\.string) == (0..<3000).map { "item \($0)" })
        }
    }

    @Test func `ten thousand commands of many tasks each get their own reply`() async throws {
        try await Bench.with { bench in
            let redis = try await bench.connect()
            let right = try await withThrowingTaskGroup(of: Int.self) { group in
                for task in 0..<100 {
                    group.addTask {
                        var right = 0
                        for step in 0..<100 where try await redis.call("ECHO", "\(task)-\(step)").string == "\(task)-\(step)" { right += 1 }
                        return right
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(right == 10_000)
        }
    }

    @Test func `an error reply fails its command only, and an error in an array is a value`() async throws {
        try await Bench.with { bench in
            let redis = try await bench.connect()
            let results = await redis.pipeline([
                RedisCommand("SET", "text", "x"), RedisCommand("LPUSH", "text", "y"), RedisCommand("GET", "text"), RedisCommand("NOSUCHCOMMAND"),
                RedisCommand("MULTI"), RedisCommand("LPUSH", "text", "y"), RedisCommand("GET", "text"), RedisCommand("EXEC"),
            ])
            #expect(try results[0].get() == .simple("OK"))
            #expect(throws: RedisError.server("WRONGTYPE Operation against a key holding the wrong kind of value")) { try results[1].get() }
            #expect(try results[2].get().string == "x")
            #expect(throws: RedisError.self) { try results[3].get() }
            let executed = try #require(try results[7].get().array)
            #expect(executed[0].errorText?.hasPrefix("WRONGTYPE") == true)
            #expect(executed[1].string == "x")
            #expect(redis.isConnected)
        }
    }

    @Test func `user, password, database and name are given at the greeting, by TCP and by unix socket`() async throws {
        try await Bench.with(password: "s3cret word") { bench in
            let admin = try await bench.connect()
            _ = try await admin.call("ACL", "SETUSER", "ingest", "on", ">pass:word", "~*", "+@all")
            var address = bench.server.unixAddress
            address.username = "ingest"
            address.password = "pass:word"
            address.database = 3
            let redis = try await bench.connect(address)
            #expect(try await redis.call("ACL", "WHOAMI").string == "ingest")
            #expect(try await redis.call("CLIENT", "GETNAME").string == "test-connection")
            _ = try await redis.call("SET", "here", "3")
            #expect(try await admin.call("GET", "here") == .null)
            _ = try await admin.call("SELECT", 3)
            #expect(try await admin.call("GET", "here").string == "3")
            let information = try #require(try await redis.call("INFO", "server").string)
            #expect(information.contains("run_id:\(try #require(redis.runID))"))
        }
    }

    @Test func `a user without the right to INFO and CLIENT can connect all the same`() async throws {
        try await Bench.with { bench in
            let admin = try await bench.connect()
            _ = try await admin.call("ACL", "SETUSER", "narrow", "on", ">narrow", "~*", "+get", "+set")
            var address = bench.server.address
            address.username = "narrow"
            address.password = "narrow"
            let redis = try await bench.connect(address)
            #expect(redis.runID == nil)
            #expect(try await redis.call("SET", "a", "b") == .simple("OK"))
            #expect(await failure { () throws(RedisError) in try await redis.call("DEL", "a") }?.serverCode == "NOPERM")
        }
    }

    @Test(arguments: [nil, "wrong"]) func `a missing or wrong password is named, not shown`(password: String?) async throws {
        try await Bench.with(password: "right") { bench in
            var address = bench.server.address
            address.password = password
            let redis = bench.open(address)
            let error = await #expect(throws: RedisError.self) { try await redis.connected(within: .milliseconds(300)) }
            let text = error?.description ?? ""
            #expect(text.contains(password == nil ? "NOAUTH" : "WRONGPASS") && text.contains("a retry helps only once"))
            #expect(error?.isAccessRefusal == true && error?.isTransient == false)
            #expect(!text.contains("wrong"))
        }
    }

    @Test func `a host's name is looked up, and the address that answers is used`() async throws {
        try await Bench.with { bench in
            let redis = try await bench.connect(RedisAddress(place: .tcp(SocketAddress("localhost", bench.server.port))))
            #expect(try await redis.call("PING") == .simple("PONG"))
            let lost = bench.open(RedisAddress(place: .tcp(SocketAddress("no-such-host.invalid", 1))), timeout: .milliseconds(200))
            let error = await failure { () throws(RedisError) in try await lost.call("PING") }
            #expect(error?.kind == .connection && error?.mayHaveBeenExecuted == false && error?.isTransient == true)
        }
    }

    @Test func `a path that is too long is refused in words`() async throws {
        try await Bench.with { bench in
            let long = bench.open(RedisAddress(place: .unix(path: "/tmp/" + String(repeating: "x", count: 200))))
            try await eventually("the reason") { long.lastError?.message.contains("longer than the system allows") == true }
        }
    }

    @Test func `commands of one turn go out in one write`() async throws {
        try await Bench.with { bench in
            let fake = try FakeRedis([.bytes(FakeRedis.greeting), .bytes(String(repeating: "+OK\r\n", count: 200))])
            let redis = try await bench.connect(fake.address)
            let seen = Seen<Bool>()
            bench.loop.execute {
                for _ in 0..<200 { redis.send(RedisCommand("LPUSH", "list", "x")) { _ in seen.add(true) } }
            }
            try await eventually("all replies") { seen.count == 200 }
            #expect(fake.received.count == 2)
        }
    }
}
