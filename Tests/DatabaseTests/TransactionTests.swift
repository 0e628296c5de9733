import Database
import Synchronization
import TestSupport
import Testing

@Suite struct TransactionTests {
    struct Refusal: Error, Equatable {}

    @Test("A closure that throws undoes only its own part of the group", arguments: DatabaseKind.allCases)
    func isolation(kind: DatabaseKind) async throws {
        let open = try kind.openWithTables()
        let committed = Mutex<[String]>([])
        let bodies: [@Sendable (Connection) throws -> Int] = ["a", "b", "c", "d", "e"].map { text in
            { connection in
                // All of one group run before anything of it is committed.
                #expect(committed.withLock { $0.isEmpty })
                connection.afterCommit { committed.withLock { $0.append(text) } }
                let changed = try connection.execute("INSERT INTO notes (text) VALUES ($1)", [.text(text)])
                if text == "b" { throw Refusal() }
                if text == "d" { try connection.execute("INSERT INTO notes (text) VALUES ('a')") }
                return changed
            }
        }
        let results = try await open.writeTogether(bodies)
        #expect(try results[0].get() == 1)
        #expect(throws: Refusal.self) { try results[1].get() }
        #expect(try results[2].get() == 1)
        #expect(try failure(of: results[3]).kind == .uniqueViolation)
        #expect(try results[4].get() == 1)
        #expect(try await open.notes() == ["a", "c", "e"])
        #expect(committed.withLock { $0 } == ["a", "c", "e"])
    }

