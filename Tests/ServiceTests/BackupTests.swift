import Cryptography
import Database
import Formats
import JobQueue
import OperatorCommands
import Outbox
import Payments
import Scheduling
import Settings
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite("quittance backup and restore")
struct BackupTests {
    /// An installation with an order, private files, a sources file and a journal.
    private struct Shelf: Sendable {
        let stage: CommandStage
        let kit: OrderedKit
        var folder: String { stage.folder.file("backups") }

        static let first = "20261121T080000Z"

        static func make() async throws -> Shelf {
            let stage = try await CommandStage.make()
            let shelf = Shelf(stage: stage, kit: try await stage.orderKit())
            for folder in ["drafts", "drafts/a"] { try stage.folder.makeFolder("var/private/\(folder)") }
            try stage.folder.makeFolder("var/private/.incoming")
            try stage.folder.makeFolder("var/spool/samples")
            try stage.folder.write("a draft", to: "var/private/drafts/a/kit.docx")
            try stage.folder.write("half", to: "var/private/.incoming/0123")
            try stage.folder.write("an event\n", to: "var/spool/journal-0000498680-1-0000.log")
            try stage.folder.write("a batch\n", to: "var/spool/samples/journal-0000498680-1-0000.log")
            try stage.folder.write("{}", to: "var/sources.json")
            #expect(symlink("/etc/passwd", stage.folder.file("var/private/drafts/link")) == 0)
            return shelf
        }

        func backup(_ options: String...) async -> CommandResult { await stage.run(["backup", folder] + options) }

        /// Paths within a folder of a backup.
        func files(_ backup: String = first) throws -> [String] { try manifest(backup).map(\.path) }

        func manifest(_ backup: String = first) throws -> [(path: String, sha256: String)] {
            let bytes = try #require(stage.folder.read("backups/\(backup)/manifest.json"))
            return (try JSON(parsing: bytes)["files"]?.array ?? []).compactMap { file in
                guard let path = file["path"]?.string, let sha256 = file["sha256"]?.string else { return nil }
                return (path, sha256)
            }
        }

        func mode(_ path: String) -> UInt32 {
            var information = Glibc.stat()
            return lstat(stage.folder.file(path), &information) == 0 ? UInt32(information.st_mode & 0o777) : 0
        }
    }

    private static let all = [
        "database.db", "private/drafts/a/kit.docx", "sources.json", "spool/journal-0000498680-1-0000.log",
        "spool/samples/journal-0000498680-1-0000.log",
    ]

    @Test("a backup is a folder named by its moment: database, private files, sources, journals, and the hash of each")
    func makes() async throws {
        let shelf = try await Shelf.make()
        let result = await shelf.backup()
        try #require(result.code == .ok, "\(result.err)")
        #expect(result.out.hasPrefix("\(shelf.folder)/\(Shelf.first): 5 files, "))
        // Neither what is being written nor what a link leads to.
        #expect(try shelf.files() == Self.all)
        for (path, sha256) in try shelf.manifest() {
            let bytes = try #require(shelf.stage.folder.read("backups/\(Shelf.first)/\(path)"))
            #expect(Digest.sha256Hex(bytes) == sha256, "\(path)")
            #expect(shelf.mode("backups/\(Shelf.first)/\(path)") == 0o600, "\(path)")
        }
        #expect(shelf.mode("backups/\(Shelf.first)") == 0o700 && shelf.mode("backups/\(Shelf.first)/manifest.json") == 0o600)
        let copy = try Database.open(.sqlite(path: "\(shelf.folder)/\(Shelf.first)/database.db"), readers: 1)
        #expect(try await copy.read { try PaymentStore.find(shelf.kit.payment, in: $0)?.id } == shelf.kit.payment)
        await copy.close()
    }

    @Test("the newest are kept, older ones and what killed makers left are removed, and nothing else in the folder is touched")
    func prunes() async throws {
        let shelf = try await Shelf.make()
        for _ in 0..<3 {
            #expect(await shelf.backup().code == .ok)
            shelf.stage.turn(byMs: 24 * 60 * 60_000)
        }
        try shelf.stage.folder.makeFolder("backups/.20261120T080000Z.partial")
        try shelf.stage.folder.write("x", to: "backups/.20261120T080000Z.partial/database.db")
        try shelf.stage.folder.makeFolder("backups/20261101T080000Z")
        try shelf.stage.folder.write("mine", to: "backups/notes")
        let json = try await shelf.stage.json("backup", shelf.folder, "--keep", "2", "--json")
        #expect(json["removed"] == ["20261121T080000Z", "20261122T080000Z"])
        #expect(json["path"]?.string == "\(shelf.folder)/20261124T080000Z")
        // Without a manifest it is no backup of ours.
        #expect(shelf.stage.folder.list("backups").sorted() == [".lock", "20261101T080000Z", "20261123T080000Z", "20261124T080000Z", "notes"])
        #expect(await shelf.backup("--keep", "0").code == .usage)
    }

