import Formats
import Telemetry

/// What a kind of database does; everything above it is written once.
package protocol DatabaseDriver: Sendable {
    func submitWrite(_ call: any DatabaseCall) throws(DatabaseError)
    var waitingWrites: Int { get }
    func submitRead(_ call: any DatabaseCall) throws(DatabaseError)
    func submitBackup(to path: String, _ answer: @escaping @Sendable (Result<Void, DatabaseError>) -> Void)
    func migrate(_ sets: [MigrationSet]) throws(DatabaseError) -> [AppliedMigration]
    func checkMigrated(_ sets: [MigrationSet]) throws(DatabaseError)
    func compact() throws(DatabaseError)
    /// Has the threads end after the work that waits, without waiting for them.
    func beginClose()
    func close() async
}

/// When a group of writes ends: other processes get their turn then.
package struct GroupLimits: Sendable {
    package var callsMax = 256
    package var time: Duration = .milliseconds(5)

    package init() {}
}

/// The truth of the product: closures are handed in, run on threads of the database's own and answered after the commit.
///
/// ```swift
/// let id = try await database.write { connection in
///     try connection.first("INSERT INTO notes (text) VALUES ($1) RETURNING id", ["hello"])?.int("id")
/// }
/// ```
/// A closure is synchronous and short: while it runs, nobody else writes. Nothing here blocks Swift's shared threads but
/// ``open(_:readers:log:)``, ``migrate(_:)`` and ``checkMigrated(_:)``, which belong to the start of a program.
public final class Database: Sendable {
    private let driver: any DatabaseDriver

    private init(driver: any DatabaseDriver) { self.driver = driver }

    deinit { driver.beginClose() }

    /// Opens the database, making the file and its folder when they do not exist. Its tables come from ``migrate(_:)``.
    /// - Parameter readers: threads that read, each with a connection of its own (1…64).
    public static func open(_ address: DatabaseAddress, readers: Int = 2, log: Log = Log()) throws(DatabaseError) -> Database {
        try open(address, readers: readers, limits: GroupLimits(), log: log)
    }

    package static func open(
        _ address: DatabaseAddress, readers: Int, limits: GroupLimits, log: Log = Log()
    ) throws(DatabaseError) -> Database {
        switch address {
        case .sqlite(let path): return Database(driver: try SQLiteDriver(path: path, readers: readers, limits: limits, log: log))
        case .postgres: throw DatabaseError(kind: .cannotOpen, message: "PostgreSQL is not built yet; use sqlite:<path>")
        }
    }

    /// Runs `body` in a transaction on the writer's thread and returns once it is on stable storage.
    ///
    /// Several calls may share one transaction and one commit. A `body` that throws undoes its own part only. When the commit
    /// fails, all callers of the group get its error and nothing of the group is kept. A caller that is cancelled before its
    /// closure starts is dropped with `CancellationError`; later it gets its outcome.
    @discardableResult
    public func write<Value: Sendable>(_ body: @escaping @Sendable (Connection) throws -> Value) async throws -> Value {
        try await PendingCall(Self.traced(body)).answered(driver.submitWrite)
    }

    /// The caller's trace goes along to the writer's thread, for the jobs that the transaction causes.
    private static func traced<Value: Sendable>(
        _ body: @escaping @Sendable (Connection) throws -> Value
    ) -> @Sendable (Connection) throws -> Value {
        guard let trace = Trace.current else { return body }
        return { connection in try Trace.$current.withValue(trace) { try body(connection) } }
    }

    /// Runs `body` on a reader's thread: it sees one moment of the database, whatever is written meanwhile, and cannot write.
    public func read<Value: Sendable>(_ body: @escaping @Sendable (Connection) throws -> Value) async throws -> Value {
        try await PendingCall(body).answered(driver.submitRead)
    }

    /// Closures of this process that wait for the writer.
    public var waitingWrites: Int { driver.waitingWrites }

    /// Brings the tables to the program's version: every set in its order, each migration in a transaction of its own. Blocks;
    /// one program at a time does it, a second one finds nothing left to do.
    /// - Returns: what was applied now.
    /// - Throws: when an applied migration was edited since, or the database is newer than the program; then nothing is changed.
    @discardableResult
    public func migrate(_ sets: [MigrationSet]) throws(DatabaseError) -> [AppliedMigration] { try driver.migrate(sets) }

    /// Refuses a database that is not at exactly the program's version, with a sentence that says what to do. Blocks shortly.
    public func checkMigrated(_ sets: [MigrationSet]) throws(DatabaseError) { try driver.checkMigrated(sets) }

    /// Writes the file anew without what was deleted and overwritten in it, which otherwise stays on its pages until they are used again, and
    /// empties its log. Blocks; nobody writes meanwhile, which takes seconds for each gigabyte.
    public func compact() throws(DatabaseError) { try driver.compact() }

    /// Copies the database as of one moment into a new file, while others read and write.
    public func backup(to path: String) async throws(DatabaseError) {
        let result: Result<Void, DatabaseError> = await withCheckedContinuation { continuation in
            driver.submitBackup(to: path) { continuation.resume(returning: $0) }
        }
        try result.get()
    }

    /// Refuses further calls, finishes those that wait and ends the threads. May be called twice.
    public func close() async { await driver.close() }
}
