import Database
import Synchronization
import TestSupport
import Testing

@Suite struct ContractTests {
    struct Stored: Sendable {
        let column: String
        let value: SQLValue
    }

    static let stored: [Stored] = [
        Stored(column: "i", value: 0), Stored(column: "i", value: .integer(.max)), Stored(column: "i", value: .integer(.min)),
        Stored(column: "i", value: nil), Stored(column: "t", value: ""), Stored(column: "t", value: "Reçu nº 7 — קבלה 🧾"),
        Stored(column: "t", value: "before\u{0}after"), Stored(column: "t", value: .text(String(repeating: "é", count: 100_000))),
        Stored(column: "t", value: nil), Stored(column: "b", value: .blob([])), Stored(column: "b", value: .blob([0, 1, 255])),
        Stored(column: "b", value: .blob([UInt8](repeating: 7, count: 1 << 20))), Stored(column: "b", value: nil),
        Stored(column: "r", value: 0.1), Stored(column: "r", value: -1e300), Stored(column: "r", value: nil),
    ]

    @Test("A value comes back as it was stored", arguments: DatabaseKind.allCases)
    func values(kind: DatabaseKind) async throws {
        let open = try kind.openWithTables()
        for stored in Self.stored {
            let back = try await open.database.write { connection in
                try connection.first("INSERT INTO kinds (\(stored.column)) VALUES ($1) RETURNING \(stored.column) AS back", [stored.value])?["back"]
            }
            #expect(back == stored.value)
        }
        let rows = try await open.database.read { connection in try connection.query("SELECT * FROM kinds ORDER BY id") }
        #expect(rows.count == Self.stored.count)
        for (row, stored) in zip(rows, Self.stored) { #expect(row[stored.column] == stored.value) }
    }

    @Test("Parameters are bound by their number, in any order and more than once", arguments: DatabaseKind.allCases)
    func parameters(kind: DatabaseKind) async throws {
        let open = try kind.openWithTables()
        let row = try await open.database.read { connection in
            try connection.first("SELECT $2 || $1 AS swapped, $1 || $1 AS doubled, $3 + 1 AS next", ["a", "b", 10])
        }
        #expect(try row?.text("swapped") == "ba")
        #expect(try row?.text("doubled") == "aa")
        #expect(try row?.int("next") == 11)
    }

    static let wrongStatements: [(String, [SQLValue])] = [
        ("SELECT $1", []), ("SELECT $1", [1, 2]), ("SELECT 1", [1]), ("SELECT * FROM nowhere", []), ("SELEC 1", []), ("", []),
        ("SELECT 1; SELECT 2", []), ("SELECT \"text\"", []),
    ]

    @Test("A wrong statement is an error that no retry helps", arguments: DatabaseKind.allCases)
    func wrong(kind: DatabaseKind) async throws {
        let open = try kind.openWithTables()
        for (sql, bindings) in Self.wrongStatements {
            let error = try await databaseError { try await open.database.read { try $0.query(sql, bindings) } }
            #expect(error.kind == .statement, "\(sql): \(error)")
            #expect(!error.isTransient)
        }
    }

    static let violations: [(String, DatabaseError.Kind)] = [
        ("INSERT INTO notes (id, text) VALUES (2, 'first')", .uniqueViolation),
        ("INSERT INTO notes (id, text) VALUES (1, 'other')", .uniqueViolation),
        ("INSERT INTO notes (text) VALUES (NULL)", .notNullViolation),
        ("INSERT INTO notes (text) VALUES ('refused')", .checkViolation),
        ("INSERT INTO replies (note) VALUES (99)", .foreignKeyViolation),
        ("INSERT INTO later (note) VALUES (99)", .foreignKeyViolation),
        ("INSERT INTO kinds (i) VALUES ('many')", .typeViolation),
        ("DELETE FROM entries", .otherConstraint),
        ("INSERT OR REPLACE INTO entries (id, amount) VALUES (1, 6)", .otherConstraint),
    ]

    @Test("Each rule of the schema has its kind of error", arguments: DatabaseKind.allCases)
    func violation(kind: DatabaseKind) async throws {
        let open = try kind.openWithTables()
        try await open.database.write { connection in
            try connection.execute("INSERT INTO notes (id, text) VALUES (1, 'first')")
            try connection.execute("INSERT INTO entries (id, amount) VALUES (1, 5)")
        }
        for (sql, expected) in Self.violations {
            let error = try await databaseError { try await open.database.write { try $0.execute(sql) } }
            #expect(error.kind == expected, "\(sql): \(error)")
            #expect(error.isConstraint && !error.isTransient)
        }
        #expect(try await open.notes() == ["first"])
    }

    @Test("execute counts the rows that its statement changed", arguments: DatabaseKind.allCases)
    func counts(kind: DatabaseKind) async throws {
        let open = try kind.openWithTables()
        let counts = try await open.database.write { connection in
            [
                try connection.execute("INSERT INTO notes (text) VALUES ('a'), ('b'), ('c')"),
                try connection.execute("INSERT INTO notes (text) VALUES ('a') ON CONFLICT DO NOTHING"),
                try connection.execute("CREATE TABLE other (id INTEGER) STRICT"),
                try connection.execute("UPDATE notes SET text = text || '!' WHERE text <> $1", ["a"]),
                try connection.execute("SELECT * FROM notes"),
                try connection.execute("DELETE FROM notes"),
            ]
        }
        #expect(counts == [3, 0, 0, 2, 0, 3])
    }

    @Test("A row tells apart a missing column, null and the wrong type", arguments: DatabaseKind.allCases)
    func rows(kind: DatabaseKind) async throws {
        let open = try kind.open()
        let row = try #require(
            try await open.database.read { try $0.first("SELECT 1 AS yes, 7 AS seven, NULL AS missing, 'x' AS word, 1.5 AS half") })
        #expect(row.names == ["yes", "seven", "missing", "word", "half"])
        #expect(try row.bool("yes"))
        #expect(try row.intOrNil("missing") == nil)
        #expect(try row.textOrNil("missing") == nil)
        #expect(try row.blobOrNil("missing") == nil)
        #expect(try row.real("seven") == 7)
        #expect(try row.real("half") == 1.5)
        for wrong: (Row) throws -> Void in [
            { _ = try $0.int("absent") }, { _ = try $0.int("missing") }, { _ = try $0.int("word") }, { _ = try $0.bool("seven") },
            { _ = try $0.text("seven") }, { _ = try $0.blob("word") }, { _ = try $0.real("word") },
        ] {
            #expect { try wrong(row) } throws: { ($0 as? DatabaseError)?.kind == .column }
        }
    }

