import Formats
import RedisClient
import Synchronization
import TestSupport
import Testing

@Suite("Usage while something is away", .timeLimit(.minutes(4)))
struct UsageOutageTests {
    @Test(
        "Redis away while samples are posted: every answer is 200 all the while, and all is counted once it is back",
        arguments: RedisOutageTests.Outage.allCases)
    func redisAway(_ outage: RedisOutageTests.Outage) async throws {
        try await Stage.run(["ingest", "worker-usage"]) { stage in
            try await stage.awaitRedisAtIngest()
            let sent = Mutex<[UsageTraffic.Batch]>([])
            let stream = EventStream.start(port: stage.ingestPort, lines: 3, pause: .milliseconds(15)) {
                sent.withLock { sent in
                    // Each third post is one that was made before.
                    if let again = sent.randomElement(), Int.random(in: 0..<3) == 0 { return again.posted(.textTimes) }
                    sent += UsageTraffic.even(1, of: 40)
                    return sent.last?.posted()
                }
            }
            try await eventually("the stream runs") { stream.tally.accepted.count > 50 }
            switch outage {
            case .standstill: stage.instance.redis.pause()
            case .death: try await stage.instance.redis.kill9()
            }
            let before = stream.tally.accepted.count
            // The outage itself, not a wait for anything.
            try await Task.sleep(for: .seconds(6))
            let during = stream.tally.accepted.count - before
            let spooled = stage.eventLog(prefix: "spool-", in: "spool/samples").count
            switch outage {
            case .standstill: stage.instance.redis.resume()
            case .death: try await stage.instance.redis.restart()
            }
            let tally = try await stream.end()
            #expect(during > 50, "\(during) posts were taken while Redis was away")
            #expect(spooled >= during / 2)
            #expect(tally.statuses == [200: tally.accepted.count], "\(tally.statuses)")
            #expect(tally.slowest < (.seconds(6) as Duration).stretched, "a post waited \(tally.slowest)")
            let batches = sent.withLock { $0 }
            var sums = UsageSums()
            for batch in batches { sums.add(batch.samples) }
            try await stage.requireTraffic(sums, units: batches.count)
        }
    }

    @Test("no room for the database: samples wait, the worker stays, and all is counted once there is room again")
    func databaseFull() async throws {
        try await Stage.run([]) { stage in
            // The signal for a file that may not grow is ignored: writes fail as on a full disk.
            let worker = try await stage.instance.start("worker-usage", through: ["/bin/sh", "-c", "trap '' XFSZ; exec \"$0\""])
            let early = UsageTraffic.even(20, of: 50)
            let late = UsageTraffic.even(150, of: 50)
            var sums = UsageSums()
            for batch in early { sums.add(batch.samples) }
            try await stage.push(early.map { $0.listed() })
            try await stage.requireTraffic(sums, units: early.count)

            try await Self.limitFiles(of: worker, to: "0")
            let rubbish = Array("{rubbish".utf8)
            try await stage.push([rubbish] + late.map { $0.listed() })
            try await eventually("the worker has tried twice") { worker.lines.count { $0.text.contains("batch failed, tried again") } >= 2 }
            #expect(try await stage.countedTraffic() == sums, "nothing is counted by half")
            #expect(try await stage.held(by: "samples").count == late.count + 1)
            #expect(try await stage.dead(on: "samples").isEmpty)

            try await Self.limitFiles(of: worker, to: "unlimited")
            for batch in late { sums.add(batch.samples) }
            try await stage.requireTraffic(sums, units: early.count + late.count, dead: 1)
            #expect(worker.isRunning)
        }
    }

    @Test("Redis loses everything: the journal has each batch, and what was counted before is counted no second time")
    func redisEmptied() async throws {
        try await Stage.run(["ingest", "worker-usage"], Instance.Configuration(redis: ["appendfsync": "everysec"])) { stage in
            try await stage.instance.process("ingest").waitForLine(containing: "redis does not sync each write")
            let (before, after) = (UsageTraffic.even(40, of: 30), UsageTraffic.even(40, of: 30))
            var sums = UsageSums()
            for batch in before { sums.add(batch.samples) }
            #expect(try await EventStream.post(before.map { $0.posted() }, port: stage.ingestPort).statuses == [200: before.count])
            try await stage.requireTraffic(sums, units: before.count)
            #expect(try await stage.instance.stop("worker-usage") == .exited(0))

            for batch in after { sums.add(batch.samples) }
            #expect(try await EventStream.post(after.map { $0.posted() }, port: stage.ingestPort).statuses == [200: after.count])
            try await stage.instance.redis.kill9()
            try await RedisOutageTests.empty(stage)
            let rebuilt = try await stage.instance.quittance("rebuild-queues", "--json")
            try #require(rebuilt.code == 0, "\(rebuilt.errors)")
            #expect(try JSON(parsing: rebuilt.output)["sample_batches"]?.int == Int64(before.count + after.count), "\(rebuilt.output)")
            try await stage.instance.start("worker-usage")
            try await stage.requireTraffic(sums, units: before.count + after.count)
        }
    }

    @Test(
        "with Redis gone and no room on the disk samples are answered 503 with Retry-After, and taken as soon as they can be kept",
        .enabled(if: Sanitizer.leavesFullDisks))
    func nothingCanKeepThem() async throws {
        try await Stage.run(["worker-usage"]) { stage in
            try await stage.instance.start("ingest", through: ["/bin/sh", "-c", "trap '' XFSZ; exec prlimit --fsize=0 \"$0\""])
            try await stage.awaitRedisAtIngest()
            try await stage.instance.redis.kill9()
            let batch = UsageTraffic.even(1, of: 10)[0]
            var answer = try await stage.post(batch.posted())
            #expect(answer.status == 503)
            #expect(Int(answer.headers["retry-after"] ?? "") ?? 0 >= 1)
            #expect(try await HTTPLine.once(port: stage.ingestPort, "GET", "/readyz").status == 503)
            try await stage.instance.redis.restart()
            try await eventually("ingest takes samples again") {
                answer = try await stage.post(batch.posted())
                return answer.status == 200
            }
            var sums = UsageSums()
            sums.add(batch.samples)
            try await stage.requireTraffic(sums, units: 1)
        }
    }

    @Test("five copies of a batch in the hands of a worker that is killed are no poison: it is counted, once")
    func copiesInLostHands() async throws {
        try await Stage.run([]) { stage in
            let stuck = try await stage.instance.start("worker-usage", through: ["/bin/sh", "-c", "trap '' XFSZ; exec \"$0\""])
            try await Self.limitFiles(of: stuck, to: "0")
            let batches = UsageTraffic.even(15, of: 20)
            var sums = UsageSums()
            for batch in batches { sums.add(batch.samples) }
            let bodies = batches.map { $0.listed() }
            try await stage.push((0..<5).flatMap { _ in bodies })
            try await eventually("all of them are in its hands") { try await stage.samplesInHand() == 5 * batches.count }
            try await stage.instance.kill9("worker-usage")
            try await stage.instance.start("worker-usage", slot: 1)
            try await stage.requireTraffic(sums, units: batches.count)
        }
    }

    /// How large files may become that the process writes.
    private static func limitFiles(of process: ProcessFixture, to limit: String) async throws {
        let command = try await ProcessFixture.start("prlimit", ["--pid", "\(process.pid)", "--fsize=\(limit):unlimited"])
        guard try await command.waitForExit() == .exited(0) else { throw FixtureError("prlimit: \(command.transcript)") }
    }
}
