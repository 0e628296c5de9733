import Database
import Formats
import JobQueue
import Money
import Outbox
import Payments
import ProviderPort
import Synchronization
import Testing

/// What a provider knows, and what it was asked.
final class ToldBook: Sendable {
    private struct State: Sendable {
        var owners: [String: String] = [:]
        var calls: [String] = []
    }
    private let state = Mutex(State())

    func pay(_ reference: String, of attempt: String) { state.withLock { $0.owners[reference] = attempt } }
    var calls: [String] { state.withLock { $0.calls } }

    fileprivate func owner(of reference: String) -> String? {
        state.withLock { state in
            state.calls.append(reference)
            return state.owners[reference]
        }
    }
}

/// Posts without an amount, such as `id:T1 ours:A1`, at a provider that must be asked, reference by reference.
private struct AskedProvider: PaymentProvider {
    let offer = ProviderOffer([])
    let name = "played"
    let capabilities = ProviderCapabilities(
        hasProof: true, proofCoversMoney: false, hasInitiate: false, hasStatus: true, statusReferenceKinds: ["id"], identifiedBy: ["id"],
        standardPolicy: .fetch)
    let book: ToldBook

    func verifyWebhook(_ webhook: IncomingWebhook, nowMs: Int64) -> WebhookVerdict { .refused(reason: "not played") }

    func parse(body: [UInt8], contentType: String) throws(ProviderError) -> ProviderNotice {
        let pairs = String(decoding: body, as: UTF8.self).split(separator: " ").map { $0.split(separator: ":").map(String.init) }
        return ProviderNotice(references: pairs.map { ProviderReference($0[0], $0[1]) }, claim: .unknown)
    }

    func status(of question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        for reference in question.references + question.unverified where reference.kind == "id" {
            guard book.owner(of: reference.value) == question.attempt else { continue }
            return ProviderNotice(references: [reference], claim: .captured, amount: question.amount)
        }
        throw ProviderError(.notFound, "not known")
    }

    func identify(_ reference: ProviderReference, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        guard let owner = book.owner(of: reference.value) else { throw ProviderError(.notFound, "nobody's") }
        return ProviderNotice(references: [.ours(owner)], claim: .unknown)
    }
}

/// A payments room whose clock is turned by hand: events come in, ticks pass, jobs are done when they are due.
private final class AskingRoom: Sendable {
    let book = ToldBook()
    let room: PaymentsFixture
    private let verification: PaymentVerification
    private let state = Mutex((nowMs: PaymentsFixture.nowMs, number: 0, tried: Set<String>()))

    init() throws {
        room = try PaymentsFixture(provider: AskedProvider(book: book))
        verification = PaymentVerification(database: room.database, events: room.events, transport: NoTransport())
    }

    var nowMs: Int64 { state.withLock { $0.nowMs } }

    /// Lets as many events in, in one transaction.
    func tell(_ bodies: [String], trust: Trust = .unproven) async throws {
        let (nowMs, first) = state.withLock { state in
            defer { state.number += bodies.count }
            return (state.nowMs, state.number)
        }
        let read = bodies.enumerated().map { place, body in
            ReadEvent(
                ProviderEvent(
                    id: "e\(first + place)", provider: "played", mode: "sandbox", trust: trust, type: "t", timeMs: nowMs,
                    contentType: "text/plain", body: Array(body.utf8), headers: "", matchedKey: nil, payment: nil, target: "/", traceparent: nil),
                providers: room.events.providers)
        }
        try await room.database.write { [events = room.events] connection in
            for event in read { _ = try events.apply(event, nowMs: nowMs, in: connection) }
        }
    }

    /// As many minutes pass, each with its tick and its jobs.
    func pass(minutes: Int) async throws {
        for _ in 0..<minutes {
            let nowMs = state.withLock { state in
                state.nowMs += 60_000
                return state.nowMs
            }
            _ = try await room.database.write { [outbox = room.facts.outbox] in try ParkedReferences.askDue(outbox: outbox, nowMs: nowMs, in: $0) }
            try await work()
        }
    }

    /// Does the jobs that are due, each once.
    func work() async throws {
        while true {
            let nowMs = nowMs
            let due = try await room.database.read { connection in
                try connection.query(
                    "SELECT id, kind, queue, args, payment FROM outbox_jobs WHERE finished_at IS NULL AND COALESCE(run_at, 0) <= $1",
                    [.integer(nowMs)]
                ).map { row in
                    JobEnvelope(
                        id: try row.text("id"), kind: try row.text("kind"), queue: try row.text("queue"),
                        args: try JSON(parsing: try row.text("args")),
                        payment: try row.textOrNil("payment"), enqueuedAtMs: 0)
                }
            }
            let fresh = state.withLock { state in due.filter { $0.queue == VerifyPayment.queue && state.tried.insert($0.id).inserted } }
            guard !fresh.isEmpty else { return }
            for job in fresh {
                if job.kind == IdentifyReference.kind {
                    _ = try await verification.identify(try job.parameters(as: IdentifyReference.self), job: job, nowMs: { nowMs })
                } else {
                    do {
                        _ = try await verification.run(try job.parameters(as: VerifyPayment.self), job: job, nowMs: { nowMs })
                    } catch is ProviderError {
                        continue
                    }
                }
            }
        }
    }

    func state(_ payment: Payment) async throws -> PaymentState { try await room.state(payment.id) }
}

