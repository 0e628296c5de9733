import Database
import Formats
import JobQueue
import Outbox
import Payments
import ProviderPort
import TestSupport
import Testing

@Suite("Reconciliation of payments that wait")
struct ReconciliationTests {
    private static let minute: Int64 = 60_000

    @Test("Only attempts that are old enough and still open are asked about, once per cause")
    func asks() async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        let reconciliation = Reconciliation(facts: room.facts, providers: room.events.providers)
        let early = try await room.database.read { connection in
            try reconciliation.findings(
                minimumAgeMs: 15 * Self.minute, onlyDue: false, nowMs: PaymentsFixture.nowMs + 14 * Self.minute, limit: 100, in: connection)
        }
        #expect(early.isEmpty)
        let later = PaymentsFixture.nowMs + 16 * Self.minute
        let counts = try await room.database.write { connection -> [Int] in
            try (0..<2).map { _ in
                let findings = try reconciliation.findings(minimumAgeMs: 15 * Self.minute, onlyDue: false, nowMs: later, limit: 100, in: connection)
                return try reconciliation.carryOut(findings, cause: "tick", nowMs: later, in: connection).asked
            }
        }
        #expect(counts == [1, 0])
        #expect(try await room.jobs(payment.id).map(\.kind) == ["payment.verify"])
        try await room.apply("e1", "ref captured 5000 XOF")
        let after = try await room.database.read { connection in
            try reconciliation.findings(minimumAgeMs: 0, onlyDue: false, nowMs: later, limit: 100, in: connection)
        }
        #expect(after.isEmpty)
    }

    @Test("An attempt that waits for three days is given up; money that comes later is a conflict for a person")
    func givesUp() async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        let reconciliation = Reconciliation(facts: room.facts, providers: room.events.providers)
        let later = PaymentsFixture.nowMs + ReconciliationLadder.giveUpAfterMs + 1
        try await room.database.write { connection in
            let findings = try reconciliation.findings(minimumAgeMs: 0, onlyDue: true, nowMs: later, limit: 100, in: connection)
            #expect(findings.map(\.action) == [.giveUp])
            _ = try reconciliation.carryOut(findings, cause: "tick", nowMs: later, in: connection)
        }
        #expect(try await room.state(payment.id) == .expired)
        try await room.apply("e1", "ref captured 5000 XOF")
        #expect(try await room.state(payment.id) == .conflicted)
        #expect(try await room.jobs(payment.id).isEmpty)
    }

    @Test(
        "What its provider does not call unpaid is given up with a task: a success without an amount, one that is still under way, silence",
        arguments: [
            ([], true), (["unknown"], true), (["processing"], true), (["pending"], false), (["pending", "unknown"], true),
            (["processing", "pending"], false), (["unknown", "pending"], false),
        ] as [([String], Bool)])
    func doubt(_ answers: [String], _ isTold: Bool) async throws {
        let room = try PaymentsFixture()
        let (payment, attempt) = try await room.payment()
        for (number, claim) in answers.enumerated() {
            let events = PaymentEvents(
                facts: room.facts, providers: ProviderRegistry([(PlayedProvider(answer: "ref \(claim)"), "sandbox")]))
            let verification = PaymentVerification(database: room.database, events: events, transport: NoTransport())
            let job = JobEnvelope(
                id: "job_\(number)", kind: VerifyPayment.kind, queue: VerifyPayment.queue,
                args: ["attempt": .string(attempt.id), "cause": .string("\(number)"), "reconciles": true], payment: payment.id, enqueuedAtMs: 0)
            _ = try await verification.run(try job.parameters(as: VerifyPayment.self), job: job, nowMs: { PaymentsFixture.nowMs })
        }
        #expect(try await tasksAfterGivingUp(payment, room) == (isTold ? ["unresolved"] : []))
    }

    @Test("Where nobody can be asked, only what was told to be under way is given up with a task", arguments: ["pending", "processing"])
    func doubtUnasked(_ claim: String) async throws {
        let room = try PaymentsFixture(
            provider: PlayedProvider(
                capabilities: ProviderCapabilities(hasProof: true, proofCoversMoney: true, hasInitiate: false, hasStatus: false)))
        let (payment, _) = try await room.payment()
        try await room.apply("e1", "ref \(claim)")
        #expect(try await tasksAfterGivingUp(payment, room) == (claim == "processing" ? ["unresolved"] : []))
    }

    private func tasksAfterGivingUp(_ payment: Payment, _ room: PaymentsFixture) async throws -> [String] {
        let reconciliation = Reconciliation(facts: room.facts, providers: room.events.providers)
        let later = PaymentsFixture.nowMs + ReconciliationLadder.giveUpAfterMs + 1
        let tasks = try await room.database.write { connection in
            let findings = try reconciliation.findings(minimumAgeMs: 0, onlyDue: true, nowMs: later, limit: 100, in: connection)
            #expect(try reconciliation.carryOut(findings, cause: "tick", nowMs: later, in: connection).givenUp == 1)
            return try PaymentTask.open(of: payment.id, in: connection).map(\.kind)
        }
        #expect(try await room.state(payment.id) == .expired)
        return tasks
    }

    @Test("The ladder of checks grows to a day and stays there")
    func ladder() {
        let minutes = (0..<8).map { ReconciliationLadder.delayMs(afterChecks: $0) / Self.minute }
        #expect(minutes == [2, 5, 15, 60, 360, 1440, 1440, 1440])
    }
}
