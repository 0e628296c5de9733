import Database
import Formats
import JobQueue
import Ledger
import Money
import Outbox
import ProviderPort
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import Payments

/// Counts what it gives back, and tells it as one sum.
private final class Till: Sendable {
    private let state = Mutex<(back: Int64, calls: Int, answersLost: Bool)>((0, 0, false))
    var back: Int64 { state.withLock(\.back) }
    var calls: Int { state.withLock(\.calls) }
    func lose(_ lost: Bool) { state.withLock { $0.answersLost = lost } }
    func give(_ units: Int64) -> Bool {
        state.withLock { state in
            state.back += units
            state.calls += 1
            return !state.answersLost
        }
    }
}

private struct TillProvider: PaymentProvider {
    let till: Till
    var isSlow = false
    let offer = ProviderOffer([])
    let name = "played"
    let capabilities = ProviderCapabilities(hasProof: true, proofCoversMoney: true, hasInitiate: false, hasStatus: true, refunds: .partial)

    func verifyWebhook(_ webhook: IncomingWebhook, nowMs: Int64) -> WebhookVerdict { .refused(reason: "not played") }
    func parse(body: [UInt8], contentType: String) throws(ProviderError) -> ProviderNotice {
        try PlayedProvider().parse(body: body, contentType: contentType)
    }
    func status(of question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        ProviderNotice(references: [], claim: till.back > 0 ? .refunded : .captured, amount: Money(till.back > 0 ? till.back : 5000, .xof))
    }
    func refund(_ order: RefundOrder, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        if isSlow { return ProviderNotice(references: [], claim: .pending) }
        guard till.give(order.amount.minorUnits) else { throw ProviderError(.unavailable, "the answer was lost", code: "timeout") }
        return ProviderNotice(references: [], claim: .refunded)
    }
}

/// A paid payment of 5000 at a till.
private struct MoneyRoom: Sendable {
    let room: PaymentsFixture
    let till = Till()
    let payment: Payment
    static let nowMs = PaymentsFixture.nowMs

    init() async throws {
        room = try PaymentsFixture(provider: PlayedProvider(capabilities: TillProvider(till: till).capabilities))
        payment = try await room.payment().payment
        try await room.apply("e1", "ref captured 5000 XOF")
    }

    private var refunds: Refunds { Refunds(facts: room.facts, providers: room.events.providers) }

    func ask(_ units: Int64, reference: String? = nil, further: Bool = false) async throws -> Refund {
        let new = Refund.New(
            payment: payment.id, amount: Money(units, .xof), reason: "r", providerReference: reference, isFurther: further, actor: "staff:ana")
        return try await room.database.write { [refunds] in try refunds.request(new, nowMs: Self.nowMs, in: $0) }
    }

    func decide(_ finding: Refunds.Finding, _ refund: Refund, nowMs: Int64 = nowMs) async throws -> Refund {
        try await room.database.write { [refunds, payment] connection in
            try refunds.decide(finding, refund: refund.id, of: payment.id, reason: "looked", actor: "staff:ana", nowMs: nowMs, in: connection)
        }
    }

    private struct Alive: EffectOwners {
        let worker: String
        func isAlive(_ owner: EffectOwner, sinceMs: Int64) async throws -> Bool { owner.worker == worker }
    }

    /// Runs a refund's job in a process of its own.
    func run(_ refund: Refund, slow: Bool = false, nowMs: Int64 = nowMs) async throws {
        let record = try await room.database.read { connection in
            try connection.first(
                "SELECT id FROM outbox_jobs WHERE kind = $1 AND args LIKE $2", [.text(RefundPayment.kind), .text("%\(refund.id)%")])?.text("id")
        }
        let job = JobEnvelope(
            id: try #require(record), kind: RefundPayment.kind, queue: RefundPayment.queue, args: ["refund": .string(refund.id)],
            payment: payment.id, enqueuedAtMs: 0)
        let worker = WorkerIdentity(name: "w")
        let effects = Effects(store: EffectTable(database: room.database), owners: Alive(worker: worker.description))
        let provider = TillProvider(till: till, isSlow: slow)
        let sending = RefundSending(
            database: room.database, facts: room.facts, providers: ProviderRegistry([(provider, "sandbox")]), transport: NoTransport())
        _ = try await sending.run(
            try job.parameters(as: RefundPayment.self), context: JobContext(job: job, attempt: 1, worker: worker, log: .init(), effects: effects),
            nowMs: { nowMs })
    }

