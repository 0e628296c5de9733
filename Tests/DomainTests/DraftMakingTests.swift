import Cryptography
import Database
import DraftGeneration
import Drafts
import Formats
import HTTPServer
import JobQueue
import Outbox
import Payments
import PrivateFiles
import ProviderPort
import Synchronization
import TestSupport
import Testing

private final class Tally: Sendable {
    private let number = Mutex(0)
    var count: Int { number.withLock { $0 } }
    func add() { number.withLock { $0 += 1 } }
}

@Suite("Drafts of paid inquiries")
struct DraftMakingTests {
    private static let templateNames = ["organization_name", "contact_name", "email"] + InquiryForm.textFields

    @Test("a paid inquiry becomes a document that a reader opens, with all that the customer gave in it, letter by letter")
    func wholeWay() async throws {
        try await DraftingFixture.with { room in
            let (id, payment, job) = try await room.paidInquiry()
            #expect(try await PaidGuard(database: room.domain.database).admit(job) == .run)
            let making = try await room.making(staff: "kit@example.org")
            #expect(try await making.deliver(job) == .done)
            #expect(try await room.found(id).state == .draftDone)

            let draft = try #require(try await room.draft(of: id))
            #expect(draft.payment == payment && draft.path == "drafts/\(id).docx")
            let bytes = try await room.files.read(draft.path)
            #expect(Int64(bytes.count) == draft.size && Digest.sha256Hex(bytes) == draft.sha256)
            let text = try await room.text(of: draft)
            let inquiry = try await room.found(id)
            for name in Self.templateNames {
                let value = try #require(inquiry.texts[name])
                #expect(text.contains(value), "\(name) is missing")
            }
            #expect(text.contains("7"), "documents_count is missing")
            // What the text endpoint wrote, between its first and its last words.
            let answer = try await room.domain.database.read { try $0.first("SELECT content FROM drafts_answers")?.text("content") ?? "" }
            #expect(answer.hasPrefix("Introduction"))
            for line in answer.split(separator: "\n") { #expect(text.contains(line), "the answer's '\(line)' is missing") }

            #expect(try await room.domain.record(of: job)?.outcome == .done)
            let mails = try await room.domain.database.read { try JobRecord.of(payment: payment, in: $0) }.filter { $0.kind == "notification.send" }
            #expect(mails.count == 2, "the customer's confirmation and the staff's notice")

            // Delivered once more, and by a job of another id: nothing is asked for and nothing changes.
            #expect(try await making.deliver(job) == .done)
            var other = job
            other.id = "job_other"
            #expect(try await making.deliver(other) == .skipped(reason: "inquiry is DRAFT_DONE"))
            #expect(try await room.calls() == 1)
            #expect(try await room.draft(of: id)?.createdAtMs == draft.createdAtMs)
        }
    }

    @Test("unpaid work is skipped and recorded, and the text endpoint is not asked")
    func unpaid() async throws {
        try await DraftingFixture.with { room in
            let (inquiry, _, payment) = try await room.inquiry()
            var job = try JobRequest(GenerateDraft(inquiry: inquiry.id), payment: payment).envelope(id: "job_early", nowMs: 0)
            #expect(try await PaidGuard(database: room.domain.database).admit(job) == .skip(reason: "payment is created"))
            #expect(try await room.making().deliver(job) == .skipped(reason: "inquiry is INQUIRY_RECEIVED"))
            #expect(try await room.domain.record(of: job)?.outcome == .skipped)
            #expect(try await room.found(inquiry.id).state == .inquiryReceived)
            // A paid payment of somebody else does not help.
            let (_, stranger, _) = try await room.paidInquiry()
            try await room.domain.tell(.captured, of: payment)
            job.id = "job_stolen"
            job.payment = stranger
            let failure = await #expect(throws: JobFailure.self) { try await room.making().deliver(job) }
            #expect(failure?.disposition == .bury)
            #expect(try await room.calls() == 0)
        }
    }

    @Test("an answer that was paid for is kept: a retry after the template failed does not ask again")
    func answerIsKept() async throws {
        try await DraftingFixture.with { room in
            let (id, _, job) = try await room.paidInquiry()
            // Ends by a signal at the first call, as a process does that is killed for its memory.
            let marker = room.domain.folder.file("was-here")
            let script = try room.domain.folder.write(
                """
                import os, pathlib, runpy, signal, sys
                marker = pathlib.Path("\(marker)")
                if not marker.exists():
                    marker.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
                sys.argv[0] = "\(DraftingFixture.script)"
                runpy.run_path(sys.argv[0], run_name="__main__")

                """, to: "dying.py")
            let making = try await room.making(script: script)
            let failure = await #expect(throws: JobFailure.self) { try await making.deliver(job) }
            #expect(failure?.disposition == .retry(after: nil))
            #expect(try await room.found(id).state == .aiRunning)
            #expect(try await room.draft(of: id) == nil)
            #expect(try await making.deliver(job) == .done)
            #expect(try await room.calls() == 1)
            #expect(try await room.found(id).state == .draftDone)
        }
    }

    @Test("a worker that comes late, its job long done by another one, leaves the draft's file as it is")
    func late() async throws {
        try await DraftingFixture.with { room in
            let (id, _, job) = try await room.paidInquiry()
            let folder = room.domain.folder
            let script = try folder.write(
                """
                import pathlib, runpy, sys, time
                while not pathlib.Path("\(folder.file("go"))").exists():
                    time.sleep(0.01)
                sys.argv[0] = "\(DraftingFixture.script)"
                runpy.run_path(sys.argv[0], run_name="__main__")

                """, to: "slow.py")
            let (slow, quick) = (try await room.making(script: script), try await room.making())
            async let late = slow.deliver(job)
            try await eventually("the text is kept") {
                try await room.domain.database.read { try $0.query("SELECT inquiry FROM drafts_answers").count } == 1
            }
            try await eventually("another worker makes the draft") { try await quick.deliver(job) == .done }
            let draft = try #require(try await room.draft(of: id))
            let seen = Array("as it was entered".utf8)
            try await room.files.write(seen, to: draft.path)
            try folder.write("", to: "go")
            #expect(try await late == .done)
            #expect(try await room.files.read(draft.path) == seen)
            #expect(try await room.calls() == 1)
        }
    }

    @Test("a template that cannot be filled is buried, the inquiry failed; replayed with a good one it is done")
    func brokenTemplate() async throws {
        try await DraftingFixture.with { room in
            let (id, _, job) = try await room.paidInquiry()
            let script = try room.domain.folder.write(
                "import sys\nprint('the template is not a Word document', file=sys.stderr)\nsys.exit(3)\n", to: "broken.py")
            let broken = try await room.making(script: script)
            let failure = await #expect(throws: JobFailure.self) { try await broken.deliver(job) }
            #expect(failure?.disposition == .bury)
            #expect(failure?.reason.contains("not a Word document") == true)
            // What the engine does with a buried job.
            try await JobOutcomeRecorder(database: room.domain.database).record(job, as: .buried, reason: "x", nowMs: 1)
            try await broken.failed(job, reason: failure?.reason ?? "", nowMs: 1)
            let now = try await room.found(id)
            #expect(now.state == .draftFailed && now.failure?.contains("not a Word document") == true)

            #expect(try await room.domain.database.write { try Outbox.reopen(job.id, in: $0) })
            #expect(try await room.making().deliver(job) == .done)
            let mended = try await room.found(id)
            #expect(mended.state == .draftDone && mended.failure == nil)
            // A failure that is told late takes no draft back.
            try await broken.failed(job, reason: "late", nowMs: 2)
            #expect(try await room.found(id).state == .draftDone)
        }
    }

    @Test(
        "the endpoint's ill behaviour asks for the right thing",
        arguments: [
            ("429", .retry(after: .seconds(1))), ("quota", .bury), ("500", .retry(after: nil)), ("503", .retry(after: nil)), ("refusal", .bury),
            ("length", .bury), ("empty", .retry(after: nil)),
        ] as [(String, JobDisposition)])
    func scenarios(step: String, disposition: JobDisposition) async throws {
        try await DraftingFixture.with { room in
            let (id, _, job) = try await room.paidInquiry()
            try await room.next(step)
            let failure = await #expect(throws: TextGenerationError.self) { try await room.making().deliver(job) }
            #expect(failure?.jobDisposition == disposition)
            #expect(try await room.found(id).state == .aiRunning)
            #expect(try await room.draft(of: id) == nil)
            #expect(try await room.domain.record(of: job)?.finishedAtMs == nil)
        }
    }

    @Test("an endpoint that is silent or away is tried again later")
    func silent() async throws {
        try await DraftingFixture.with { room in
            let (_, _, job) = try await room.paidInquiry()
            try await room.next("slow")
            let late = await #expect(throws: TextGenerationError.self) { try await room.making(timeout: .milliseconds(200)).deliver(job) }
            #expect(late?.jobDisposition == .retry(after: nil))
            let away = await #expect(throws: TextGenerationError.self) {
                try await room.making(baseURL: "http://127.0.0.1:\(try freePort())/v1").deliver(job)
            }
            #expect(away?.jobDisposition == .retry(after: nil))
        }
    }

