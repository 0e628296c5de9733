import TestSupport
import Testing

@Suite("Coverage is enforced")
struct CoverageTests {
    @Test("make test counts lines in CI, and nowhere else", arguments: [("true", true), ("", false), ("false", false)])
    func makeTest(ci: String, counts: Bool) async throws {
        let plan = try await Script.run("make -n test CI=\(ci)")
        #expect(plan.status == 0, "\(plan.errors)")
        #expect(plan.output.contains("deploy/coverage") == counts)
        // The tests run once: by one of the two.
        #expect(plan.output.contains("deploy/test") == !counts)
    }

    @Test(
        "too few lines covered fail, of the rooms that promise it",
        arguments: [("JobQueue", 79, 1), ("JobQueue", 80, 0), ("Domain", 50, 1), ("Providers", 10, 1), ("Platform", 0, 0)])
    func promised(group: String, covered: Int, status: Int32) async throws {
        let script = """
            import importlib.machinery, importlib.util, pathlib, sys, tempfile
            loader = importlib.machinery.SourceFileLoader("coverage_script", "deploy/coverage")
            sys.dont_write_bytecode = True
            module = importlib.util.module_from_spec(importlib.util.spec_from_loader("coverage_script", loader))
            loader.exec_module(module)
            module.SUMMARY = pathlib.Path(tempfile.mkdtemp()) / "coverage.json"
            files = [{"filename": str(module.ROOT / "Sources/\(group)/Room/File.swift"), "summary": {"lines": {"covered": \(covered), "count": 100}}}]
            sys.exit(module.report(module.rooms({"data": [{"files": files}]}), enforced=True))
            """
        let run = try await Script.run("python3 -c '\(script)'")
        #expect(run.status == status, "\(run.output) \(run.errors)")
        #expect(run.output.contains("\(group)/Room"))
    }
}