    func state(of refund: Refund) async throws -> Refund.State? {
        try await room.database.read { try Refund.find(refund.id, in: $0)?.state }
    }

    var standing: Payment { get async throws { try await room.database.read { [payment] in try PaymentStore.require(payment.id, in: $0) } } }
    var left: Int64 {
        get async throws {
            try await room.database.read { [payment] in try Refunds.refundable(try PaymentStore.require(payment.id, in: $0), in: $0) }
        }
    }
    var tasks: [String] {
        get async throws { try await room.database.read { [payment] in try PaymentTask.open(of: payment.id, in: $0) }.map(\.kind) }
    }
    var audit: [String] {
        get async throws { try await room.database.read { [payment] in try PaymentAudit.of(payment: payment.id, in: $0) }.compactMap(\.detail) }
    }

    func balance(_ account: LedgerAccount, _ currency: Currency = .xof) async throws -> Int64 {
        try await room.database.read { try Ledger.balances(of: account, in: $0) }.first { $0.currency == currency }?.minorUnits ?? 0
    }
}

@Suite("Refunds that do not come to an end, and money told twice")
struct RefundEndingTests {
    private static let day: Int64 = 86_400_000

    private func watch(_ money: MoneyRoom, nowMs: Int64) async throws -> Int {
        try await money.room.database.write { try Refunds.watch(nowMs: nowMs, limit: 100, in: $0) }
    }

