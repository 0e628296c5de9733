import Formats
import TestSupport
import Testing

@testable import Database

#if canImport(Glibc)
    import Glibc
#endif

/// What is SQLite's own: its files, its limits, its ways to fail.
@Suite struct SQLiteTests {
    @Test("A full database fails the write that needs room, keeps what was answered, and goes on when there is room")
    func full() async throws {
        let open = try DatabaseKind.sqlite.openWithTables()
        try await open.database.write { connection in
            let pages = try connection.first("PRAGMA page_count")?.int("page_count") ?? 0
            try connection.execute("PRAGMA max_page_count = \(pages + 2)")
        }
        let bodies: [@Sendable (Connection) throws -> Int] = [
            { try $0.execute("INSERT INTO notes (text) VALUES ('a')") },
            { try $0.execute("INSERT INTO kinds (b) VALUES (zeroblob(1000000))") },
            { try $0.execute("INSERT INTO notes (text) VALUES ('c')") },
        ]
        let results = try await open.writeTogether(bodies)
        let error = try failure(of: results[1])
        #expect(error.isFull && error.isTransient)
        // Whether SQLite could undo the one statement or had to give up all of them: answers and contents agree.
        let kept = zip(["a", "c"], [results[0], results[2]]).filter { (try? $0.1.get()) != nil }.map(\.0)
        #expect(try await open.notes() == kept)
        try await open.database.write { connection in
            try connection.execute("PRAGMA max_page_count = 1000000")
            try connection.execute("INSERT INTO kinds (b) VALUES (zeroblob(1000000))")
        }
        #expect(try await open.database.read { try $0.first("SELECT count(*) AS n FROM kinds")?.int("n") } == 1)
    }

    @Test("When a statement ends the whole transaction, the group's earlier writes fail for a retry and later ones go on")
    func lost() async throws {
        let open = try DatabaseKind.sqlite.openWithTables()
        try await open.database.write { try $0.execute("INSERT INTO notes (text) VALUES ('taken')") }
        let bodies: [@Sendable (Connection) throws -> Int] = [
            { try $0.execute("INSERT INTO notes (text) VALUES ('earlier')") },
            { try $0.execute("INSERT OR ROLLBACK INTO notes (text) VALUES ('taken')") },
            { try $0.execute("INSERT INTO notes (text) VALUES ('later')") },
        ]
        let results = try await open.writeTogether(bodies)
        let neighbour = try failure(of: results[0])
        #expect(neighbour.kind == .interrupted && neighbour.isTransient)
        #expect(try failure(of: results[1]).kind == .uniqueViolation)
        #expect(try results[2].get() == 1)
        #expect(try await open.notes() == ["taken", "later"])
    }

    @Test("A closure that overlooks the end of its transaction writes nothing and fails")
    func overlooked() async throws {
        let open = try DatabaseKind.sqlite.openWithTables()
        try await open.database.write { try $0.execute("INSERT INTO notes (text) VALUES ('taken')") }
        let error = try await databaseError {
            try await open.database.write { connection in
                _ = try? connection.execute("INSERT OR ROLLBACK INTO notes (text) VALUES ('taken')")
                // Would be a transaction of its own.
                _ = try? connection.execute("INSERT INTO notes (text) VALUES ('stray')")
                _ = try? connection.savepoint { try connection.execute("INSERT INTO notes (text) VALUES ('stray too')") }
            }
        }
        #expect(error.kind == .uniqueViolation)
        #expect(try await open.notes() == ["taken"])
    }

    @Test("A foreign program's lock is waited for")
    func foreignLock() async throws {
        let open = try DatabaseKind.sqlite.openWithTables()
        let foreign = try SQLiteSession.open(path: open.path, role: .writer)
        try foreign.beginImmediate()
        async let written = open.database.write { try $0.execute("INSERT INTO notes (text) VALUES ('waited')") }
        try await eventually("the writer took the call") { open.database.waitingWrites == 0 }
        #expect(foreign.rollback())
        #expect(try await written == 1)
    }

