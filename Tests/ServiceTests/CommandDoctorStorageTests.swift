import Database
import Formats
import OperatorCommands
import TestSupport
import Testing

@Suite("quittance doctor and where files are kept")
struct CommandDoctorStorageTests {
    private func finding(_ stage: CommandStage, _ what: String = "files") async throws -> (level: String?, text: String) {
        let json = try JSON(parsing: Array(await stage.run("doctor", "--json").out.utf8))
        let found = json["findings"]?.array?.first { $0["what"]?.string == what }
        return (found?["level"]?.string, found?["text"]?.string ?? "")
    }

    private static func bucket(_ endpoint: String, _ more: [String: String] = [:]) -> [String: String] {
        [
            "STORAGE_KIND": "s3", "STORAGE_S3_ENDPOINT": endpoint, "STORAGE_S3_BUCKET": S3Server.bucket, "STORAGE_S3_PREFIX": "shop",
            "STORAGE_S3_ACCESS_KEY": "test", "STORAGE_S3_SECRET_KEY": "hunter2",
        ].merging(more) { $1 }
    }

    @Test("a folder is written to, read and cleaned up again; it warns when the disk has less room than is kept free")
    func local() async throws {
        let stage = try await CommandStage.make(["STORAGE_FREE_MIN_MIB": "0"])
        let well = try await finding(stage)
        #expect(well.level == "ok" && well.text == "\(stage.folder.file("var/private")): put, get, list and delete work")
        #expect(stage.folder.list("var/private/doctor").isEmpty && stage.folder.list("var/private/.incoming").isEmpty)
        let full = try await finding(try await CommandStage.make(["STORAGE_FREE_MIN_MIB": "1000000000"]))
        #expect(full.level == "warn" && full.text.contains("1000000000 MiB are kept free: forms with files are refused; make room"))
        // What is not there is said once, and not made by looking.
        let none = try await CommandStage.make(migrated: false)
        #expect(try await finding(none).level == nil)
        #expect(try await finding(none, "PRIVATE_MEDIA_ROOT").level == "fail")
        #expect(none.folder.list("var").isEmpty)
    }

    @Test("a folder in whose way something stands fails, with what")
    func broken() async throws {
        let stage = try await CommandStage.make()
        try stage.folder.write("a file", to: "var/private/doctor")
        let broken = try await finding(stage)
        #expect(broken.level == "fail" && broken.text.contains("put fails"))
    }

    @Test("a bucket is tried with our key: put, get, list, delete; plain http is a warning, and no secret is shown")
    func bucket() async throws {
        let server = try await S3Server.start()
        let stage = try await CommandStage.make(Self.bucket(server.endpoint))
        let well = try await finding(stage)
        #expect(well.level == "ok", "\(well.text)")
        #expect(well.text == "bucket quittance-files at \(server.endpoint), below shop/: put, get, list and delete work")
        let links = try await finding(stage, "links")
        #expect(links.level == "warn" && links.text.contains("is not https"))
        #expect(!(await stage.run("doctor", "--settings").out.contains("hunter2")))

        let nobodys = try await finding(try await CommandStage.make(Self.bucket(server.endpoint, ["STORAGE_S3_BUCKET": "nobodys"])))
        #expect(nobodys.level == "fail" && nobodys.text.contains("put fails") && nobodys.text.contains("NoSuchBucket"))
        #expect(nobodys.text.hasSuffix("correct STORAGE_S3_*, or let the key get, put, delete and list there"))
        withExtendedLifetime(server) {}
    }

    @Test("a service that is away fails")
    func away() async throws {
        let stage = try await CommandStage.make(Self.bucket("http://127.0.0.1:\(try freePort())"))
        let away = try await finding(stage)
        #expect(away.level == "fail" && away.text.contains("put fails"), "\(away.text)")
    }

    @Test("the scheduler's entry adds the purge once for each tick, for worker-drafts")
    func entry() async throws {
        let stage = try await CommandStage.make()
        // Ticks count from when the entry is first heard of.
        #expect(await stage.run("cron", "run", "attachments").code == .nothingDue)
        stage.turn(byMs: 20 * 60 * 60_000)
        let run = await stage.run("cron", "run", "attachments")
        #expect(run.out.contains(#""result":"done""#), "\(run.out)\(run.err)")
        _ = await stage.run("cron", "run", "attachments")
        let jobs = try await stage.write { connection in
            try connection.query("SELECT kind, queue, payment FROM outbox_jobs").map {
                [try $0.text("kind"), try $0.text("queue"), try $0.textOrNil("payment") ?? "-"]
            }
        }
        #expect(jobs == [["attachments.purge", "drafts", "-"]])
    }
}
