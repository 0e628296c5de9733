import EventLoop
import Formats
import JobQueue
import Payments
import ProviderPort
import Settings
import Telemetry
import TestSupport
import Testing
import WorkerService

/// Web and worker-payments as two programs: each with its own connection to one Redis, which is all that they share here.
@Suite("A provider that is down, seen from web and from worker-payments", .timeLimit(.minutes(3)))
struct OutboundTests {
    private static let openFor = Duration.seconds(4)
    private static let rule = BreakerRule(failures: 5, openFor: openFor, openMax: openFor, probeFor: .seconds(10))

    private static let shared = Task { try await RedisServer.start() }

    private func calls(_ program: String, prefix: String) async throws -> OutboundCalls {
        let server = try await Self.shared.value
        let settings = try Settings(environment: ["REDIS_URL": "redis://127.0.0.1:\(server.port)/0", "QUEUE_PREFIX": prefix])
        let loop = try EventLoop.started(name: program)
        let stores = QueueStart.outbound(try QueueStart.directory(settings, name: program, loop: loop, log: Log(program)))
        // A first word shows that the connection is there: before it each program keeps its own breakers.
        try await eventually("\(program) is connected") { (try? await stores.breakers.list()) != nil }
        return OutboundCalls(breakers: stores.breakers, turns: stores.turns, rule: Self.rule, random: { 0 })
    }

    @Test(
        "five failures keep all calls away: web refuses at once, jobs wait unspent; one call finds out that it is back, and all go on",
        arguments: ProviderColumn.posting.filter { $0.counter == .page && $0.name != "icount" })
    func downAndBack(_ column: ProviderColumn) async throws {
        let prefix = "\(column.name):"
        let guards = ProvidersStage.Guards(
            web: try await calls("web", prefix: prefix), worker: try await calls("worker-payments", prefix: prefix))
        try await ProvidersStage.with(guards: guards) { stage in
            let before = try await stage.order(column)
            let waiting = try await stage.start(before, column)
            stage.transport.set(.failing(ProviderError(.unavailable, "refused", code: "connect")))
            let payment = try await stage.order(column)
            let body = column.fields.map { ($0.key, JSON.string($0.value)) } + [("payment", .string(payment))]
            let path = "/api/v1/payments/\(column.name)/initiate/"
            for _ in 0..<Self.rule.failures {
                #expect(try await stage.post(path, .object(JSONObject(body))).string("title") == "The provider cannot be reached")
            }
            let calls = stage.transport.calls
            let begun = ContinuousClock.now
            let refused = try await stage.post(path, .object(JSONObject(body)))
            #expect(refused.status == 503 && refused.string("title") == "The provider is not called now", "\(refused.text)")
            #expect(refused.string("provider_code") == "calls_held")
            #expect(refused.headers["retry-after"].flatMap { Int($0) }.map { (1...5).contains($0) } == true)
            #expect(ContinuousClock.now - begun < Self.openFor.stretched)

            // The worker, which has not called once, knows it too.
            try await stage.reconcile()
            if try stage.capabilities(of: column).statusReferenceKinds.contains("ours") {
                try await stage.askedOnce()
                #expect(stage.jobs.waiting == 1)
                #expect(stage.jobs.troubles.allSatisfy { $0.contains("held") }, "\(stage.jobs.troubles)")
            }
            #expect(stage.transport.calls == calls, "nobody called")

            stage.transport.set(.open)
            try await eventually("an attempt is started") { try await stage.post(path, .object(JSONObject(body))).status == 201 }
            try await stage.settles()
            try await stage.play("pay", waiting, column)
            try await stage.becomes("paid", before)
        }
    }
}
