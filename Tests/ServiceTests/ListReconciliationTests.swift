import Database
import Formats
import JobQueue
import Outbox
import Payments
import ProviderPort
import TestSupport
import Testing

@Suite("FeexPay's history answers for many payments at once", .timeLimit(.minutes(2)))
struct ListReconciliationTests {
    private static let column = ProviderColumn.all.first { $0.name == "feexpay" }

    @Test("notices that never came of many payments are made up for by one call, and only what the list lacks is asked about singly")
    func manyLost() async throws {
        let column = try #require(Self.column)
        try await ProvidersStage.with { stage in
            var paid: [String] = []
            for _ in 0..<6 {
                let payment = try await stage.order(column)
                let attempt = try await stage.start(payment, column)
                try await stage.play("pay", attempt, column, steps: ["dropped"])
                paid.append(payment)
            }
            let before = stage.transport.calls
            try await stage.reconcile()
            for payment in paid { try await stage.becomes("paid", payment) }
            #expect(stage.transport.calls - before == 1, "one call for all of them")
            let kinds = try await stage.database.read { connection in
                try connection.query("SELECT kind FROM outbox_jobs WHERE kind IN ($1, $2)", [.text(VerifyPayment.kind), .text(ReconcileBatch.kind)])
                    .map { try $0.text("kind") }
            }
            #expect(kinds == [ReconcileBatch.kind])
        }
    }
}
