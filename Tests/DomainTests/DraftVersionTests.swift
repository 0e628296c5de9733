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

@Suite("Drafts in versions")
struct DraftVersionTests {
    private static let nowMs = DomainFixture.nowMs
    private static let outbox = Outbox(slot: "web.0")

    private func regenerate(_ id: String, _ room: DraftingFixture, keepingAnswer: Bool = false) async throws -> Int64 {
        try await room.domain.database.write {
            try DraftWork.regenerate(
                id, keepingAnswer: keepingAnswer, outbox: Self.outbox, actor: "staff:awa", reason: "not good", nowMs: Self.nowMs, in: $0)
        }
    }

    private func charges(_ id: String, _ room: DraftingFixture) async throws -> [DraftCharge] {
        try await room.domain.database.read { try DraftCharge.of(inquiry: id, in: $0) }
    }

    @Test("a draft made anew is a version of its own: the older one stays with its file, its answer and its bill")
    func regenerated() async throws {
        try await DraftingFixture.with { room in
            let (id, payment) = try await room.drafted()
            let first = try #require(try await room.draft(of: id))
            #expect(try await regenerate(id, room) == 2)
            #expect(try await room.found(id).state == .paid)
            // The job of the first version has nothing to do any more, whatever delivers it.
            let old = try await room.job(of: payment, version: 1)
            #expect(try await room.making().deliver(old) == .done)
            var strange = old
            strange.id = "job_strange"
            #expect(try await room.making().deliver(strange) == .skipped(reason: "version 2 of the draft is wanted, not 1"))

            let job = try await room.job(of: payment, version: 2)
            #expect(try await room.making(staff: "kit@example.org").deliver(job) == .done)
            #expect(try await room.found(id).state == .draftDone)
            let drafts = try await room.domain.database.read { try GeneratedDraft.all(of: id, in: $0) }
            #expect(drafts.map(\.version) == [2, 1] && drafts[1] == first)
            #expect(drafts[0].path != first.path)
            for draft in drafts { #expect(try await room.files.exists(draft.path)) }
            #expect(try await room.calls() == 2)
            #expect(try await charges(id, room).map(\.version) == [1, 2])
            let mails = try await room.domain.database.read { try JobRecord.of(payment: payment, in: $0) }.filter { $0.kind == "notification.send" }
            #expect(mails.count == 2, "the customer's confirmation, and staff's notice of the second version")

            await #expect(throws: KitActionError.self) {
                _ = try await room.domain.database.write {
                    try DraftWork.regenerate(id, outbox: Self.outbox, actor: "a", reason: " ", nowMs: Self.nowMs, in: $0)
                }
            }
            #expect(try await room.found(id).draftVersion == 2, "without a reason nothing changes")
        }
    }

    @Test("a version of the kept answer costs nothing, and says what was corrected")
    func keptAnswer() async throws {
        try await DraftingFixture.with { room in
            let (id, payment) = try await room.drafted()
            try await room.domain.database.write {
                try DraftWork.edit(id, ["location": "Abomey-Calavi"], actor: "staff:awa", reason: "she rang", nowMs: Self.nowMs, in: $0)
            }
            #expect(try await regenerate(id, room, keepingAnswer: true) == 2)
            #expect(try await room.making().deliver(try await room.job(of: payment, version: 2)) == .done)
            #expect(try await room.calls() == 1)
            #expect(try await charges(id, room).count == 1)
            let draft = try #require(try await room.draft(of: id))
            let text = try await room.text(of: draft)
            #expect(text.contains("Abomey-Calavi") && text.contains("Introduction"))

            // A version that came to no answer is passed over; without any answer there is nothing to keep.
            func fail(_ version: Int64) async throws {
                try await room.domain.database.write {
                    try $0.execute(
                        "UPDATE drafts_inquiries SET processing_state = 'DRAFT_FAILED', draft_version = $2 WHERE id = $1",
                        [.text(id), .integer(version)])
                }
            }
            try await fail(3)
            #expect(try await regenerate(id, room, keepingAnswer: true) == 4)
            #expect(try await room.making().deliver(try await room.job(of: payment, version: 4)) == .done)
            #expect(try await room.calls() == 1)
            try await fail(5)
            try await room.domain.database.write { try $0.execute("DELETE FROM drafts_answers WHERE inquiry = $1", [.text(id)]) }
            await #expect(throws: KitActionError.self) { try await regenerate(id, room, keepingAnswer: true) }
            #expect(try await room.found(id).draftVersion == 5)
        }
    }

