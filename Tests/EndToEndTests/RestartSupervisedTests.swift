import Chaos
import Formats
import StandardWebhooks
import TestSupport
import Testing

@Suite("deploy/supervise restart ingest", .timeLimit(.minutes(3)))
struct RestartSupervisedTests {
    /// A supervisord of its own that runs ingest alone.
    private struct Supervised: Sendable {
        let folder: TemporaryFolder
        let port: Int

        func supervise(_ arguments: String..., with changes: [String: String] = [:]) async throws -> ProcessFixture {
            let environment = [
                "PROCFILE": folder.file("Procfile"), "VAR_DIRECTORY": folder.file("var"), "ENV_FILE": folder.file("env"), "SHUTDOWN_GRACE": "10s",
            ].merging(changes) { $1 }
            let process = try await ProcessFixture.start(
                repositoryRoot + "/deploy/supervise", arguments, environment: environment, folder: repositoryRoot)
            try await process.waitForExit(within: .seconds(90))
            return process
        }

        func pid() async throws -> Int32? { try await supervise("pid", "ingest").output.first.flatMap { Int32($0) } }
    }

    private func run(_ body: (Supervised) async throws -> Void) async throws {
        let redis = try await RedisServer.start(config: ["appendonly": "yes", "appendfsync": "always"])
        let supervised = Supervised(folder: try TemporaryFolder("supervised"), port: try freePort())
        try supervised.folder.write("ingest: exec \(try builtProduct("ingest"))\n", to: "Procfile")
        try write([:], supervised, redis)
        let result: Result<Void, any Error>
        do {
            let start = try await supervised.supervise("start")
            #expect(start.ending == .exited(0), "\(start.transcript)")
            try await eventually(within: .seconds(20), "ingest serves") {
                try await HTTPLine.once(port: supervised.port, "GET", "/healthz").status == 200
            }
            result = .success(try await body(supervised))
        } catch {
            result = .failure(error)
        }
        _ = try await supervised.supervise("stop")
        try result.get()
        withExtendedLifetime(redis) {}
    }

    private func write(_ more: [String: String], _ supervised: Supervised, _ redis: RedisServer) throws {
        let lines = [
            "REDIS_URL": redis.url, "INGEST_ADDRESS": "127.0.0.1:\(supervised.port)", "PROVIDER_MODE_STANDARD_WEBHOOKS": "sandbox",
            "STANDARD_WEBHOOKS_SECRET": Instance.webhookSecret,
        ].merging(more) { $1 }
        try supervised.folder.write(lines.map { "\($0.key)=\($0.value)\n" }.sorted().joined(), to: "env")
    }

    @Test("the new one serves before the old one ends: no post fails, and supervisor has the new one")
    func replaces() async throws {
        try await run { supervised in
            let posts = PostStream(port: supervised.port, rate: 500, lines: 4, signer: try StandardWebhooksSigner(secret: Instance.webhookSecret))
            for _ in 0..<2 {
                let before = try #require(try await supervised.pid())
                let restart = try await supervised.supervise("restart", "ingest")
                #expect(restart.ending == .exited(0), "\(restart.transcript)")
                let after = try #require(try await supervised.pid())
                #expect(after != before && !processExists(before))
            }
            let tally = await posts.end()
            #expect(tally.failures.isEmpty && tally.accepted.count > 100, "\(tally.failures) beside \(tally.accepted.count) accepted")
        }
    }

    @Test("a new one that does not start replaces nobody, and the reason is told")
    func refuses() async throws {
        try await run { supervised in
            let before = try #require(try await supervised.pid())
            let text = String(decoding: supervised.folder.read("env") ?? [], as: UTF8.self)
            try supervised.folder.write(text + "SHUTDOWN_GRACE=10s\nLOG_LEVEL=loud\n", to: "env")
            let restart = try await supervised.supervise("restart", "ingest")
            #expect(restart.ending == .exited(1))
            #expect(restart.transcript.contains("the one that runs goes on") && restart.transcript.contains("- LOG_LEVEL: "), "\(restart.transcript)")
            #expect(try await supervised.pid() == before)
            #expect(try await HTTPLine.once(port: supervised.port, "GET", "/healthz").status == 200)
        }
    }
}
