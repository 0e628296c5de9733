import Formats
import JobQueue
import JobQueueRedis
import RedisClient
import Synchronization
import TestSupport
import Testing

/// Redis restarted, standing still, cutting connections: nothing is lost, and nothing that was not lost is reclaimed.
@Suite("Queue through outages")
struct RedisOutageTests {
    private typealias Tally = RedisQueueTests.Tally

    private func start(_ config: [String: String] = ["appendonly": "yes", "appendfsync": "always"]) async throws -> RedisBench {
        try await RedisBench(server: try await RedisServer.start(config: config))
    }

    private func worker(_ driver: any QueueDriver, concurrency: Int = 16, tally: RedisQueueTests.Tally, redelivered: Diary) -> JobWorker {
        let worker = jobWorker(driver, concurrency: concurrency)
        worker.register(Work.self, retry: .fixed(.zero, attemptsMax: 3)) { parameters, context in
            if context.redeliveries > 0 { redelivered.write(parameters.name) }
            try await Task.sleep(for: .milliseconds(2))
            tally.add(parameters.name)
            return .done
        }
        return worker
    }

    /// Puts until it is taken: what may have been taken already is put again, so a name may stand there twice.
    private func put(_ names: Range<Int>, _ bench: RedisBench) async throws {
        for name in names {
            try await eventually(within: .seconds(20), "it is taken") {
                try await bench.driver.put([bench.driver.job("\(name)")])
                return true
            }
        }
    }

    @Test("Redis killed and restarted twice under load: nothing is lost, nobody is taken for dead", arguments: [true, false])
    func restart(_ gracefully: Bool) async throws {
        let bench = try await start()
        let tally = Tally()
        let redelivered = Diary()
        let workers = [
            worker(bench.driver, tally: tally, redelivered: redelivered), worker(try await bench.peer(), tally: tally, redelivered: redelivered),
        ]
        for worker in workers { try await worker.start() }
        async let producing: Void = put(0..<1500, bench)
        for round in 1...2 {
            try await eventually(within: .seconds(20), "work before round \(round)") { tally.names > round * 200 }
            if gracefully { try await bench.server.stop() } else { try await bench.server.kill9() }
            try await bench.server.restart()
        }
        try await producing
        try await eventually(within: .seconds(30), "all done") { tally.names == 1500 }
        try await eventually(within: .seconds(10), "nothing is left") { try await bench.driver.counts() == QueueCounts(workers: 2) }
        for worker in workers { await worker.stopped() }
        #expect(redelivered.all == [])
        #expect(try await bench.driver.counts() == QueueCounts())
    }

    @Test("a server that is away longer than a lease costs nobody his work")
    func longAway() async throws {
        let bench = try await start()
        let gate = Gate()
        let runs = Diary()
        let holding = jobWorker(bench.driver)
        holding.register(Work.self, retry: once) { parameters, context in
            runs.write("\(parameters.name) \(context.redeliveries)")
            try await gate.pass()
            return .done
        }
        let idle = jobWorker(try await bench.peer())
        idle.register(Work.self, retry: once) { parameters, _ in
            runs.write("\(parameters.name) stolen")
            return .done
        }
        try await bench.driver.put((0..<4).map { bench.driver.job("\($0)") })
        try await holding.start()
        try await eventually("all in hand") { runs.count == 4 }
        try await idle.start()
        try await eventually("the peer is there") { try await bench.driver.counts().workers == 2 }
        try await bench.server.stop()
        try await bench.pass(.seconds(4))
        try await bench.server.restart()
        try await bench.pass(.seconds(4))
        gate.unlock()
        try await eventually(within: .seconds(5), "acknowledged") { try await bench.driver.counts() == QueueCounts(workers: 2) }
        await holding.stopped()
        await idle.stopped()
        #expect(runs.all.sorted() == ["0 0", "1 0", "2 0", "3 0"])
    }

    @Test("a server that stood still longer than a lease costs nobody his work")
    func standstill() async throws {
        let bench = try await start(["appendonly": "no"])
        let runs = Diary()
        let gate = Gate()
        let workers = [jobWorker(bench.driver, concurrency: 1), jobWorker(try await bench.peer(), concurrency: 1)]
        for worker in workers {
            worker.register(Work.self, retry: once) { parameters, context in
                runs.write("\(parameters.name) \(context.redeliveries)")
                try await gate.pass()
                return .done
            }
        }
        try await bench.driver.put((0..<2).map { bench.driver.job("\($0)") })
        for worker in workers { try await worker.start() }
        try await eventually("both in hand") { runs.count == 2 }
        bench.server.pause()
        try await bench.pass(.seconds(4))
        bench.server.resume()
        try await bench.pass(.seconds(4))
        gate.unlock()
        try await eventually(within: .seconds(5), "acknowledged") { try await bench.driver.counts() == QueueCounts(workers: 2) }
        for worker in workers { await worker.stopped() }
        #expect(runs.all.sorted() == ["0 0", "1 0"])
    }

