import CSQLite

#if canImport(Glibc)
    import Glibc
#endif

/// The order in which processes write one SQLite file: whoever comes first is served first, and nobody polls.
///
/// SQLite's own busy handler sleeps and tries again, so under load one process may wait for seconds while another keeps winning.
/// Here a writer takes `<file>.gate`, waits there for `<file>.writer`, and gives the gate back: only one process at a time waits for
/// the writer's lock, and a process that has just written queues at the gate behind those that wait. The kernel gives up the locks of
/// a process that dies; one that is stopped (SIGSTOP) in its turn keeps the others waiting until it goes on or is killed.
///
/// Used by one thread.
final class Turnstile {
    private let gate: LockFile
    private let writer: LockFile

    init(databasePath: String) throws(DatabaseError) {
        gate = try LockFile(databasePath + ".gate")
        writer = try LockFile(databasePath + ".writer")
    }

    /// Waits for this process's turn to write.
    func enter() throws(DatabaseError) {
        try gate.lock()
        defer { gate.unlock() }
        try writer.lock()
    }

    /// Ends the turn. Harmless when it was never entered.
    func leave() { writer.unlock() }
}

/// An empty file that one holder at a time, of any process, has locked.
final class LockFile: Sendable {
    private let path: String
    private let descriptor: Int32

    init(_ path: String) throws(DatabaseError) {
        self.path = path
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw DatabaseError(kind: .cannotOpen, message: "the lock file \(path) cannot be opened: \(systemMessage(errno))")
        }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    func lock() throws(DatabaseError) {
        while flock(descriptor, LOCK_EX) != 0 {
            let failure = errno
            guard failure == EINTR else {
                throw DatabaseError(kind: .inputOutput, message: "\(path) cannot be locked: \(systemMessage(failure))")
            }
        }
    }

    /// Whether the lock was free and is ours now.
    func tryLock() -> Bool { flock(descriptor, LOCK_EX | LOCK_NB) == 0 }

    func unlock() { flock(descriptor, LOCK_UN) }
}

func systemMessage(_ code: Int32) -> String { String(cString: strerror(code)) }
