import Database
import Formats
import JobQueue
import Ledger
import Money
import Outbox
import Payments
import ProviderPort
import Telemetry
import TestSupport
import Testing

@Suite("Money lies where it belongs, whatever comes after it")
struct PaymentMoneyTests {
    /// A payment with two attempts that wait, at two providers.
    private func room(
        deposits: Bool = false
    ) async throws -> (room: PaymentsFixture, payment: Payment, first: PaymentAttempt, second: PaymentAttempt) {
        let room = try PaymentsFixture(deposits: deposits)
        let (payment, first) = try await room.payment()
        let second = try await room.database.write { connection in
            try PaymentStore.startAttempt(of: payment, provider: "other", mode: "sandbox", method: nil, nowMs: PaymentsFixture.nowMs, in: connection)
        }
        return (room, payment, first, second)
    }

    private func tell(_ room: PaymentsFixture, _ attempt: PaymentAttempt, _ claim: ProviderClaim, _ amount: Money? = nil) async throws {
        _ = try await room.database.write { connection in
            try room.facts.record(
                ProviderNotice(references: [], claim: claim, amount: amount), attempt: attempt, source: .init(actor: "provider:x", reference: "e"),
                nowMs: PaymentsFixture.nowMs, in: connection)
        }
    }

    private func balance(_ room: PaymentsFixture, _ account: LedgerAccount, _ currency: Currency = .xof) async throws -> Int64 {
        try await room.database.read { try Ledger.balances(of: account, in: $0) }.first { $0.currency == currency }?.minorUnits ?? 0
    }

    private func payment(_ room: PaymentsFixture, _ id: String) async throws -> Payment {
        try await room.database.read { try PaymentStore.require(id, in: $0) }
    }

    private func tasks(_ room: PaymentsFixture, _ id: String) async throws -> [String] {
        try await room.database.read { try PaymentTask.open(of: id, in: $0) }.map(\.kind)
    }

    private func accept(_ room: PaymentsFixture, _ id: String) async throws {
        try await room.database.write { connection in
            let payment = try PaymentStore.require(id, in: connection)
            try room.facts.accept(payment, reason: "r", actor: "staff:ana", nowMs: PaymentsFixture.nowMs, in: connection)
        }
    }

    private func refund(_ room: PaymentsFixture, _ payment: Payment, _ units: Int64) async throws -> Refund {
        let new = Refund.New(payment: payment.id, amount: Money(units, .xof), reason: "r", providerReference: "R", actor: "staff:ana")
        return try await room.database.write { connection in
            try Refunds(facts: room.facts, providers: room.events.providers).request(new, nowMs: PaymentsFixture.nowMs, in: connection)
        }
    }

    @Test("a surplus goes back at the provider that had brought it")
    func surplusElsewhere() async throws {
        let (room, payment, first, second) = try await room()
        try await tell(room, first, .captured, Money(5000, .xof))
        try await tell(room, second, .captured, Money(5000, .xof))
        #expect(try await tasks(room, payment.id) == ["paid"])
        _ = try await refund(room, payment, 5000)
        #expect(try await balance(room, .provider("played")) == 5000)
        #expect(try await balance(room, .provider("other")) == 0)
        #expect(try await tasks(room, payment.id).isEmpty, "what has gone back needs nobody")
    }

    @Test("a charge-back takes what its own attempt had brought, and a refund after it takes nothing twice")
    func chargeBackOfOne() async throws {
        let (room, payment, first, second) = try await room()
        try await tell(room, first, .captured, Money(5000, .xof))
        try await tell(room, second, .captured, Money(5000, .xof))
        try await tell(room, second, .chargedBack)
        #expect(try await room.state(payment.id) == .paid)
        #expect(try await balance(room, .provider("played")) == 5000)
        #expect(try await balance(room, .provider("other")) == 0)
        #expect(try await balance(room, .suspense) == 0)
        try await tell(room, first, .chargedBack)
        #expect(try await room.state(payment.id) == .chargedBack)
        await #expect(throws: PaymentError.invalid(field: "amount", rule: "must be positive and at most 0")) { try await refund(room, payment, 1) }
        try await tell(room, first, .refunded, Money(2000, .xof))
        #expect(try await balance(room, .provider("played")) == 0)
    }

    @Test("too much is in hand: it can be taken as payment, with what is too much held, and given back")
    func tooMuch() async throws {
        let (room, payment, first, _) = try await room()
        try await tell(room, first, .captured, Money(6000, .xof))
        #expect(try await room.state(payment.id) == .conflicted)
        #expect(try await balance(room, .suspense) == -6000)
        try await accept(room, payment.id)
        #expect(try await room.state(payment.id) == .paid)
        #expect(try await balance(room, .suspense) == -1000)
        #expect(try await tasks(room, payment.id) == ["paid"])
        _ = try await refund(room, payment, 1000)
        #expect(try await balance(room, .suspense) == 0)
        #expect(try await balance(room, .sales("played")) == -5000)
        #expect(try await tasks(room, payment.id).isEmpty)
    }