    @Test("Two databases of one process on one file take turns")
    func twoInOneProcess() async throws {
        let open = try DatabaseKind.sqlite.openWithTables()
        let second = try Database.open(.sqlite(path: open.path))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<200 {
                let database = number.isMultiple(of: 2) ? open.database : second
                group.addTask {
                    _ = try await database.write { try $0.execute("INSERT INTO notes (text) VALUES ($1)", [.text("\(number)")]) }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await open.notes().count == 200)
        await second.close()
    }

    @Test("Every connection has the settings that the schema relies on")
    func settings() async throws {
        let open = try DatabaseKind.sqlite.open()
        let wanted: [(String, SQLValue)] = [
            ("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("recursive_triggers", 1), ("trusted_schema", 0),
        ]
        for (pragma, value) in wanted {
            let query: @Sendable (Connection) throws -> SQLValue? = { try $0.first("PRAGMA \(pragma)")?.values.first }
            #expect(try await open.database.read(query) == value, "\(pragma)")
            #expect(try await open.database.write(query) == value, "\(pragma)")
        }
    }

    @Test("The files are their owner's only, and a missing folder is made")
    func files() async throws {
        let folder = try TemporaryFolder("quittance-db")
        let path = folder.file("var/data/test.db")
        let database = try Database.open(.sqlite(path: path))
        try database.migrate([contractTables])
        for suffix in ["", "-wal", "-shm", ".gate", ".writer", ".checkpoint"] {
            var status = stat()
            #expect(stat(path + suffix, &status) == 0, "\(suffix)")
            #expect(status.st_mode & 0o777 == 0o600, "\(suffix)")
        }
        await database.close()
        // The last one to close leaves a complete file behind.
        #expect(!fileExists(path + "-wal"))
    }

    @Test("A database that is let go without being closed ends its threads and gives up its files")
    func letGo() async throws {
        let folder = try TemporaryFolder("quittance-db")
        let path = folder.file("test.db")
        do {
            let database = try Database.open(.sqlite(path: path))
            try database.migrate([contractTables])
        }
        try await eventually("the log is gone") { !fileExists(path + "-wal") }
    }

    @Test("What cannot be opened says why")
    func cannotOpen() async throws {
        let folder = try TemporaryFolder("quittance-db")
        let text = try folder.write(String(repeating: "this is no database\n", count: 100), to: "text.db")
        let table: [(DatabaseAddress, DatabaseError.Kind, String)] = [
            (.sqlite(path: ":memory:"), .cannotOpen, "SQLite needs a file's path, since several processes share it"),
            (.sqlite(path: ""), .cannotOpen, "SQLite needs a file's path, since several processes share it"),
            (.sqlite(path: folder.path), .cannotOpen, "\(folder.path) is not a file"),
            (.sqlite(path: text), .corrupt, "file is not a database"),
            (.sqlite(path: "\(text)/below.db"), .cannotOpen, "the lock file \(text)/below.db.gate cannot be opened: Not a directory"),
            (.postgres(url: "postgres://localhost/q"), .cannotOpen, "PostgreSQL is not built yet; use sqlite:<path>"),
        ]
        for (address, kind, message) in table {
            let error = try await databaseError { try Database.open(address) }
            #expect(error.kind == kind && error.message == message, "\(error)")
        }
    }

    @Test("A connection keeps a bounded number of statements, the last used ones")
    func cache() throws {
        let folder = try TemporaryFolder("quittance-db")
        let session = try SQLiteSession.open(path: folder.file("test.db"), role: .writer)
        for number in 0..<500 {
            #expect(try session.rows("SELECT \(number) AS n", [], atMost: 1).first?.int("n") == Int64(number))
            #expect(try session.rows("SELECT 'often' AS word", [], atMost: 1).first?.text("word") == "often")
        }
        #expect(session.cachedStatements == SQLiteSession.cachedStatementsMax)
    }

    @Test("The log is emptied into the file as it grows")
    func checkpoints() async throws {
        let open = try DatabaseKind.sqlite.openWithTables()
        for _ in 0..<100 {
            try await open.database.write { try $0.execute("INSERT INTO kinds (b) VALUES (zeroblob(400000))") }
        }
        // 40 MB were written; a log that is never moved would be as long.
        #expect(try size(open.path + "-wal") < 24 << 20)
    }

    @Test("A log that a long read kept growing is cut when the read ends")
    func truncation() async throws {
        let open = try DatabaseKind.sqlite.openWithTables()
        try await open.database.write { try $0.execute("INSERT INTO notes (text) VALUES ('before')") }
        let latch = Latch()
        async let long = open.database.read { connection in
            let before = try connection.query("SELECT id FROM kinds").count
            latch.hold()
            return try connection.query("SELECT id FROM kinds").count - before
        }
        try await eventually("the read has begun") { latch.isHolding }
        for _ in 0..<36 {
            try await open.database.write { try $0.execute("INSERT INTO kinds (b) VALUES (zeroblob(2000000))") }
        }
        #expect(try size(open.path + "-wal") > SQLiteCheckpoints.walBytesMax)
        latch.open()
        #expect(try await long == 0)
        try await eventually("the log is cut") {
            try await open.database.write { try $0.execute("INSERT INTO kinds (b) VALUES (zeroblob(2000000))") }
            return try size(open.path + "-wal") < 24 << 20
        }
    }

    @Test("A backup is the database of one moment, taken while others write")
    func backup() async throws {
        let open = try DatabaseKind.sqlite.openWithTables()
        try await open.database.write { connection in
            for number in 0..<1000 { try connection.execute("INSERT INTO notes (text) VALUES ($1)", [.text("\(number)")]) }
        }
        let target = open.folder.file("copy.db")
        let writing = Task {
            var number = 1000
            while !Task.isCancelled {
                number += 1
                let text = "\(number)"
                try await open.database.write { connection in
                    try connection.execute("INSERT INTO notes (text) VALUES ($1)", [.text(text)])
                    try connection.execute("INSERT INTO entries (amount) VALUES (1)")
                }
            }
        }
        try await open.database.backup(to: target)
        writing.cancel()
        _ = await writing.result
        #expect(!fileExists(target + ".partial"))
        let copy = try Database.open(.sqlite(path: target))
        try copy.checkMigrated([contractTables])
        let counts = try await copy.read { connection in
            [
                try connection.first("SELECT count(*) AS n FROM notes")?.int("n"),
                try connection.first("SELECT 1000 + count(*) AS n FROM entries")?.int("n"),
            ]
        }
        #expect(counts[0] == counts[1])
        #expect(try await copy.read { try $0.first("PRAGMA integrity_check")?.values.first } == "ok")
        await copy.close()
        let again = try await databaseError { try await open.database.backup(to: target) }
        #expect(again.kind == .cannotOpen && again.message == "\(target) exists already")
    }

    private func size(_ path: String) throws -> Int {
        var status = stat()
        guard stat(path, &status) == 0 else { throw FixtureError("\(path) is not there") }
        return Int(status.st_size)
    }
}