    @Test("two who ask for another version at once get one")
    func twoAtOnce() async throws {
        try await DraftingFixture.with { room in
            let (id, payment) = try await room.drafted()
            let refused = try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<4 {
                    let database = try room.domain.another()
                    group.addTask {
                        var isRefused = false
                        do {
                            _ = try await database.write {
                                try DraftWork.regenerate(id, outbox: Self.outbox, actor: "a", reason: "r", nowMs: Self.nowMs, in: $0)
                            }
                        } catch is KitActionError {
                            isRefused = true
                        }
                        await database.close()
                        return isRefused
                    }
                }
                return try await group.reduce(0) { $1 ? $0 + 1 : $0 }
            }
            #expect(refused == 3)
            #expect(try await room.found(id).draftVersion == 2)
            let jobs = try await room.domain.database.read { try JobRecord.of(payment: payment, in: $0) }.filter { $0.kind == GenerateDraft.kind }
            #expect(jobs.count == 2)
        }
    }

    @Test("nothing is made anew of what is refunded, unpaid or under way; texts are corrected by the form's rules, and the trail has no texts")
    func refusals() async throws {
        try await DraftingFixture.with { room in
            let (id, payment) = try await room.drafted()
            for (fields, isInvalid) in [
                (["email": "nobody"], true), (["mission_text": String(repeating: "x", count: 10_001)], true), (["phone": "+225"], false),
                (["processing_state": "PUBLISHED"], false),
            ] as [([String: String], Bool)] {
                do {
                    _ = try await room.domain.database.write {
                        try DraftWork.edit(id, fields, actor: "a", reason: "r", nowMs: Self.nowMs, in: $0)
                    }
                    Issue.record("\(fields) was taken")
                } catch is InquiryError {
                    #expect(isInvalid, "\(fields)")
                } catch is KitActionError {
                    #expect(!isInvalid, "\(fields)")
                }
            }
            try await room.domain.database.write {
                try DraftWork.edit(id, ["sector": "Santé <secret>"], actor: "a", reason: "r", nowMs: Self.nowMs, in: $0)
            }
            let trail = try await room.domain.database.read { try InquiryAudit.of(inquiry: id, in: $0) }
            #expect(trail.map(\.action) == ["text_edited"] && trail[0].detail == "sector")
            #expect(try await room.found(id).texts["sector"] == "Santé <secret>")

            try await room.domain.tell(.refunded, of: payment)
            let refunded = await #expect(throws: KitActionError.self) { _ = try await regenerate(id, room) }
            #expect(refunded == .notPaid("refunded"))
            let (waiting, _, _) = try await room.paidInquiry()
            let early = await #expect(throws: KitActionError.self) { _ = try await regenerate(waiting, room) }
            #expect(early?.code == "wrong_state")
        }
    }

    // MARK: What it costs

    private static let price = TextPrice(promptMicros: 150_000, completionMicros: 600_000, currency: "USD", dailyBudgetMicros: 1000)

    @Test("each answer that was received is on the bill once: kept ones, second ones, refusals and cut ones, by the seller's own count")
    func bill() async throws {
        try await DraftingFixture.with { room in
            let (id, _, job) = try await room.paidInquiry()
            let answers: [JSON] = [
                [
                    "model": "m", "usage": ["prompt_tokens": 1000, "completion_tokens": 10],
                    "choices": [["finish_reason": "length", "message": ["content": "Te"]]],
                ],
                [
                    "model": "m", "usage": ["prompt_tokens": 1000, "completion_tokens": 2000],
                    "choices": [["finish_reason": "stop", "message": ["content": "Text"]]],
                ],
            ]
            try await room.withWriter({ .json(200, answers[min($0, 2) - 1]) }) { url in
                let making = try await room.making(baseURL: url, price: TextPrice(promptMicros: 150_000, completionMicros: 600_000))
                await #expect(throws: TextGenerationError.self) { try await making.deliver(job) }
                #expect(try await making.deliver(job) == .done)
            }
            let bill = try await charges(id, room)
            #expect(bill.map(\.outcome) == [.refused, .kept])
            #expect(bill.map(\.micros) == [156, 1350])
            #expect(bill.allSatisfy { $0.currency == "USD" && $0.day == "2026-01-31" && !$0.isEstimate })
        }
    }

    @Test("answers without a text are paid for three times at most, then a person looks")
    func useless() async throws {
        try await DraftingFixture.with { room in
            let (id, _, job) = try await room.paidInquiry()
            let empty: JSON = [
                "model": "m", "usage": ["prompt_tokens": 1000, "completion_tokens": 0],
                "choices": [["finish_reason": "stop", "message": ["content": ""]]],
            ]
            try await room.withWriter({ _ in .json(200, empty) }) { url in
                let making = try await room.making(baseURL: url, price: Self.price)
                var dispositions: [JobDisposition] = []
                for _ in 0..<3 {
                    let error = await #expect(throws: TextGenerationError.self) { try await making.deliver(job) }
                    if let error { dispositions.append(error.jobDisposition) }
                }
                #expect(dispositions == [.retry(after: nil), .retry(after: nil), .bury])
            }
            #expect(try await charges(id, room).map(\.outcome) == [.refused, .refused, .refused])
        }
    }

    @Test("an answer that names no tokens is counted by us")
    func estimate() async throws {
        try await DraftingFixture.with { room in
            let (id, _, job) = try await room.paidInquiry()
            try await room.withWriter({ _ in DraftingFixture.written("Text") }) { url in
                let outcome = try await room.making(baseURL: url, price: Self.price).deliver(job)
                #expect(outcome == .done)
            }
            let bill = try await charges(id, room)
            #expect(bill.count == 1 && bill[0].isEstimate && bill[0].promptTokens > 50 && bill[0].micros > 0)
        }
    }

    @Test("above the day's budget a draft waits for the next day without an attempt, staff has a task, and the next day it is made")
    func budget() async throws {
        try await DraftingFixture.with { room in
            let (first, _, firstJob) = try await room.paidInquiry()
            let (second, payment, job) = try await room.paidInquiry()
            let written: JSON = [
                "model": "m", "usage": ["prompt_tokens": 1000, "completion_tokens": 2000],
                "choices": [["finish_reason": "stop", "message": ["content": "Text"]]],
            ]
            try await room.withWriter({ _ in .json(200, written) }) { url in
                let making = try await room.making(baseURL: url, price: Self.price)
                #expect(try await making.deliver(firstJob) == .done)
                // 10:00 UTC: fourteen hours are left of the day.
                #expect(try await making.deliver(job) == .snooze(.seconds(14 * 3600)))
                #expect(try await room.found(second).state == .paid)
                let tasks = try await room.domain.database.read { try PaymentTask.open(of: payment, in: $0) }
                #expect(tasks.map(\.kind) == [DraftMaking.budgetTask])
                #expect(try await making.deliver(job) == .snooze(.seconds(14 * 3600)))
                #expect(try await room.domain.database.read { try PaymentTask.open(of: payment, in: $0).count } == 1)
                // A version of a kept answer needs no money.
                _ = try await regenerate(first, room, keepingAnswer: true)
                let firstPayment = try #require(firstJob.payment)
                #expect(try await making.deliver(try await room.job(of: firstPayment, version: 2)) == .done)

                #expect(try await making.deliver(job, nowMs: Self.nowMs + 14 * 3_600_000) == .done)
            }
            #expect(try await room.found(second).state == .draftDone)
            #expect(try await room.domain.database.read { try PaymentTask.open(of: payment, in: $0).isEmpty })
            #expect(try await charges(second, room).map(\.day) == ["2026-02-01"])
        }
    }

    // MARK: What it is told

    @Test("the active prompt of the customer's language is sent, with the rule that texts are data behind it; versions stay and come back")
    func prompts() async throws {
        try await DraftingFixture.with { room in
            let asked = RecordedBodies()
            try await room.domain.database.write { connection in
                try DraftPrompt.add("Write like a lawyer.", language: "en", actor: "staff:awa", reason: "tone", nowMs: Self.nowMs, in: connection)
            }
            try await room.withWriter(recording: asked) { url in
                for language in ["en", "fr"] {
                    let (_, _, job) = try await room.paidInquiry(["language": language])
                    #expect(try await room.making(baseURL: url).deliver(job) == .done)
                }
                try await room.domain.database.write {
                    try DraftPrompt.activate("en", version: 1, actor: "staff:awa", reason: "too stiff", nowMs: Self.nowMs, in: $0)
                }
                let (_, _, job) = try await room.paidInquiry(["language": "en"])
                #expect(try await room.making(baseURL: url).deliver(job) == .done)
            }
            let systems = asked.all.map { $0["messages"]?[0]?["content"]?.string ?? "" }
            #expect(systems[0].hasPrefix("Write like a lawyer. Between <inquiry>"))
            #expect(systems[1].hasPrefix("Tu rédiges") && systems[1].contains("Entre <inquiry>"))
            #expect(systems[2].hasPrefix("You write the draft"))
            let kept = try await room.domain.database.read {
                try $0.query("SELECT prompt FROM drafts_answers ORDER BY rowid").map { try $0.int("prompt") }
            }
            #expect(kept == [2, 1, 1])
            let all = try await room.domain.database.read { try DraftPrompt.all(in: $0) }
            #expect(all.count { $0.isActive } == 2 && all.count == 3)
            for (text, language) in [(" ", "fr"), ("x", "de"), (String(repeating: "x", count: 20_001), "en")] {
                await #expect(throws: KitActionError.self) {
                    _ = try await room.domain.database.write {
                        try DraftPrompt.add(text, language: language, actor: "a", reason: "r", nowMs: 1, in: $0)
                    }
                }
            }
        }
    }
}
