/// What a driver does on one connection. All calls come from the one thread that serves the connection.
package protocol SQLSession: AnyObject {
    func execute(_ sql: String, _ bindings: [SQLValue]) throws(DatabaseError) -> Int
    func rows(_ sql: String, _ bindings: [SQLValue], atMost: Int) throws(DatabaseError) -> [Row]
    func forEach(_ sql: String, _ bindings: [SQLValue], _ body: (Row) throws -> Void) throws
    func executeScript(_ sql: String) throws(DatabaseError)
    /// Keeps every other transaction from changing these rows until ours ends.
    func lock(_ table: String, column: String, _ ids: [String]) throws(DatabaseError)
    func beginSavepoint() throws(DatabaseError)
    func releaseSavepoint() throws(DatabaseError)
    /// Undoes what was done since the innermost savepoint and forgets that savepoint.
    func rollbackSavepoint() throws(DatabaseError)
}

/// A connection in a transaction, lent to the closure of ``Database/write(_:)`` or ``Database/read(_:)`` and of no use after it.
///
/// Parameters are written `$1`, `$2`, … and bound by their number: `$2` may appear twice, or before `$1`.
public final class Connection {
    private let session: any SQLSession
    private let isWriter: Bool
    private var callbacks: [@Sendable () -> Void] = []

    package init(session: any SQLSession, isWriter: Bool) {
        self.session = session
        self.isWriter = isWriter
    }

    /// Runs one statement to its end.
    /// - Returns: the rows that it inserted, updated or deleted itself, without those that triggers changed.
    @discardableResult
    public func execute(_ sql: String, _ bindings: [SQLValue] = []) throws(DatabaseError) -> Int {
        try session.execute(sql, bindings)
    }

    /// All rows of one statement, `RETURNING` included.
    public func query(_ sql: String, _ bindings: [SQLValue] = []) throws(DatabaseError) -> [Row] {
        try session.rows(sql, bindings, atMost: .max)
    }

    /// The first row, if any. The statement runs to its end only when it changes something.
    public func first(_ sql: String, _ bindings: [SQLValue] = []) throws(DatabaseError) -> Row? {
        try session.rows(sql, bindings, atMost: 1).first
    }

    /// Hands each row to `body` as it comes, without keeping them; an error of `body` ends the statement.
    public func forEach(_ sql: String, _ bindings: [SQLValue] = [], _ body: (Row) throws -> Void) throws {
        try session.forEach(sql, bindings, body)
    }

    /// Runs several statements without parameters, as in a migration.
    public func executeScript(_ sql: String) throws(DatabaseError) { try session.executeScript(sql) }

    /// Runs `body` as a unit of its own: when it throws, what it changed is undone (and its ``afterCommit(_:)`` calls are
    /// forgotten), and the surrounding transaction goes on.
    public func savepoint<Value>(_ body: () throws -> Value) throws -> Value {
        let mark = callbacks.count
        try session.beginSavepoint()
        do {
            let value = try body()
            try session.releaseSavepoint()
            return value
        } catch {
            forgetCallbacks(after: mark)
            try session.rollbackSavepoint()
            throw error
        }
    }

    /// Keeps other writers from changing these rows until this transaction ends. On SQLite a write has the whole database to
    /// itself, so only the check that this is a write remains. Rows are locked in the order of their ids, whatever the order given.
    public func lock(_ table: String, column: String = "id", _ ids: [String]) throws(DatabaseError) {
        guard isWriter else { throw DatabaseError(kind: .readOnly, message: "a read cannot lock rows of \(table)") }
        try session.lock(table, column: column, ids.sorted())
    }

    /// Has `body` run once, on the writer's thread, after the transaction committed, and never when it did not.
    public func afterCommit(_ body: @escaping @Sendable () -> Void) {
        precondition(isWriter, "a read commits nothing")
        callbacks.append(body)
    }

    // MARK: For drivers

    package var callbackCount: Int { callbacks.count }

    package func forgetCallbacks(after count: Int) { callbacks.removeSubrange(count...) }

    package func takeCallbacks() -> [@Sendable () -> Void] {
        let taken = callbacks
        callbacks = []
        return taken
    }
}
