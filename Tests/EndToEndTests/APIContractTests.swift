import Formats
import TestSupport
import Testing

@Suite("The API is what its description says", .timeLimit(.minutes(8)))
struct APIContractTests {
    /// Everything a key may do.
    private static let scopes = ["payments", "refunds", "usage", "teams", "cron"]

    @Test("schemathesis finds no call that answers otherwise than described, good, bad and in sequences")
    func contract() async throws {
        try await Stage.run(["sandbox", "web"]) { stage in
            let shop = try await Shop(stage, scopes: Self.scopes)
            // Something that is there, beside what schemathesis makes up.
            let payment = try await shop.inquiry(email: "aicha@example.org")
            try await shop.call("PUT", "/api/teams/acme", ["name": "Acme", "owner": "user-1"])
            try await shop.call("PUT", "/api/teams/acme/projects/shop", [:])
            let process = try await ProcessFixture.start(
                repositoryRoot + "/.venv/contract/bin/schemathesis",
                [
                    "--config-file", repositoryRoot + "/deploy/schemathesis.toml", "run", "--include-path-regex", "^/(api/|openapi|healthz|readyz)",
                    // An answer without an end is more than it waits for.
                    "--exclude-path-regex", "/events/$",
                    "--header", "Authorization: Bearer \(shop.key)", "http://127.0.0.1:\(stage.instance.webPort)/openapi.json",
                ],
                environment: ["HOME": stage.instance.folder.path, "PAYMENT": payment], folder: stage.instance.folder.path)
            let ending = try await process.waitForExit(within: .seconds(300).stretched)
            #expect(ending == .exited(0), "\(process.transcript.suffix(12_000))")
        }
    }
}
