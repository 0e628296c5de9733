import Formats
import JobQueue
import JobQueueRedis
import RedisClient
import TestSupport
import Testing

/// What scripts touch is what they were given, as a cluster wants it: seen by MONITOR while the contract tests run.
@Suite("Keys of scripts", .timeLimit(.minutes(3)))
struct ScriptKeysTests {
    /// One line of MONITOR.
    private struct Seen {
        let isInScript: Bool
        let words: [String]

        /// `<time> [0 127.0.0.1:5000] "EVALSHA" "…" …`, or `[0 lua]`; words are quoted, what is not plain is escaped.
        init?(_ line: ArraySlice<UInt8>) {
            guard let close = line.firstIndex(of: UInt8(ascii: "]")) else { return nil }
            isInScript = line[..<close].suffix(3).elementsEqual("lua".utf8)
            // A call's keys stand in front of its arguments; only a script that is sent whole is long.
            var rest = line[(close + 1)...]
            if !rest.starts(with: Array(" \"EVAL\"".utf8)) && !rest.starts(with: Array(" \"eval\"".utf8)) { rest = rest.prefix(4000) }
            var words: [String] = []
            var start: Int?
            var isEscaped = false
            for (at, byte) in zip(rest.indices, rest) {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    if let from = start { words.append(String(decoding: rest[from..<at], as: UTF8.self)) }
                    start = start == nil ? at + 1 : nil
                }
            }
            self.words = words
        }

        var command: String { words.first?.uppercased() ?? "" }

        /// The keys of a command that a script gives.
        var touched: [String] {
            switch command {
            case "TIME": []
            case "LMOVE": Array(words.dropFirst().prefix(2))
            case "DEL", "EXISTS": Array(words.dropFirst())
            default: Array(words.dropFirst().prefix(1))
            }
        }

