import CSQLite

#if canImport(Glibc)
    import Glibc
#endif

/// The order in which processes write one SQLite file: whoever comes first is served first, and nobody polls.
///
/// SQLite's own busy handler sleeps and tries again, so under load one process may wait for seconds while another keeps winning.
/// Here a writer takes `<file>.gate`, waits there for `<file>.writer`, and gives the gate back: only one process at a time waits for
/// the writer's lock, and a process that has just written queues at the gate behind those that wait. The kernel gives up the locks of
/// a process that dies.
///
/// Used by one thread. The descriptors are closed with the value.
final class Turnstile {
    private let gate: Int32
    private let writer: Int32

    init(databasePath: String) throws(DatabaseError) {
        gate = try Turnstile.open(databasePath + ".gate")
        do {
            writer = try Turnstile.open(databasePath + ".writer")
        } catch {
            close(gate)
            throw error
        }
    }

    deinit {
        close(gate)
        close(writer)
    }

    /// Waits for this process's turn to write.
    func enter() throws(DatabaseError) {
        try Turnstile.lock(gate)
        defer { flock(gate, LOCK_UN) }
        try Turnstile.lock(writer)
    }

    /// Ends the turn. Harmless when it was never entered.
    func leave() { flock(writer, LOCK_UN) }

    private static func open(_ path: String) throws(DatabaseError) -> Int32 {
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw DatabaseError(kind: .cannotOpen, message: "the lock file \(path) cannot be opened: \(systemMessage(errno))")
        }
        return descriptor
    }

    private static func lock(_ descriptor: Int32) throws(DatabaseError) {
        while flock(descriptor, LOCK_EX) != 0 {
            let failure = errno
            guard failure == EINTR else {
                throw DatabaseError(kind: .inputOutput, message: "the writers' lock cannot be taken: \(systemMessage(failure))")
            }
        }
    }
}

func systemMessage(_ code: Int32) -> String { String(cString: strerror(code)) }
