import Database
import Formats
import JobQueue
import Money
import Outbox
import Payments
import ProviderPort
import Testing

/// What happens, by chance: a value, so that a transaction can be given one and answer what it came to.
struct PaymentPlay: Sendable {
    private let stage: PropertyStage
    private var chance: SeededGenerator
    private var nowMs = PaymentsFixture.nowMs
    private var number = 0
    /// Events that are on their way.
    private var pool: [ProviderEvent] = []

    init(seed: UInt64, stage: PropertyStage) {
        self.stage = stage
        chance = SeededGenerator(seed: seed &+ 7)
    }

    /// As many steps in one transaction.
    func steps(_ count: Int) async throws -> PaymentPlay {
        try await stage.database.write { [self] connection in
            var play = self
            for _ in 0..<count {
                do { try play.step(connection) } catch is PaymentError { continue }
            }
            return play
        }
    }

    /// All that was sent arrives, and each provider says what it has given back.
    func tellAll() async throws -> PaymentPlay {
        try await stage.database.write { [self] connection in
            var play = self
            for event in play.pool.shuffled(using: &play.chance) { try play.deliver(event, connection) }
            for (attempt, units) in stage.world.givenBack {
                let provider = try PaymentStore.requireAttempt(attempt, in: connection).provider
                try play.deliver(play.event(provider, "\(attempt) refunded \(units) XOF"), connection)
            }
            return play
        }
    }

    private mutating func pick<Element>(_ elements: [Element]) -> Element? { elements.randomElement(using: &chance) }

    private mutating func step(_ connection: Connection) throws {
        nowMs += 1000
        let payments = try PaymentStore.list(limit: 100, in: connection)
        guard payments.count >= 8, let payment = pick(payments) else { return try create(connection) }
        let attempts = try PaymentStore.attempts(of: payment.id, in: connection)
        guard let attempt = pick(attempts) else { return try start(payment, connection) }
        switch Int.random(in: 0..<100, using: &chance) {
        case 0..<3: try create(connection)
        case 3..<15: try start(payment, connection)
        case 15..<50: try tell(payment, attempt, connection)
        case 50..<66: if let event = pick(pool) { try deliver(event, connection) }
        case 66..<70: try answer(attempt, pick(payments).map { try PaymentStore.attempts(of: $0.id, in: connection) }?.first, connection)
        case 70..<77: try giveBackElsewhere(payment, attempt, connection)
        case 77..<82: try askRefund(payment, reference: "R\(number)", connection)
        case 82..<90: try askRefund(payment, reference: nil, connection)
        case 90..<93: try stage.facts.accept(payment, reason: "looked at", actor: "staff:ana", nowMs: nowMs, in: connection)
        case 93..<95: try decideHeld(payment, connection)
        case 95..<98: try receive(payment, connection)
        default: try giveUp(connection)
        }
    }

    private mutating func create(_ connection: Connection) throws {
        let payment = try PaymentStore.create(
            NewPayment(
                purpose: "played", subject: "s", description: "A thing", amount: Money(5000, .xof),
                customer: Customer(name: "Awa", email: nil, phone: nil, language: "fr")), actor: "test", nowMs: nowMs, in: connection)
        try start(payment, connection)
    }

    private mutating func start(_ payment: Payment, _ connection: Connection) throws {
        let part: Int64? = stage.deposits && Bool.random(using: &chance) ? 2000 : nil
        let attempt = try PaymentStore.startAttempt(
            of: payment, provider: pick(["one", "two"]) ?? "one", mode: "sandbox", method: nil, amount: part, nowMs: nowMs, in: connection)
        if Int.random(in: 0..<3, using: &chance) == 0 {
            try stage.facts.replaceOpenAttempts(of: payment, by: attempt, actor: "test", nowMs: nowMs, in: connection)
        }
    }

