import Database
import Formats
import RedisClient
import TestSupport
import Testing

@Suite("worker-drafts is killed in the middle of a draft", .timeLimit(.minutes(5)))
struct DraftCrashTests {
    enum Step: String, CaseIterable, Sendable, CustomTestStringConvertible {
        case duringText = "while the text is written"
        case afterText = "after the text was kept"
        case afterFilling = "after the document was filled"
        case beforeCommit = "after the file was stored, before it was entered"
        var testDescription: String { rawValue }
    }

    @Test("one draft comes of it, and one charge for each answer that was received", arguments: Step.allCases)
    func killed(step: Step) async throws {
        try await Stage.run(
            ["ingest", "sandbox", "worker-payments"], Instance.Configuration(settings: ["AI_PRICE_PROMPT": "1"], hasTemplate: true)
        ) { stage in
            let folder = stage.instance.folder
            let holding = try Self.holdingPython(step, folder, real: stage.instance.environment["DOCX_PYTHON"] ?? "")
            try await ProcessFixture.start("chmod", ["700", holding]).waitForExit()
            try await stage.instance.start("worker-drafts", with: ["DOCX_PYTHON": holding])
            try await stage.sandbox("POST", "/sandbox/openai", ["steps": .array(step == .duringText ? ["slow"] : ["ok"])])
            let kit = try await stage.seedOne(.kit)
            #expect(try await stage.post(Message.paid(kit)).status == 200)

            var lock: ProcessFixture?
            switch step {
            case .duringText:
                try await eventually("the text is asked for") { try await stage.count(Self.pendingEffects) == 1 }
            case .afterText:
                try await eventually("the document is to be filled") { folder.list(".").contains("filling") }
                #expect(try await stage.count("SELECT COUNT(*) FROM drafts_answers") == 1)
            case .afterFilling: try await eventually("the document is filled") { folder.list(".").contains("filled") }
            case .beforeCommit:
                try await eventually("the document is to be filled") { folder.list(".").contains("filling") }
                lock = try await Self.lock(stage)
                try folder.write("", to: "go")
                try await eventually("the file is stored") { folder.list("private/drafts") == ["\(kit.subject).docx"] }
            }
            #expect(try await stage.count("SELECT COUNT(*) FROM drafts_generated") == 0)
            try await stage.instance.kill9("worker-drafts")
            lock?.end()
            try folder.write("", to: "go")
            try await stage.instance.start("worker-drafts", with: ["DOCX_PYTHON": holding])
            try await eventually(within: .seconds(60), "the draft is made") {
                try await stage.texts("SELECT processing_state FROM drafts_inquiries WHERE id = $1", [.text(kit.subject)]) == ["DRAFT_DONE"]
            }
            #expect(try await stage.count("SELECT COUNT(*) FROM drafts_generated") == 1)
            #expect(try await stage.count("SELECT COUNT(*) FROM drafts_charges WHERE outcome = 'kept' AND micros > 0") == 1)
            #expect(try await stage.count("SELECT COUNT(*) FROM drafts_charges") == 1)
            // The first call may not have left when the worker was killed; the endpoint notes it once it has answered.
            let calls = try await Self.calls(stage)
            #expect(step == .duringText ? (1...2).contains(calls) : calls == 1)
            #expect(folder.list("private/drafts") == ["\(kit.subject).docx"])
            let draft = try await stage.texts("SELECT sha256 FROM drafts_generated")
            let sum = try await ProcessFixture.start("sha256sum", [folder.file("private/drafts/\(kit.subject).docx")])
            try await sum.waitForExit()
            try await eventually("the sum is there") { sum.output.first?.hasPrefix(draft[0]) == true }
            try await eventually("no effect is left open") { try await stage.count(Self.pendingEffects) == 0 }
        }
    }

    private static let pendingEffects = "SELECT COUNT(*) FROM outbox_effects WHERE name = 'text-generation' AND state = 'pending'"

    private static func calls(_ stage: Stage) async throws -> Int {
        try await stage.sandbox("GET", "/sandbox/calls?path=/openai")["calls"]?.array?.count ?? 0
    }

    /// Python with the product's own filler, which waits before it fills or after, until it may go on.
    private static func holdingPython(_ step: Step, _ folder: TemporaryFolder, real: String) throws -> String {
        let after = step == .afterFilling
        let program = """
            import importlib.util, pathlib, sys, time
            script = sys.argv[2]
            spec = importlib.util.spec_from_file_location("filler", script)
            filler = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(filler)
            folder = pathlib.Path("\(folder.path)")
            answered = filler.answered
            def wait(mark):
                (folder / mark).touch()
                while not (folder / "go").exists():
                    time.sleep(0.02)
            def held(raw):
                \(after ? "answer = answered(raw)" : "wait('filling')")
                \(after ? "wait('filled')" : "answer = answered(raw)")
                return answer
            filler.answered = held
            sys.exit(filler.serve())

            """
        let script = try folder.write(program, to: "holding.py")
        return try folder.write("#!/bin/sh\nexec '\(real)' '\(script)' \"$@\"\n", to: "holding-python")
    }

    /// Keeps everybody from writing to the database until it ends.
    private static func lock(_ stage: Stage) async throws -> ProcessFixture {
        let program = """
            import sqlite3, sys
            connection = sqlite3.connect(sys.argv[1], isolation_level=None)
            connection.execute("BEGIN IMMEDIATE")
            print("locked", flush=True)
            import time
            time.sleep(600)
            """
        let path = stage.instance.folder.path + "/quittance.db"
        let process = try await ProcessFixture.start("python3", ["-c", program, path])
        try await process.waitForLine(containing: "locked", within: .seconds(20))
        return process
    }
}
