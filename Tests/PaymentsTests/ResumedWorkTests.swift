import Database
import Formats
import JobQueue
import Money
import Outbox
import Payments
import ProviderPort
import Testing

@Suite("Work that waited while its payment was in doubt")
struct ResumedWorkTests {
    private static let nowMs = PaymentsFixture.nowMs

    /// A payment of 5000 of which the first attempt had expired when the second one paid.
    private struct Room: Sendable {
        let room: PaymentsFixture
        let payment: String
        let first: PaymentAttempt
        let second: PaymentAttempt

        init(isPaid: Bool = true) async throws {
            room = try PaymentsFixture()
            let (payment, first) = try await room.payment()
            self.payment = payment.id
            self.first = first
            second = try await room.database.write { connection in
                try PaymentStore.startAttempt(of: payment, provider: "other", mode: "sandbox", method: nil, nowMs: nowMs, in: connection)
            }
            guard isPaid else { return }
            try await tell(first, .expired)
            try await tell(second, .captured, 5000)
            #expect(try await room.state(payment.id) == .paid)
        }

        func tell(_ attempt: PaymentAttempt, _ claim: ProviderClaim, _ units: Int64? = nil) async throws {
            _ = try await room.database.write { [room] connection in
                try room.facts.record(
                    ProviderNotice(references: [], claim: claim, amount: units.map { Money($0, .xof) }), attempt: attempt,
                    source: .init(actor: "provider:x", reference: "e"), nowMs: nowMs, in: connection)
            }
        }

        func accept() async throws {
            try await room.database.write { [room, payment] connection in
                let found = try PaymentStore.require(payment, in: connection)
                try room.facts.accept(found, reason: "r", actor: "staff:ana", nowMs: nowMs, in: connection)
            }
        }

        func record() async throws -> JobRecord { try #require(try await room.jobs(payment).first { $0.kind == PlayedJob.kind }) }

        func job() async throws -> JobEnvelope {
            let record = try await record()
            return JobEnvelope(
                id: record.id, kind: record.kind, queue: record.queue, args: ["subject": "s1"], payment: payment, enqueuedAtMs: nowMs)
        }

        /// One delivery of the job, as its worker goes about it.
        func deliver() async throws -> GuardVerdict {
            let job = try await job()
            let verdict = try await PaidGuard(database: room.database).admit(job)
            switch verdict {
            case .run: _ = try await room.database.paidEffect(of: job, nowMs: nowMs) { _, _ in 1 }
            case .skip(let reason): try await JobOutcomeRecorder(database: room.database).record(job, as: .skipped, reason: reason, nowMs: nowMs)
            }
            return verdict
        }

        func tasks() async throws -> [PaymentTask] { try await room.database.read { [payment] in try PaymentTask.open(of: payment, in: $0) } }
    }

    @Test("what was skipped during a conflict runs when it is over, once, whichever way it ended", arguments: [true, false])
    func resumed(_ isAccepted: Bool) async throws {
        let room = try await Room()
        let before = try await room.record()
        try await room.tell(room.first, .captured, 5000)
        #expect(try await room.deliver() == .skip(reason: "payment is conflicted"))
        #expect(try await room.record().outcome == .skipped)
        if isAccepted { try await room.accept() } else { try await room.tell(room.first, .refunded, 5000) }
        #expect(try await room.room.state(room.payment) == .paid)
        let again = try await room.record()
        #expect(again.id == before.id && again.finishedAtMs == nil && again.publishedAtMs == nil)
        #expect(again.sequence > before.sequence, "its queue would leave an old number out")
        #expect(try await room.deliver() == .run)
        #expect(try await room.record().outcome == .done)
        // A further conflict repeats nothing that is done.
        try await room.tell(room.second, .captured, 4000)
        #expect(try await room.room.state(room.payment) == .conflicted)
        try await room.accept()
        #expect(try await room.room.state(room.payment) == .paid)
        #expect(try await room.record().outcome == .done)
        #expect(try await room.room.jobs(room.payment).count == 1)
    }

