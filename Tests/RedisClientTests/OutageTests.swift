import EventLoop
import Formats
import RedisClient
import Synchronization
import Telemetry
import TestSupport
import Testing

/// How commands ended: done, perhaps done, certainly not done.
private final class Tally: Sendable {
    let done = Atomic<Int64>(0)
    let maybe = Atomic<Int64>(0)
    let not = Atomic<Int64>(0)

    func count(_ error: RedisError) {
        if error.mayHaveBeenExecuted { maybe.add(1, ordering: .relaxed) } else { not.add(1, ordering: .relaxed) }
    }
}

@Suite struct `outages` {
    static let debug = ["enable-debug-command": "yes"]

    @Test func `a time-out fails its command only, and the late reply is not taken for another's`() async throws {
        try await Bench.with(config: Self.debug) { bench in
            let redis = try await bench.connect()
            let slow = Seen<(error: RedisError?, isStalled: Bool)>()
            bench.loop.execute {
                redis.send(RedisCommand("DEBUG", "SLEEP", "1"), timeout: .milliseconds(100)) { result in
                    if case .failure(let error) = result { slow.add((error, redis.isStalled)) } else { slow.add((nil, redis.isStalled)) }
                }
            }
            async let echoes = redis.pipeline((0..<20).map { RedisCommand("ECHO", "n\($0)") })
            try await eventually("the time-out") { slow.count == 1 }
            let (error, wasStalled) = try #require(slow.all.first)
            #expect(error?.kind == .timeout && error?.mayHaveBeenExecuted == true && error?.isTransient == true)
            #expect(wasStalled)
            #expect(try await echoes.map { try $0.get().string } == (0..<20).map { "n\($0)" })
            #expect(await bench.loop.run { redis.isStalled } == false)
            #expect(redis.generation == 1)
        }
    }

    @Test func `a Redis that stands still is left after a while, and found again`() async throws {
        try await Bench.with { bench in
            let redis = try await bench.connect(timeout: .milliseconds(100), stuckLimit: .milliseconds(300))
            let ends = Seen<RedisError>()
            redis.onDisconnect { ends.add($0) }
            let run = redis.runID
            bench.server.pause()
            let patient = Seen<Bool>()
            bench.loop.execute {
                redis.send(RedisCommand("PING"), timeout: .seconds(60)) { result in patient.add(result == .success(.simple("PONG"))) }
            }
            #expect(await failure { () throws(RedisError) in try await redis.call("PING") }?.kind == .timeout)
            // The patient command is at the head and within its time: nothing is torn down for it.
            #expect(redis.generation == 1 && ends.count == 0)
            bench.server.resume()
            try await eventually("the patient command's reply") { patient.all == [true] }

            bench.server.pause()
            let failed = Seen<RedisError>()
            bench.loop.execute {
                for timeout in [Duration.milliseconds(100), .seconds(60)] {
                    redis.send(RedisCommand("PING"), timeout: timeout) { result in
                        if case .failure(let error) = result { failed.add(error) }
                    }
                }
            }
            try await eventually("both have failed") { failed.count == 2 }
            #expect(failed.all.allSatisfy { $0.kind == .timeout && $0.mayHaveBeenExecuted })
            #expect(ends.all.map(\.kind) == [.timeout])
            #expect(!redis.isConnected)
            #expect(await failure { () throws(RedisError) in try await redis.call("PING") }?.mayHaveBeenExecuted == false)
            bench.server.resume()
            let again = try await redis.connected(within: .seconds(10))
            #expect(again.generation == 2 && again.runID == run && !again.isOtherRun)
            #expect(try await redis.call("PING") == .simple("PONG"))
        }
    }

    @Test func `a restarted server is found again and known as another run`() async throws {
        try await Bench.with { bench in
            let redis = bench.open()
            let seen = Seen<RedisConnection.Connected>()
            redis.onConnect { seen.add($0) }
            try await redis.connected(within: .seconds(10))
            let first = try #require(redis.runID)
            try await bench.server.stop()
            try await eventually("the loss is seen") { !redis.isConnected }
            let error = await failure { () throws(RedisError) in try await redis.call("PING") }
            #expect(error?.kind == .connection && error?.mayHaveBeenExecuted == false)
            try await bench.server.restart()
            try await redis.connected(within: .seconds(10))
            #expect(seen.all.map(\.generation) == [1, 2])
            #expect(seen.all.map(\.isOtherRun) == [false, true])
            #expect(redis.runID != first && redis.lastError == nil)
            let metrics = MetricRegistry.shared.prometheusText()
            for name in ["redis_commands_total", "redis_reconnects_total", "redis_errors_total{kind=\"connection\"}"] {
                let line = metrics.split(separator: "\n").first { $0.hasPrefix(name) }
                #expect(line?.hasSuffix(" 0") == false, "\(name)")
            }
            // An observer that comes late is told of the present connection.
            let late = Seen<Int>()
            redis.onConnect { late.add($0.generation) }
            try await eventually("the late observer") { late.all == [2] }
        }
    }

