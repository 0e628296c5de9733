import Formats
import RedisClient
import TestSupport
import Testing

@Suite("More and fewer workers of one kind", .timeLimit(.minutes(4)))
struct ScalingTests {
    private static let kits = 40

    @Test("1 → 4 → 1 worker-drafts under load: the rate follows, nothing is lost, no port is taken twice, the others stay")
    func oneFourOne() async throws {
        let settings = ["OPENAI_MODEL": "sandbox-slow", "WORKER_CONCURRENCY": "1"]
        let others = ["ingest", "sandbox", "worker-payments", "worker-plans"]
        try await Stage.run(others, Instance.Configuration(settings: settings, hasTemplate: true)) { stage in
            let before = try others.map { try stage.instance.process($0).pid }
            let payments = try await stage.seed(.kit, Self.kits)
            let tally = try await EventStream.post(payments.map { .paid($0) }, port: stage.ingestPort)
            try await stage.settle(tally.accepted)
            let port = try freePort()
            func start(_ slot: Int) async throws {
                try await stage.instance.start("worker-drafts", slot: slot, with: ["METRICS_ADDRESS": "127.0.0.1:\(port)"])
            }

            try await start(0)
            let alone = try await Self.pace(of: 2, stage)
            #expect(try await Self.running(stage) == 1)

            for slot in 1...3 { try await start(slot) }
            try await eventually("four drafts are made at a time") { try await Self.running(stage) == 4 }
            for slot in 0...3 {
                #expect(try await HTTPLine.once(port: port + slot, "GET", "/readyz").status == 200, "slot \(slot) has a port of its own")
            }
            let together = try await Self.pace(of: 8, stage)
            #expect(together < alone * 0.6, "one took \(alone) a draft, four took \(together)")

            for slot in 1...3 { #expect(try await stage.instance.stop("worker-drafts", slot: slot) == .exited(0)) }
            let aloneAgain = try await Self.pace(of: 2, stage)
            #expect(try await Self.running(stage) <= 1)
            #expect(aloneAgain > together * 1.4, "four took \(together) a draft, one of them left takes \(aloneAgain)")

            #expect(try await stage.instance.stop("worker-drafts", slot: 0) == .exited(0))
            let done = try await stage.texts("SELECT payment FROM drafts_generated")
            let left = try await stage.held(by: "drafts").compactMap { try JSON(parsing: $0)["payment"]?.string }
            #expect((done + left).sorted() == payments.map(\.id).sorted(), "\(done.count) done and \(left.count) left")
            #expect(try await stage.dead(on: "drafts").isEmpty)
            #expect(try others.map { try stage.instance.process($0).pid } == before)
            #expect(Set(others.map { $0 + ".0" }).isSubset(of: Set(stage.instance.running)))
        }
    }

    /// The time that a draft takes, over so many of them from the next one on.
    private static func pace(of count: Int, _ stage: Stage) async throws -> Duration {
        func done() async throws -> Int { try await stage.count("SELECT COUNT(*) FROM drafts_generated") }
        let first = try await done() + 1
        try await eventually(within: .seconds(40), "a draft is done") { try await done() >= first }
        let begun = ContinuousClock.now
        let base = try await done()
        try await eventually(within: .seconds(60), "\(count) drafts are done") { try await done() >= base + count }
        return begun.duration(to: .now) / count
    }

    private static func running(_ stage: Stage) async throws -> Int {
        let names = try await stage.redis.call("KEYS", stage.key("drafts", "inflight:*")).array ?? []
        var count = 0
        for name in names.compactMap(\.string) { count += Int(try await stage.redis.call("HLEN", name).int ?? 0) }
        return count
    }
}