    @Test("the same job delivered to four workers at once asks for one text and makes one draft, whose file is the one that was entered")
    func concurrent() async throws {
        try await DraftingFixture.with { room in
            let (id, _, job) = try await room.paidInquiry()
            // Every call would be answered differently, and none before all others have been put off.
            let (asked, putOff) = (Tally(), Tally())
            let answer: @Sendable (Int) async -> HTTPResponse = { number in
                asked.add()
                try? await eventually(within: .seconds(10)) { putOff.count == 3 }
                return DraftingFixture.written("Text number \(number)")
            }
            try await room.withWriter(answer) { url in
                try await withThrowingTaskGroup(of: JobOutcome.self) { group in
                    for _ in 0..<4 {
                        let making = try await room.making(database: try room.domain.another(), baseURL: url)
                        group.addTask {
                            do { return try await making.deliver(job) } catch let error as EffectError {
                                guard case .busy = error else { throw error }
                                putOff.add()
                                try await eventually(within: .seconds(20)) {
                                    try await room.domain.database.read {
                                        try EffectTable.list(EffectFilter(), in: $0).contains { $0.state == .done }
                                    }
                                }
                                return try await making.deliver(job)
                            }
                        }
                    }
                    for try await outcome in group { #expect(outcome == .done) }
                }
            }
            #expect(asked.count == 1)
            #expect(try await room.domain.database.read { try DraftCharge.of(inquiry: id, in: $0).map(\.outcome) } == [.kept])
            let draft = try #require(try await room.draft(of: id))
            #expect(Digest.sha256Hex(try await room.files.read(draft.path)) == draft.sha256)
            let kept = try await room.domain.database.read { try $0.first("SELECT content FROM drafts_answers")?.text("content") ?? "" }
            #expect(try await room.text(of: draft).contains(kept))
            #expect(try await room.domain.database.read { try $0.query("SELECT inquiry FROM drafts_generated").count } == 1)
        }
    }

    @Test("a text whose answer was lost is asked for again under the same request id, and only one that was kept is used")
    func answerLost() async throws {
        try await DraftingFixture.with { room in
            let (id, _, job) = try await room.paidInquiry()
            let effects = EffectTable(database: room.domain.database)
            try await room.next("slow")
            await #expect(throws: TextGenerationError.self) { try await room.making(timeout: .milliseconds(200)).deliver(job) }
            // It may be written, and paid for, all the same.
            let open = try #require(try await effects.list(EffectFilter(openOnly: true)).first)
            #expect(open.identity == EffectIdentity(DraftMaking.effect, key: id) && open.owner == nil && open.rule == .againVisibly)
            try await room.next("500")
            await #expect(throws: TextGenerationError.self) { try await room.making().deliver(job) }
            // Answered, with no text: nothing is under way any more.
            #expect(try await effects.list(EffectFilter()).map(\.state) == [.withdrawn])
            #expect(try await room.making().deliver(job) == .done)
            let record = try #require(try await effects.list(EffectFilter()).first)
            #expect(record.state == .done && record.result?["content"]?.string?.hasPrefix("Introduction") == true)
        }
    }

    @Test("a payment that is refunded between two attempts stops at the guard, and the inquiry says why no draft comes")
    func refundedBetweenAttempts() async throws {
        try await DraftingFixture.with { room in
            let (id, payment, job) = try await room.paidInquiry()
            try await room.next("500")
            let making = try await room.making()
            await #expect(throws: TextGenerationError.self) { try await making.deliver(job) }
            try await room.domain.tell(.refunded, of: payment)
            #expect(try await PaidGuard(database: room.domain.database).admit(job) == .skip(reason: "payment is refunded"))
            for reason in ["payment is refunded", "finished before"] { try await making.failed(job, reason: reason, nowMs: 1) }
            let now = try await room.found(id)
            #expect(now.state == .draftFailed && now.failure == "payment is refunded")
        }
    }

    @Test("a payment that is refunded while the text is written gives no draft: skipped, recorded, and seen on the inquiry")
    func refundedMeanwhile() async throws {
        try await DraftingFixture.with { room in
            let (id, payment, job) = try await room.paidInquiry()
            let answer: @Sendable (Int) async -> HTTPResponse = { _ in
                _ = try? await room.domain.tell(.refunded, of: payment)
                return DraftingFixture.written("Too late")
            }
            try await room.withWriter(answer) { url in
                let outcome = try await room.making(baseURL: url, staff: "kit@example.org").deliver(job)
                #expect(outcome == .skipped(reason: "payment is refunded"))
            }
            #expect(try await room.draft(of: id) == nil)
            let record = try #require(try await room.domain.record(of: job))
            #expect(record.outcome == .skipped && record.detail == "payment is refunded")
            let now = try await room.found(id)
            #expect(now.state == .draftFailed && now.failure == "payment is refunded")
            let mails = try await room.domain.database.read { try JobRecord.of(payment: payment, in: $0) }.filter { $0.kind == "notification.send" }
            #expect(mails.count == 1, "only the confirmation of the payment")
        }
    }
}