    @Test("cut connections under load: nothing is lost, and nobody is taken for dead")
    func cutConnections() async throws {
        let bench = try await start(["appendonly": "no"])
        let tally = Tally()
        let redelivered = Diary()
        let worker = worker(bench.driver, tally: tally, redelivered: redelivered)
        try await worker.start()
        let operatorConsole = try await bench.peerProcess()
        try await bench.driver.put((0..<3000).map { bench.driver.job("\($0)") })
        for round in 1...8 {
            try await eventually(within: .seconds(10), "work before cut \(round)") { tally.names > round * 200 }
            _ = try await operatorConsole.connection.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        }
        try await eventually(within: .seconds(30), "all done") { tally.names == 3000 }
        try await eventually(within: .seconds(10), "nothing is left") { try await operatorConsole.driver.counts() == QueueCounts(workers: 1) }
        await worker.stopped()
        // A claim whose answer was lost goes back unstarted, an ack whose answer was lost is not repeated: each job is done once.
        #expect(tally.most == 1)
        #expect(redelivered.all == [])
    }

    @Test("answers that come too late double nothing and lose nothing")
    func lateAnswers() async throws {
        let bench = try await start(["appendonly": "no"])
        let process = try bench.unconnectedProcess(timeout: .milliseconds(300))
        let tally = Tally()
        let redelivered = Diary()
        let worker = worker(process.driver, tally: tally, redelivered: redelivered)
        try await bench.driver.put((0..<3000).map { bench.driver.job("\($0)") })
        try await worker.start()
        for round in 1...4 {
            try await eventually(within: .seconds(10), "work before standstill \(round)") { tally.names > round * 300 }
            bench.server.pause()
            try await bench.pass(.milliseconds(500))
            bench.server.resume()
        }
        try await eventually(within: .seconds(30), "all done") { tally.names == 3000 }
        try await eventually(within: .seconds(10), "nothing is left") { try await bench.driver.counts() == QueueCounts(workers: 1) }
        await worker.stopped()
        #expect(tally.most == 1)
        #expect(redelivered.all == [])
    }

    @Test("a worker starts before its Redis does")
    func redisComesLater() async throws {
        let bench = try await start()
        try await bench.driver.put([bench.driver.job("a")])
        try await bench.server.stop()
        let process = try bench.unconnectedProcess()
        let tally = Tally()
        let worker = worker(process.driver, tally: tally, redelivered: Diary())
        try await worker.start()
        try await bench.server.restart()
        try await eventually(within: .seconds(10), "it is done") { tally.names == 1 }
        await worker.stopped()
    }

    @Test("a stop while Redis is away ends by its deadline, and the work is done by a peer later")
    func stopWithoutRedis() async throws {
        let bench = try await start()
        let runs = Diary()
        let worker = jobWorker(bench.driver)
        worker.register(Work.self, retry: once) { _, _ in
            runs.write("")
            try await Gate().pass()
            return .done
        }
        try await bench.driver.put([bench.driver.job("a")])
        try await worker.start()
        try await eventually("it runs") { runs.count == 1 }
        try await bench.server.stop()
        let began = ContinuousClock.now
        await worker.stopped(within: .seconds(2))
        #expect(ContinuousClock.now - began < (.seconds(3) as Duration).stretched)
        try await bench.server.restart()
        let tally = Tally()
        let peer = self.worker(try await bench.peer(), tally: tally, redelivered: Diary())
        try await peer.start()
        try await eventually(within: .seconds(12), "a peer does it") { tally.names == 1 }
        await peer.stopped()
    }

    @Test("a stop while Redis is away and nothing is in hand ends at once")
    func idleStopWithoutRedis() async throws {
        let bench = try await start(["appendonly": "no"])
        let workers = [
            worker(bench.driver, tally: Tally(), redelivered: Diary()),
            worker(try bench.unconnectedProcess().driver, tally: Tally(), redelivered: Diary()),
        ]
        try await workers[0].start()
        try await eventually("it is there") { try await bench.driver.counts().workers == 1 }
        try await bench.server.stop()
        // The other one has never seen Redis.
        try await workers[1].start()
        let began = ContinuousClock.now
        for worker in workers { await worker.stopped(within: .seconds(25)) }
        #expect(ContinuousClock.now - began < (.seconds(10) as Duration).stretched)
    }
}
