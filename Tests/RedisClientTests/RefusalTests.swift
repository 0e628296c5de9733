import Formats
import RedisClient
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// What Redis refuses, with the real server in the real state.
@Suite struct `refusals` {
    @Test func `a full Redis answers OOM, to scripts too, and had no effect`() async throws {
        try await Bench.with(config: ["maxmemory": "100kb", "maxmemory-policy": "noeviction"]) { bench in
            let redis = try await bench.connect()
            let push = RedisScript(name: "push", source: "return redis.call('LPUSH', KEYS[1], ARGV[1])")
            for error in [
                await failure({ () throws(RedisError) in try await redis.call("LPUSH", "list", "x") }),
                await failure({ () throws(RedisError) in try await redis.run(push, keys: ["list"], arguments: ["x"]) }),
            ] {
                #expect(error?.serverCode == "OOM" && error?.isTransient == true && error?.mayHaveBeenExecuted == false)
            }
            #expect(try await redis.call("LLEN", "list").int == 0)
        }
    }

    @Test func `a replica answers READONLY`() async throws {
        try await Bench.with(config: ["replicaof": "127.0.0.1 1"]) { bench in
            let redis = try await bench.connect()
            let error = await failure { () throws(RedisError) in try await redis.call("LPUSH", "list", "x") }
            #expect(error?.serverCode == "READONLY" && error?.isTransient == true && error?.mayHaveBeenExecuted == false)
        }
    }

    @Test func `a Redis that cannot save answers MISCONF`() async throws {
        try await Bench.with(config: ["save": "3600 1", "enable-protected-configs": "yes"]) { bench in
            let redis = try await bench.connect()
            let gone = bench.server.folder.file("gone")
            mkdir(gone, 0o700)
            _ = try await redis.call("CONFIG", "SET", "dir", gone)
            rmdir(gone)
            _ = try await redis.call("SET", "a", "b")
            _ = try await redis.call("BGSAVE")
            try await eventually("the save fails") {
                try await redis.call("INFO", "persistence").string?.contains("rdb_last_bgsave_status:err") == true
            }
            let error = await failure { () throws(RedisError) in try await redis.call("SET", "a", "c") }
            #expect(error?.serverCode == "MISCONF" && error?.isTransient == true && error?.mayHaveBeenExecuted == false)
            #expect(try await redis.call("GET", "a").string == "b")
        }
    }

    @Test func `a Redis held up by a script answers BUSY`() async throws {
        try await Bench.with(config: ["busy-reply-threshold": "20"]) { bench in
            let holder = try await bench.connect(timeout: .seconds(20))
            let redis = try await bench.connect()
            let endless = RedisScript(name: "endless", source: "while true do end")
            async let held = failure { () throws(RedisError) in try await holder.run(endless, keys: []) }
            try await eventually("BUSY") {
                await failure { () throws(RedisError) in try await redis.call("SET", "a", "b", timeout: .seconds(1)) }?.serverCode == "BUSY"
            }
            _ = try await redis.call("SCRIPT", "KILL")
            #expect(await held?.serverCode == "ERR")
        }
    }

    @Test func `a server with no room for a client is said so, and asked again`() async throws {
        try await Bench.with { bench in
            let fake = try FakeRedis([.close(after: "-ERR max number of clients reached\r\n")])
            let redis = bench.open(fake.address)
            try await eventually("three attempts") { fake.connections >= 3 }
            #expect(redis.lastError?.message.contains("max number of clients") == true)
            #expect(!redis.isConnected)
        }
    }

    @Test(arguments: ["HTTP/1.1 400 Bad Request\r\n\r\n", "+OK\r\n+one too many\r\n"])
    func `what is not Redis' protocol ends the connection, which is then made anew`(nonsense: String) async throws {
        try await Bench.with { bench in
            let fake = try FakeRedis([.bytes(FakeRedis.greeting), .bytes(nonsense)])
            let redis = try await bench.connect(fake.address)
            let ends = Seen<RedisError>()
            redis.onDisconnect { ends.add($0) }
            _ = await failure { () throws(RedisError) in try await redis.call("PING") }
            try await eventually("the end and the new beginning") { ends.count > 0 && redis.generation > 1 }
            #expect(ends.all.first?.kind == .protocolError)
        }
    }
}
