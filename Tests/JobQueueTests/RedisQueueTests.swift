import EventLoop
import Formats
import JobQueue
import JobQueueRedis
import RedisClient
import Synchronization
import TestSupport
import Testing

/// What only a queue on Redis can show.
@Suite("Queue on Redis")
struct RedisQueueTests {
    /// How often each job was done.
    final class Tally: Sendable {
        private let counts = Mutex<[String: Int]>([:])
        func add(_ name: String) { counts.withLock { $0[name, default: 0] += 1 } }
        var names: Int { counts.withLock { $0.count } }
        var total: Int { counts.withLock { $0.values.reduce(0, +) } }
        var most: Int { counts.withLock { $0.values.max() ?? 0 } }
    }

    private func worker(_ driver: any QueueDriver, concurrency: Int = 64, tally: Tally) -> JobWorker {
        let worker = jobWorker(driver, concurrency: concurrency)
        worker.register(Work.self, retry: once) { parameters, _ in
            tally.add(parameters.name)
            return .done
        }
        return worker
    }

    @Test("twenty thousand jobs are drained by two workers, each done once")
    func drain() async throws {
        let bench = try await RedisBench(server: try await SharedRedis.server())
        let tally = Tally()
        try await bench.driver.put((0..<20_000).map { bench.driver.job("\($0)") })
        let workers = [worker(bench.driver, tally: tally), worker(try await bench.peer(), tally: tally)]
        for worker in workers { try await worker.start() }
        try await eventually(within: .seconds(60), "all done") { try await bench.driver.counts() == QueueCounts(workers: 2) }
        for worker in workers { await worker.stopped() }
        #expect(tally.names == 20_000)
        #expect(tally.most == 1)
        #expect(try await bench.driver.counts() == QueueCounts())
    }

    @Test("a producer in any language: a plain LPUSH is a job, what it added is kept through a retry")
    func plainPush() async throws {
        let bench = try await RedisBench(server: try await SharedRedis.server())
        let worker = jobWorker(bench.driver)
        worker.register(Work.self, retry: .fixed(.seconds(600), attemptsMax: 2)) { _, _ in throw Unlucky() }
        try await worker.start()
        let queue = bench.queue
        let text = #"{ "v": 1, "id": "x-1", "kind": "work", "queue": "\#(queue)", "args": {"name": "a", "sum": 1.50}, "lang": "php" }"#
        _ = try await bench.command("LPUSH", "test:{\(queue)}:ready", text)
        try await eventually("it was tried") { try await bench.driver.counts().delayed == 1 }
        await worker.stopped()
        let waiting = try await bench.command("ZRANGE", "test:{\(queue)}:delayed", 0, -1)
        let kept = try JSON(parsing: waiting.array?.first?.bytes ?? [])
        #expect(kept["attempt"]?.int == 1 && kept["lang"] == "php" && kept["args"]?["sum"]?.numberText == "1.50")
    }

    @Test("an idle worker sends a handful of commands in three seconds, and is at work at once")
    func idle() async throws {
        let server = try await RedisServer.start()
        let bench = try await RedisBench(server: server)
        let tally = Tally()
        let worker = worker(bench.driver, tally: tally)
        try await worker.start()
        try await eventually("it waits") { try await waitingClients(bench) == 2 }
        _ = try await bench.command("CONFIG", "RESETSTAT")
        try await bench.pass(.seconds(3))
        let text = try await bench.command("INFO", "commandstats").string ?? ""
        let calls = text.split(whereSeparator: \.isNewline).reduce(into: [String: Int]()) { calls, line in
            guard let name = line.split(separator: ":").first?.dropFirst("cmdstat_".count), let start = line.firstRange(of: "calls=") else { return }
            calls[String(name)] = Int(line[start.upperBound...].prefix { $0.isNumber })
        }
        #expect((calls["evalsha"] ?? 0) <= 5, "signs of life")
        #expect((calls["blmove"] ?? 0) <= 4)
        #expect((calls["blpop"] ?? 0) <= 1)
        #expect((calls["rpop"] ?? 0) == 0, "no look at the empty list")

        let began = ContinuousClock.now
        try await bench.driver.put([bench.driver.job("a")])
        try await eventually("it is done") { tally.total == 1 }
        #expect(ContinuousClock.now - began < (.milliseconds(200) as Duration).stretched)
        await worker.stopped()
    }

