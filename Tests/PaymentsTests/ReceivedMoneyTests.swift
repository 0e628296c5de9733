import Database
import JobQueue
import Ledger
import Money
import Outbox
import Payments
import ProviderPort
import TestSupport
import Testing

@Suite("Money that comes by hand in several sums")
struct ReceivedMoneyTests {
    private static let nowMs = PaymentsFixture.nowMs

    /// Records a sum as staff do.
    @discardableResult
    private func receive(_ units: Int64, _ reference: String, _ room: PaymentsFixture, _ payment: Payment) async throws -> PaymentState {
        try await room.database.write { connection in
            let sum = Money(units, .xof)
            let attempt = try PaymentStore.startReceipt(
                of: try PaymentStore.require(payment.id, in: connection), received: sum, provider: "manual", mode: "sandbox", method: "cash",
                nowMs: Self.nowMs, in: connection)
            return try room.facts.recordReceived(sum, attempt: attempt, reference: reference, actor: "staff:ana", nowMs: Self.nowMs, in: connection)
        }
    }

    private func accept(_ room: PaymentsFixture, _ payment: Payment) async throws {
        try await room.database.write { connection in
            let found = try PaymentStore.require(payment.id, in: connection)
            try room.facts.accept(found, reason: "r", actor: "staff:ana", nowMs: Self.nowMs, in: connection)
        }
    }

    private func tasks(_ room: PaymentsFixture, _ payment: Payment) async throws -> [String] {
        try await room.database.read { try PaymentTask.open(of: payment.id, in: $0) }.map(\.kind)
    }

    private func suspense(_ room: PaymentsFixture) async throws -> Int64 {
        try await room.database.read { try Ledger.balances(of: .suspense, in: $0) }.first { $0.currency == .xof }?.minorUnits ?? 0
    }

    @Test("parts that add up to what is owed end the contradiction: the payment is paid, its work starts once")
    func parts() async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        #expect(try await receive(3000, "T-1", room, payment) == .conflicted)
        #expect(try await receive(1500, "T-2", room, payment) == .conflicted)
        #expect(try await tasks(room, payment) == ["conflicted"])
        #expect(try await suspense(room) == -4500)
        #expect(try await room.jobs(payment.id).isEmpty)
        #expect(try await receive(500, "T-3", room, payment) == .paid)
        #expect(try await tasks(room, payment).isEmpty)
        #expect(try await suspense(room) == 0)
        #expect(try await room.jobs(payment.id).map(\.kind) == [PlayedJob.kind])
    }

    @Test("parts that add up to more stay a conflict; a sum that is too much by itself is one too", arguments: [2500, 7000] as [Int64])
    func tooMuch(_ second: Int64) async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        try await receive(3000, "T-1", room, payment)
        #expect(try await receive(second, "T-2", room, payment) == .conflicted)
        #expect(try await tasks(room, payment) == ["conflicted"])
        #expect(try await room.jobs(payment.id).isEmpty)
    }

    @Test("a second transfer of a paid order is recorded as a surplus, with a task and no second work", arguments: [5000, 2000] as [Int64])
    func second(_ units: Int64) async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        #expect(try await receive(5000, "T-1", room, payment) == .paid)
        #expect(try await receive(units, "T-2", room, payment) == .paid)
        #expect(try await suspense(room) == -units)
        #expect(try await tasks(room, payment) == ["paid"])
        #expect(try await room.jobs(payment.id).count == 1)
    }

    @Test("the rest that comes after less was taken as payment is a task of its own: the invoice may lack it")
    func lateRest() async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        try await receive(4900, "T-1", room, payment)
        try await accept(room, payment)
        #expect(try await receive(100, "T-2", room, payment) == .paid)
        #expect(try await tasks(room, payment) == ["late_rest"])
        #expect(try await room.jobs(payment.id).count == 1)
    }

    @Test("nothing else starts an attempt of a conflicted or paid payment, and none is started where money went back")
    func others() async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        func start() async throws {
            _ = try await room.database.write { connection in
                try PaymentStore.startAttempt(
                    of: try PaymentStore.require(payment.id, in: connection), provider: "manual", mode: "sandbox", method: "cash",
                    nowMs: Self.nowMs, in: connection)
            }
        }
        try await receive(3000, "T-1", room, payment)
        await #expect(throws: PaymentError.notAllowed("payment \(payment.id) is conflicted: no further attempt can be started")) { try await start() }
        try await receive(2000, "T-2", room, payment)
        await #expect(throws: PaymentError.notAllowed("payment \(payment.id) is paid: no further attempt can be started")) { try await start() }
        let (other, _) = try await room.payment(reference: "other")
        try await room.apply("e2", "other captured 5000 XOF")
        try await room.apply("e3", "other refunded 5000 XOF")
        await #expect(throws: PaymentError.self) { try await receive(5000, "T-3", room, other) }
    }
}
