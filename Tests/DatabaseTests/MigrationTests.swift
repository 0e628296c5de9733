import Database
import TestSupport
import Testing

@Suite struct MigrationTests {
    static let first = Migration(number: 1, name: "orders", sqlite: "CREATE TABLE orders (id TEXT PRIMARY KEY) STRICT;")
    static let second = Migration(
        number: 2, name: "order_lines",
        sqlite: """
            -- Two statements.
            CREATE TABLE order_lines (order_id TEXT NOT NULL REFERENCES orders (id), amount INTEGER NOT NULL) STRICT;
            CREATE INDEX order_lines_by_order ON order_lines (order_id);
            """)
    static let bills = MigrationSet(
        room: "bills",
        migrations: [
            Migration(
                number: 1, name: "bills",
                sqlite: "CREATE TABLE bills (order_id TEXT REFERENCES orders (id)) STRICT; INSERT INTO orders VALUES ('seed');")
        ])

    static func orders(_ migrations: Migration...) -> MigrationSet { MigrationSet(room: "orders", migrations: migrations) }

    @Test("Rooms migrate in the order given, each step once", arguments: DatabaseKind.allCases)
    func order(kind: DatabaseKind) async throws {
        let open = try kind.open()
        let applied = try open.database.migrate([Self.orders(Self.first, Self.second), Self.bills])
        #expect(applied.map(\.room) == ["orders", "orders", "bills"])
        #expect(applied.map(\.number) == [1, 2, 1])
        #expect(applied.map(\.name) == ["orders", "order_lines", "bills"])
        #expect(applied.allSatisfy { $0.appliedAt > 1_600_000_000_000 })
        #expect(try open.database.migrate([Self.orders(Self.first, Self.second), Self.bills]) == [])
        try open.database.checkMigrated([Self.orders(Self.first, Self.second), Self.bills])
        #expect(try await open.database.read { try $0.query("SELECT id FROM orders").count } == 1)
    }

    @Test("A later version adds only what is new", arguments: DatabaseKind.allCases)
    func later(kind: DatabaseKind) throws {
        let open = try kind.open()
        #expect(try open.database.migrate([Self.orders(Self.first)]).count == 1)
        #expect(try open.database.migrate([Self.orders(Self.first, Self.second)]).map(\.number) == [2])
    }

    struct Refused: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let program: MigrationSet
        let sentence: String
    }

    static let refused = [
        Refused(
            testDescription: "changed text",
            program: orders(Migration(number: 1, name: "orders", sqlite: "CREATE TABLE orders (id INTEGER) STRICT;"), second),
            sentence: "migration 1 (orders) of orders was changed after it was applied; restore its text and put the change into a new migration"),
        Refused(
            testDescription: "newer database", program: orders(first),
            sentence: "the database is newer than this program: orders has migration 2 (order_lines), this program knows 1; use a newer program"),
    ]

    @Test("A database that does not fit the program is refused, unchanged", arguments: DatabaseKind.allCases, refused)
    func misfit(kind: DatabaseKind, refused: Refused) async throws {
        let open = try kind.open()
        try open.database.migrate([Self.orders(Self.first, Self.second)])
        for attempt: () throws -> Void in [
            { _ = try open.database.migrate([Self.bills, refused.program]) }, { try open.database.checkMigrated([refused.program]) },
        ] {
            let error = try await databaseError { try attempt() }
            #expect(error.kind == .migration)
            #expect(error.message == refused.sentence)
            #expect(!error.isTransient)
        }
        let tables = try await open.database.read { try $0.query("SELECT name FROM sqlite_schema WHERE name = 'bills'").count }
        #expect(tables == 0)
    }

    @Test("A program refuses a database that lacks its tables", arguments: DatabaseKind.allCases)
    func missing(kind: DatabaseKind) async throws {
        let open = try kind.open()
        let empty = try await databaseError { try open.database.checkMigrated([Self.orders(Self.first)]) }
        #expect(empty.message == "\(open.path) has no tables yet: run `quittance migrate`")
        try open.database.migrate([Self.orders(Self.first)])
        try open.database.checkMigrated([Self.orders(Self.first)])
        let old = try await databaseError { try open.database.checkMigrated([Self.orders(Self.first, Self.second)]) }
        #expect(old.message == "\(open.path) is too old for this program: orders lacks migration 2 (order_lines); run `quittance migrate`")
    }

    static let failing = [
        "CREATE TABLE half (id INTEGER) STRICT; CREATE TABLE half (id INTEGER) STRICT;",
        "CREATE TABLE half (id INTEGER) STRICT; COMMIT;",
    ]

    @Test("A migration that fails leaves nothing of itself", arguments: DatabaseKind.allCases, failing)
    func failure(kind: DatabaseKind, sql: String) async throws {
        let open = try kind.open()
        let set = Self.orders(Self.first, Migration(number: 2, name: "half", sqlite: sql))
        let error = try await databaseError { try open.database.migrate([set]) }
        #expect(error.kind == .migration)
        #expect(error.message.hasPrefix("migration 2 (half) of orders failed: "))
        #expect(try await open.database.read { try $0.query("SELECT 1 FROM sqlite_schema WHERE name = 'half'").isEmpty })
        #expect(try open.database.migrate([Self.orders(Self.first, Self.second)]).map(\.number) == [2])
    }

    @Test("Two programs that migrate at once share the work", arguments: DatabaseKind.allCases)
    func concurrent(kind: DatabaseKind) async throws {
        let open = try kind.open()
        let done = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<4 {
                group.addTask { try open.database.migrate([Self.orders(Self.first, Self.second), Self.bills]).count }
            }
            return try await group.reduce(into: [Int]()) { $0.append($1) }
        }
        #expect(done.sorted() == [0, 0, 0, 3])
    }
}
