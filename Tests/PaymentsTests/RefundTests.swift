import Database
import Formats
import JobQueue
import Ledger
import Money
import Outbox
import Payments
import ProviderPort
import TestSupport
import Testing

@Suite("Money is given back once, and never more than came in")
struct RefundTests {
    private func paidRoom(_ refunds: ProviderCapabilities.Refunds = .none) async throws -> (room: PaymentsFixture, payment: Payment) {
        let provider = PlayedProvider(
            capabilities: ProviderCapabilities(hasProof: true, proofCoversMoney: true, hasInitiate: false, hasStatus: true, refunds: refunds))
        let room = try PaymentsFixture(provider: provider)
        let (payment, _) = try await room.payment()
        try await room.apply("e1", "ref captured 5000 XOF")
        return (room, payment)
    }

    private func ask(
        _ room: PaymentsFixture, _ payment: Payment, _ units: Int64, reference: String? = nil, currency: Currency = .xof
    ) async throws -> Refund {
        let refunds = Refunds(facts: room.facts, providers: room.events.providers)
        let new = Refund.New(
            payment: payment.id, amount: Money(units, currency), reason: "Does not fit", providerReference: reference, actor: "staff:ana")
        return try await room.database.write { try refunds.request(new, nowMs: PaymentsFixture.nowMs + 1, in: $0) }
    }

    @Test("A refund made by staff is recorded: state, ledger, the purpose's jobs")
    func byStaff() async throws {
        let (room, payment) = try await paidRoom()
        let first = try await ask(room, payment, 2000, reference: "R1")
        #expect(first.state == .done && first.way == .staff && first.providerReference == "R1")
        #expect(try await room.state(payment.id) == .partiallyRefunded)
        _ = try await ask(room, payment, 3000, reference: "R2")
        #expect(try await room.state(payment.id) == .refunded)
        let (balance, sales, left) = try await room.database.read { connection in
            (
                try Ledger.balances(of: .provider("played"), in: connection), try Ledger.balances(of: .sales("played"), in: connection),
                try Refunds.refundable(try PaymentStore.require(payment.id, in: connection), in: connection)
            )
        }
        #expect(balance == [Money(0, .xof)] && sales == [Money(0, .xof)] && left == 0)
        #expect(try await room.jobs(payment.id).map(\.kind) == ["played.work"])
        let thanked = try await room.database.read { try $0.query("SELECT kind FROM outbox_jobs WHERE payment IS NULL") }
        #expect(thanked.count == 2)
    }