    @Test(
        "two amounts of one attempt never let its money out of suspense, whichever comes first",
        arguments: [[5000, 500], [500, 5000]] as [[Int64]])
    func twoAmounts(_ amounts: [Int64]) async throws {
        let (room, payment, first, _) = try await room()
        for units in amounts { try await tell(room, first, .captured, Money(units, .xof)) }
        #expect(try await room.state(payment.id) == .conflicted)
        #expect(try await self.payment(room, payment.id).captured == 5000)
        #expect(try await balance(room, .suspense) == -5000)
        #expect(try await balance(room, .sales("played")) == 0)
    }

    @Test("a conflict whose money has all gone back is over")
    func conflictGivenBack() async throws {
        let (room, payment, first, _) = try await room()
        try await tell(room, first, .captured, Money(4900, .xof))
        _ = try await refund(room, payment, 4900)
        #expect(try await room.state(payment.id) == .refunded)
        #expect(try await tasks(room, payment.id).isEmpty)
        #expect(try await balance(room, .suspense) == 0)
    }

    @Test("an acceptance is of the contradictions that there were: another is a conflict again, and can be decided again")
    func acceptedOnce() async throws {
        let (room, payment, first, second) = try await room()
        try await tell(room, first, .captured, Money(4900, .xof))
        try await accept(room, payment.id)
        try await tell(room, second, .captured, Money(5000, .eur))
        #expect(try await room.state(payment.id) == .conflicted)
        #expect(try await tasks(room, payment.id).contains("conflicted"))
        #expect(try await balance(room, .suspense) == -4900)
        try await accept(room, payment.id)
        #expect(try await room.state(payment.id) == .paid)
        #expect(try await balance(room, .suspense) == 0)
        #expect(try await balance(room, .suspense, .eur) == -5000)
        #expect(try await room.jobs(payment.id).count == 1)
    }

    @Test("a whole payment after a deposit is a surplus that somebody is told of")
    func depositAndWhole() async throws {
        let (room, payment, first, second) = try await room(deposits: true)
        try await tell(room, first, .captured, Money(2000, .xof))
        try await tell(room, second, .captured, Money(5000, .xof))
        #expect(try await room.state(payment.id) == .paid)
        #expect(try await balance(room, .suspense) == -2000)
        #expect(try await tasks(room, payment.id) == ["paid"])
    }

    @Test("money by another attempt after the first was given back makes it paid again, whichever came first, with a task and no second work")
    func paidAgain() async throws {
        let (room, payment, first, second) = try await room()
        try await tell(room, first, .captured, Money(5000, .xof))
        try await tell(room, first, .refunded, Money(5000, .xof))
        #expect(try await room.state(payment.id) == .refunded)
        try await tell(room, second, .captured, Money(5000, .xof))
        #expect(try await room.state(payment.id) == .paid)
        #expect(try await tasks(room, payment.id) == ["paid_again"])
        #expect(try await room.jobs(payment.id).count == 1)
        #expect(try await balance(room, .sales("played")) == -5000)
    }

    @Test("a refund of an attempt that brought nothing waits for its own capture, not for another's")
    func refundOfAnother() async throws {
        let (room, payment, first, second) = try await room()
        try await tell(room, second, .refunded, Money(5000, .xof))
        try await tell(room, first, .captured, Money(5000, .xof))
        #expect(try await room.state(payment.id) == .paid)
        try await tell(room, second, .captured, Money(5000, .xof))
        #expect(try await room.state(payment.id) == .paid)
        #expect(try await self.payment(room, payment.id).refunded == 5000)
    }

    @Test("an attempt that was heard of after it was found is not given up")
    func heardMeanwhile() async throws {
        let (room, payment, _, _) = try await room()
        let reconciliation = Reconciliation(facts: room.facts, providers: room.events.providers)
        let late = PaymentsFixture.nowMs + 2 * ReconciliationLadder.giveUpAfterMs
        let findings = try await room.database.read { connection in
            try reconciliation.findings(minimumAgeMs: 0, onlyDue: false, nowMs: late, limit: 10, in: connection)
        }
        try await room.apply("e1", "ref captured 5000 XOF")
        let givenUp = try await room.database.write { try reconciliation.carryOut(findings, cause: "tick", nowMs: late, in: $0).givenUp }
        #expect(givenUp == 0)
        #expect(try await room.state(payment.id) == .paid)
    }
}

@Suite("A refund by call counts once, and is refused only by its provider")
struct RefundSendingTests {
    /// Answers as it is told to.
    private struct Answering: PaymentProvider {
        let offer = ProviderOffer([])
        let name = "played"
        let capabilities = ProviderCapabilities(hasProof: true, proofCoversMoney: true, hasInitiate: false, hasStatus: true, refunds: .partial)
        var refunded: ProviderError?
        var status: ProviderError?
        var back: Int64 = 0
        var claim = ProviderClaim.refunded

        func verifyWebhook(_ webhook: IncomingWebhook, nowMs: Int64) -> WebhookVerdict { .refused(reason: "not played") }
        func parse(body: [UInt8], contentType: String) throws(ProviderError) -> ProviderNotice {
            try PlayedProvider().parse(body: body, contentType: contentType)
        }
        func status(of question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
            if let status { throw status }
            return ProviderNotice(references: [], claim: back > 0 ? .refunded : .captured, amount: Money(back > 0 ? back : 5000, .xof))
        }
        func refund(_ order: RefundOrder, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
            if let refunded { throw refunded }
            return ProviderNotice(references: [], claim: claim)
        }
    }

