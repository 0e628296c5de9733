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

@Suite("Events become payments, once")
struct PaymentEventsTests {
    @Test("A proved capture pays, books one entry, moves once and starts the purpose's job once")
    func captures() async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        #expect(try await room.apply("e1", "ref captured 5000 XOF") == .applied)
        #expect(try await room.state(payment.id) == .paid)
        #expect(try await room.jobs(payment.id).map(\.kind) == ["played.work"])
        let (entries, trail) = try await room.database.read { connection in
            (try Ledger.entries(of: payment.id, in: connection), try PaymentAudit.of(payment: payment.id, in: connection))
        }
        #expect(entries.map(\.amount) == [Money(5000, .xof)])
        #expect(entries.first?.debit == .provider("played"))
        #expect(entries.first?.credit == .sales("played"))
        #expect(trail.map(\.to) == ["created", "paid"])
    }

    @Test("The same delivery twice is one event with two deliveries")
    func duplicates() async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        #expect(try await room.apply("e1", "ref captured 5000 XOF") == .applied)
        #expect(try await room.apply("e1", "ref captured 5000 XOF") == .duplicate)
        #expect(try await room.apply("e2", "ref captured 5000 XOF") == .applied)
        #expect(try await room.jobs(payment.id).count == 1)
        let events = try await room.database.read { try EventRecord.of(payment: payment.id, in: $0) }
        #expect(events.map(\.deliveries) == [2, 1])
    }

    @Test("Fifty deliveries at once change the payment once")
    func fiftyAtOnce() async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<50 { group.addTask { try await room.apply("e\(number % 5)", "ref captured 5000 XOF") } }
            try await group.waitForAll()
        }
        #expect(try await room.state(payment.id) == .paid)
        #expect(try await room.jobs(payment.id).count == 1)
        let entries = try await room.database.read { try Ledger.entries(of: payment.id, in: $0) }
        #expect(entries.count == 1)
    }

    @Test(
        "Every order of the same events ends in the same state",
        arguments: [
            [0, 1, 2, 3], [3, 2, 1, 0], [2, 3, 0, 1], [1, 3, 2, 0], [0, 2, 1, 3],
        ])
    func anyOrder(_ order: [Int]) async throws {
        let bodies = ["ref pending", "ref processing", "ref captured 5000 XOF", "ref refunded 5000 XOF"]
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        for number in order { try await room.apply("e\(number)", bodies[number]) }
        #expect(try await room.state(payment.id) == .refunded)
        let balance = try await room.database.read { try Ledger.balances(of: .provider("played"), in: $0) }
        #expect(balance == [Money(0, .xof)])
    }

    @Test("Another amount ends conflicted, with a task and no job, and the money in suspense", arguments: ["50 XOF", "50000 XOF", "5000 XAF"])
    func wrongAmount(_ amount: String) async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        try await room.apply("e1", "ref captured \(amount)")
        #expect(try await room.state(payment.id) == .conflicted)
        #expect(try await room.jobs(payment.id).isEmpty)
        let (tasks, entries) = try await room.database.read { connection in
            (try PaymentTask.open(of: payment.id, in: connection), try Ledger.entries(of: payment.id, in: connection))
        }
        #expect(tasks.count == 1)
        #expect(entries.map(\.credit) == [.suspense])
    }

    @Test("Paid by two attempts: paid once, the surplus in suspense with a task, whichever attempt came first", arguments: [true, false])
    func paidTwice(_ firstAttemptFirst: Bool) async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment(reference: "one")
        try await room.database.write { connection in
            let second = try PaymentStore.startAttempt(
                of: payment, provider: "played", mode: "sandbox", method: nil, nowMs: PaymentsFixture.nowMs, in: connection)
            try PaymentStore.register(
                [ProviderReference("id", "two")], attempt: second.id, provider: "played", nowMs: PaymentsFixture.nowMs, in: connection)
        }
        for reference in firstAttemptFirst ? ["one", "two"] : ["two", "one"] {
            try await room.apply("event \(reference)", "\(reference) captured 5000 XOF")
        }
        #expect(try await room.state(payment.id) == .paid)
        #expect(try await room.jobs(payment.id).count == 1)
        let (entries, tasks) = try await room.database.read { connection in
            (try Ledger.entries(of: payment.id, in: connection), try PaymentTask.open(of: payment.id, in: connection))
        }
        #expect(entries.map(\.credit) == [.sales("played"), .suspense])
        #expect(tasks.count == 1)
    }

    @Test("An event that matches nothing is kept and takes effect when its reference becomes known")
    func rematch() async throws {
        let room = try PaymentsFixture()
        let (payment, attempt) = try await room.payment()
        #expect(try await room.apply("e1", "late-ref captured 5000 XOF") == .unmatched)
        #expect(try await room.state(payment.id) == .created)
        try await room.database.write { [events = room.events] connection in
            let initiation = Initiation(
                paymentURL: "https://pay.example", qrCode: nil, references: [ProviderReference("id", "late-ref")], expiresAtMs: nil)
            try PaymentStore.recordInitiation(initiation, attempt: attempt.id, nowMs: PaymentsFixture.nowMs, in: connection)
            try events.rematch(attempt, nowMs: PaymentsFixture.nowMs, in: connection)
        }
        #expect(try await room.state(payment.id) == .paid)
        #expect(try await room.database.read { try EventRecord.list(outcome: .unmatched, limit: 10, in: $0) }.isEmpty)
    }

    @Test("What an adapter cannot read is quarantined, never lost")
    func quarantined() async throws {
        let room = try PaymentsFixture()
        #expect(try await room.apply("e1", "rubbish") == .quarantined)
        let kept = try await room.database.read { try EventRecord.list(outcome: .quarantined, limit: 10, in: $0) }
        #expect(kept.count == 1)
    }

    @Test("An event of another mode is not applied")
    func otherMode() async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        #expect(try await room.apply("e1", "ref captured 5000 XOF", mode: "live") == .quarantined)
        #expect(try await room.state(payment.id) == .created)
    }

    @Test("An unproved event only makes the provider be asked, once per event", arguments: [Trust.unproven, .sharedSecret])
    func unproved(_ trust: Trust) async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        #expect(try await room.apply("e1", "ref captured 5000 XOF", trust: trust) == .verifying)
        #expect(try await room.apply("e1", "ref captured 5000 XOF", trust: trust) == .duplicate)
        #expect(try await room.state(payment.id) == .created)
        let jobs = try await room.jobs(payment.id)
        #expect(jobs.map(\.kind) == ["payment.verify"])
        let job = try await envelope(of: jobs[0], in: room)
        let verification = PaymentVerification(database: room.database, events: room.events, transport: NoTransport())
        let parameters = try job.parameters(as: VerifyPayment.self)
        #expect(try await verification.run(parameters, job: job, nowMs: { PaymentsFixture.nowMs }) == .done)
        #expect(try await verification.run(parameters, job: job, nowMs: { PaymentsFixture.nowMs }) == .done)
        #expect(try await room.state(payment.id) == .paid)
        #expect(try await room.jobs(payment.id).map(\.kind) == ["payment.verify", "played.work"])
    }

    @Test("What neither proves anything nor can be asked about is quarantined")
    func cannotBeProved() async throws {
        let mute = PlayedProvider(capabilities: ProviderCapabilities(hasProof: true, proofCoversMoney: true, hasInitiate: false, hasStatus: false))
        let room = try PaymentsFixture(provider: mute)
        let (payment, _) = try await room.payment()
        #expect(try await room.apply("e1", "ref captured 5000 XOF", trust: .unproven) == .quarantined)
        #expect(try await room.state(payment.id) == .created)
    }

    @Test(
        "A signed event whose proof covers the money is believed, unless the policy is to ask",
        arguments: [(TrustPolicy.trust, PaymentEvents.Outcome.applied), (.fetchIfUnsigned, .applied), (.fetch, .verifying)])
    func policies(_ policy: TrustPolicy, _ outcome: PaymentEvents.Outcome) async throws {
        let room = try PaymentsFixture(policy: policy)
        let (payment, _) = try await room.payment()
        #expect(try await room.apply("e1", "ref captured 5000 XOF") == outcome)
        #expect(try await room.state(payment.id) == (outcome == .applied ? .paid : .created))
        #expect(try await room.apply("e2", "ref captured 5000 XOF", trust: .sharedSecret) == .verifying)
    }

    @Test("An older or repeated event never downgrades a paid payment")
    func neverDowngraded() async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        try await room.apply("e1", "ref captured 5000 XOF")
        for (number, claim) in ["pending", "processing", "failed", "cancelled"].enumerated() { try await room.apply("x\(number)", "ref \(claim)") }
        #expect(try await room.state(payment.id) == .paid)
    }

    private func envelope(of record: JobRecord, in room: PaymentsFixture) async throws -> JobEnvelope {
        let args = try await room.database.read { connection in
            try connection.first("SELECT args FROM outbox_jobs WHERE id = $1", [.text(record.id)])?.text("args") ?? "{}"
        }
        return JobEnvelope(
            id: record.id, kind: record.kind, queue: record.queue, args: try JSON(parsing: args), payment: record.payment, attempt: 0,
            enqueuedAtMs: record.createdAtMs, unique: nil, traceparent: nil)
    }
}