@Suite("References that lead nowhere")
struct UnknownReferenceTests {
    @Test("a flood of made-up references costs a bounded number of calls, and an idle table asks nothing")
    func flood() async throws {
        let room = try AskingRoom()
        for minute in 0..<60 {
            try await room.tell((0..<50).map { "id:forged-\(minute)-\($0)" })
            let before = room.book.calls.count
            try await room.pass(minutes: 1)
            #expect(room.book.calls.count - before <= 5)
        }
        try await room.pass(minutes: 12 * 60)
        #expect(room.book.calls.count <= 60 * 5 + 100 * 6)
        let asked = room.book.calls.count
        try await room.pass(minutes: 60)
        #expect(room.book.calls.count == asked)
        #expect(Dictionary(grouping: room.book.calls) { $0 }.values.allSatisfy { $0.count <= 6 })
    }

    @Test("the same made-up reference told again and again is asked about six times in all")
    func repeated() async throws {
        let room = try AskingRoom()
        for _ in 0..<600 {
            try await room.tell(["id:forged"])
            try await room.pass(minutes: 1)
        }
        #expect(room.book.calls.count == 6)
    }

    @Test(
        "a true one whose attempt the provider names pays, proven at once and unproven in its turn, amid a flood",
        arguments: [Trust.sharedSecret, .unproven])
    func trueOne(_ trust: Trust) async throws {
        let room = try AskingRoom()
        let (payment, attempt) = try await room.room.payment(reference: "other")
        try await room.tell((0..<500).map { "id:forged-\($0)" })
        if trust == .unproven { try await room.pass(minutes: 1) }
        room.book.pay("true", of: attempt.id)
        try await room.tell(["id:true"], trust: trust)
        try await room.tell((500..<600).map { "id:forged-\($0)" })
        try await room.pass(minutes: trust == .unproven ? 60 : 1)
        #expect(try await room.state(payment) == .paid)
        let outcome = try await room.room.database.read { connection in
            try connection.first("SELECT outcome, payment FROM payments_events WHERE CAST(body AS TEXT) = 'id:true'")?.values
        }
        #expect(outcome == [.text("verifying"), .text(payment.id)])
    }

    @Test("one that its attempt takes up by itself is not asked about any more")
    func rematched() async throws {
        let room = try AskingRoom()
        try await room.tell(["id:late"])
        let (_, attempt) = try await room.room.payment(reference: "late")
        try await room.room.database.write { [events = room.room.events] in try events.rematch(attempt, nowMs: PaymentsFixture.nowMs, in: $0) }
        try await room.pass(minutes: 30)
        #expect(try await room.room.database.read { try ParkedReferences.counts(in: $0).isEmpty })
    }
}

@Suite("What nobody proves of an attempt")
struct UnprovenHintTests {
    @Test("a flood of posts that name an attempt makes it be asked about a bounded number of times, a day and a half long")
    func flood() async throws {
        let room = try AskingRoom()
        let (payment, attempt) = try await room.room.payment(reference: "given")
        for minute in 0..<300 {
            try await room.tell((0..<10).map { "ours:\(attempt.id) id:given noise:\(minute)-\($0)" })
            try await room.pass(minutes: 1)
        }
        let asked = room.book.calls.count
        #expect((7...9).contains(asked), "\(asked)")
        try await room.pass(minutes: 34 * 60)
        #expect(room.book.calls.count <= asked + 1)
        // The next true word is asked about at once, the flood being over.
        room.book.pay("given", of: attempt.id)
        try await room.tell(["ours:\(attempt.id) id:given"])
        try await room.work()
        #expect(try await room.state(payment) == .paid)
    }

    @Test("two true words within seconds: the second is asked about within the quarter minute, and a proven one at once")
    func early() async throws {
        let room = try AskingRoom()
        let (payment, attempt) = try await room.room.payment(reference: "given")
        try await room.tell(["ours:\(attempt.id) id:given"])
        try await room.work()
        room.book.pay("given", of: attempt.id)
        try await room.tell(["ours:\(attempt.id) id:given"])
        try await room.work()
        #expect(try await room.state(payment) == .created)
        try await room.pass(minutes: 1)
        #expect(try await room.state(payment) == .paid)

        let (other, second) = try await room.room.payment(reference: "second")
        try await room.tell(["ours:\(second.id) id:second"])
        try await room.work()
        room.book.pay("second", of: second.id)
        try await room.tell(["ours:\(second.id) id:second"], trust: .sharedSecret)
        try await room.work()
        #expect(try await room.state(other) == .paid)
    }

    @Test("forged references do not keep a true one out: proven, it takes the place of one that nobody proved")
    func proven() async throws {
        let room = try AskingRoom()
        let (payment, attempt) = try await room.room.payment(reference: "x")
        try await room.tell((0..<30).map { "ours:\(attempt.id) id:forged-\($0)" })
        room.book.pay("true", of: attempt.id)
        try await room.tell(["ours:\(attempt.id) id:true"], trust: .sharedSecret)
        try await room.work()
        #expect(try await room.state(payment) == .paid)
        let kept = try await room.room.database.read { try UnverifiedReferences.of(attempt: attempt.id, in: $0).count }
        #expect(kept <= 20)
    }

    @Test("unproven, it takes the place of one that was asked about for nothing")
    func unproven() async throws {
        let room = try AskingRoom()
        let (payment, attempt) = try await room.room.payment(reference: "x")
        try await room.tell((0..<30).map { "ours:\(attempt.id) id:forged-\($0)" })
        try await room.work()
        try await room.pass(minutes: 1)
        room.book.pay("true", of: attempt.id)
        try await room.tell(["ours:\(attempt.id) id:true"])
        try await room.pass(minutes: 1)
        #expect(try await room.state(payment) == .paid)
        // Each question asks by a few references only.
        #expect(room.book.calls.count <= 3 * 6)
    }
}
