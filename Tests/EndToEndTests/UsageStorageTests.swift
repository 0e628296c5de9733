import Database
import Formats
import TestSupport
import Testing

@Suite("Storage measured by the cron", .timeLimit(.minutes(4)))
struct UsageStorageTests {
    /// What a file of so many bytes can take more than its bytes: its last block, and its folder's.
    private static let rounding: Int64 = 2 * 4096

    @Test("volumes and an image at Podman and a root of folders, by command and by HTTP; an engine that went away keeps its figures")
    func measured() async throws {
        let podman = try await PodmanServer.start()
        let label = "quittance.project"
        try await podman.createVolume("shop-data", labels: [label: "shop"], bytes: 3_000_001)
        try await podman.createVolume("uploads", labels: [label: "shop,blog"], bytes: 1_000_001)
        try await podman.createVolume("scratch", bytes: 70_000)
        let image = try await podman.importImage("localhost/blog:1", labels: [label: "blog"], bytes: 500_000)
        let root = try TemporaryFolder("quittance-root")
        try Self.write(200_001, to: "blog", in: root)
        try Self.write(400_001, to: "wiki", in: root)

        let settings = ["DOCKER_SOCKET": podman.socketPath, "STORAGE_ROOT": root.path]
        try await Stage.run(["web", "worker-usage"], Instance.Configuration(settings: settings)) { stage in
            for project in ["shop", "blog", "wiki"] { try await Self.enter(project, stage) }
            let ran = try await stage.runCron("usage-storage", wait: 60)
            #expect(ran.code == 0, "\(ran.answer.text)")
            let run = try #require(ran.answer["run"])
            #expect(run["outcome"]?.string == "done", "\(ran.answer.text)")
            #expect(run["items"]?.int == 6, "\(ran.answer.text)")
            #expect(run["errors"]?.int == 0, "\(ran.answer.text)")
            #expect(run["duration_ms"]?.int != nil && run["detail"]?.string?.isEmpty == false, "\(ran.answer.text)")

            let layer = Int64(image.layerBytes)
            let wanted: [(project: String, bytes: Int64, parts: Int64)] = [
                ("shop", 3_000_001 + 500_000, 2), ("blog", 500_000 + layer + 200_001, 3), ("wiki", 400_001, 1),
            ]
            var first: [String: Int64] = [:]
            let shop = try await Shop(stage, scopes: ["usage", "cron"])
            for (project, bytes, parts) in wanted {
                let found = try await Self.bytes(of: project, stage)
                first[project] = found
                #expect(abs(found - bytes) <= parts * Self.rounding, "\(project): \(found) for \(bytes)")
                let told = try await shop.call("GET", "/api/usage/team-\(project)")
                #expect(told["storage"]?["bytes"]?.int == found, "\(told.text)")
                #expect(told["storage"]?["stale"]?.bool == false && told["storage"]?["unknown_items"]?.int == 0, "\(told.text)")
            }

            // What changed is changed; nothing is added to what was there.
            try await podman.removeVolume("shop-data")
            try Self.write(1_000_000, to: "wiki", in: root)
            let again = try await shop.call("POST", "/api/v1/cron/usage-storage/run?now=true&wait=60")
            #expect(again["run"]?["outcome"]?.string == "done" && again["run"]?["items"]?.int == 5, "\(again.text)")
            let (shopLater, wikiLater) = (try await Self.bytes(of: "shop", stage), try await Self.bytes(of: "wiki", stage))
            #expect(abs(shopLater - 500_000) <= Self.rounding && abs(wikiLater - 1_000_000) <= Self.rounding, "\(shopLater), \(wikiLater)")
            #expect(try await Self.bytes(of: "blog", stage) == first["blog"])

            // The engine goes away: the run says so, its figures stay, and those of the folders are new all the same.
            podman.stop()
            try Self.write(600_000, to: "wiki", in: root)
            let failed = try await stage.runCron("usage-storage", wait: 3)
            #expect(failed.code == 1, "\(failed.code) \(failed.answer.text)")
            #expect(failed.answer["run"]?["outcome"]?.string == "failed", "\(failed.answer.text)")
            #expect(failed.answer["run"]?["errors"]?.int == 1, "\(failed.answer.text)")
            let reason = failed.answer["run"]?["detail"]?.string ?? ""
            #expect(reason.contains("docker: failed") && reason.contains("folders: 2 folders"), "\(reason)")
            #expect(try await Self.bytes(of: "shop", stage) == shopLater)
            #expect(abs(try await Self.bytes(of: "wiki", stage) - 600_000) <= Self.rounding)
            let origins = try await stage.texts("SELECT origin FROM usage_origins WHERE error IS NOT NULL AND failed_at > measured_at")
            #expect(origins == ["docker"])
            let runs = try await stage.texts("SELECT outcome FROM usage_runs WHERE kind = 'storage' ORDER BY started_at")
            #expect(runs == ["done", "done", "failed"])
        }
    }

    /// Puts one file of so many bytes into a project's folder, in place of what was there.
    private static func write(_ bytes: Int, to project: String, in root: TemporaryFolder) throws {
        try root.makeFolder(project)
        try root.write(String(repeating: "f", count: bytes), to: "\(project)/content")
    }

    /// A team of that project alone.
    private static func enter(_ project: String, _ stage: Stage) async throws {
        for arguments in [["team", "put", "team-\(project)"], ["team", "project", "team-\(project)", project]] {
            let made = try await stage.instance.quittance(arguments)
            guard made.code == 0 else { throw FixtureError("quittance \(arguments.joined(separator: " ")): \(made.errors)") }
        }
    }

    private static func bytes(of project: String, _ stage: Stage) async throws -> Int64 {
        Int64(try await stage.count("SELECT COALESCE(SUM(bytes), 0) FROM usage_storage WHERE project = $1", [.text(project)]))
    }
}

extension Stage {
    /// Runs an entry of cron by hand, as an outside scheduler does.
    func runCron(_ entry: String, wait seconds: Int) async throws -> (code: Int32, answer: JSON) {
        let ran = try await instance.quittance(["cron", "run", entry, "--now", "--wait", "\(seconds)"], within: .seconds(seconds + 30))
        guard let answer = try? JSON(parsing: ran.output) else { throw FixtureError("cron run \(entry): \(ran.code) \(ran.output) \(ran.errors)") }
        return (ran.code, answer)
    }
}
