import Database
import Formats
import JobQueue
import Money
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

    @Test("An attempt that waits to the end of its time is given up; money that comes later is a conflict for a person")
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

    @Test(
        "While a part of the money is in hand, or a person has to decide, what else is under way is still asked about", arguments: [true, false])
    func othersUnderWay(_ isPart: Bool) async throws {
        let room = try PaymentsFixture(deposits: isPart)
        let (payment, _) = try await room.payment()
        let second = try await room.database.write { connection in
            try PaymentStore.startAttempt(
                of: payment, provider: "played", mode: "sandbox", method: nil, amount: 3000, nowMs: PaymentsFixture.nowMs, in: connection)
        }
        try await room.apply("e1", isPart ? "ref captured 2000 XOF" : "ref captured 4900 XOF")
        #expect(try await room.state(payment.id) == (isPart ? .partiallyPaid : .conflicted))
        _ = try await room.database.write { connection in
            try room.facts.record(
                ProviderNotice(references: [], claim: .pending), attempt: second, source: .init(actor: "provider:played", reference: "e"),
                nowMs: PaymentsFixture.nowMs, in: connection)
        }
        let reconciliation = Reconciliation(facts: room.facts, providers: room.events.providers)
        let later = PaymentsFixture.nowMs + 16 * Self.minute
        let findings = try await room.database.read { connection in
            try reconciliation.findings(minimumAgeMs: 0, onlyDue: true, nowMs: later, limit: 100, in: connection)
        }
        #expect(findings.map(\.attempt) == [second.id], "the first has brought its money")
        #expect(try await room.database.write { try reconciliation.carryOut(findings, cause: "tick", nowMs: later, in: $0).asked } == 1)
        // Its answer is all that tells of the rest: the notification was lost.
        _ = try await room.database.write { connection in
            try room.facts.record(
                ProviderNotice(references: [], claim: .captured, amount: Money(3000, .xof)), attempt: second,
                source: .init(actor: "provider:played", reference: "job"), nowMs: later, in: connection)
        }
        #expect(try await room.state(payment.id) == (isPart ? .paid : .conflicted))
        let after = try await room.database.read { connection in
            try reconciliation.findings(minimumAgeMs: 0, onlyDue: false, nowMs: later, limit: 100, in: connection)
        }
        #expect(after.isEmpty)
    }

    @Test("Nobody is led to an attempt that asks for more than is still to come, or of a payment that a person must look at")
    func payable() async throws {
        for isPart in [true, false] {
            let room = try PaymentsFixture(deposits: isPart)
            let (payment, _) = try await room.payment()
            let (rest, whole) = try await room.database.write { connection in
                let started = try [Int64(3000), nil].map { amount in
                    try PaymentStore.startAttempt(
                        of: payment, provider: "played", mode: "sandbox", method: nil, amount: amount, nowMs: PaymentsFixture.nowMs, in: connection)
                }
                return (started[0].id, started[1].id)
            }
            try await room.apply("e1", isPart ? "ref captured 2000 XOF" : "ref captured 4900 XOF")
            let payable = try await room.database.read { connection in
                let found = try PaymentStore.require(payment.id, in: connection)
                return try PaymentStore.attempts(of: payment.id, in: connection).filter { $0.isPayable(of: found) }.map(\.id)
            }
            #expect(payable == (isPart ? [rest] : []) && !payable.contains(whole))
        }
    }

    @Test("The ladder of checks grows to a day and stays there")
    func ladder() {
        let minutes = (0..<8).map { ReconciliationLadder.delayMs(afterChecks: $0) / Self.minute }
        #expect(minutes == [2, 5, 15, 60, 360, 1440, 1440, 1440])
    }

    struct Climb: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let capabilities: ProviderCapabilities
        /// Minutes of age at which the attempt is asked about, and given up.
        let asked: [Int64]
        let givenUp: Int64
    }

    static let rows = [
        Climb(
            testDescription: "a checkout",
            capabilities: ProviderCapabilities(hasProof: true, proofCoversMoney: true, hasInitiate: false, hasStatus: true),
            asked: [2, 7, 22, 82, 442, 1882], givenUp: 2040),
        Climb(
            testDescription: "where polling is discouraged",
            capabilities: ProviderCapabilities(
                hasProof: true, proofCoversMoney: true, hasInitiate: false, hasStatus: true, discouragesPolling: true),
            asked: [15, 75, 435, 1875], givenUp: 2040),
        Climb(
            testDescription: "where it takes three days",
            capabilities: ProviderCapabilities(
                hasProof: true, proofCoversMoney: true, hasInitiate: false, hasStatus: true, giveUpAfterMs: 3 * 1440 * minute),
            asked: [2, 7, 22, 82, 442, 1882, 3322], givenUp: 4320),
        Climb(
            testDescription: "where nobody can be asked",
            capabilities: ProviderCapabilities(
                hasProof: true, proofCoversMoney: true, hasInitiate: false, hasStatus: false, giveUpAfterMs: 3 * 1440 * minute),
            asked: [], givenUp: 4320),
    ]

    @Test("An attempt climbs the whole ladder from its first rung, and is given up when its time is over, not a rung later", arguments: rows)
    func climbs(_ climb: Climb) async throws {
        let room = try PaymentsFixture(provider: PlayedProvider(capabilities: climb.capabilities))
        let (payment, attempt) = try await room.payment()
        let reconciliation = Reconciliation(facts: room.facts, providers: room.events.providers)
        var asked: [Int64] = []
        for _ in 0..<20 {
            let due = try await room.database.read { connection in
                try connection.first("SELECT next_check_at FROM payments_attempts WHERE id = $1", [.text(attempt.id)])?.intOrNil("next_check_at")
            }
            guard let due else { break }
            let age = (due - PaymentsFixture.nowMs) / Self.minute
            let actions = try await room.database.write { connection in
                let early = try reconciliation.findings(minimumAgeMs: 0, onlyDue: true, nowMs: due - 1, limit: 100, in: connection)
                #expect(early.isEmpty)
                let findings = try reconciliation.findings(minimumAgeMs: 0, onlyDue: true, nowMs: due, limit: 100, in: connection)
                _ = try reconciliation.carryOut(findings, cause: "tick \(due)", nowMs: due, in: connection)
                return findings.map(\.action)
            }
            if actions == [.ask] { asked.append(age) }
            if actions == [.giveUp] { #expect(age == climb.givenUp) }
        }
        #expect(asked == climb.asked)
        #expect(try await room.state(payment.id) == .expired)
        #expect(try await room.jobs(payment.id).count == climb.asked.count)
    }
}
