import Database
import Formats
import RedisClient
import TestSupport
import Testing

@Suite("The endpoint that writes drafts", .timeLimit(.minutes(4)))
struct DraftOutageTests {
    private static let programs = ["ingest", "sandbox", "worker-payments", "worker-drafts"]

    @Test("429 is tried again when it says, 500 after the policy's delay, no money is final: DRAFT_FAILED, buried with its history")
    func outages() async throws {
        try await Stage.run(Self.programs, Instance.Configuration(hasTemplate: true)) { stage in
            let slowed = try await Self.pay(stage, endpoint: ["429"])
            try await Self.awaitState("DRAFT_DONE", slowed, stage)
            var times = try await Self.calls(stage)
            try #require(times.count == 2)
            #expect((990...6000).contains(times[1] - times[0]), "Retry-After: 1 led to a pause of \(times[1] - times[0]) ms")

            let ill = try await Self.pay(stage, endpoint: ["500"])
            try await Self.awaitState("DRAFT_DONE", ill, stage)
            times = try await Self.calls(stage)
            try #require(times.count == 4)
            // Base 5 s, half of it left to chance; the rest is room for a busy machine.
            #expect((2400...10_000).contains(times[3] - times[2]), "a 500 led to a pause of \(times[3] - times[2]) ms")
            #expect(try await stage.redis.call("HLEN", stage.key("drafts", "history")).int == 0, "a success forgets the failures before it")

            let broke = try await Self.pay(stage, endpoint: ["429", "quota"])
            try await Self.awaitState("DRAFT_FAILED", broke, stage)
            try await eventually("the job is in the dead set") { try await stage.dead(on: "drafts").count == 1 }
            let dead = try await stage.dead(on: "drafts")[0]
            #expect(dead["payment"]?.string == broke.id)
            #expect(dead["reason"]?.string?.contains("insufficient_quota") == true)
            let history = try await stage.redis.call("HGET", stage.key("drafts", "history"), dead["job"]?.string ?? "").string ?? ""
            let attempts = history.split(separator: "\n").compactMap { try? JSON(parsing: String($0))["attempt"]?.int }
            #expect(attempts == [1, 2], "\(history)")
            let record = try await stage.texts("SELECT outcome FROM outbox_jobs WHERE payment = $1 AND kind = 'draft.generate'", [.text(broke.id)])
            #expect(record == ["buried"])
            #expect(try await Self.calls(stage).count == 6, "a final error is not tried again")
            #expect(try await stage.count("SELECT COUNT(*) FROM drafts_generated") == 2)
        }
    }

    @Test("an answer that was paid for is not asked for again when the worker is killed before the document is there")
    func answerIsKept() async throws {
        // Filling hangs until it is let go: a Python that waits.
        try await Stage.run(["ingest", "sandbox", "worker-payments"], Instance.Configuration(hasTemplate: true)) { stage in
            let python = stage.instance.environment["DOCX_PYTHON"] ?? ""
            let waiting = try stage.instance.folder.write("#!/bin/sh\nexec sleep 600\n", to: "waiting-python")
            let made = try await ProcessFixture.start("chmod", ["700", waiting])
            try await made.waitForExit()
            try await stage.instance.start("worker-drafts", with: ["DOCX_PYTHON": waiting])
            let kit = try await Self.pay(stage, endpoint: ["ok"])
            try await eventually("the answer is kept") { try await stage.count("SELECT COUNT(*) FROM drafts_answers") == 1 }
            try await stage.instance.kill9("worker-drafts")
            try await stage.instance.start("worker-drafts", with: ["DOCX_PYTHON": python])
            try await Self.awaitState("DRAFT_DONE", kit, stage)
            #expect(try await Self.calls(stage).count == 1)
            #expect(try await stage.count("SELECT COUNT(*) FROM drafts_generated") == 1)
        }
    }

    /// Pays a kit whose requests to the endpoint meet `steps`, one each.
    private static func pay(_ stage: Stage, endpoint steps: [String]) async throws -> SeededPayment {
        try await stage.sandbox("POST", "/sandbox/openai", ["steps": .array(steps.map { .string($0) })])
        let kit = try await stage.seedOne(.kit)
        #expect(try await stage.post(Message.paid(kit)).status == 200)
        return kit
    }

    private static func awaitState(_ state: String, _ kit: SeededPayment, _ stage: Stage) async throws {
        try await eventually(within: .seconds(60), "the inquiry is \(state)") {
            try await stage.texts("SELECT processing_state FROM drafts_inquiries WHERE id = $1", [.text(kit.subject)]) == [state]
        }
    }

    /// When the endpoint was called, in unix ms.
    private static func calls(_ stage: Stage) async throws -> [Int64] {
        let calls = try await stage.sandbox("GET", "/sandbox/calls?path=/openai")["calls"]?.array ?? []
        return calls.compactMap { $0["at"]?.string.flatMap { Timestamp.parse($0) } }
    }
}
