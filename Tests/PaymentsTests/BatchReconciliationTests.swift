import Database
import Formats
import JobQueue
import Money
import Outbox
import ProviderPort
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import Payments

/// Lists what it is told to, in pages of two.
private struct ListingProvider: PaymentProvider {
    final class Pages: Sendable {
        private let state = Mutex<(rows: [ProviderNotice], calls: Int, error: ProviderError?)>(([], 0, nil))
        func set(_ rows: [ProviderNotice], error: ProviderError? = nil) { state.withLock { $0 = (rows, 0, error) } }
        var calls: Int { state.withLock(\.calls) }
        func page(_ cursor: String?) throws(ProviderError) -> HistoryPage {
            let (page, error) = state.withLock { state -> (HistoryPage, ProviderError?) in
                state.calls += 1
                let start = cursor.flatMap { Int($0) } ?? 0
                let end = min(start + 2, state.rows.count)
                return (HistoryPage(notices: Array(state.rows[start..<end]), next: end < state.rows.count ? "\(end)" : nil), state.error)
            }
            if let error { throw error }
            return page
        }
    }

    let pages: Pages
    let offer = ProviderOffer([])
    let name = "played"
    let capabilities = ProviderCapabilities(hasProof: true, proofCoversMoney: true, hasInitiate: false, hasStatus: true, hasHistory: true)

    func verifyWebhook(_ webhook: IncomingWebhook, nowMs: Int64) -> WebhookVerdict { .refused(reason: "not played") }
    func parse(body: [UInt8], contentType: String) throws(ProviderError) -> ProviderNotice {
        try PlayedProvider().parse(body: body, contentType: contentType)
    }
    func history(_ query: HistoryQuery, over transport: any ProviderTransport) async throws(ProviderError) -> HistoryPage {
        try pages.page(query.cursor)
    }
}

@Suite("One list answers for many attempts")
struct BatchReconciliationTests {
    private static let nowMs = PaymentsFixture.nowMs + 20 * 60_000
    private let pages = ListingProvider.Pages()
    private let room: PaymentsFixture
    private let providers: ProviderRegistry
    private var reconciliation: Reconciliation { Reconciliation(facts: room.facts, providers: providers) }

    init() throws {
        room = try PaymentsFixture()
        providers = ProviderRegistry([(ListingProvider(pages: pages), "sandbox")])
    }

    private func carryOut(onlyDue: Bool = true) async throws -> Int {
        try await room.database.write { [reconciliation] connection in
            let findings = try reconciliation.findings(minimumAgeMs: 0, onlyDue: onlyDue, nowMs: Self.nowMs, limit: 100, in: connection)
            return try reconciliation.carryOut(findings, cause: "tick", nowMs: Self.nowMs, in: connection).asked
        }
    }

    private func asked(_ kind: String) async throws -> [JobEnvelope] {
        try await room.database.read { connection in
            try connection.query("SELECT id, queue, args FROM outbox_jobs WHERE kind = $1 AND finished_at IS NULL ORDER BY sequence", [.text(kind)])
                .map {
                    JobEnvelope(
                        id: try $0.text("id"), kind: kind, queue: try $0.text("queue"), args: try JSON(parsing: $0.text("args")), payment: nil,
                        enqueuedAtMs: 0)
                }
        }
    }

    private func run(attempt: Int = 1) async throws {
        let job = try #require(try await asked(ReconcileBatch.kind).first)
        let batches = BatchReconciliation(database: room.database, facts: room.facts, providers: providers, transport: NoTransport())
        _ = try await batches.run(try job.parameters(as: ReconcileBatch.self), job: job, attempt: attempt, nowMs: { Self.nowMs })
    }

    private func row(_ reference: String, _ claim: ProviderClaim, _ units: Int64? = 5000) -> ProviderNotice {
        ProviderNotice(references: [ProviderReference("id", reference)], claim: claim, amount: units.map { Money($0, .xof) })
    }

    private func state(_ payment: Payment) async throws -> PaymentState { try await room.state(payment.id) }
    private func tasks(_ payment: Payment) async throws -> [String] {
        try await room.database.read { try PaymentTask.open(of: payment.id, in: $0) }.map(\.kind)
    }

