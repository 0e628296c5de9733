import Formats
import TestSupport
import Testing

/// Short runs of `make chaos` with the programs beside the tests.
@Suite("Accidents at random", .timeLimit(.minutes(4)))
struct ChaosTests {
    private struct Run {
        let ending: ProcessFixture.Ending
        let transcript: String
        let figures: JSON
        let evidence: [String]
    }

    private func run(_ arguments: String...) async throws -> Run {
        let folder = try TemporaryFolder("chaos")
        let process = try await ProcessFixture.start(
            try builtProduct("chaos"), arguments + ["--folder", folder.path], folder: repositoryRoot)
        let ending = try await process.waitForExit(within: .seconds(150))
        let figures = try JSON(parsing: folder.read("chaos.json") ?? [])
        return Run(ending: ending, transcript: process.transcript, figures: figures, evidence: folder.list("engine"))
    }

    @Test("kill -9, standstills, a lost Redis and cut, half-open and silent sockets under load: each acknowledged job has its effect exactly once")
    func engine() async throws {
        // The limit of recovery is for a machine that does nothing else: here other tests run beside it.
        let run = try await run("--only", "engine", "--seconds", "22", "--seed", "29", "--rate", "100", "--recovery-limit", "8")
        #expect(run.ending == .exited(0), "\(run.transcript)")
        let engine = try #require(run.figures["engine"])
        #expect(engine["rounds"]?.int ?? 0 >= 4, "\(run.transcript)")
        #expect(engine["effects"]?.int ?? 0 >= 500, "\(run.transcript)")
        #expect(engine["effects"]?.int ?? 0 >= engine["acknowledged"]?.int ?? .max)
        #expect(run.evidence.isEmpty, "the folder of a run without a violation is removed")
        print(run.transcript)
    }

    @Test("posts at ingest through restarts by hand-over and a rotated secret: none is refused, none is lost")
    func ingest() async throws {
        let run = try await run("--only", "ingest", "--restarts", "4", "--posts", "1000", "--seed", "5")
        #expect(run.ending == .exited(0), "\(run.transcript)")
        let ingest = try #require(run.figures["ingest"])
        #expect(ingest["restarts"]?.int == 4 && ingest["failures"]?.int == 0)
        #expect(ingest["accepted"]?.int ?? 0 >= 1000, "\(run.transcript)")
        print(run.transcript)
    }

    @Test("effects left out on purpose are found: exit code 1, the sentence that says so, and the folder with the evidence")
    func reckoning() async throws {
        let run = try await run("--only", "engine", "--seconds", "2", "--seed", "5", "--rate", "100", "--lose-effects")
        #expect(run.ending == .exited(1), "\(run.transcript)")
        #expect(run.transcript.contains("acknowledged jobs have no effect, such as job_"))
        #expect(run.transcript.contains("evidence: "))
        #expect(Set(["journal.log", "ledger", "quittance.db", "redis.log", "worker-0.log"]).isSubset(of: run.evidence), "\(run.evidence)")
    }

    @Test("a seed names a plan: the same faults in the same order, and others for another seed")
    func plan() async throws {
        func plan(_ seed: Int) async throws -> [String] {
            let process = try await ProcessFixture.start(try builtProduct("chaos"), ["--plan", "60", "--seed", "\(seed)"], folder: repositoryRoot)
            #expect(try await process.waitForExit() == .exited(0))
            return process.output
        }
        let first = try await plan(29)
        #expect(try await plan(29) == first)
        #expect(try await plan(30) != first)
        #expect(first.count == 60)
        for kind in ["kill -9 of worker", "kill -9 of all", "kill -9 of Redis", "SHUTDOWN", "SIGSTOP of worker", "half open", "CLIENT KILL", "lost"] {
            #expect(first.contains { $0.contains(kind) }, "\(kind)")
        }
    }

    @Test(
        "arguments that make no sense are told the usage",
        arguments: [["--seed"], ["--only", "everything"], ["--minutes", "none"], ["--unheard-of", "1"]])
    func usage(arguments: [String]) async throws {
        let process = try await ProcessFixture.start(try builtProduct("chaos"), arguments, folder: repositoryRoot)
        #expect(try await process.waitForExit() == .exited(64))
        #expect(process.transcript.contains("usage: chaos"))
    }
}