    @Test("two backups of one second stand beside each other")
    func sameSecond() async throws {
        let shelf = try await Shelf.make()
        for _ in 0..<2 { #expect(await shelf.backup().code == .ok) }
        #expect(try shelf.files("\(Shelf.first)-2").count == 5)
    }

    @Test("a backup into what is backed up is refused, and so is a second one at the same time")
    func refuses() async throws {
        let shelf = try await Shelf.make()
        let inside = await shelf.stage.run("backup", shelf.stage.folder.file("var/private"))
        #expect(inside.code == .failed && inside.err.contains("name another folder"), "\(inside.err)")

        #expect(await shelf.backup().code == .ok)
        let descriptor = open("\(shelf.folder)/.lock", O_RDWR | O_CLOEXEC)
        #expect(flock(descriptor, LOCK_EX | LOCK_NB) == 0)
        let second = await shelf.backup()
        #expect(second.code == .failed && second.err.contains("another backup"), "\(second.err)")
        // Said aloud: a child of a neighbouring test, between its fork and its exec, would hold what is only closed.
        flock(descriptor, LOCK_UN)
        close(descriptor)
        #expect(await shelf.backup().code == .ok)
    }

    // MARK: Restore

    @Test("the newest backup is put into a new place, whole, for its owner only")
    func restores() async throws {
        let shelf = try await Shelf.make()
        #expect(await shelf.backup().code == .ok)
        let json = try await shelf.stage.json("restore", shelf.folder, "--into", shelf.stage.folder.file("other"), "--json")
        #expect(json["backup"]?.string == "\(shelf.folder)/\(Shelf.first)" && json["files"] == 5 && json["put_aside"] == [])
        #expect(json["needs_migration"] == false)
        #expect(shelf.stage.folder.read("other/private/drafts/a/kit.docx") == Array("a draft".utf8))
        #expect(shelf.stage.folder.read("other/spool/samples/journal-0000498680-1-0000.log") == Array("a batch\n".utf8))
        #expect(shelf.mode("other/sources.json") == 0o600 && shelf.mode("other/quittance.db") == 0o600)
        let database = try Database.open(.sqlite(path: shelf.stage.folder.file("other/quittance.db")), readers: 1)
        #expect(try await database.read { try PaymentStore.find(shelf.kit.payment, in: $0)?.id } == shelf.kit.payment)
        await database.close()
    }

    @Test("a restored installation has the sources and secrets of its backup")
    func restoresSources() async throws {
        let stage = try await CommandStage.make()
        #expect(await stage.run("source", "import").code == .ok)
        let secret = try stage.folder.write("whsec_YW5vdGhlciBzZWNyZXQgZm9yIHRoZSByb3RhdGlvbiE=\n", to: "secret")
        #expect(await stage.run("source", "rotate", "standard-webhooks", "--from", secret).code == .ok)
        let before = await stage.run("source", "list", "--json").out
        let bytes = try #require(stage.folder.read("var/sources.json"))
        #expect(await stage.run("backup", stage.folder.file("backups")).code == .ok)

        #expect(await stage.run("source", "off", "standard-webhooks").code == .ok)
        #expect(await stage.run("source", "rotate", "standard-webhooks", "--retire").code == .ok)
        // What is there is put aside, its last good copy too: otherwise that would be newer than the file.
        let restored = await stage.run("restore", stage.folder.file("backups"), "--force")
        #expect(restored.code == .ok, "\(restored)")
        #expect(stage.folder.read("var/sources.json") == bytes)
        #expect(await stage.run("source", "list", "--json").out == before)
    }

    enum Damage: String, Sendable, CaseIterable { case changed, missing, cut, noManifest, leadsOut }

    @Test("a backup that is not what it was restores nothing", arguments: Damage.allCases)
    func proves(_ damage: Damage) async throws {
        let shelf = try await Shelf.make()
        #expect(await shelf.backup().code == .ok)
        let folder = shelf.stage.folder
        let backup = "backups/\(Shelf.first)"
        let draft = "\(backup)/private/drafts/a/kit.docx"
        switch damage {
        case .changed: try folder.write("a DRAFT", to: draft)
        case .cut: try folder.write("a dra", to: draft)
        case .missing: unlink(folder.file(draft))
        case .noManifest: unlink(folder.file("\(backup)/manifest.json"))
        case .leadsOut:
            let text = String(decoding: folder.read("\(backup)/manifest.json") ?? [], as: UTF8.self)
            try folder.write(text.replacing("private/drafts/a/", with: "private/../../../"), to: "\(backup)/manifest.json")
        }
        let result = await shelf.stage.run("restore", "\(shelf.folder)/\(Shelf.first)", "--into", folder.file("other"))
        #expect(result.code == (damage == .noManifest ? .notFound : .failed), "\(result.err)")
        let word =
            switch damage {
            case .changed, .cut: "kit.docx is not the file that was backed up"
            case .missing: "kit.docx is missing"
            case .noManifest: "no whole backup"
            case .leadsOut: "in a way that no backup does"
            }
        #expect(result.err.contains(word), "\(result.err)")
        #expect(!fileExists(folder.file("other")))
    }

    @Test("a backup of a newer program is refused")
    func refusesNewer() async throws {
        let shelf = try await Shelf.make()
        #expect(await shelf.backup().code == .ok)
        let path = "backups/\(Shelf.first)/manifest.json"
        let text = String(decoding: shelf.stage.folder.read(path) ?? [], as: UTF8.self)
        try shelf.stage.folder.write(text.replacing(#""ledger":"#, with: #""ledger":9"#), to: path)
        let result = await shelf.stage.run("restore", shelf.folder, "--into", shelf.stage.folder.file("other"))
        #expect(result.code == .failed && result.err.contains("newer program (ledger 9"), "\(result.err)")
    }

    @Test("what is there is replaced only by force, and then put aside; journals that are there stay")
    func force() async throws {
        let shelf = try await Shelf.make()
        #expect(await shelf.backup().code == .ok)
        let folder = shelf.stage.folder
        let later = try await shelf.stage.orderKit()
        try folder.write("a later draft", to: "var/private/drafts/a/later.docx")
        try folder.write("an event\nand another\n", to: "var/spool/journal-0000498680-1-0000.log")
        let refused = await shelf.stage.run("restore", shelf.folder)
        #expect(refused.code == .failed && refused.err.contains("with --force"), "\(refused.err)")

        let forced = await shelf.stage.run("restore", shelf.folder, "--force")
        try #require(forced.code == .ok, "\(forced.err)")
        #expect(!fileExists(folder.file("var/private/drafts/a/later.docx")))
        #expect(folder.read("var/private.before-\(Shelf.first)/drafts/a/later.docx") == Array("a later draft".utf8))
        #expect(folder.read("var/spool/journal-0000498680-1-0000.log") == Array("an event\nand another\n".utf8))
        let found = try await shelf.stage.write { connection in
            [try PaymentStore.find(shelf.kit.payment, in: connection)?.id, try PaymentStore.find(later.payment, in: connection)?.id]
        }
        #expect(found == [shelf.kit.payment, nil])
        let aside = try Database.open(.sqlite(path: folder.file("var/quittance.db.before-\(Shelf.first)")), readers: 1)
        #expect(try await aside.read { try PaymentStore.find(later.payment, in: $0)?.id } == later.payment)
        await aside.close()
        #expect(folder.list("var").allSatisfy { !$0.contains(".restoring-") })
    }

    @Test("nothing is restored beneath a program that has the database open")
    func refusesRunning() async throws {
        let shelf = try await Shelf.make()
        #expect(await shelf.backup().code == .ok)
        let holder = try await ProcessFixture.start(
            "python3",
            [
                "-c",
                "import sqlite3,sys,time\nc=sqlite3.connect(sys.argv[1])\nc.execute('SELECT count(*) FROM sqlite_schema').fetchall()\n"
                    + "print('open',flush=True)\ntime.sleep(600)", shelf.stage.databasePath,
            ])
        try await holder.waitForLine(containing: "open")
        let result = await shelf.stage.run("restore", shelf.folder, "--force")
        #expect(result.code == .failed && result.err.contains("process \(holder.pid) has"), "\(result.err)")
        holder.end()
        #expect(await shelf.stage.run("restore", shelf.folder, "--force").code == .ok)
    }

    // MARK: Every night

    @Test("where backups have a folder there is a cron entry at 02:00 UTC, whose tick adds one job")
    func entry() async throws {
        let folder = try TemporaryFolder("backups")
        let stage = try await CommandStage.make(["BACKUP_DIRECTORY": folder.path])
        // The first call makes the entry known.
        #expect(await stage.run("cron", "run", "backup").code == .nothingDue)
        stage.turn(byMs: 19 * 60 * 60_000)
        for code in [ExitCode.ok, .nothingDue] { #expect(await stage.run("cron", "run", "backup").code == code) }
        let jobs = try await stage.write { connection in
            try connection.query("SELECT queue || ' ' || kind || ' ' || args AS job FROM outbox_jobs").map { try $0.text("job") }
        }
        #expect(jobs == [#"maintenance backup.make {"tick":"2026-11-22T02:00Z"}"#])
    }
}
