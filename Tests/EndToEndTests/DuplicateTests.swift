import Formats
import Synchronization
import TestSupport
import Testing

@Suite("The same event more than once", .timeLimit(.minutes(4)))
struct DuplicateTests {
    @Test("a double post moves the payment once; fifty at once too; so does any order of them")
    func duplicates() async throws {
        try await Stage.run(["ingest", "worker-payments"]) { stage in
            // Two workers, so that the same event can be in two transactions at once.
            try await stage.instance.start("worker-payments", slot: 1)
            let payments = try await stage.seed(.order, 12)
            // Twice, one after the other.
            let twice = Message.paid(payments[0])
            let first = try await stage.post(twice)
            let second = try await stage.post(twice)
            #expect(first.status == 200 && second.status == 200)
            #expect(first.body == second.body, "a duplicate is answered like the first")

            // Fifty of the same at once, and fifty deliveries that say the same under ids of their own.
            let same = Message.paid(payments[1])
            let alike = (0..<50).map { _ in Message.paid(payments[2]) }
            async let sameTally = EventStream.post(Array(repeating: same, count: 50), port: stage.ingestPort, lines: 10)
            async let alikeTally = EventStream.post(alike, port: stage.ingestPort, lines: 10)
            #expect(try await sameTally.statuses == [200: 50])
            #expect(try await alikeTally.statuses == [200: 50])

            // All a payment's life, shuffled and doubled.
            var shuffled: [Message] = []
            for payment in payments.dropFirst(3) {
                for type in ["payment.created", "payment.pending", "payment.processing", "payment.failed"] {
                    shuffled.append(.payment(type, order: payment.attempt, amount: payment.amountText))
                }
                shuffled.append(.paid(payment))
            }
            shuffled = (shuffled + shuffled).shuffled()
            let tally = try await EventStream.post(shuffled, port: stage.ingestPort, lines: 8)
            #expect(tally.statuses == [200: shuffled.count])

            let ids = Set([twice.id, same.id] + alike.map(\.id) + shuffled.map(\.id))
            let accounting = try await stage.settle(ids)
            #expect(accounting.archived.keys.sorted() == ["applied"])
            try await stage.requirePaidOnce(payments)
            let deliveries = try await stage.count("SELECT deliveries FROM payments_events WHERE id = 'standard-webhooks/\(same.id)'")
            #expect(deliveries == 50)
            // An order's jobs: an invoice each, once, whatever was told how often.
            #expect(try await stage.count("SELECT COUNT(*) FROM outbox_jobs") == payments.count)
            #expect(try await stage.waiting(on: "invoices").count == payments.count)
        }
    }

    @Test("a tampered body pays nothing, and the genuine one afterwards does")
    func tampered() async throws {
        try await Stage.run(["ingest", "worker-payments"]) { stage in
            let payment = try await stage.seedOne(.order)
            let genuine = Message.payment("payment.failed", order: payment.attempt, amount: payment.amountText)
            let forged = Message(id: genuine.id, body: Message.paid(payment).body)
            #expect(try await stage.post(forged, headers: genuine.headers()).status == 401)
            #expect(try await stage.post(genuine).status == 200)
            try await stage.settle([genuine.id])
            #expect(try await stage.state(of: payment.id) == "failed")
            #expect(try await stage.post(Message.paid(payment)).status == 200)
            try await stage.requirePaidOnce([payment])
        }
    }

    @Test("clients that send slowly, or nothing more, disturb nobody")
    func slowClients() async throws {
        try await Stage.run(["ingest"]) { stage in
            let slow = Message.unmatched()
            let request = HTTPLine.request("POST", slow.path, headers: slow.headers(), body: slow.body)
            let held = try await HTTPLine.blocking {
                let lines = try (0..<100).map { _ in try HTTPLine(port: stage.ingestPort) }
                // Each has sent all but its last byte, or stands somewhere in its head.
                for (index, line) in lines.enumerated() { try line.send(Array(index.isMultiple(of: 2) ? request.dropLast() : request.prefix(40))) }
                return Held(lines)
            }
            let messages = (0..<200).map { _ in Message.unmatched() }
            let tally = try await EventStream.post(messages, port: stage.ingestPort, lines: 4)
            #expect(tally.statuses == [200: 200])
            #expect(tally.slowest < (.seconds(2) as Duration).stretched, "a good client waited \(tally.slowest)")
            // A slow one is served as well, once it has said all.
            let answer = try await HTTPLine.blocking {
                try held.with { lines in
                    try lines[0].send([request[request.count - 1]])
                    return try lines[0].answer()
                }
            }
            #expect(answer.status == 200)
        }
    }

    /// Connections that are kept open and used by one thread at a time.
    private final class Held: @unchecked Sendable {
        private let lines: [HTTPLine]
        private let turn = Mutex(())
        init(_ lines: [HTTPLine]) { self.lines = lines }
        func with<Value>(_ body: ([HTTPLine]) throws -> Value) rethrows -> Value { try turn.withLock { _ in try body(lines) } }
    }
}