@Suite("Paid-only work in SQL")
struct PaidWorkTests {
    private func job(_ payment: String?, id: String = "job_1") -> JobEnvelope {
        JobEnvelope(
            id: id, kind: "played.work", queue: "played", args: [:], payment: payment, attempt: 0, enqueuedAtMs: 0, unique: nil, traceparent: nil)
    }

    @Test("An effect happens once, however often its job is delivered")
    func once() async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        try await room.apply("e1", "ref captured 5000 XOF")
        let job = job(payment.id)
        let results = try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<20 {
                group.addTask {
                    if case .done = try await room.database.paidEffect(of: job, nowMs: 1, { _, _ in 1 }) { return true }
                    return false
                }
            }
            return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(results == 1)
    }

    @Test("An unpaid payment's work is skipped and recorded, also when it was refunded after the guard")
    func skipped() async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        let paidGuard = PaidGuard(database: room.database)
        #expect(try await paidGuard.admit(job(payment.id)) == .skip(reason: "payment is created"))
        try await room.apply("e1", "ref captured 5000 XOF")
        #expect(try await paidGuard.admit(job(payment.id)) == .run)
        try await room.apply("e2", "ref refunded 5000 XOF")
        guard case .skipped(let reason) = try await room.database.paidEffect(of: job(payment.id), nowMs: 1, { _, _ in 1 }) else {
            Issue.record("the effect was not skipped")
            return
        }
        #expect(reason == "payment is refunded")
        #expect(try await room.database.read { try JobRecord.find("job_1", in: $0)?.outcome } == .skipped)
        #expect(try await paidGuard.admit(job(nil, id: "job_2")) == .skip(reason: "the job names no payment"))
        #expect(try await paidGuard.admit(job("pay_none", id: "job_2")) == .skip(reason: "payment pay_none does not exist"))
    }

    @Test("An effect that fails leaves its job unfinished")
    func failing() async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        try await room.apply("e1", "ref captured 5000 XOF")
        let job = job(payment.id)
        await #expect(throws: PaymentError.notFound("x")) {
            _ = try await room.database.paidEffect(of: job, nowMs: 1) { (_, _) throws -> Int in throw PaymentError.notFound("x") }
        }
        guard case .done = try await room.database.paidEffect(of: job, nowMs: 2, { _, _ in 1 }) else {
            Issue.record("the second try had no effect")
            return
        }
    }
}

