import CSQLite
import EventLoop

#if canImport(Glibc)
    import Glibc
#endif

/// One SQLite connection with its statements. It is opened without SQLite's own mutex: one thread at a time uses it.
final class SQLiteSession: SQLSession {
    enum Role { case writer, reader }

    /// How long SQLite's busy handler waits. Only a net: writers queue at the turnstile, so it is reached when a foreign program
    /// (a shell, a backup tool) locks the file, or while a dead process's log is recovered.
    static let busyTimeout: Duration = .seconds(10)
    static let cachedStatementsMax = 128

    private let handle: OpaquePointer
    private var cache = SQLiteStatementCache(statementsMax: cachedStatementsMax)
    private var controls = SQLiteStatementCache(statementsMax: 16)
    /// Two C integers: whether a closure has the connection, and the pages in the write-ahead log after our last commit.
    private let cells: UnsafeMutablePointer<Int32>
    /// Why SQLite gave up the whole transaction by itself, until ``forgetLoss()``.
    private(set) var loss: DatabaseError?
    private var inTransaction = false

    /// Opens the file, making it (readable by its owner only) when it does not exist.
    static func open(path: String, role: Role) throws(DatabaseError) -> SQLiteSession {
        if role == .writer { makeFile(path) }
        var opened: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE
        let code = sqlite3_open_v2(path, &opened, flags, nil)
        guard code == SQLITE_OK, let opened else {
            let message = opened.map { String(cString: sqlite3_errmsg($0)) } ?? String(cString: sqlite3_errstr(code))
            sqlite3_close_v2(opened)
            throw DatabaseError(sqlite: code, message: "\(path): \(message)")
        }
        let session = SQLiteSession(handle: opened)
        try session.configure(role, path: path)
        return session
    }

    /// Makes the file with its owner's rights only; SQLite gives the log the same. A file that exists is not touched: closing any
    /// descriptor of it would drop the locks that SQLite holds for other connections of this process. What fails here fails in
    /// SQLite too, which reports it.
    private static func makeFile(_ path: String) {
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if descriptor >= 0 { close(descriptor) }
    }

    private init(handle: OpaquePointer) {
        self.handle = handle
        cells = .allocate(capacity: 2)
        cells.initialize(repeating: 0, count: 2)
    }

    deinit {
        cache.removeAll()
        controls.removeAll()
        sqlite3_close_v2(handle)
        cells.deallocate()
    }