    @Test func `every command through a killed server ends once, and says truly whether it may have counted`() async throws {
        try await Bench.with(config: ["appendonly": "yes", "appendfsync": "always"]) { bench in
            let redis = try await bench.connect()
            let tally = Tally()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<50 {
                    group.addTask {
                        for _ in 0..<100 {
                            do throws(RedisError) {
                                _ = try await redis.call("INCR", "count")
                                tally.done.add(1, ordering: .relaxed)
                            } catch {
                                tally.count(error)
                                _ = try? await redis.connected(within: .seconds(10))
                            }
                        }
                    }
                }
                group.addTask {
                    try await eventually("work is under way") { tally.done.load(ordering: .relaxed) > 500 }
                    try await bench.server.kill9()
                    try await bench.server.restart()
                }
                try await group.waitForAll()
            }
            let counted = try #require(try await redis.call("GET", "count").int)
            let certain = tally.done.load(ordering: .relaxed)
            let maybe = tally.maybe.load(ordering: .relaxed)
            #expect(certain + maybe + tally.not.load(ordering: .relaxed) == 5000)
            #expect(counted >= certain && counted <= certain + maybe)
            #expect(redis.generation == 2)
        }
    }

    @Test func `more than the socket takes waits, and arrives whole`() async throws {
        try await Bench.with { bench in
            let redis = try await bench.connect(timeout: .seconds(20))
            let piece = (0..<(4 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            bench.server.pause()
            let sets = (0..<6).flatMap { [RedisCommand("SET", "k\($0)", piece), RedisCommand("ECHO", "e\($0)")] }
            let beyond = (0..<16).map { RedisCommand("SET", "beyond\($0)", piece) }
            async let waiting = redis.pipeline(sets + beyond)
            bench.server.resume()
            let results = await waiting
            #expect(try results.prefix(12).map { try $0.get().string } == (0..<6).flatMap { ["OK", "e\($0)"] })
            for index in 0..<6 { #expect(try await redis.call("GET", "k\(index)") == .bulk(piece)) }
            let refused = results.dropFirst(12).compactMap { result in
                if case .failure(let error) = result { error } else { nil }
            }
            #expect(!refused.isEmpty && refused.allSatisfy { $0.kind == .overloaded && !$0.mayHaveBeenExecuted })
        }
    }

    @Test func `closing fails what is under way, and whatever comes later`() async throws {
        try await Bench.with(config: Self.debug) { bench in
            let redis = try await bench.connect()
            let seen = Seen<RedisError.Kind>()
            bench.loop.execute {
                redis.send(RedisCommand("DEBUG", "SLEEP", "0.3")) { _ in }
                for _ in 0..<10 {
                    redis.send(RedisCommand("PING")) { result in
                        if case .failure(let error) = result { seen.add(error.kind) }
                    }
                }
            }
            redis.close()
            try await eventually("all have failed") { seen.count == 10 }
            #expect(seen.all.allSatisfy { $0 == .closed })
            let later = await failure { () throws(RedisError) in try await redis.call("PING") }
            #expect(later?.kind == .closed && later?.isTransient == false && later?.mayHaveBeenExecuted == false)
            await #expect(throws: RedisError.self) { try await redis.connected(within: .seconds(5)) }
            redis.close()
        }
    }

    @Test func `a connection that is closed is let go`() async throws {
        try await Bench.with { bench in
            weak var gone: RedisConnection?
            do {
                let redis = RedisConnection(loop: bench.loop, address: bench.server.address, name: "short")
                redis.start()
                try await redis.connected(within: .seconds(10))
                gone = redis
                redis.close()
            }
            try await eventually("nothing holds it") { gone == nil }
        }
    }

    @Test func `with waiting asked for, a command waits for the connection within its time`() async throws {
        try await Bench.with { bench in
            let redis = bench.open(timeout: .milliseconds(500), waits: true)
            // Not connected yet: it waits.
            #expect(try await redis.call("SET", "a", "1") == .simple("OK"))
            try await bench.server.stop()
            try await eventually("the loss is seen") { !redis.isConnected }
            let patient = Seen<String>()
            bench.loop.execute {
                for text in ["first", "second"] {
                    redis.send(RedisCommand("ECHO", text), timeout: .seconds(10)) { result in
                        if case .success(let value) = result { patient.add(value.string ?? "") }
                    }
                }
            }
            // Its time is over long before that of those which waited first.
            let error = await failure { () throws(RedisError) in try await redis.call("PING", timeout: .milliseconds(50)) }
            #expect(error?.kind == .timeout && error?.mayHaveBeenExecuted == false)
            try await bench.server.restart()
            try await eventually("those that waited are answered") { patient.all == ["first", "second"] }
        }
    }
}