    private mutating func event(_ provider: String, _ body: String) -> ProviderEvent {
        number += 1
        return ProviderEvent(
            id: "e\(number)", provider: provider, mode: "sandbox", trust: .signed, type: "t", timeMs: nowMs, contentType: "text/plain",
            body: Array(body.utf8), headers: "", matchedKey: nil, payment: nil, target: "/", traceparent: nil)
    }

    private func deliver(_ event: ProviderEvent, _ connection: Connection) throws {
        _ = try stage.events.apply(ReadEvent(event, providers: stage.events.providers), nowMs: nowMs, in: connection)
    }

    /// A provider sends something; it comes now or later, once or more often.
    private mutating func tell(_ payment: Payment, _ attempt: PaymentAttempt, _ connection: Connection) throws {
        let asked = attempt.asked(of: payment).minorUnits
        let claims = ["pending", "processing", "failed", "cancelled", "expired", "charged_back"]
        let captured = "captured \(asked) XOF"
        let others = ["captured 4900 XOF", "captured 6000 XOF", "captured 50.00 EUR"] + claims
        let words = pick([captured, captured, captured, captured] + others) ?? captured
        let sent = event(attempt.provider, "\(attempt.id) \(words)")
        pool.append(sent)
        if pool.count > 30 { pool.removeFirst() }
        if Bool.random(using: &chance) { try deliver(sent, connection) }
    }

    /// The provider is asked, and may answer with a reference that is another attempt's.
    private mutating func answer(_ attempt: PaymentAttempt, _ other: PaymentAttempt?, _ connection: Connection) throws {
        let named = Bool.random(using: &chance) ? other ?? attempt : attempt
        let claim: ProviderClaim = pick([.captured, .pending, .unknown]) ?? .unknown
        let notice = ProviderNotice(references: [.ours(named.id)], claim: claim, amount: Money(5000, .xof))
        let source = PaymentFacts.Source(actor: "provider:\(attempt.provider)", reference: "job")
        try stage.facts.record(notice, attempt: attempt, source: source, nowMs: nowMs, in: connection)
    }

    /// What an attempt has brought and still may give back at its provider.
    private func left(_ attempt: String, of payment: Payment, _ connection: Connection) throws -> Int64 {
        let facts = try PropertyStage.facts(of: payment.id, in: connection)
        let standing = PaymentFold.standing(of: facts, owed: payment.amount, allowsDeposits: true, attempts: [attempt])
        return (standing.captures.first?.minorUnits ?? 0) - (stage.world.givenBack[attempt] ?? 0)
    }

    /// Somebody gives money back in the provider's dashboard; we hear of it now, later, or at the end.
    private mutating func giveBackElsewhere(_ payment: Payment, _ attempt: PaymentAttempt, _ connection: Connection) throws {
        let left = try left(attempt.id, of: payment, connection)
        guard left > 0, attempt.provider != "manual" else { return }
        stage.world.giveBack(Int64.random(in: 1...left, using: &chance), of: attempt.id)
        let sent = event(attempt.provider, "\(attempt.id) refunded \(stage.world.givenBack[attempt.id] ?? 0) XOF")
        if Bool.random(using: &chance) { pool.append(sent) }
        if Bool.random(using: &chance) { try deliver(sent, connection) }
    }

    private mutating func askRefund(_ payment: Payment, reference: String?, _ connection: Connection) throws {
        let left = try Refunds.refundable(payment, in: connection)
        // A person sees at the provider what has gone back there: nobody gives back what we have not heard of yet once more.
        if reference != nil, try hasUntold(payment, connection) { return }
        let units = Bool.random(using: &chance) ? left : Int64.random(in: 0...(left + 100), using: &chance)
        let isFurther = Bool.random(using: &chance)
        let new = Refund.New(
            payment: payment.id, amount: Money(units, .xof), reason: "r", providerReference: reference, isFurther: isFurther, actor: "staff:ana")
        let refund = try stage.refunds.request(new, nowMs: nowMs, in: connection)
        // It accounts for what was told: nothing goes back now.
        if refund.detail != nil { return }
        guard units <= left, units > 0 else { throw Overdrawn() }
        guard refund.way == .staff else { return }
        stage.world.giveBack(units, of: refund.attempt)
    }