        /// The keys that a call declares.
        var declared: [String] { words.count > 2 ? Array(words.dropFirst(3).prefix(Int(words[2]) ?? 0)) : [] }
        var isCall: Bool { command == "EVALSHA" || command == "EVAL" }
    }

    @Test("every key that a script touches was declared, and all keys of a call share their queue's tag")
    func declared() async throws {
        let server = try await RedisServer.start()
        let folder = try TemporaryFolder("monitor")
        let log = folder.file("monitor")
        let monitor = try await ProcessFixture.start("sh", ["-c", "exec redis-cli -p \(server.port) MONITOR > '\(log)'"])
        try await eventually("it listens") { folder.read("monitor").map { $0.starts(with: Array("OK".utf8)) } ?? false }
        try await SharedRedis.$other.withValue(server) { try await Self.play(server) }
        // The last of all calls.
        let bench = try await RedisBench(server: server)
        _ = try await bench.command("SET", "the-end", "1")
        try await eventually("all is written") {
            (folder.read("monitor") ?? []).suffix(100).contains(Array("the-end".utf8))
        }
        monitor.end()

        var declared: Set<String> = []
        var call = ""
        var called: Set<String> = []
        var touches = 0
        for line in try #require(folder.read("monitor")).split(separator: UInt8(ascii: "\n")) {
            await Task.yield()
            guard let seen = Seen(line) else { continue }
            if seen.isCall {
                declared = Set(seen.declared)
                call = seen.words[1]
                if seen.command == "EVALSHA" { called.insert(call) }
                let tags = Set(seen.declared.map { $0.split(separator: "{").last?.prefix { $0 != "}" } ?? "" })
                #expect(tags.count == 1 && !declared.isEmpty, "\(call): \(declared)")
            } else if seen.isInScript {
                touches += 1
                let other = seen.touched.filter { !declared.contains($0) }
                #expect(other.isEmpty, "\(seen.words.prefix(3)) in \(call)")
            }
        }
        #expect(touches > 500)
        let unseen = QueueScriptListing.all.filter { !called.contains($0.sha1) }.map(\.name)
        #expect(unseen.isEmpty, "these were not called: \(unseen)")
    }

    /// Contract tests that together call every script in every way that names other keys.
    private static func play(_ server: RedisServer) async throws {
        let contract = DriverContractTests()
        try await contract.order(.redis)
        try await contract.ackTwice(.redis)
        let flow = FlowTests()
        try await flow.unique(.redis)
        try await flow.expired(.redis)
        let verbs = OperatingTests()
        try await verbs.hasten(.redis)
        try await verbs.move(.redis)
        try await verbs.moverLost(hadArrived: false, byTarget: true)
        try await workers(server)
        try await operators(server)
        try await cron(server)
    }

    /// Outcomes of all sorts, a lost worker, keys that wait.
    private static func workers(_ server: RedisServer) async throws {
        let bench = try await RedisBench(server: server)
        let driver = bench.redis
        let worker = try await driver.worker()
        for (name, slots) in [("a", 1), ("b", 1), ("c", 1), ("d", 1)] {
            var job = driver.job(name)
            (job.slots, job.rate) = (JobSlots(key: "s", max: slots), name == "a" ? JobRate(key: "r", count: 1000, perMs: 1) : nil)
            _ = try await driver.enqueue(job)
        }
        let first = try #require(try await driver.claim(worker).first)
        let job = try JobEnvelope(decoding: first.body)
        try await driver.tell(JobProgress(fraction: 0.5, attempt: 1), of: job.id, claimed: first.token, by: worker)
        let entry = HistoryEntry(job: job.id, attempt: 1, atMs: 1, worker: "w", reason: "no")
        try await driver.tell(
            worker,
            .bury(
                first.token, record: record(first, worker, job: job.id), history: entry, flow: job.flowToEnd,
                ending: JobEnding(job: job.id, state: .dead)))
        let second = try #require(try await driver.claim(worker).first)
        let next = try JobEnvelope(decoding: second.body)
        try await driver.tell(worker, .ack(second.token, historyOf: next.id, flow: next.flowToEnd, ending: JobEnding(job: next.id, state: .done)))
        try await driver.pause(kind: "work")
        let third = try #require(try await driver.claim(worker).first)
        try await driver.tell(worker, .park(third.token, kind: "work"))
        _ = try await driver.resume(kind: "work")
        #expect(try await driver.claim(worker).count == 1)
        try await bench.loseNow(worker)
        _ = try await driver.publish(slot: "s", items: [PublishItem(sequence: 1, body: body("x"))])
        try await driver.enqueue([EnqueueItem(body: body("y"), dueMs: bench.nowMs + 1000)])
    }

    /// Whatever operators do.
    private static func operators(_ server: RedisServer) async throws {
        let bench = try await RedisBench(server: server)
        let driver = bench.redis
        try await driver.put([driver.job("a"), driver.job("b")])
        _ = try await driver.cancel("job_a")
        try await driver.mark(cancelled: "job_c")
        try await driver.unmark(cancelled: "job_c")
        let worker = try await driver.worker()
        let claimed = try #require(try await driver.claim(worker).first)
        try await driver.tell(worker, .bury(claimed.token, record: record(claimed, worker, job: "job_b")))
        let dead = try #require(try await driver.dead(offset: 0, limit: 1).first)
        #expect(try await driver.replayDead(dead.record))
        let again = try #require(try await driver.claim(worker).first)
        try await driver.tell(worker, .bury(again.token, record: record(again, worker, job: "job_b")))
        #expect(try await driver.deleteDead(try #require(try await driver.dead(offset: 0, limit: 1).first).record))
        _ = try await driver.counts()
        await driver.retire(worker)
    }

    private static func cron(_ server: RedisServer) async throws {
        let bench = try await RedisBench(server: server)
        let store = RedisCronStore(driver: bench.redis)
        let entry = CronEntryKey(name: "nightly", schedule: "* * * * *")
        _ = try await store.look(at: [entry])
        _ = try await store.setPaused(true, entry: "nightly")
        _ = try await store.setPaused(false, entry: "nightly")
        _ = try await bench.command("HSET", bench.redis.keys.cron("nightly"), "last", 1)
        let tick = CronFiring.Tick(atMs: 60_000, job: "cron:nightly:1", unique: "cron:nightly", body: body("t"))
        #expect(try await store.fire(CronFiring(entry: "nightly", ticks: [tick], overlap: .skip)).firedMs == [60_000])
        _ = try await store.runNow(entry: "nightly", name: "extra", body: body("e"))
    }

    @Test("an entry that nobody declares any more is forgotten after 90 days")
    func cronForgotten() async throws {
        let bench = try await RedisBench(server: SharedRedis.server())
        let store = RedisCronStore(driver: bench.redis)
        let key = bench.redis.keys.cron("nightly")
        let entry = CronEntryKey(name: "nightly", schedule: "* * * * *")
        _ = try await store.look(at: [entry])
        let keptMs: Int64 = 90 * 86_400_000
        #expect(try #require(try await bench.command("PTTL", key).int) > keptMs - 60_000)
        // Looked at all the while: remembered from the last day on which it was.
        _ = try await bench.command("PEXPIRE", key, 600_000)
        _ = try await store.look(at: [entry])
        #expect(try #require(try await bench.command("PTTL", key).int) <= 600_000, "once a day is enough")
        _ = try await bench.command("HSET", key, "seen", bench.nowMs - 86_400_001)
        let before = try await store.look(at: [entry]).states
        #expect(try #require(try await bench.command("PTTL", key).int) > keptMs - 60_000)
        #expect(try await store.look(at: [entry]).states == before)
    }
}
