import Database
import Formats
import Synchronization
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// The drivers that keep the contract. A further one is a further case, and every contract test runs on it.
enum DatabaseKind: CaseIterable, Sendable {
    case sqlite

    /// An empty database of its own for one test.
    func open(readers: Int = 2) throws -> OpenDatabase {
        switch self {
        case .sqlite:
            let folder = try TemporaryFolder("quittance-db")
            let path = folder.file("test.db")
            // A group lasts as long as closures wait, however slow the machine is: the tests rely on what shares a commit.
            var limits = GroupLimits()
            limits.time = .seconds(60)
            let database = try Database.open(.sqlite(path: path), readers: readers, limits: limits)
            return OpenDatabase(folder: folder, path: path, database: database)
        }
    }

    /// One with the tables of ``contractTables``.
    func openWithTables(readers: Int = 2) throws -> OpenDatabase {
        let open = try open(readers: readers)
        try open.database.migrate([contractTables])
        return open
    }
}

/// A database and the folder that goes with it.
struct OpenDatabase {
    let folder: TemporaryFolder
    let path: String
    let database: Database

    func notes() async throws -> [String] {
        try await database.read { connection in
            try connection.query("SELECT text FROM notes ORDER BY id").map { try $0.text("text") }
        }
    }
}

let contractTables = MigrationSet(
    room: "contract",
    migrations: [
        Migration(
            number: 1, name: "tables",
            sqlite: """
                CREATE TABLE kinds (id INTEGER PRIMARY KEY, i INTEGER, t TEXT, b BLOB, r REAL) STRICT;
                CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE CHECK (text <> 'refused')) STRICT;
                CREATE TABLE replies (id INTEGER PRIMARY KEY, note INTEGER NOT NULL REFERENCES notes (id)) STRICT;
                CREATE TABLE later (id INTEGER PRIMARY KEY, note INTEGER NOT NULL REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED) STRICT;
                CREATE TABLE entries (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL) STRICT;
                CREATE TRIGGER entries_are_kept BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'entries are only added'); END;
                """)
    ])

/// Holds a database's thread inside a closure until the test lets it go on.
///
/// `@unchecked Sendable`: a semaphore is made for several threads.
final class Latch: @unchecked Sendable {
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    private let reached = Mutex(false)

    init() { sem_init(semaphore, 0, 0) }
    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    /// In the closure: blocks its thread until ``open()``.
    func hold() {
        reached.withLock { $0 = true }
        while sem_wait(semaphore) != 0 {}
    }
    var isHolding: Bool { reached.withLock { $0 } }
    func open() { sem_post(semaphore) }
}

extension OpenDatabase {
    /// Runs the closures in one group, in their order: a first write of the group holds the writer until all of them wait.
    func writeTogether<Value: Sendable>(_ bodies: [@Sendable (Connection) throws -> Value]) async throws -> [Result<Value, any Error>] {
        let latch = Latch()
        let holding = Task { try await database.write { _ in latch.hold() } }
        try await eventually("the writer is held") { latch.isHolding }
        var tasks: [Task<Value, any Error>] = []
        for (index, body) in bodies.enumerated() {
            tasks.append(Task { try await database.write(body) })
            try await eventually("write \(index) waits") { database.waitingWrites == index + 1 }
        }
        latch.open()
        // Shares the fate of the group.
        _ = await holding.result
        var results: [Result<Value, any Error>] = []
        for task in tasks { results.append(await task.result) }
        return results
    }
}

/// The error of an expression that must fail with a ``DatabaseError``.
func failure<Value>(of result: Result<Value, any Error>) throws -> DatabaseError {
    guard case .failure(let error) = result else { throw FixtureError("it succeeded") }
    return try #require(error as? DatabaseError, "\(error)")
}

func databaseError<Value>(_ body: () async throws -> Value) async throws -> DatabaseError {
    do {
        _ = try await body()
    } catch {
        return try #require(error as? DatabaseError, "\(error)")
    }
    throw FixtureError("it succeeded")
}