    @Test("What cannot be given back is refused, and the rule is named")
    func refused() async throws {
        let (room, payment) = try await paidRoom()
        await #expect(throws: PaymentError.invalid(field: "amount", rule: "must be positive and at most 5000")) {
            try await ask(room, payment, 5001, reference: "R")
        }
        await #expect(throws: PaymentError.self) { try await ask(room, payment, 0, reference: "R") }
        await #expect(throws: PaymentError.invalid(field: "currency", rule: "must be XOF")) {
            try await ask(room, payment, 100, reference: "R", currency: .eur)
        }
        await #expect(throws: PaymentError.self, "without a call somebody must have done it") { try await ask(room, payment, 100) }
        let (unpaid, _) = try await room.payment(reference: "other")
        await #expect(throws: PaymentError.self) { try await ask(room, unpaid, 100, reference: "R") }
        #expect(try await room.state(payment.id) == .paid)
    }

    @Test("One under way holds its money: two at once never give back more than came in")
    func atOnce() async throws {
        let (room, payment) = try await paidRoom(.partial)
        let asked = try await ask(room, payment, 3000)
        #expect(asked.state == .requested && asked.way == .call)
        await #expect(throws: PaymentError.invalid(field: "amount", rule: "must be positive and at most 2000")) { try await ask(room, payment, 3000) }
        _ = try await ask(room, payment, 2000)
        #expect(try await room.jobs(payment.id).filter { $0.kind == RefundPayment.kind }.count == 2)
    }

    @Test("A provider that gives back whole payments only is not asked for a part")
    func wholeOnly() async throws {
        let (room, payment) = try await paidRoom(.full)
        await #expect(throws: PaymentError.self) { try await ask(room, payment, 100) }
        #expect(try await ask(room, payment, 5000).way == .call)
    }

    @Test("Paid twice: the surplus comes out of suspense and the payment stays paid")
    func surplus() async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        let second = try await room.database.write { connection in
            let started = try PaymentStore.startAttempt(
                of: payment, provider: "played", mode: "sandbox", method: nil, nowMs: PaymentsFixture.nowMs, in: connection)
            try PaymentStore.register(
                [ProviderReference("id", "ref2")], attempt: started.id, provider: "played", nowMs: PaymentsFixture.nowMs, in: connection)
            return started
        }
        try await room.apply("e1", "ref captured 5000 XOF")
        try await room.apply("e2", "ref2 captured 5000 XOF")
        #expect(try await held(room) == Money(-5000, .xof))
        let refund = try await ask(room, payment, 5000, reference: "R1")
        #expect(refund.attempt == second.id, "the second sum goes back")
        #expect(try await room.state(payment.id) == .paid)
        #expect(try await held(room) == Money(0, .xof))
        let sales = try await room.database.read { try Ledger.balances(of: .sales("played"), in: $0) }
        #expect(sales == [Money(-5000, .xof)])
    }

    private func held(_ room: PaymentsFixture) async throws -> Money? {
        try await room.database.read { try Ledger.balances(of: .suspense, in: $0) }.first
    }

    @Test("A conflict that is accepted becomes paid, starts its work once, and its money leaves suspense")
    func accepted() async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        try await room.apply("e1", "ref captured 4900 XOF")
        #expect(try await room.state(payment.id) == .conflicted)
        #expect(try await held(room) == Money(-4900, .xof))
        let state = try await room.database.write { connection in
            let payment = try PaymentStore.require(payment.id, in: connection)
            return try room.facts.accept(payment, reason: "fee of the bank", actor: "staff:ana", nowMs: PaymentsFixture.nowMs, in: connection)
        }
        #expect(state == .paid)
        #expect(try await held(room) == Money(0, .xof))
        #expect(try await room.jobs(payment.id).map(\.kind) == ["played.work"])
        let tasks = try await room.database.read { try PaymentTask.open(of: payment.id, in: $0) }
        #expect(tasks.isEmpty)
        await #expect(throws: PaymentError.self) {
            try await room.database.write { connection in
                let payment = try PaymentStore.require(payment.id, in: connection)
                _ = try room.facts.accept(payment, reason: "again", actor: "staff:ana", nowMs: PaymentsFixture.nowMs, in: connection)
            }
        }
    }

    @Test("Money by an attempt that another had replaced is a conflict")
    func replaced() async throws {
        let room = try PaymentsFixture()
        let (payment, first) = try await room.payment()
        try await room.database.write { connection in
            let second = try PaymentStore.startAttempt(
                of: payment, provider: "played", mode: "sandbox", method: nil, nowMs: PaymentsFixture.nowMs, in: connection)
            try room.facts.replaceOpenAttempts(of: payment, by: second, actor: "api:x", nowMs: PaymentsFixture.nowMs, in: connection)
        }
        try await room.apply("e1", "ref captured 5000 XOF")
        #expect(try await room.state(payment.id) == .conflicted)
        let tasks = try await room.database.read { try PaymentTask.open(of: payment.id, in: $0) }
        #expect(tasks.map(\.detail) == ["attempt \(first.id) was paid after it was replaced by another"])
        #expect(try await room.jobs(payment.id).isEmpty)
    }

    @Test("One reference never pays two payments: the second is a conflict without money")
    func sameReference() async throws {
        let room = try PaymentsFixture()
        let (first, _) = try await room.payment()
        let (second, attempt) = try await room.payment(reference: "ref2")
        try await room.apply("e1", "ref captured 5000 XOF")
        let notice = ProviderNotice(references: [ProviderReference("id", "ref")], claim: .captured, amount: Money(5000, .xof))
        let state = try await room.database.write { connection in
            try room.facts.record(
                notice, attempt: attempt, source: .init(actor: "provider:played", reference: "job_1"), nowMs: PaymentsFixture.nowMs, in: connection)
        }
        #expect(state == .conflicted)
        #expect(try await room.state(first.id) == .paid)
        #expect(try await room.jobs(second.id).isEmpty)
        let balance = try await room.database.read { try Ledger.balances(of: .provider("played"), in: $0) }
        #expect(balance == [Money(5000, .xof)])
    }

    @Test("A charge-back takes the money out of the provider's account, once")
    func chargedBack() async throws {
        let (room, payment) = try await paidRoom()
        try await room.apply("e2", "ref charged_back")
        try await room.apply("e3", "ref charged_back")
        #expect(try await room.state(payment.id) == .chargedBack)
        let (balance, lost) = try await room.database.read { connection in
            (try Ledger.balances(of: .provider("played"), in: connection), try Ledger.balances(of: .chargebacks("played"), in: connection))
        }
        #expect(balance == [Money(0, .xof)] && lost == [Money(5000, .xof)])
    }

    @Test("A charge-back is put before a person once, whether it was told or answered because something was told", arguments: [false, true])
    func chargeBackTask(_ asks: Bool) async throws {
        let (room, payment) = try await paidRoom()
        func tasks() async throws -> [String] { try await room.database.read { try PaymentTask.open(of: payment.id, in: $0).map(\.kind) } }
        for number in 2...3 {
            if asks {
                let attempt = try await room.database.read { try PaymentStore.attempts(of: payment.id, in: $0)[0].id }
                let providers = ProviderRegistry([(PlayedProvider(answer: "ref charged_back"), "sandbox")])
                let verification = PaymentVerification(
                    database: room.database, events: PaymentEvents(facts: room.facts, providers: providers), transport: NoTransport())
                let job = JobEnvelope(
                    id: "job_\(number)", kind: VerifyPayment.kind, queue: VerifyPayment.queue,
                    args: ["attempt": .string(attempt), "cause": .string("\(number)")], payment: payment.id, enqueuedAtMs: 0)
                _ = try await verification.run(try job.parameters(as: VerifyPayment.self), job: job, nowMs: { PaymentsFixture.nowMs })
            } else {
                try await room.apply("e\(number)", "ref charged_back")
            }
            #expect(try await tasks() == ["charge_back"])
        }
    }
}
