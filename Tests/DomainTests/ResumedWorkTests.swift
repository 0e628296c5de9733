import Database
import DraftGeneration
import Drafts
import Formats
import Invoicing
import JobQueue
import Money
import Outbox
import Payments
import Plans
import ProviderPort
import Telemetry
import TestSupport
import Testing

@Suite("Paid work that was skipped while its payment was conflicted")
struct ResumedWorkTests {
    /// Its provider tells another amount besides: a conflict.
    private func contradict(_ payment: String, in domain: DomainFixture) async throws {
        let state = try await domain.database.write { connection in
            let known = try PaymentStore.require(payment, in: connection)
            let attempt = try #require(try PaymentStore.attempts(of: payment, in: connection).last)
            let less = Money(known.amount.minorUnits - 100, known.amount.currency)
            return try PaymentFacts(purposes: DomainFixture.purposes, outbox: Outbox(slot: "test.0")).record(
                ProviderNotice(references: [], claim: .captured, amount: less), attempt: attempt,
                source: .init(actor: "provider:played", reference: "test"), nowMs: DomainFixture.nowMs, in: connection)
        }
        #expect(state == .conflicted)
    }

    private func accept(_ payment: String, in domain: DomainFixture) async throws {
        let state = try await domain.database.write { connection in
            try PaymentFacts(purposes: DomainFixture.purposes, outbox: Outbox(slot: "test.1")).accept(
                try PaymentStore.require(payment, in: connection), reason: "r", actor: "staff:ana", nowMs: DomainFixture.nowMs, in: connection)
        }
        #expect(state == .paid)
    }

    private static let skipped = JobOutcome.skipped(reason: "payment is conflicted")

    @Test("an invoice is issued after all, and once")
    func invoice() async throws {
        let room = try await InvoicingFixture(issuers: [try .example()])
        let (payment, job) = try await room.paid(Money(12_500, .xof))
        try await contradict(payment, in: room.domain)
        let creation = room.creation { _ in Array("%PDF-".utf8) }
        #expect(try await creation.deliver(job) == Self.skipped)
        #expect(try await room.invoice(of: payment) == nil)
        try await accept(payment, in: room.domain)
        let record = try #require(try await room.domain.record(of: job))
        #expect(record.finishedAtMs == nil && record.publishedAtMs == nil && record.slot == "test.1")
        for _ in 0..<2 { #expect(try await creation.deliver(job) == .done) }
        #expect(try await room.invoice(of: payment)?.number == 1)
        #expect(try await room.faults().isEmpty)
    }

    @Test("a plan is activated after all, and once")
    func plan() async throws {
        let domain = try DomainFixture()
        let payment = try await domain.payment(
            PlanPurpose.name, subject: "t", amount: Money(300, .eur), state: .created, metadata: ["new_plan": "pay_as_you_go"])
        try await domain.tell(.captured, of: payment.id)
        let job = try await domain.delivered(ActivatePlan.kind, of: payment.id)
        let parameters = try job.parameters(as: ActivatePlan.self)
        let activation = PlanActivation(database: domain.database, outbox: Outbox(slot: "test.0"))
        try await contradict(payment.id, in: domain)
        #expect(try await activation.run(parameters, job: job, log: Log(), nowMs: DomainFixture.nowMs) == Self.skipped)
        try await accept(payment.id, in: domain)
        for _ in 0..<2 { #expect(try await activation.run(parameters, job: job, log: Log(), nowMs: DomainFixture.nowMs) == .done) }
        #expect(try await domain.database.read { try Subscription.of(team: "t", in: $0) }?.plan == "pay_as_you_go")
        #expect(try await domain.record(of: job)?.outcome == .done)
    }

    @Test("a draft is made after all: the inquiry that had failed for it admits it")
    func draft() async throws {
        try await DraftingFixture.with { room in
            let (id, payment, job) = try await room.paidInquiry()
            try await contradict(payment, in: room.domain)
            let reason = "payment is conflicted"
            #expect(try await PaidGuard(database: room.domain.database).admit(job) == .skip(reason: reason))
            // What the worker does with what the guard skips.
            try await JobOutcomeRecorder(database: room.domain.database).record(job, as: .skipped, reason: reason, nowMs: 1)
            try await room.making().failed(job, reason: reason, nowMs: 1)
            #expect(try await room.found(id).state == .draftFailed)
            try await accept(payment, in: room.domain)
            #expect(try await PaidGuard(database: room.domain.database).admit(job) == .run)
            #expect(try await room.making().deliver(job) == .done)
            let made = try await room.found(id)
            #expect(made.state == .draftDone && made.failure == nil)
            #expect(try await room.draft(of: id) != nil)
        }
    }
}
