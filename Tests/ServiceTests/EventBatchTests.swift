import Database
import Formats
import JobQueue
import Outbox
import Payments
import PaymentsService
import ProviderPort
import Settings
import Telemetry
import Testing

@Suite("A batch of events")
struct EventBatchTests {
    @Test("one that cannot be applied is buried, and takes no other with it")
    func oneFails() async throws {
        let stage = try await CommandStage.make()
        let kits = [try await stage.orderKit(), try await stage.orderKit(), try await stage.orderKit()]
        let facts = PaymentFacts(purposes: Product.purposes, outbox: Outbox(slot: "worker-payments.0"))
        let events = PaymentEvents(facts: facts, providers: try Product.providers(stage.settings))
        let database = try Database.open(stage.settings.database, readers: 1)
        let application = EventApplication(database: database, events: events, log: Log(), nowMs: { stage.nowMs + 3000 })
        try await database.write { connection in
            try connection.executeScript(
                """
                CREATE TRIGGER refused BEFORE INSERT ON payments_facts WHEN NEW.payment = '\(kits[1].payment)'
                BEGIN SELECT RAISE(ABORT, 'not this one'); END
                """)
        }
        let batch = kits.enumerated().map { number, kit in
            ClaimedJob(token: ClaimToken(number + 1), body: Self.event("msg_\(number)", kit.attempt, stage.nowMs).encoded())
        }
        let outcomes = try await application.apply(batch + [ClaimedJob(token: 4, body: Array("no event".utf8))])
        #expect(outcomes[0] == .ack && outcomes[2] == .ack)
        guard case .bury(let reason) = outcomes[1], case .bury = outcomes[3] else {
            Issue.record("\(outcomes)")
            return
        }
        #expect(reason.contains("not this one"))
        let (states, archived, jobs) = try await database.read { connection in
            (
                try kits.map { try PaymentStore.require($0.payment, in: connection).state },
                try connection.first("SELECT COUNT(*) AS n FROM payments_events")?.int("n"),
                try kits.map { try JobRecord.of(payment: $0.payment, in: connection).count }
            )
        }
        #expect(states == [.paid, .pending, .paid] || states == [.paid, .created, .paid])
        #expect(archived == 2, "what failed leaves nothing of itself")
        #expect(jobs[0] > 0 && jobs[0] == jobs[2] && jobs[1] == 0)
        await database.close()
    }

    private static func event(_ id: String, _ attempt: String, _ nowMs: Int64) -> ProviderEvent {
        let body: JSON = ["type": "payment.succeeded", "data": ["order_id": .string(attempt), "amount": "12500", "currency": "XOF"]]
        return ProviderEvent(
            id: id, provider: "standard-webhooks", mode: "sandbox", trust: .signed, type: "payment.notification", timeMs: nowMs,
            contentType: "application/json", body: body.bytes, headers: "", matchedKey: 0, payment: nil, target: "/webhooks/standard-webhooks",
            traceparent: nil)
    }
}