    @Test("what was skipped inside its transaction runs too, and what was left off for another reason does not", arguments: [true, false])
    func reasons(_ isForState: Bool) async throws {
        let room = try await Room()
        try await room.tell(room.first, .captured, 5000)
        let job = try await room.job()
        if isForState {
            guard case .skipped = try await room.room.database.paidEffect(of: job, nowMs: Self.nowMs, { _, _ in 1 }) else {
                Issue.record("the effect was not skipped")
                return
            }
        } else {
            try await JobOutcomeRecorder(database: room.room.database).record(job, as: .skipped, reason: JobEnding.cancelled, nowMs: Self.nowMs)
        }
        try await room.accept()
        #expect(try await room.record().outcome == (isForState ? nil : .skipped))
    }

    @Test("a skip that is told when the payment is paid again is not recorded, and its job comes back")
    func late() async throws {
        let room = try await Room()
        let job = try await room.job()
        let recorder = JobOutcomeRecorder(database: room.room.database)
        try await room.tell(room.first, .captured, 5000)
        #expect(try await PaidGuard(database: room.room.database).admit(job) == .skip(reason: "payment is conflicted"))
        try await room.accept()
        let failure = await #expect(throws: JobFailure.self) {
            try await recorder.record(job, as: .skipped, reason: "payment is conflicted", nowMs: Self.nowMs)
        }
        #expect(failure?.disposition == .snooze(.seconds(1)))
        // Nor does a second delivery of its first life end its second one.
        try await recorder.record(job, as: .skipped, reason: "finished before", nowMs: Self.nowMs)
        #expect(try await room.record().finishedAtMs == nil)
    }

    @Test("paid again through a conflict after the money had gone back is a task, and its skipped work runs")
    func paidAgain() async throws {
        let room = try await Room()
        try await room.tell(room.second, .refunded, 5000)
        #expect(try await room.deliver() == .skip(reason: "payment is refunded"))
        try await room.tell(room.first, .captured, 5000)
        #expect(try await room.room.state(room.payment) == .conflicted)
        #expect(try await room.tasks().map(\.kind) == ["conflicted"])
        try await room.accept()
        #expect(try await room.tasks().map(\.kind) == ["paid_again"])
        #expect(try await room.deliver() == .run)
    }

    @Test(
        "money back that is told before the money is a task: nothing was ever started",
        arguments: [(Int64(2000), "partially_refunded"), (5000, "refunded")])
    func unstarted(_ back: Int64, _ state: String) async throws {
        let room = try await Room(isPaid: false)
        try await room.tell(room.first, .refunded, back)
        #expect(try await room.tasks().isEmpty)
        try await room.tell(room.first, .captured, 5000)
        #expect(try await room.room.state(room.payment).rawValue == state)
        let task = try #require(try await room.tasks().first)
        #expect(task.kind == "unstarted" && task.detail.hasPrefix("\(Money(5000, .xof)) came in and \(Money(back, .xof)) of it went back before"))
        #expect(task.detail.contains("\(Money(3000, .xof)) is kept") == (back == 2000))
        #expect(try await room.room.jobs(room.payment).isEmpty)
        try await room.tell(room.first, .pending)
        #expect(try await room.tasks().count == 1)
        // Paid by another attempt after all.
        try await room.tell(room.second, .captured, 5000)
        #expect(try await room.room.state(room.payment) == .paid)
        #expect(try await room.tasks().contains { $0.kind == "unstarted" } == false)
        #expect(try await room.room.jobs(room.payment).map(\.kind) == [PlayedJob.kind])
    }

    @Test("a task about a rest that is kept ends when the rest has gone back")
    func restGoesBack() async throws {
        let room = try await Room(isPaid: false)
        try await room.tell(room.first, .refunded, 2000)
        try await room.tell(room.first, .captured, 5000)
        #expect(try await room.tasks().map(\.kind) == ["unstarted"])
        try await room.tell(room.first, .refunded, 5000)
        #expect(try await room.tasks().isEmpty)
    }
}