    @Test("So does the first of a group, whose part the transaction is, and the first after it", arguments: DatabaseKind.allCases)
    func firstOfGroup(kind: DatabaseKind) async throws {
        let open = try kind.openWithTables()
        let committed = Mutex<[String]>([])
        let bodies: [@Sendable (Connection) throws -> Int] = ["a", "b", "c", "d"].map { text in
            { connection in
                connection.afterCommit { committed.withLock { $0.append(text) } }
                let changed = try connection.execute("INSERT INTO notes (text) VALUES ($1)", [.text(text)])
                if text == "a" { throw Refusal() }
                if text == "b" { try connection.execute("INSERT INTO later (note) VALUES (99)") }
                return changed
            }
        }
        let results = try await open.writeTogether(bodies)
        #expect(throws: Refusal.self) { try results[0].get() }
        #expect(try failure(of: results[1]).kind == .foreignKeyViolation)
        #expect(try results[2].get() == 1)
        #expect(try results[3].get() == 1)
        #expect(try await open.notes() == ["c", "d"])
        #expect(committed.withLock { $0 } == ["c", "d"])
        // Alone in its group.
        await #expect(throws: Refusal.self) {
            try await open.database.write { connection -> Int in
                try connection.execute("INSERT INTO notes (text) VALUES ('e')")
                throw Refusal()
            }
        }
        #expect(try await open.notes() == ["c", "d"])
    }

    @Test("A foreign key left open until the commit fails its own closure only", arguments: DatabaseKind.allCases)
    func deferredKeys(kind: DatabaseKind) async throws {
        let open = try kind.openWithTables()
        let bodies: [@Sendable (Connection) throws -> Int] = [
            { try $0.execute("INSERT INTO notes (text) VALUES ('a')") },
            { try $0.execute("INSERT INTO later (note) VALUES (99)") },
            { connection in
                try connection.execute("INSERT INTO later (note) VALUES (7)")
                return try connection.execute("INSERT INTO notes (id, text) VALUES (7, 'b')")
            },
        ]
        let results = try await open.writeTogether(bodies)
        #expect(try results[0].get() == 1)
        #expect(try failure(of: results[1]).kind == .foreignKeyViolation)
        #expect(try results[2].get() == 1)
        #expect(try await open.notes() == ["a", "b"])
    }

    @Test("A thousand writers at once each get their answer, and what they wrote is there", arguments: DatabaseKind.allCases)
    func many(kind: DatabaseKind) async throws {
        let open = try kind.openWithTables()
        let ids = try await withThrowingTaskGroup(of: Int64.self) { group in
            for number in 0..<1000 {
                group.addTask {
                    try await open.database.write { connection in
                        try connection.first("INSERT INTO notes (text) VALUES ($1) RETURNING id", [.text("\(number)")])?.int("id") ?? 0
                    }
                }
            }
            return try await group.reduce(into: Set<Int64>()) { $0.insert($1) }
        }
        #expect(ids.count == 1000)
        #expect(try await open.notes().count == 1000)
    }

    @Test("afterCommit runs before the caller goes on, and not at all for a closure that throws", arguments: DatabaseKind.allCases)
    func afterCommit(kind: DatabaseKind) async throws {
        let open = try kind.openWithTables()
        let called = Mutex(0)
        try await open.database.write { connection in connection.afterCommit { called.withLock { $0 += 1 } } }
        #expect(called.withLock { $0 } == 1)
        await #expect(throws: Refusal.self) {
            try await open.database.write { connection in
                connection.afterCommit { called.withLock { $0 += 100 } }
                throw Refusal()
            }
        }
        #expect(called.withLock { $0 } == 1)
    }

    @Test("A read sees one moment of the database, whatever is written meanwhile", arguments: DatabaseKind.allCases)
    func snapshot(kind: DatabaseKind) async throws {
        let open = try kind.openWithTables()
        let latch = Latch()
        async let counts = open.database.read { connection in
            let before = try connection.first("SELECT count(*) AS n FROM notes")?.int("n")
            latch.hold()
            return [before, try connection.first("SELECT count(*) AS n FROM notes")?.int("n")]
        }
        try await eventually("the read has begun") { latch.isHolding }
        try await open.database.write { try $0.execute("INSERT INTO notes (text) VALUES ('meanwhile')") }
        latch.open()
        #expect(try await counts == [0, 0])
        #expect(try await open.notes() == ["meanwhile"])
    }

    static let writesInReads = [
        "INSERT INTO notes (text) VALUES ('x')", "DELETE FROM notes", "CREATE TABLE more (id INTEGER) STRICT", "DROP TABLE notes",
        "PRAGMA query_only = OFF", "PRAGMA user_version = 3",
    ]

    @Test("A read cannot write", arguments: DatabaseKind.allCases)
    func readOnly(kind: DatabaseKind) async throws {
        let open = try kind.openWithTables(readers: 1)
        for sql in Self.writesInReads {
            let error = try await databaseError { try await open.database.read { try $0.execute(sql) } }
            #expect(error.kind == .readOnly || error.kind == .statement, "\(sql): \(error)")
        }
        let error = try await databaseError { try await open.database.read { try $0.lock("notes", ["1"]) } }
        #expect(error.kind == .readOnly)
        #expect(try await open.notes() == [])
    }

    @Test("A closure can neither end the transaction nor reach another file", arguments: DatabaseKind.allCases)
    func transactionIsOurs(kind: DatabaseKind) async throws {
        let open = try kind.openWithTables()
        for sql in ["COMMIT", "ROLLBACK", "BEGIN", "SAVEPOINT mine", "RELEASE unit", "ATTACH ':memory:' AS other"] {
            let error = try await databaseError {
                try await open.database.write { connection in
                    try connection.execute("INSERT INTO notes (text) VALUES ('undone')")
                    return try connection.execute(sql)
                }
            }
            #expect(error.kind == .statement, "\(sql): \(error)")
        }
        #expect(try await open.notes() == [])
    }

    @Test("A caller cancelled before its closure starts is dropped; one cancelled later gets its outcome", arguments: DatabaseKind.allCases)
    func cancellation(kind: DatabaseKind) async throws {
        let open = try kind.openWithTables()
        let latch = Latch()
        let started = Task {
            try await open.database.write { connection in
                try connection.execute("INSERT INTO notes (text) VALUES ('started')")
                latch.hold()
                return "finished"
            }
        }
        try await eventually("the writer is held") { latch.isHolding }
        let waiting = Task { try await open.database.write { try $0.execute("INSERT INTO notes (text) VALUES ('dropped')") } }
        try await eventually("the second write waits") { open.database.waitingWrites == 1 }
        started.cancel()
        waiting.cancel()
        // It does not even wait for the one before it.
        await #expect(throws: CancellationError.self) { try await waiting.value }
        latch.open()
        #expect(try await started.value == "finished")
        let late = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await open.database.write { try $0.execute("INSERT INTO notes (text) VALUES ('late')") }
        }
        await #expect(throws: CancellationError.self) { try await late.value }
        #expect(try await open.notes() == ["started"])
    }

    @Test("Closing finishes what waits and refuses what comes after", arguments: DatabaseKind.allCases)
    func closing(kind: DatabaseKind) async throws {
        let open = try kind.openWithTables()
        let latch = Latch()
        async let held: Void = open.database.write { _ in latch.hold() }
        try await eventually("the writer is held") { latch.isHolding }
        let waiting = Task { try await open.database.write { try $0.execute("INSERT INTO notes (text) VALUES ('waited')") } }
        try await eventually("the second write waits") { open.database.waitingWrites == 1 }
        async let closed: Void = open.database.close()
        latch.open()
        try await held
        #expect(try await waiting.value == 1)
        await closed
        await open.database.close()
        for refused in [
            try await databaseError { try await open.database.write { _ in } },
            try await databaseError { try await open.database.read { _ in } },
            try await databaseError { try await open.database.backup(to: open.folder.file("copy.db")) },
        ] {
            #expect(refused.kind == .closed && refused.isTransient)
        }
    }
}
