import Formats
import JobQueue
import JobQueueRedis
import Money
import OperatorCommands
import Outbox
import Payments
import ProviderPort
import Testing

@Suite("quittance effects and breakers")
struct CommandEffectsTests {
    private static let identity = EffectIdentity("payout", key: "order-7")

    private func keep(_ state: EffectRecord.State, _ identity: EffectIdentity, _ stage: CommandStage) async throws {
        let owner = state == .pending ? EffectOwner(queue: "q", worker: "w:1", token: 3, job: "job_1") : nil
        try await stage.write { connection in
            try EffectTable.update(identity, in: connection) { record in
                record = EffectRecord(
                    identity: identity, state: state, rule: .onceThenTask, owner: owner, fence: 1, result: state == .done ? ["id": 7] : nil,
                    detail: nil, beganAtMs: CommandStage.startMs, changedAtMs: CommandStage.startMs)
            }
        }
    }

    @Test("effects are listed, those without a result alone with --pending, and settled once by a person")
    func effects() async throws {
        let stage = try await CommandStage.make()
        #expect(await stage.run("effects").out == "There are none.\n")
        try await keep(.doubtful, Self.identity, stage)
        try await keep(.pending, EffectIdentity("payout", key: "order-8"), stage)
        try await keep(.done, EffectIdentity("mail", key: "<1@example.org>"), stage)
        #expect(try await stage.json("effects", "list", "--json").array?.count == 3)
        let open = try await stage.json("effects", "list", "--pending", "--json")
        #expect(open.array?.compactMap { $0["key"]?.string } == ["order-8", "order-7"])
        #expect(open[0]?["job"] == "job_1" && open[0]?["worker"] == "w:1" && open[0]?["began_at"] == "2026-11-21T08:00:00.000Z")
        #expect(try await stage.json("effects", "list", "--name", "mail", "--json")[0]?["result"] == ["id": 7])

        #expect(await stage.run("effects", "settle", "payout", "order-7").code == .usage)
        #expect(await stage.run("effects", "settle", "payout", "order-7", "--done", "{").code == .usage)
        #expect(await stage.run("effects", "settle", "payout", "order-9", "--not-done").code == .notFound)
        // As it was listed: somebody who tried it since has made another one of it.
        #expect(try await stage.json("effects", "list", "--name", "payout", "--json")[0]?["owners"] == 1)
        let late = await stage.run("effects", "settle", "payout", "order-7", "--not-done", "--owners", "0")
        #expect(late.code == .failed && late.err.contains("has had 1 owners by now and is doubtful"))
        #expect(await stage.run("effects", "settle", "payout", "order-7", "--done", #"{"id":9}"#, "--owners", "1").code == .ok)
        #expect(await stage.run("effects", "settle", "payout", "order-7", "--not-done").code == .nothingDue)
        #expect(await stage.run("effects", "settle", "payout", "order-8", "--not-done").code == .ok)
        #expect(try await stage.json("effects", "list", "--pending", "--json") == [])
        let states = try await stage.json("effects", "list", "--name", "payout", "--json").array?.compactMap { $0["state"]?.string }
        #expect(states == ["withdrawn", "done"])
    }

    @Test("what is open for over two minutes is listed alone with --overdue, and is the metric effects_pending")
    func overdue() async throws {
        let stage = try await CommandStage.make()
        try await keep(.doubtful, Self.identity, stage)
        try await keep(.pending, EffectIdentity("payout", key: "order-8"), stage)
        try await keep(.done, EffectIdentity("payout", key: "order-9"), stage)
        func overdue() async throws -> [String]? {
            try await stage.json("effects", "list", "--overdue", "--json").array?.compactMap { $0["key"]?.string }
        }
        stage.turn(byMs: EffectTable.overdueMs)
        #expect(try await overdue() == [])
        #expect(try await ProductMetricsTests.samples(of: stage)["effects_pending"] == "0")
        stage.turn(byMs: 1)
        #expect(try await overdue() == ["order-8", "order-7"])
        #expect(try await ProductMetricsTests.samples(of: stage)["effects_pending"] == "2")
        #expect(await stage.run("effects", "settle", "payout", "order-8", "--not-done").code == .ok)
        #expect(try await overdue() == ["order-7"])
    }

    @Test("a doubtful effect is a task, with the payment that it is of, until a person settles it")
    func tasks() async throws {
        let stage = try await CommandStage.make()
        let (payment, attempt) = try await stage.write { connection in
            let payment = try PaymentStore.create(
                NewPayment(
                    purpose: "order", subject: "o-1", description: "A pen", amount: Money(5000, .xof),
                    customer: Customer(name: "Awa", email: nil, phone: nil, language: "fr")), actor: "test", nowMs: CommandStage.startMs,
                in: connection)
            let attempt = try PaymentStore.startAttempt(
                of: payment, provider: "payment-backend", mode: "sandbox", method: nil, nowMs: CommandStage.startMs, in: connection)
            return (payment.id, attempt.id)
        }
        #expect(await stage.run("tasks").out == "No open tasks.\n")
        try await keep(.pending, EffectIdentity(AttemptIntent.effect, key: attempt), stage)
        let doubtful = try await stage.write { connection in
            try [120_000, 120_001].map { try AttemptIntent.resolveAbandoned(nowMs: CommandStage.startMs + $0, limit: 10, in: connection) }
        }
        #expect(doubtful == [0, 1])
        // One that no payment is concerned by is a task all the same.
        try await keep(.doubtful, Self.identity, stage)
        let tasks = try #require(try await stage.json("tasks", "--json").array)
        #expect(Set(tasks.map { $0["payment"]?.string }) == [payment, nil] && tasks.allSatisfy { $0["kind"] == "effect" })
        #expect(tasks.contains { $0["detail"]?.string?.hasSuffix("`quittance effects settle provider.initiate \(attempt)`") == true })
        #expect(await stage.run("trace", payment).out.contains("nobody knows whether provider.initiate \(attempt) was carried out"))
        #expect(await stage.run("effects", "settle", AttemptIntent.effect, attempt, "--done", "{\"references\":[]}").code == .ok)
        #expect(await stage.run("effects", "settle", "payout", "order-7", "--not-done").code == .ok)
        #expect(await stage.run("tasks").out == "No open tasks.\n")
    }

    @Test("breakers are listed, and closed by a person")
    func breakers() async throws {
        let stage = try await CommandStage.make(redis: true)
        #expect(await stage.run("breakers").out == "None was called.\n")
        #expect(await stage.run("breakers", "reset", "smtp").code == .notFound)
    }
}
