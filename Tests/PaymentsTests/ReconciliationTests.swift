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

    @Test("The ladder of checks grows to a day and stays there")
    func ladder() {
        let minutes = (0..<8).map { ReconciliationLadder.delayMs(afterChecks: $0) / Self.minute }
        #expect(minutes == [2, 5, 15, 60, 360, 1440, 1440, 1440])
    }
}
