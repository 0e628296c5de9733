import Database
import Money
import Payments
import ProviderPort
import Testing

@Suite("Which references an answer ties to its attempt")
struct ClaimedReferenceTests {
    private static let fresh = ProviderReference("id", "fresh")

    /// Enters an answer about an attempt. - Returns: the references that lead to the attempt then.
    private func record(_ notice: ProviderNotice, _ attempt: PaymentAttempt, _ room: PaymentsFixture) async throws -> [ProviderReference] {
        try await room.database.write { connection in
            let source = PaymentFacts.Source(actor: "provider:played", reference: "job_1")
            try room.facts.record(notice, attempt: attempt, source: source, nowMs: PaymentsFixture.nowMs + 1, in: connection)
            return try PaymentStore.references(of: attempt.id, in: connection)
        }
    }

    @Test("what claims nothing of the attempt ties nothing to it, unless it names it", arguments: [false, true])
    func unknown(_ names: Bool) async throws {
        let room = try PaymentsFixture()
        let (_, attempt) = try await room.payment()
        let references = [Self.fresh] + (names ? [.ours(attempt.id)] : [])
        let notice = ProviderNotice(references: references, claim: .unknown, errorCode: "unnamed_reference")
        #expect(try await record(notice, attempt, room).contains(Self.fresh) == names)
    }

    @Test("a claim ties what it was told under", arguments: [ProviderClaim.pending, .captured, .failed])
    func claim(_ claim: ProviderClaim) async throws {
        let room = try PaymentsFixture()
        let (_, attempt) = try await room.payment()
        let notice = ProviderNotice(references: [Self.fresh], claim: claim, amount: Money(5000, .xof))
        #expect(try await record(notice, attempt, room).contains(Self.fresh))
    }

    @Test("what is told under another attempt's reference ties nothing else to this one", arguments: [ProviderClaim.pending, .captured, .refunded])
    func foreign(_ claim: ProviderClaim) async throws {
        let room = try PaymentsFixture()
        _ = try await room.payment(reference: "theirs")
        let (_, attempt) = try await room.payment()
        let notice = ProviderNotice(references: [Self.fresh, ProviderReference("id", "theirs")], claim: claim, amount: Money(5000, .xof))
        #expect(try await record(notice, attempt, room).map(\.value).sorted() == [attempt.id, "ref"].sorted())
    }
}