    @Test("Rows can be taken one by one, even with the same statement inside", arguments: DatabaseKind.allCases)
    func nestedRows(kind: DatabaseKind) async throws {
        let open = try kind.openWithTables()
        try await open.database.write { try $0.execute("INSERT INTO notes (id, text) VALUES (1, 'a'), (2, 'b')") }
        let pairs = try await open.database.read { connection in
            var pairs: [String] = []
            let sql = "SELECT text FROM notes WHERE id <= $1 ORDER BY id"
            try connection.forEach(sql, [2]) { outer in
                try connection.forEach(sql, [2]) { inner in pairs.append(try outer.text("text") + inner.text("text")) }
            }
            return pairs
        }
        #expect(pairs == ["aa", "ab", "ba", "bb"])
    }

    @Test("A column that appears while the program runs is seen by the statements that it keeps", arguments: DatabaseKind.allCases)
    func changedSchema(kind: DatabaseKind) async throws {
        let open = try kind.openWithTables(readers: 1)
        try await open.database.write { try $0.execute("INSERT INTO notes (text) VALUES ('a')") }
        #expect(try await open.database.read { try $0.first("SELECT * FROM notes")?.names } == ["id", "text"])
        try await open.database.write { try $0.execute("ALTER TABLE notes ADD COLUMN more TEXT") }
        #expect(try await open.database.read { try $0.first("SELECT * FROM notes")?.names } == ["id", "text", "more"])
    }

    @Test("A savepoint undoes only itself", arguments: DatabaseKind.allCases)
    func savepoints(kind: DatabaseKind) async throws {
        struct Refusal: Error {}
        let open = try kind.openWithTables()
        let called = Mutex<[String]>([])
        try await open.database.write { connection in
            try connection.execute("INSERT INTO notes (text) VALUES ('before')")
            do {
                try connection.savepoint {
                    try connection.execute("INSERT INTO notes (text) VALUES ('undone')")
                    connection.afterCommit { called.withLock { $0.append("undone") } }
                    throw Refusal()
                }
            } catch is Refusal {
                called.withLock { $0.append("refused") }
            }
            try connection.savepoint {
                try connection.execute("INSERT INTO notes (text) VALUES ('kept')")
                connection.afterCommit { called.withLock { $0.append("kept") } }
            }
        }
        #expect(try await open.notes() == ["before", "kept"])
        #expect(called.withLock { $0 } == ["refused", "kept"])
    }
}