    private func configure(_ role: Role, path: String) throws(DatabaseError) {
        waitWhenBusy(SQLiteSession.busyTimeout)
        // "text" in double quotes is a column's name, as in every other database, never a string.
        quittance_db_config_flag(handle, SQLITE_DBCONFIG_DQS_DML, 0)
        quittance_db_config_flag(handle, SQLITE_DBCONFIG_DQS_DDL, 0)
        quittance_db_config_flag(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        if role == .writer {
            let mode = try rows("PRAGMA journal_mode = WAL", [], atMost: 1).first?.values.first
            guard mode == .text("wal") else {
                throw DatabaseError(kind: .cannotOpen, message: "\(path) cannot keep a write-ahead log; is it on a local disk?")
            }
        }
        try executeScript(
            """
            PRAGMA synchronous = FULL;
            PRAGMA foreign_keys = ON;
            PRAGMA recursive_triggers = ON;
            PRAGMA temp_store = MEMORY;
            PRAGMA journal_size_limit = \(SQLiteCheckpoints.walBytesKept);
            """)
        if role == .reader { try executeScript("PRAGMA query_only = ON; PRAGMA cache_size = -1024;") }
        // A first read opens the log, so that the connection counts among its users: the last of them to close empties it.
        _ = try rows("SELECT count(*) FROM sqlite_schema", [], atMost: 1)
        quittance_set_authorizer(handle, cells)
        quittance_watch_wal(handle, cells + 1)
    }

    // MARK: Statements

    func execute(_ sql: String, _ bindings: [SQLValue]) throws(DatabaseError) -> Int {
        let before = sqlite3_total_changes64(handle)
        try run(sql, bindings) { _ in true }
        // Statements that change no row (CREATE TABLE) leave SQLite's count of the statement before.
        return sqlite3_total_changes64(handle) == before ? 0 : Int(sqlite3_changes64(handle))
    }

    func rows(_ sql: String, _ bindings: [SQLValue], atMost: Int) throws(DatabaseError) -> [Row] {
        var rows: [Row] = []
        try run(sql, bindings) { statement in
            if rows.count < atMost { rows.append(statement.row()) }
            // A statement with RETURNING has done all its work at its first row, but must be run to its end to be complete.
            return rows.count < atMost || sqlite3_stmt_readonly(statement.handle) == 0
        }
        return rows
    }

    func forEach(_ sql: String, _ bindings: [SQLValue], _ body: (Row) throws -> Void) throws {
        var failure: (any Error)?
        try run(sql, bindings) { statement in
            do {
                try body(statement.row())
                return true
            } catch {
                failure = error
                return false
            }
        }
        if let failure { throw failure }
    }

    func executeScript(_ sql: String) throws(DatabaseError) {
        try checkAlive()
        let code = sqlite3_exec(handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw failed(code, sql: nil) }
    }

    func lock(_ table: String, column: String, _ ids: [String]) throws(DatabaseError) {
        // BEGIN IMMEDIATE has locked everything already.
    }

    /// Steps a statement to its end, or until `each` has seen enough rows.
    private func run(_ sql: String, _ bindings: [SQLValue], each: (SQLiteStatement) -> Bool) throws(DatabaseError) {
        try checkAlive()
        let statement = try statement(sql)
        defer { giveBack(statement) }
        try statement.bind(bindings)
        while true {
            switch sqlite3_step(statement.handle) {
            case SQLITE_ROW: if !each(statement) { return }
            case SQLITE_DONE: return
            case let code: throw failed(code, sql: sql)
            }
        }
    }

    var cachedStatements: Int { cache.count }

    private func statement(_ sql: String) throws(DatabaseError) -> SQLiteStatement {
        if let found = cache.find(sql) {
            if !found.inUse {
                found.inUse = true
                return found
            }
            // The same text within its own forEach: a statement of its own, not kept.
            return try prepare(sql)
        }
        let prepared = try prepare(sql)
        prepared.inUse = true
        cache.keep(prepared)
        return prepared
    }

    private func giveBack(_ statement: SQLiteStatement) {
        statement.reset()
        statement.inUse = false
    }

    private func prepare(_ sql: String) throws(DatabaseError) -> SQLiteStatement {
        var made: OpaquePointer?
        var restIsEmpty = true
        var text = sql
        let code = text.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) { characters in
                var tail: UnsafePointer<CChar>?
                let code = sqlite3_prepare_v3(
                    handle, characters.baseAddress, Int32(characters.count), UInt32(SQLITE_PREPARE_PERSISTENT), &made, &tail)
                if code == SQLITE_OK, let tail, let start = characters.baseAddress {
                    let rest = characters[(tail - start)...]
                    restIsEmpty = rest.allSatisfy { $0 == 0x20 || (0x09...0x0d).contains($0) || $0 == 0x3b }
                }
                return code
            }
        }
        guard code == SQLITE_OK else { throw failed(code, sql: sql) }
        guard let made, restIsEmpty else {
            sqlite3_finalize(made)
            throw DatabaseError(kind: .statement, message: "exactly one statement is wanted", sql: sql)
        }
        return try SQLiteStatement(handle: made, sql: sql)
    }

    /// The error of a failed call. SQLite ends the whole transaction by itself on some of them (full, I/O, memory): then every
    /// further statement of this transaction is refused, since each would be a transaction of its own.
    private func failed(_ code: Int32, sql: String?) -> DatabaseError {
        let error = DatabaseError(sqlite: code, message: String(cString: sqlite3_errmsg(handle)), sql: sql)
        if inTransaction && sqlite3_get_autocommit(handle) != 0 {
            inTransaction = false
            loss = error
        }
        return error
    }

    private func checkAlive() throws(DatabaseError) {
        if let loss { throw loss }
    }

    // MARK: Transactions

    /// Whether a closure has the connection: it may then neither end the transaction nor attach files.
    var isLent: Bool {
        get { cells[0] != 0 }
        set { cells[0] = newValue ? 1 : 0 }
    }

    func beginImmediate() throws(DatabaseError) { try begin("BEGIN IMMEDIATE") }

    func beginSnapshot() throws(DatabaseError) { try begin("BEGIN DEFERRED") }

    private func begin(_ sql: String) throws(DatabaseError) {
        loss = nil
        try control(sql)
        inTransaction = true
    }

    func commit() throws(DatabaseError) {
        try control("COMMIT")
        inTransaction = false
    }

    /// Ends the transaction without its changes.
    /// - Returns: whether the connection is out of the transaction; otherwise it is of no use any more.
    func rollback() -> Bool {
        loss = nil
        if sqlite3_get_autocommit(handle) == 0 { try? control("ROLLBACK") }
        inTransaction = false
        loss = nil
        return sqlite3_get_autocommit(handle) != 0
    }

    /// Undoes everything since the transaction began, and begins it anew.
    func beginAgain() throws(DatabaseError) {
        guard rollback() else { throw DatabaseError(kind: .inputOutput, message: "the transaction cannot be ended") }
        try beginImmediate()
    }

    func beginSavepoint() throws(DatabaseError) { try control("SAVEPOINT unit") }
    func releaseSavepoint() throws(DatabaseError) { try control("RELEASE unit") }

    func rollbackSavepoint() throws(DatabaseError) {
        try control("ROLLBACK TO unit")
        try control("RELEASE unit")
    }

    /// Whether a deferred foreign key is still unresolved, which would make COMMIT fail.
    var hasUnresolvedForeignKeys: Bool {
        var current: Int32 = 0
        var highest: Int32 = 0
        return sqlite3_db_status(handle, SQLITE_DBSTATUS_DEFERRED_FKS, &current, &highest, 0) == SQLITE_OK && current != 0
    }

    /// Runs one of our own transaction statements, also while the connection is lent.
    private func control(_ sql: String) throws(DatabaseError) {
        try checkAlive()
        let wasLent = isLent
        isLent = false
        defer { isLent = wasLent }
        let statement: SQLiteStatement
        if let found = controls.find(sql) {
            statement = found
        } else {
            statement = try prepare(sql)
            controls.keep(statement)
        }
        let code = sqlite3_step(statement.handle)
        let error = code == SQLITE_DONE ? nil : failed(code, sql: sql)
        statement.reset()
        if let error { throw error }
    }

    // MARK: The file

    /// How long to wait for a lock that another connection holds.
    func waitWhenBusy(_ duration: Duration) {
        sqlite3_busy_timeout(handle, Int32(clamping: duration.milliseconds))
    }

    /// Pages in the write-ahead log after this connection's last commit.
    var walPages: Int { Int(cells[1]) }

    func pageSize() throws(DatabaseError) -> Int {
        guard case .integer(let size)? = try rows("PRAGMA page_size", [], atMost: 1).first?.values.first else { return 4096 }
        return Int(size)
    }

    enum Checkpoint {
        /// As far as possible without waiting for anybody.
        case passive
        /// To the end, waiting for readers and writers, and the log emptied.
        case truncate
    }

    /// Moves the log's pages into the file.
    /// - Returns: whether all of the log was moved.
    func checkpoint(_ how: Checkpoint) throws(DatabaseError) -> Bool {
        var logged: Int32 = 0
        var moved: Int32 = 0
        let mode = how == .passive ? SQLITE_CHECKPOINT_PASSIVE : SQLITE_CHECKPOINT_TRUNCATE
        let code = sqlite3_wal_checkpoint_v2(handle, "main", mode, &logged, &moved)
        guard code == SQLITE_OK else { throw failed(code, sql: nil) }
        return logged == moved
    }

    /// Copies the whole database, as of one moment, into a new file.
    func backup(to path: String) throws(DatabaseError) {
        var opened: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        let code = sqlite3_open_v2(path, &opened, flags, nil)
        defer { sqlite3_close_v2(opened) }
        guard code == SQLITE_OK, let opened else {
            throw DatabaseError(sqlite: code, message: "\(path): \(String(cString: sqlite3_errstr(code)))")
        }
        guard let backup = sqlite3_backup_init(opened, "main", handle, "main") else {
            throw DatabaseError(sqlite: sqlite3_extended_errcode(opened), message: String(cString: sqlite3_errmsg(opened)))
        }
        // One step holds one snapshot; in WAL mode that keeps no writer waiting.
        sqlite3_backup_step(backup, -1)
        let result = sqlite3_backup_finish(backup)
        guard result == SQLITE_OK else {
            throw DatabaseError(sqlite: result, message: "\(path): \(String(cString: sqlite3_errstr(result)))")
        }
    }
}