    private func waitingClients(_ bench: RedisBench) async throws -> Int {
        let text = try await bench.command("INFO", "clients").string ?? ""
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("blocked_clients:") }
        return line.flatMap { Int($0.dropFirst("blocked_clients:".count)) } ?? 0
    }

    @Test("delayed jobs start when they are due, not before and hardly after")
    func onTime() async throws {
        let bench = try await RedisBench(server: try await SharedRedis.server())
        let late = Mutex<[Int64]>([])
        let worker = jobWorker(bench.driver)
        worker.register(Work.self, retry: once) { parameters, _ in
            late.withLock { $0.append(WallClock.nowMs - (Int64(parameters.name) ?? 0)) }
            return .done
        }
        try await worker.start()
        let producer = try await bench.peer()
        let start = WallClock.nowMs + 100
        // The later first, so that each becomes the earliest in turn.
        for number in (0..<30).reversed() {
            let dueMs = start + Int64(number) * 40
            try await producer.enqueue([EnqueueItem(producer.job("\(dueMs)"), dueMs: dueMs)])
        }
        try await eventually("all ran") { late.withLock { $0.count } == 30 }
        await worker.stopped()
        let sorted = late.withLock { $0.sorted() }
        #expect(sorted[0] >= 0)
        // Other work shares the machine, so only the middle is looked at; with a second of polling it would be near 500 ms.
        #expect(.milliseconds(sorted[15]) <= (.milliseconds(350) as Duration).stretched, "\(sorted)")
    }

    @Test("the work of a killed worker is done by a peer within five seconds")
    func kill() async throws {
        let bench = try await RedisBench(server: try await SharedRedis.server())
        let peer = try await bench.peer()
        let tally = Tally()
        let survivor = worker(peer, tally: tally)
        let victim = try await bench.driver.worker("victim")
        try await bench.driver.put((0..<10).map { bench.driver.job("\($0)") })
        #expect(try await bench.driver.claim(victim).count == 10)
        try await survivor.start()
        // The server may be young: its workers first get the time of a lease.
        try await bench.pass(.seconds(4))
        #expect(tally.total == 0, "the victim lives")

        await bench.redis.abandon(victim)
        let began = ContinuousClock.now
        try await eventually(within: .seconds(8), "the work is done") { tally.names == 10 }
        #expect(ContinuousClock.now - began < (.seconds(5) as Duration).stretched)
        await survivor.stopped()
        #expect(tally.most == 1)
    }

    @Test("what a late blocking read leaves behind for a worker that is gone is swept back")
    func lateRead() async throws {
        let bench = try await RedisBench(server: try await SharedRedis.server())
        let gone = try await bench.driver.worker("gone")
        await bench.driver.retire(gone)
        _ = try await bench.command("LPUSH", bench.redis.keys.woken(gone.description), "left behind")
        let peer = try await bench.peer()
        let worker = try await peer.worker()
        try await eventually(within: .seconds(8), "it is back") { try await peer.claim(worker).map(text) == ["left behind"] }
    }

    @Test("a full Redis refuses new work and is drained all the same")
    func full() async throws {
        let server = try await RedisServer.start(config: ["maxmemory-policy": "noeviction"])
        let bench = try await RedisBench(server: server)
        try await bench.driver.put((0..<500).map { bench.driver.job("\($0)") })
        _ = try await bench.command("CONFIG", "SET", "maxmemory", "1")
        await #expect {
            try await bench.driver.put([bench.driver.job("no")])
        } throws: { ($0 as? QueueDriverError)?.code == .refused && ($0 as? QueueDriverError)?.mayHaveHappened == false }
        await #expect {
            try await bench.driver.publish(slot: "1", items: [PublishItem(sequence: 1, body: body("no"))])
        } throws: { ($0 as? QueueDriverError)?.code == .refused }
        await #expect {
            try await bench.driver.enqueue([EnqueueItem(body: body("no"), dueMs: .max / 1_000_000)])
        } throws: { ($0 as? QueueDriverError)?.code == .refused }
        #expect(try await bench.driver.counts() == QueueCounts(ready: 500))

        let tally = Tally()
        let worker = worker(bench.driver, tally: tally)
        try await worker.start()
        try await eventually("drained") { try await bench.driver.counts() == QueueCounts(workers: 1) }
        #expect(tally.names == 500 && tally.most == 1)
        _ = try await bench.command("CONFIG", "SET", "maxmemory", "0")
        try await bench.driver.put([bench.driver.job("again")])
        try await eventually("work goes on") { tally.names == 501 }
        await worker.stopped()
    }

    @Test("forgotten scripts are sent again")
    func scriptFlush() async throws {
        let server = try await RedisServer.start()
        let bench = try await RedisBench(server: server)
        let tally = Tally()
        let worker = worker(bench.driver, tally: tally)
        try await worker.start()
        for round in 1...5 {
            _ = try await bench.command("SCRIPT", "FLUSH", "SYNC")
            try await bench.driver.put([bench.driver.job("\(round)")])
            try await eventually("round \(round)") { tally.names == round }
        }
        await worker.stopped()
        #expect(try await bench.driver.counts() == QueueCounts())
    }
}