    @Test("many that wait are one list's business; only what it says nothing of is asked about one by one")
    func many() async throws {
        var payments: [Payment] = []
        for number in 0..<5 { payments.append(try await room.payment(reference: "r\(number)").payment) }
        #expect(try await carryOut() == 5)
        #expect(try await carryOut(onlyDue: false) == 0, "the same cause asks once")
        #expect(try await asked(VerifyPayment.kind).isEmpty)
        pages.set([row("r0", .captured), row("r1", .failed, nil), row("r2", .pending, nil), row("of nobody", .captured), row("r4", .unknown, nil)])
        try await run()
        #expect(pages.calls == 3)
        #expect(try await state(payments[0]) == .paid)
        #expect(try await state(payments[1]) == .failed)
        #expect(try await state(payments[2]) == .pending)
        // Not listed, and listed without a word.
        let single = try await asked(VerifyPayment.kind).map { try $0.parameters(as: VerifyPayment.self) }
        let names = try await room.database.read { connection in
            try single.map { try PaymentStore.requireAttempt($0.attempt, in: connection).payment }
        }
        #expect(Set(names) == [payments[3].id, payments[4].id])
        #expect(single.allSatisfy { $0.reconciles == true })
    }

    @Test("one that waits is asked about by itself")
    func one() async throws {
        _ = try await room.payment()
        #expect(try await carryOut() == 1)
        #expect(try await asked(ReconcileBatch.kind).isEmpty)
        #expect(try await asked(VerifyPayment.kind).count == 1)
    }

    @Test(
        "a list that cannot be had is tried again, then done without; nothing of it is spent while calls are kept away",
        arguments: [
            (ProviderError(.unavailable, "503"), 1, false), (ProviderError(.unavailable, "503"), 3, true),
            (ProviderError(.held, "ill", retryAfterSeconds: 10), 3, false), (ProviderError(.rejected, "no such call"), 1, true),
        ] as [(ProviderError, Int, Bool)])
    func noList(_ error: ProviderError, _ attempt: Int, _ doneWithout: Bool) async throws {
        for number in 0..<3 { _ = try await room.payment(reference: "r\(number)") }
        _ = try await carryOut()
        pages.set([], error: error)
        if doneWithout {
            try await run(attempt: attempt)
        } else {
            await #expect(throws: ProviderError.self) { try await run(attempt: attempt) }
        }
        #expect(try await asked(VerifyPayment.kind).count == (doneWithout ? 3 : 0))
    }

    @Test(
        "what contradicts the books is a task and an alarm; what agrees is neither",
        arguments: [
            ("captured 5000 XOF", ProviderClaim.captured, 5000, false), ("captured 5000 XOF", .captured, 4000, true),
            ("captured 5000 XOF", .failed, nil, true), ("captured 5000 XOF", .pending, nil, true), ("captured 5000 XOF", .refunded, 5000, true),
            ("captured 5000 XOF", .chargedBack, nil, true), ("failed", .failed, nil, false), ("failed", .captured, 5000, true),
            ("cancelled", .captured, 5000, true),
        ] as [(String, ProviderClaim, Int64?, Bool)])
    func books(_ event: String, _ claim: ProviderClaim, _ units: Int64?, _ contradicts: Bool) async throws {
        let (payment, _) = try await room.payment()
        try await room.apply("e1", "ref \(event)")
        let before = ReconciliationOutcome.counter("played", .contradicted).value
        let lists = try await room.database.write { [reconciliation] in
            try reconciliation.compareBooks(cause: "night", nowMs: Self.nowMs, in: $0)
        }
        #expect(lists == 1)
        pages.set([row("ref", claim, units)])
        try await run()
        #expect(try await tasks(payment).contains("contradicted") == contradicts)
        if contradicts { #expect(ReconciliationOutcome.counter("played", .contradicted).value > before) }
        // Money that moved is booked all the same.
        if claim == .refunded { #expect(try await state(payment) == .refunded) }
        if claim == .captured && event != "captured 5000 XOF" { #expect(try await state(payment) == .paid) }
        if claim == .failed || claim == .pending { #expect(try await state(payment) == (event == "failed" ? .failed : .paid)) }
    }

    @Test("a refund of ours that is under way contradicts nothing; what is booked and not listed is asked about")
    func ownRefundAndMissing() async throws {
        let (listed, attempt) = try await room.payment()
        _ = try await room.payment(reference: "gone")
        try await room.apply("e1", "ref captured 5000 XOF")
        try await room.apply("e2", "gone captured 5000 XOF")
        let later = Self.nowMs + 3_600_000
        try await room.database.write { [reconciliation] connection in
            _ = try Refund.insert(
                Refund.New(payment: listed.id, amount: Money(5000, .xof), reason: "r", actor: "staff:ana"), way: .call, attempt: attempt.id,
                toldBefore: 0, nowMs: Self.nowMs, in: connection)
            _ = try reconciliation.compareBooks(cause: "night", nowMs: later, in: connection)
        }
        pages.set([row("ref", .refunded)])
        try await run()
        #expect(try await tasks(listed).isEmpty)
        #expect(try await state(listed) == .refunded)
        #expect(try await asked(VerifyPayment.kind).count == 1)
    }
}