    @Test("a call refund that stays sent is a task after a day, and staff end it either way", arguments: [true, false])
    func overdue(_ happened: Bool) async throws {
        let money = try await MoneyRoom()
        let refund = try await money.ask(5000)
        await #expect(throws: JobFailure.self) { try await money.run(refund, slow: true) }
        #expect(try await money.state(of: refund) == .sent)
        #expect(try await watch(money, nowMs: MoneyRoom.nowMs + Self.day) == 0)
        let late = MoneyRoom.nowMs + Self.day + 1
        for _ in 0..<2 { #expect(try await watch(money, nowMs: late) == 1) }
        #expect(try await money.tasks == ["refund_overdue"])
        #expect(try await money.left == 0, "it holds its money")
        let wait = await #expect(throws: JobFailure.self) { try await money.run(refund, slow: true, nowMs: late) }
        #expect(wait?.disposition == .snooze(RefundSending.longPatience), "the till has not moved, and a person was told")
        let ended = try await money.decide(happened ? .done(reference: "T-9") : .failed, refund, nowMs: late)
        #expect(ended.state == (happened ? .done : .failed))
        #expect(try await money.tasks.isEmpty)
        #expect(try await money.standing.refunded == (happened ? 5000 : 0))
        #expect(try await money.left == (happened ? 0 : 5000))
        #expect(try await money.audit.contains { $0.contains(happened ? "settled as done as T-9" : "settled as failed") })
        #expect(try await watch(money, nowMs: late) == 0)
        // Its job has nothing left to do.
        try await money.run(refund, nowMs: late)
        #expect(money.till.calls == 0)
        await #expect(throws: PaymentError.self) { try await money.decide(.failed, refund) }
    }

    @Test("a refund whose call may be under way is ended by nobody; a minute after its process died it is, and never called again")
    func underWay() async throws {
        let money = try await MoneyRoom()
        let refund = try await money.ask(5000)
        money.till.lose(true)
        await #expect(throws: (any Error).self) { try await money.run(refund) }
        #expect(try await money.state(of: refund) == .requested)
        let begun = try await money.room.database.read { try EffectTable.find(EffectIdentity(RefundSending.effect, key: refund.id), in: $0) }
        let at = try #require(begun?.changedAtMs)
        await #expect(throws: PaymentError.self) { try await money.decide(.failed, refund, nowMs: at + 1000) }
        #expect(try await money.decide(.done(reference: nil), refund, nowMs: at + AttemptIntent.callMaxMs + 1).state == .done)
        try await money.run(refund)
        #expect(money.till.calls == 1)
        #expect(try await money.standing.refunded == 5000)
    }

    @Test("a charge-back stops a refund that was not called yet: the money does not go out by two doors")
    func chargedBack() async throws {
        let money = try await MoneyRoom()
        let refund = try await money.ask(5000)
        try await money.room.apply("e2", "ref charged_back")
        try await money.run(refund)
        #expect(money.till.calls == 0)
        #expect(try await money.state(of: refund) == .failed)
        #expect(try await money.tasks.contains("refund_stopped"))
        #expect(try await money.standing.state == .chargedBack)
        #expect(try await money.balance(.provider("played")) == 0)
    }

    @Test("what the provider has told already is accounted for by staff, not given back again")
    func toldAlready() async throws {
        let money = try await MoneyRoom()
        try await money.room.apply("e2", "ref refunded 2000 XOF")
        #expect(try await money.standing.refunded == 2000)
        await #expect(throws: PaymentError.self, "more than was told: which is it?") { try await money.ask(2500, reference: "D-1") }
        let recorded = try await money.ask(2000, reference: "D-1")
        #expect(recorded.state == .done && recorded.providerReference == "D-1")
        #expect(try await money.standing.refunded == 2000, "it went back once")
        #expect(try await money.left == 3000)
        await #expect(throws: PaymentError.self, "the same reference") { try await money.ask(1000, reference: "D-1") }
        // The rest goes back by call, and its own sum is told as all that went back.
        _ = money.till.give(2000)
        let rest = try await money.ask(3000)
        try await money.run(rest)
        #expect(try await money.state(of: rest) == .done)
        #expect(try await money.standing.refunded == 5000)
        #expect(try await money.balance(.provider("played")) == 0)
    }

    @Test("money that went back besides what was told is recorded as such, when it is said to be")
    func further() async throws {
        let money = try await MoneyRoom()
        try await money.room.apply("e2", "ref refunded 2000 XOF")
        _ = try await money.ask(2000, reference: "CASH-1", further: true)
        #expect(try await money.standing.refunded == 4000)
        // The other half of the story can still be told.
        #expect(try await money.ask(2000, reference: "D-1").state == .done)
        #expect(try await money.standing.refunded == 4000)
    }

    @Test("two partial refunds whose processes both died never share one sum: one is carried out after the other")
    func oneAfterTheOther() async throws {
        let money = try await MoneyRoom()
        let (one, two) = (try await money.ask(1000), try await money.ask(1000))
        let (first, second) = one.id < two.id ? (one, two) : (two, one)
        money.till.lose(true)
        let early = await #expect(throws: JobFailure.self) { try await money.run(second) }
        #expect(early?.disposition == .snooze(RefundSending.turn))
        await #expect(throws: (any Error).self) { try await money.run(first) }
        #expect(money.till.back == 1000)
        await #expect(throws: JobFailure.self) { try await money.run(second) }
        money.till.lose(false)
        try await money.run(first)
        #expect(money.till.calls == 1, "it was found to have been made")
        try await money.run(second)
        #expect(money.till.back == 2000)
        #expect(try await money.standing.refunded == 2000)
    }

    @Test("money back that is told under another attempt's reference takes nothing from this one", arguments: ["refunded", "charged_back", "failed"])
    func foreignReference(_ claim: String) async throws {
        let money = try await MoneyRoom()
        let (other, attempt) = try await money.room.payment(reference: "other")
        try await money.room.apply("e2", "other captured 5000 XOF")
        let notice = ProviderNotice(references: [ProviderReference("id", "ref")], claim: try #require(ProviderClaim(rawValue: claim)))
        try await money.room.database.write { connection in
            _ = try money.room.facts.record(
                notice, attempt: attempt, source: .init(actor: "provider:played", reference: "job_1"), nowMs: MoneyRoom.nowMs, in: connection)
        }
        #expect(try await money.room.state(other.id) == .paid)
        let tasks = try await money.room.database.read { try PaymentTask.open(of: other.id, in: $0) }.map(\.kind)
        #expect(tasks == (claim == "failed" ? [] : ["foreign_reference"]))
    }
}

@Suite("Money that cannot be counted, and sums that people decide about")
struct HeldMoneyTests {
    private static let nowMs = PaymentsFixture.nowMs

    private func held(_ room: PaymentsFixture, _ payment: Payment) async throws -> [HeldMoney] {
        try await room.database.read { try HeldMoney.of(payment, in: $0) }
    }

    private func decide(_ room: PaymentsFixture, _ payment: Payment, _ id: Int64, _ decision: HeldMoney.Decision) async throws -> PaymentState {
        try await room.database.write { connection in
            let now = try PaymentStore.require(payment.id, in: connection)
            return try room.facts.decide(decision, held: id, of: now, reason: "looked", actor: "staff:ana", nowMs: Self.nowMs, in: connection)
        }
    }

    private func balances(_ room: PaymentsFixture, _ account: LedgerAccount) async throws -> [Money] {
        try await room.database.read { try Ledger.balances(of: account, in: $0) }.filter { $0.minorUnits != 0 }
    }

    @Test("foreign money that went back leaves suspense as it came, and the payment is refunded")
    func returned() async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        try await room.apply("e1", "ref captured 50.00 EUR")
        #expect(try await room.state(payment.id) == .conflicted)
        let found = try #require(try await held(room, payment).first)
        #expect(found.amount == Money(5000, .eur))
        #expect(try await balances(room, .suspense) == [Money(-5000, .eur)])
        #expect(try await decide(room, payment, found.id, .returned(reference: "SEPA-1")) == .refunded)
        #expect(try await balances(room, .suspense).isEmpty)
        #expect(try await balances(room, .provider("played")).isEmpty)
        #expect(try await held(room, payment).isEmpty)
        let (tasks, audit, jobs) = try await room.database.read { connection in
            (
                try PaymentTask.open(of: payment.id, in: connection), try PaymentAudit.of(payment: payment.id, in: connection).compactMap(\.detail),
                try JobRecord.of(payment: payment.id, in: connection)
            )
        }
        #expect(tasks.isEmpty && jobs.isEmpty)
        #expect(audit.contains { $0.contains("given back as SEPA-1: looked") })
        await #expect(throws: PaymentError.self, "decided once") { try await decide(room, payment, found.id, .returned(reference: "SEPA-2")) }
        // The same event again changes nothing.
        try await room.apply("e2", "ref captured 50.00 EUR")
        #expect(try await room.state(payment.id) == .refunded)
    }

    @Test("foreign money that is taken at an amount pays by way of the exchange, and each currency balances")
    func accepted() async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        try await room.apply("e1", "ref captured 50.00 EUR")
        let found = try #require(try await held(room, payment).first)
        await #expect(throws: PaymentError.self) { try await decide(room, payment, found.id, .accepted(Money(5000, .eur))) }
        #expect(try await decide(room, payment, found.id, .accepted(Money(5000, .xof))) == .paid)
        #expect(try await balances(room, .suspense).isEmpty)
        #expect(try await balances(room, .provider("played")) == [Money(5000, .eur)])
        #expect(try await balances(room, .exchange) == [Money(-5000, .eur), Money(5000, .xof)])
        #expect(try await balances(room, .sales("played")) == [Money(-5000, .xof)])
        #expect(try await room.jobs(payment.id).map(\.kind) == ["played.work"])
    }