    private struct Alive: EffectOwners {
        let worker: String
        func isAlive(_ owner: EffectOwner, sinceMs: Int64) async throws -> Bool { owner.worker == worker }
    }

    /// A paid payment with a refund of 2000 on its way.
    private func asked() async throws -> (room: PaymentsFixture, refund: Refund) {
        let room = try PaymentsFixture(
            provider: PlayedProvider(
                capabilities: ProviderCapabilities(hasProof: true, proofCoversMoney: true, hasInitiate: false, hasStatus: true, refunds: .partial)))
        let (payment, _) = try await room.payment()
        try await room.apply("e1", "ref captured 5000 XOF")
        let new = Refund.New(payment: payment.id, amount: Money(2000, .xof), reason: "r", actor: "staff:ana")
        let refund = try await room.database.write { connection in
            try Refunds(facts: room.facts, providers: room.events.providers).request(new, nowMs: PaymentsFixture.nowMs, in: connection)
        }
        return (room, refund)
    }

    private func run(_ room: PaymentsFixture, _ refund: Refund, _ provider: Answering) async throws {
        let jobs = try await room.jobs(refund.payment)
        let record = try #require(jobs.first { $0.kind == RefundPayment.kind })
        let job = JobEnvelope(
            id: record.id, kind: record.kind, queue: record.queue, args: ["refund": .string(refund.id)], payment: refund.payment, enqueuedAtMs: 0)
        let worker = WorkerIdentity(name: "w")
        let effects = Effects(store: EffectTable(database: room.database), owners: Alive(worker: worker.description))
        let sending = RefundSending(
            database: room.database, facts: room.facts, providers: ProviderRegistry([(provider, "sandbox")]), transport: NoTransport())
        _ = try await sending.run(
            try job.parameters(as: RefundPayment.self), context: JobContext(job: job, attempt: 1, worker: worker, log: .init(), effects: effects),
            nowMs: { PaymentsFixture.nowMs })
    }

    private func standing(_ room: PaymentsFixture, _ refund: Refund) async throws -> (refund: Refund.State?, refunded: Int64) {
        try await room.database.read { connection in
            (try Refund.find(refund.id, in: connection)?.state, try PaymentStore.require(refund.payment, in: connection).refunded)
        }
    }

    @Test("its own notification, told before the call was answered, does not count twice")
    func toldBefore() async throws {
        let (room, refund) = try await asked()
        try await room.apply("e2", "ref refunded 2000 XOF")
        try await run(room, refund, Answering())
        #expect(try await standing(room, refund) == (.done, 2000))
    }

    @Test("what others gave back before counts with it")
    func others() async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        try await room.apply("e1", "ref captured 5000 XOF")
        try await room.apply("e2", "ref refunded 1000 XOF")
        let new = Refund.New(
            payment: payment.id, amount: Money(2000, .xof), reason: "r", providerReference: "R", isFurther: true, actor: "staff:ana")
        _ = try await room.database.write { connection in
            try Refunds(facts: room.facts, providers: room.events.providers).request(new, nowMs: PaymentsFixture.nowMs, in: connection)
        }
        #expect(try await room.database.read { try PaymentStore.require(payment.id, in: $0).refunded } == 3000)
    }

    @Test("a refusal of the call ends it; an answer nobody can read, or a question that goes wrong, does not")
    func refusals() async throws {
        let (room, refund) = try await asked()
        await #expect(throws: (any Error).self) { try await run(room, refund, Answering(refunded: ProviderError(.unreadable, "html"))) }
        #expect(try await standing(room, refund) == (.requested, 0))
        await #expect(throws: (any Error).self) { try await run(room, refund, Answering(status: ProviderError(.misconfigured, "keys"))) }
        #expect(try await standing(room, refund) == (.requested, 0))
        try await run(room, refund, Answering(back: 2000))
        #expect(try await standing(room, refund) == (.done, 2000))
        let (other, refused) = try await asked()
        try await run(other, refused, Answering(refunded: ProviderError(.rejected, "too late")))
        #expect(try await standing(other, refused) == (.failed, 0))
        let left = try await other.database.read { try EffectTable.list(EffectFilter(openOnly: true), in: $0) }
        #expect(left.isEmpty, "a refused call leaves no effect that somebody would look after")
    }

    @Test("one that the provider is still at is done when its own sum has gone back, not when an older one has")
    func sumOfItsOwn() async throws {
        let (room, refund) = try await asked()
        await #expect(throws: JobFailure.self) { try await run(room, refund, Answering(claim: .pending)) }
        await #expect(throws: JobFailure.self) { try await run(room, refund, Answering(back: 1000)) }
        #expect(try await standing(room, refund) == (.sent, 0))
        try await run(room, refund, Answering(back: 2000))
        #expect(try await standing(room, refund) == (.done, 2000))
    }
}
