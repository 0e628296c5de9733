import TestSupport

/// What a script printed and how it ended.
struct ScriptResult {
    let status: Int32
    let output: String
    let errors: String
}

/// Runs scripts of `deploy/` from the root of the repository, as an operator would.
enum Script {
    static let python = "\(SourceTree.root)/.venv/bin/python"

    /// - Parameter input: given on standard input.
    static func run(_ line: String, environment: [String: String] = [:], input: String? = nil) async throws -> ScriptResult {
        let folder = try TemporaryFolder("quittance-script")
        let source = try input.map { try folder.write($0, to: "input") } ?? "/dev/null"
        let process = try await ProcessFixture.start(
            "/bin/sh", ["-c", "(\(line)) < '\(source)'"], environment: environment, folder: SourceTree.root)
        guard case .exited(let status) = try await process.waitForExit(within: .seconds(60)) else {
            throw FixtureError("killed: \(line)")
        }
        return ScriptResult(status: status, output: process.output.joined(separator: "\n"), errors: process.errors.joined(separator: "\n"))
    }
}
