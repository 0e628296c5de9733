import CSQLite
import Formats
import Synchronization
import Telemetry

#if canImport(Glibc)
    import Glibc
#endif

/// SQLite under the common contract: one writer, some readers, one file.
final class SQLiteDriver: DatabaseDriver {
    private let path: String
    private let writer: SQLiteWriter
    private let readers: SQLiteReaders
    private let ending: Mutex<Ending>

    /// Threads that still run, and who waits for their end.
    private struct Ending {
        var readers: Int
        var writer = true
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    init(path: String, readers count: Int, limits: GroupLimits, log: Log) throws(DatabaseError) {
        precondition((1...64).contains(count), "1 to 64 readers")
        guard !path.isEmpty, !path.hasPrefix(":") else {
            throw DatabaseError(kind: .cannotOpen, message: "SQLite needs a file's path, since several processes share it")
        }
        do throws(FileError) { try FolderPath.make(FolderPath.parent(of: path)) } catch {
            throw DatabaseError(kind: .cannotOpen, message: error.description)
        }
        var status = stat()
        guard stat(path, &status) != 0 || status.st_mode & S_IFMT == S_IFREG else {
            throw DatabaseError(kind: .cannotOpen, message: "\(path) is not a file")
        }
        self.path = path
        let turnstile = try Turnstile(databasePath: path)
        // In turn: the first process changes the file to WAL, and the log of one that died may have to be recovered.
        try turnstile.enter()
        defer { turnstile.leave() }
        let session = try SQLiteSession.open(path: path, role: .writer)
        var sessions: [SQLiteSession] = []
        for _ in 0..<count { sessions.append(try SQLiteSession.open(path: path, role: .reader)) }
        readers = SQLiteReaders()
        let checkpoints = try SQLiteCheckpoints(databasePath: path, readers: readers, pageSize: session.pageSize())
        writer = SQLiteWriter(path: path, session: session, turnstile: turnstile, checkpoints: checkpoints, limits: limits, log: log)
        ending = Mutex(Ending(readers: count))
        readers.start(sessions) { [self] in readerEnded() }
        writer.start { [self] in writerEnded() }
    }

    func submitWrite(_ call: any DatabaseCall) throws(DatabaseError) { try writer.submit(call) }
    var waitingWrites: Int { writer.waiting }
    func submitRead(_ call: any DatabaseCall) throws(DatabaseError) { try readers.submit(.read(call)) }

    func beginClose() {
        // The readers first: the writer closes after them, as the last connection.
        readers.close()
        if ending.withLock({ $0.readers == 0 }) { writer.close() }
    }

    func close() async {
        beginClose()
        await withCheckedContinuation { continuation in
            let over = ending.withLock { ending in
                guard ending.writer else { return true }
                ending.waiting.append(continuation)
                return false
            }
            if over { continuation.resume() }
        }
    }

    private func readerEnded() {
        let last = ending.withLock { ending in
            ending.readers -= 1
            return ending.readers == 0
        }
        if last { writer.close() }
    }

    private func writerEnded() {
        let waiting = ending.withLock { ending in
            ending.writer = false
            defer { ending.waiting = [] }
            return ending.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    // MARK: Migrations

    func migrate(_ sets: [MigrationSet]) throws(DatabaseError) -> [AppliedMigration] {
        let turnstile = try Turnstile(databasePath: path)
        try turnstile.enter()
        defer { turnstile.leave() }
        let session = try SQLiteSession.open(path: path, role: .writer)
        return try SQLiteMigrator(session: session, path: path).migrate(sets)
    }

    func checkMigrated(_ sets: [MigrationSet]) throws(DatabaseError) {
        try SQLiteMigrator(session: SQLiteSession.open(path: path, role: .reader), path: path).check(sets)
    }

    // MARK: Compacting

    func compact() throws(DatabaseError) {
        // Whoever moves the log waits, then whoever writes; never the other way round.
        let checkpoint = try LockFile(path + ".checkpoint")
        try checkpoint.lock()
        defer { checkpoint.unlock() }
        let turnstile = try Turnstile(databasePath: path)
        try turnstile.enter()
        defer { turnstile.leave() }
        let session = try SQLiteSession.open(path: path, role: .writer)
        // The copy may be as large as the file: not in memory.
        try session.executeScript("PRAGMA temp_store = FILE; VACUUM;")
        guard try session.checkpoint(.truncate) else {
            throw DatabaseError(kind: .busy, message: "\(path) is written anew, but somebody reads from its log, which still holds what was there")
        }
    }

    // MARK: Backup

    func submitBackup(to target: String, _ answer: @escaping @Sendable (Result<Void, DatabaseError>) -> Void) {
        do {
            try readers.submit(
                .maintain { session in
                    do throws(DatabaseError) {
                        try SQLiteBackup.make(of: session, at: target)
                        answer(.success(()))
                    } catch {
                        answer(.failure(error))
                    }
                })
        } catch {
            answer(.failure(error))
        }
    }
}