    private struct Overdrawn: Error {}

    private func hasUntold(_ payment: Payment, _ connection: Connection) throws -> Bool {
        let attempts = try PaymentStore.attempts(of: payment.id, in: connection).map(\.id)
        let facts = try PropertyStage.facts(of: payment.id, in: connection)
        let standing = PaymentFold.standing(of: facts, owed: payment.amount, allowsDeposits: true, attempts: attempts)
        return standing.captures.contains { $0.refunded != stage.world.givenBack[$0.attempt] ?? 0 }
    }

    private mutating func receive(_ payment: Payment, _ connection: Connection) throws {
        number += 1
        let sum = Money(pick([5000, 5000, 3000, 2000]) ?? 5000, .xof)
        let attempt = try PaymentStore.startReceipt(
            of: payment, received: sum, provider: "manual", mode: "sandbox", method: "cash", nowMs: nowMs, in: connection)
        try stage.facts.recordReceived(sum, attempt: attempt, reference: "cash \(number)", actor: "staff:ana", nowMs: nowMs, in: connection)
    }

    /// Somebody decides about money that cannot be counted.
    private mutating func decideHeld(_ payment: Payment, _ connection: Connection) throws {
        guard let held = pick(try HeldMoney.of(payment, in: connection)) else { return }
        let value = Money(pick([5000, 4000]) ?? 5000, .xof)
        let decision: HeldMoney.Decision = Bool.random(using: &chance) ? .returned(reference: "R") : .accepted(value)
        try stage.facts.decide(decision, held: held.id, of: payment, reason: "r", actor: "staff:ana", nowMs: nowMs, in: connection)
    }

    private func giveUp(_ connection: Connection) throws {
        let reconciliation = Reconciliation(facts: stage.facts, providers: stage.events.providers)
        let late = nowMs + 2 * ReconciliationLadder.giveUpAfterMs
        let findings = try reconciliation.findings(minimumAgeMs: 0, onlyDue: false, nowMs: late, limit: 2, in: connection)
        _ = try reconciliation.carryOut(findings, cause: "tick", nowMs: nowMs, in: connection)
    }

    // MARK: Refunds by call

    private struct Died: Error {}
    private struct Census: EffectOwners {
        let alive: String
        func isAlive(_ owner: EffectOwner, sinceMs: Int64) async throws -> Bool { owner.worker == alive }
    }

    /// Runs a job that waits, in a process that may die and at a provider that may do anything.
    mutating func sendRefund() async throws {
        let waiting = try await stage.database.read { connection in
            try connection.query(
                "SELECT id, args, payment FROM outbox_jobs WHERE kind = $1 AND finished_at IS NULL", [.text(RefundPayment.kind)]
            ).map {
                JobEnvelope(
                    id: try $0.text("id"), kind: RefundPayment.kind, queue: RefundPayment.queue, args: try JSON(parsing: $0.text("args")),
                    payment: try $0.textOrNil("payment"), enqueuedAtMs: 0)
            }
        }
        guard let job = pick(waiting) else { return }
        stage.world.setMood(Int.random(in: 0..<10, using: &chance), crash: pick([nil, nil, nil, .intended, .called, .finished]) ?? nil)
        let worker = WorkerIdentity(name: "w")
        var effects = Effects(
            store: EffectTable(database: stage.database), owners: Census(alive: worker.description), busyDelay: .milliseconds(1), log: .quiet)
        effects.passing = { [world = stage.world] step, _ in if step == world.crashing { throw Died() } }
        let sending = RefundSending(database: stage.database, facts: stage.facts, providers: stage.events.providers, transport: NoTransport())
        do {
            _ = try await sending.run(
                try job.parameters(as: RefundPayment.self),
                context: JobContext(job: job, attempt: 1, worker: worker, log: .quiet, effects: effects), nowMs: { [nowMs] in nowMs })
        } catch let error as PaymentError {
            Issue.record("\(error)")
        } catch {}
    }
}
