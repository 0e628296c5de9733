import Database
import Formats
import Money
import OperatorCommands
import Outbox
import Payments
import PaymentsService
import ProviderPort
import TestSupport
import Testing

@Suite("quittance refunds and held")
struct CommandMoneyTests {
    private func tell(_ stage: CommandStage, _ attempt: String, _ amount: Money) async throws {
        let now = stage.nowMs
        try await stage.write { connection in
            let facts = PaymentFacts(purposes: Product.purposes, outbox: Outbox(slot: "test.0"))
            let found = try PaymentStore.requireAttempt(attempt, in: connection)
            _ = try facts.record(
                ProviderNotice(references: [], claim: .captured, amount: amount), attempt: found,
                source: .init(actor: "provider:x", reference: "e"), nowMs: now, in: connection)
        }
    }

    @Test("money of another currency is listed, and decided once", arguments: [true, false])
    func held(_ returned: Bool) async throws {
        let stage = try await CommandStage.make()
        let kit = try await stage.orderKit()
        #expect(await stage.run("held", "list", kit.payment).out == "Nothing is held.\n")
        try await tell(stage, kit.attempt, Money(5000, .usd))
        let listed = try await stage.json("held", "list", kit.payment, "--json")
        #expect(listed[0]?["currency"] == "USD" && listed[0]?["amount"] == "50.00")
        let id = try #require(listed[0]?["held"]?.int)
        #expect(await stage.run("held", "settle", kit.payment, "\(id)", "--reason", "r").code == .usage)
        #expect(await stage.run("held", "settle", kit.payment, "\(id)", "--accepted", "much", "--reason", "r").code == .failed)
        #expect(await stage.run("held", "settle", kit.payment, "99", "--returned", "R", "--reason", "r").code == .notFound)
        let choice = returned ? ["--returned", "SEPA-1"] : ["--accepted", try await owed(stage, kit.payment)]
        let result = await stage.run(["held", "settle", kit.payment, "\(id)"] + choice + ["--reason", "as agreed"])
        #expect(result == CommandResult(code: .ok, out: "\(kit.payment) is \(returned ? "refunded" : "paid")\n", err: ""), "\(result)")
        #expect(await stage.run("held", "list", kit.payment).out == "Nothing is held.\n")
        #expect(await stage.run("ledger", "verify").code == .ok)
    }

    private func owed(_ stage: CommandStage, _ payment: String) async throws -> String {
        try await stage.write { try PaymentStore.require(payment, in: $0).amount.decimalText }
    }

    @Test("a refund is listed, and one that is over is not settled again")
    func refunds() async throws {
        let stage = try await CommandStage.make()
        let kit = try await stage.orderKit()
        #expect(await stage.run("refunds", "list", kit.payment).out == "No refunds.\n")
        #expect(await stage.run("refunds", "list", "pay_none").code == .notFound)
        let sum = try await stage.write { try PaymentStore.require(kit.payment, in: $0).amount }
        try await tell(stage, kit.attempt, sum)
        let now = stage.nowMs
        let refund = try await stage.write { connection in
            let facts = PaymentFacts(purposes: Product.purposes, outbox: Outbox(slot: "test.0"))
            let new = Refund.New(payment: kit.payment, amount: sum, reason: "r", providerReference: "R-1", actor: "staff:ana")
            return try Refunds(facts: facts, providers: ProviderRegistry([])).request(new, nowMs: now, in: connection)
        }
        #expect(try await stage.json("refunds", "list", kit.payment, "--json")[0]?["state"] == "done")
        let settle = ["refunds", "settle", kit.payment, refund.id]
        #expect(await stage.run(settle + ["--reason", "r"]).code == .usage)
        #expect(await stage.run(settle + ["--done", "--reason", "r"]).code == .failed)
        #expect(await stage.run(["refunds", "settle", kit.payment, "ref_none", "--failed", "--reason", "r"]).code == .notFound)
    }
}
