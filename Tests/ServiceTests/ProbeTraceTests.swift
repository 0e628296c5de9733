import Database
import Formats
import JobQueue
import Outbox
import Payments
import PaymentsService
import ProviderPort
import Settings
import Synchronization
import Telemetry
import TestSupport
import Testing

@Suite("Trace context")
struct ProbeTraceTests {
    @Test("an event's trace goes on in the jobs that it causes")
    func events() async throws {
        let stage = try await CommandStage.make()
        let kit = try await stage.orderKit()
        let providers = try Product.providers(stage.settings)
        let events = PaymentEvents(facts: PaymentFacts(purposes: Product.purposes, outbox: Outbox(slot: "worker-payments.0")), providers: providers)
        let database = try Database.open(stage.settings.database, readers: 1)
        let application = EventApplication(database: database, events: events, log: Log(), nowMs: { stage.nowMs + 3000 })
        let trace = Trace()
        let body: JSON = ["type": "payment.succeeded", "data": ["order_id": .string(kit.attempt), "amount": "12500", "currency": "XOF"]]
        let event = ProviderEvent(
            id: "msg_1", provider: "standard-webhooks", mode: "sandbox", trust: .signed, type: "payment.notification", timeMs: stage.nowMs,
            contentType: "application/json", body: body.bytes, headers: "", matchedKey: 0, payment: nil, target: "/webhooks/standard-webhooks",
            traceparent: trace.traceparent)
        #expect(try await application.apply([ClaimedJob(token: 1, body: event.encoded())]) == [.ack])
        let traces = try await database.read { try $0.query("SELECT traceparent FROM outbox_jobs", []).map { try $0.textOrNil("traceparent") } }
        #expect(traces.count > 1)
        for text in traces {
            let step = try #require(text.flatMap { Trace(traceparent: $0) })
            #expect(step.id == trace.id && step.span != trace.span)
        }
        await database.close()
    }

    @Test("a job's handler, and what it writes to SQL, stand in the job's trace")
    func jobs() async throws {
        let stage = try await CommandStage.make()
        let database = try Database.open(stage.settings.database, readers: 1)
        let driver = InMemoryDriver(queue: "notifications")
        let seen = Mutex<[String?]>([])
        let worker = JobWorker(driver: driver, configuration: JobWorker.Configuration(name: "trace"))
        worker.register(Traced.self, retry: .none) { _, context in
            let inSQL = try await database.write { _ in Trace.current?.id }
            seen.withLock { $0 += [Trace.current?.id, inSQL] }
            return .done
        }
        try await worker.start()
        let trace = Trace()
        let request = try JobRequest(Traced(), traceparent: trace.traceparent)
        try await driver.enqueue([EnqueueItem(request.envelope(id: "job_1", nowMs: 1))])
        try await eventually { seen.withLock { $0.count } == 2 }
        #expect(seen.withLock { $0 } == [trace.id, trace.id])
        await worker.stop(by: .now + .seconds(5))
        await database.close()
        #expect(Trace.current == nil)
    }

    private struct Traced: JobParameters {
        static let kind = "trace.seen"
        static let queue = "notifications"
    }
}
