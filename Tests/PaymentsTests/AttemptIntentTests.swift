import Database
import Formats
import JobQueue
import Outbox
import Payments
import ProviderPort
import TestSupport
import Testing

@Suite("Starts of attempts whose process died")
struct AttemptIntentTests {
    private static let nowMs = PaymentsFixture.nowMs
    private static let late = nowMs + 2 * AttemptIntent.callMaxMs + 1

    /// An attempt with the intent to start it, whose owner is gone.
    private func abandoned(_ rule: EffectRule, in room: PaymentsFixture) async throws -> (payment: Payment, attempt: PaymentAttempt) {
        let (payment, attempt) = try await room.payment()
        let identity = EffectIdentity(AttemptIntent.effect, key: attempt.id)
        try await room.database.write { connection in
            try EffectTable.update(identity, in: connection) { record in
                record = EffectRecord(
                    identity: identity, state: .pending, rule: rule, owner: EffectOwner(queue: "web", worker: "web:1", token: 1, job: attempt.id),
                    fence: 1, result: nil, detail: nil, beganAtMs: Self.nowMs, changedAtMs: Self.nowMs)
            }
        }
        return (payment, attempt)
    }

    private func intent(_ room: PaymentsFixture) async throws -> EffectRecord? {
        try await room.database.read { try EffectTable.list(EffectFilter(), in: $0).first }
    }

    private func resolve(_ room: PaymentsFixture, at nowMs: Int64) async throws -> Int {
        try await room.database.write { try AttemptIntent.resolveAbandoned(nowMs: nowMs, limit: 10, in: $0) }
    }

    @Test("one whose provider cannot be asked is put before a person, once, and not while the call may be under way")
    func doubtful() async throws {
        let room = try PaymentsFixture()
        let (payment, attempt) = try await abandoned(.onceThenTask, in: room)
        #expect(try await resolve(room, at: Self.late - 1) == 0)
        #expect(try await resolve(room, at: Self.late) == 1)
        #expect(try await resolve(room, at: Self.late) == 0)
        #expect(try await intent(room)?.state == .doubtful)
        let tasks = try await room.database.read { try PaymentTask.open(of: payment.id, in: $0) }
        #expect(tasks.map(\.kind) == ["effect"] && tasks.first?.payment == payment.id && tasks.first?.detail.contains(attempt.id) == true)
        #expect(try await room.database.read { try PaymentTask.open(of: "pay_other", in: $0) }.isEmpty)
    }

    @Test("one whose provider can be asked is left to the questions")
    func askable() async throws {
        let room = try PaymentsFixture()
        _ = try await abandoned(.ask, in: room)
        #expect(try await resolve(room, at: Self.late) == 0)
        #expect(try await intent(room)?.state == .pending)
    }

    @Test("one of an attempt that is over needs nothing any more", arguments: [EffectRule.ask, .onceThenTask])
    func over(_ rule: EffectRule) async throws {
        let room = try PaymentsFixture()
        _ = try await abandoned(rule, in: room)
        try await room.apply("e1", "ref captured 5000 XOF")
        #expect(try await resolve(room, at: Self.late) == 0)
        let record = try #require(try await intent(room))
        #expect(record.state == .done && record.result == ["references": []] && record.fence == 2)
    }

    /// Knows nothing of what it is asked for.
    private struct Forgetful: PaymentProvider {
        let offer = ProviderOffer([])
        let name = "played"
        let capabilities = ProviderCapabilities(hasProof: true, proofCoversMoney: true, hasInitiate: false, hasStatus: true)
        func verifyWebhook(_ webhook: IncomingWebhook, nowMs: Int64) -> WebhookVerdict { .refused(reason: "not played") }
        func parse(body: [UInt8], contentType: String) throws(ProviderError) -> ProviderNotice { throw ProviderError(.unreadable, "not played") }
        func status(of question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
            throw ProviderError(.notFound, "no such payment")
        }
    }

    @Test(
        "the provider's answer settles it: known, it is done; unknown, it may be tried again; a call under way is left alone",
        arguments: [
            (EffectRule.ask, "pending", late, EffectRecord.State.done), (.ask, nil, late, .withdrawn), (.ask, "unknown", late, .withdrawn),
            (.ask, "pending", nowMs + 1000, .pending), (.ask, nil, nowMs + 1000, .pending), (.onceThenTask, "pending", late, .done),
            (.onceThenTask, nil, late, .pending), (.onceThenTask, "unknown", late, .pending),
        ] as [(EffectRule, String?, Int64, EffectRecord.State)])
    func asked(_ rule: EffectRule, answer: String?, atMs: Int64, state: EffectRecord.State) async throws {
        let room = try PaymentsFixture()
        let (_, attempt) = try await abandoned(rule, in: room)
        let provider: any PaymentProvider = answer.map { PlayedProvider(answer: "ref \($0)") } ?? Forgetful()
        let events = PaymentEvents(facts: room.facts, providers: ProviderRegistry([(provider, "sandbox")]))
        let verification = PaymentVerification(database: room.database, events: events, transport: NoTransport())
        let job = JobEnvelope(
            id: "job_1", kind: VerifyPayment.kind, queue: VerifyPayment.queue, args: ["attempt": .string(attempt.id), "cause": "test"],
            payment: attempt.payment, enqueuedAtMs: atMs)
        let parameters = try job.parameters(as: VerifyPayment.self)
        if answer != nil {
            #expect(try await verification.run(parameters, job: job, nowMs: { atMs }) == .done)
        } else {
            await #expect(throws: ProviderError.self) { try await verification.run(parameters, job: job, nowMs: { atMs }) }
        }
        #expect(try await intent(room)?.state == state)
    }
}
