import Formats
import JobQueue
import RedisClient
import Synchronization
import TestSupport
import Testing

@Suite("Asked to stop", .timeLimit(.minutes(4)))
struct GracefulStopTests {
    @Test("a worker that cannot finish in time exits 0 within its grace and puts its jobs back at the head, with no attempt spent")
    func handsBack() async throws {
        let settings = ["OPENAI_MODEL": "sandbox-slow", "WORKER_CONCURRENCY": "3", "SHUTDOWN_GRACE": "2s"]
        let programs = ["ingest", "sandbox", "worker-payments"]
        try await Stage.run(programs, Instance.Configuration(settings: settings, hasTemplate: true)) { stage in
            let payments = try await stage.seed(.kit, 6)
            let tally = try await EventStream.post(payments.map { .paid($0) }, port: stage.ingestPort, lines: 1)
            try await stage.settle(tally.accepted)
            try await eventually("six jobs wait") { try await stage.waiting(on: "drafts").count == 6 }
            let queued = try await stage.waiting(on: "drafts")
            try await stage.instance.start("worker-drafts")
            try await eventually("three drafts are being written") {
                try await stage.count("SELECT COUNT(*) FROM drafts_inquiries WHERE processing_state = 'IA_RUNNING'") == 3
            }
            let begun = ContinuousClock.now
            #expect(try await stage.instance.stop("worker-drafts") == .exited(0))
            let took = begun.duration(to: .now)
            #expect(took < (.seconds(4) as Duration).stretched, "it took \(took)")
            // The same jobs with no attempt spent; they keep the unique key that they passed. Those that ran side by side may come back
            // in any order among themselves.
            let waiting = try await stage.waiting(on: "drafts")
            #expect(
                Set(try waiting.prefix(3).map(Self.asQueued)) == Set(queued.prefix(3)), "what was taken first is first again")
            #expect(waiting.dropFirst(3) == queued.dropFirst(3))
            #expect(try await stage.held(by: "drafts").count == 6)
            #expect(try await stage.redis.call("EXISTS", stage.key("drafts", "history")).int == 0)
            #expect(try await stage.redis.call("ZCARD", stage.key("drafts", "leases")).int == 0, "its lease is given up")

            try await stage.instance.start("worker-drafts", with: ["OPENAI_MODEL": "sandbox-writer"])
            try await eventually(within: .seconds(60), "all drafts are done") {
                try await stage.count("SELECT COUNT(*) FROM drafts_generated") == 6
            }
        }
    }

    private static func asQueued(_ body: [UInt8]) throws -> [UInt8] {
        var job = try JobEnvelope(decoding: body)
        job.admitted = .no
        return job.encoded()
    }

    @Test("a worker with time enough finishes what it has begun, takes nothing more, and exits 0")
    func finishes() async throws {
        let settings = ["OPENAI_MODEL": "sandbox-slow", "WORKER_CONCURRENCY": "2"]
        let programs = ["ingest", "sandbox", "worker-payments"]
        try await Stage.run(programs, Instance.Configuration(settings: settings, hasTemplate: true)) { stage in
            let payments = try await stage.seed(.kit, 4)
            try await stage.settle(try await EventStream.post(payments.map { .paid($0) }, port: stage.ingestPort).accepted)
            try await stage.instance.start("worker-drafts")
            try await eventually("two drafts are being written") {
                try await stage.count("SELECT COUNT(*) FROM drafts_inquiries WHERE processing_state = 'IA_RUNNING'") == 2
            }
            #expect(try await stage.instance.stop("worker-drafts") == .exited(0))
            #expect(try await stage.count("SELECT COUNT(*) FROM drafts_generated") == 2)
            #expect(try await stage.waiting(on: "drafts").count == 2)
        }
    }

    @Test("ingest and worker-payments stopped and started under load lose nothing and exit 0")
    func underLoad() async throws {
        try await Stage.run(["ingest", "worker-payments"]) { stage in
            let payments = try await stage.seed(.order, 100)
            let rest = Mutex(payments)
            let stream = EventStream.start(port: stage.ingestPort, lines: 4, pause: .milliseconds(5)) {
                rest.withLock { $0.popLast() }.map { .paid($0) } ?? .unmatched()
            }
            for program in ["ingest", "worker-payments", "ingest"] {
                let soFar = stream.tally.accepted.count
                try await eventually("events go on before \(program) is stopped") { stream.tally.accepted.count > soFar + 50 }
                #expect(try await stage.instance.stop(program) == .exited(0), "\(program)")
                try await stage.instance.start(program)
            }
            let tally = try await stream.end()
            #expect(tally.refused.isEmpty)
            let accounting = try await stage.settle(tally.accepted)
            #expect(accounting.dead.isEmpty)
            try await stage.requirePaidOnce(payments)
        }
    }
}