    @Test("less than owed stays a conflict of its sum, which is decided like any other")
    func acceptedForLess() async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        try await room.apply("e1", "ref captured 50.00 EUR")
        let found = try #require(try await held(room, payment).first)
        #expect(try await decide(room, payment, found.id, .accepted(Money(4000, .xof))) == .conflicted)
        #expect(try await balances(room, .suspense) == [Money(-4000, .xof)])
        let state = try await room.database.write { connection in
            try room.facts.accept(
                try PaymentStore.require(payment.id, in: connection), reason: "r", actor: "staff:ana", nowMs: Self.nowMs, in: connection)
        }
        #expect(state == .paid)
        #expect(try await balances(room, .suspense).isEmpty)
    }

    @Test("a capture that nobody can read is decided too", arguments: [true, false])
    func unreadable(_ isTaken: Bool) async throws {
        let room = try PaymentsFixture()
        let (payment, attempt) = try await room.payment()
        let notice = ProviderNotice(references: [], claim: .captured, amountProblem: "currency 'XYZ' is not known")
        try await room.database.write { connection in
            _ = try room.facts.record(
                notice, attempt: attempt, source: .init(actor: "provider:played", reference: "e"), nowMs: Self.nowMs, in: connection)
        }
        #expect(try await room.state(payment.id) == .conflicted)
        let found = try #require(try await held(room, payment).first)
        #expect(found.amount == nil && found.problem == "currency 'XYZ' is not known")
        let decision: HeldMoney.Decision = isTaken ? .accepted(Money(5000, .xof)) : .returned(reference: "R")
        #expect(try await decide(room, payment, found.id, decision) == (isTaken ? .paid : .refunded))
        #expect(try await balances(room, .provider("played")) == (isTaken ? [Money(5000, .xof)] : []))
        #expect(try await balances(room, .suspense).isEmpty)
    }

    @Test("an attempt that asks for a part is compared with its part, not with all that is owed")
    func parts() async throws {
        let room = try PaymentsFixture(deposits: true)
        let (payment, attempt) = try await room.database.write { connection in
            let payment = try PaymentStore.create(
                NewPayment(
                    purpose: "played", subject: "s1", description: "A thing", amount: Money(5000, .xof),
                    customer: Customer(name: "Awa", email: nil, phone: nil, language: "fr")), actor: "test", nowMs: Self.nowMs, in: connection)
            let attempt = try PaymentStore.startAttempt(
                of: payment, provider: "played", mode: "sandbox", method: nil, amount: 2000, nowMs: Self.nowMs, in: connection)
            try PaymentStore.register([ProviderReference("id", "ref")], attempt: attempt.id, provider: "played", nowMs: Self.nowMs, in: connection)
            return (payment, attempt)
        }
        try await room.apply("e1", "ref captured 3000 XOF")
        #expect(try await room.state(payment.id) == .conflicted)
        let tasks = try await room.database.read { try PaymentTask.open(of: payment.id, in: $0) }.map(\.detail)
        #expect(tasks == ["attempt \(attempt.id): captured 3000 XOF instead of 2000 XOF"])
    }

    @Test("what is accepted after a part of it went back is what was in hand then: the payment is paid, and its work starts")
    func acceptedAfterRefund() async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        try await room.apply("e1", "ref captured 4900 XOF")
        try await room.apply("e2", "ref refunded 900 XOF")
        #expect(try await room.state(payment.id) == .conflicted)
        let state = try await room.database.write { connection in
            try room.facts.accept(
                try PaymentStore.require(payment.id, in: connection), reason: "r", actor: "staff:ana", nowMs: Self.nowMs, in: connection)
        }
        #expect(state == .paid)
        #expect(try await room.jobs(payment.id).map(\.kind) == ["played.work"])
        // What goes back from now on is a part of what was taken.
        try await room.apply("e3", "ref refunded 1900 XOF")
        #expect(try await room.state(payment.id) == .partiallyRefunded)
    }
}