@Suite("Events taken up again")
struct EventReplayTests {
    private func replay(_ room: PaymentsFixture, _ id: String, nonce: String) async throws -> EventReplay {
        try await room.database.write { [events = room.events] in
            try events.replay(id, nonce: nonce, actor: "test", nowMs: PaymentsFixture.nowMs, in: $0)
        }
    }

    @Test("An event of before its payment applies when it is replayed, and once")
    func unmatched() async throws {
        let room = try PaymentsFixture()
        #expect(try await room.apply("e1", "ref captured 5000 XOF") == .unmatched)
        #expect(try await replay(room, "played/e1", nonce: "n0").outcome == .unmatched)
        let (payment, _) = try await room.payment()
        let first = try await replay(room, "played/e1", nonce: "n1")
        #expect(first.before == .unmatched && first.outcome == .applied && first.payment == payment.id && first.changesPayment)
        #expect(first.stateBefore == .created && first.stateAfter == .paid && first.jobs == ["played.work"] && first.facts == 1)
        for number in 2..<12 {
            let again = try await replay(room, "played/e1", nonce: "n\(number)")
            #expect(again.outcome == .applied && !again.changesPayment && again.jobs.isEmpty)
        }
        #expect(try await room.jobs(payment.id).count == 1)
    }

    @Test("A replay is not swallowed: where the provider must be asked it is asked once more for each, and the answers pay once")
    func asked() async throws {
        let room = try PaymentsFixture()
        let (payment, _) = try await room.payment()
        #expect(try await room.apply("e1", "ref captured 5000 XOF", trust: .sharedSecret) == .verifying)
        #expect(try await room.apply("e1", "ref captured 5000 XOF", trust: .sharedSecret) == .duplicate)
        for number in 0..<3 {
            let told = try await replay(room, "played/e1", nonce: "n\(number)")
            #expect(told.outcome == .verifying && told.jobs == ["payment.verify"] && !told.changesPayment)
        }
        #expect(try await room.jobs(payment.id).map(\.kind) == Array(repeating: "payment.verify", count: 4))
    }

    @Test("The same name twice is refused, an event that is not there too, and what was applied stays so")
    func refused() async throws {
        let room = try PaymentsFixture()
        _ = try await room.payment()
        try await room.apply("e1", "ref captured 5000 XOF")
        _ = try await replay(room, "played/e1", nonce: "n1")
        await #expect(throws: (any Error).self) { _ = try await replay(room, "played/e1", nonce: "n1") }
        await #expect(throws: PaymentError.notFound("played/e2")) { _ = try await replay(room, "played/e2", nonce: "n1") }
        let off = PaymentEvents(facts: room.facts, providers: ProviderRegistry([]))
        let told = try await room.database.write { try off.replay("played/e1", nonce: "n2", actor: "test", nowMs: 1, in: $0) }
        #expect(told.before == .applied && told.outcome == .quarantined)
        let counts = try await room.database.read { try EventRecord.counts(in: $0).map(\.outcome) }
        #expect(counts == ["applied"])
    }
}
