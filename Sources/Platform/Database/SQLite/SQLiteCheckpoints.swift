import Synchronization

/// When the write-ahead log is moved into the file. SQLite's own automatic checkpoint is off: it would run inside a commit, while
/// the other processes wait for their turn.
///
/// Under steady load a checkpoint beside the writers never reaches the end of the log, and only a log that was moved to its end begins
/// anew. So there are three steps, each dearer to others than the one before. `<file>.checkpoint` is locked by whoever is at it, since
/// SQLite refuses a second one at once; taken before the writers' turn, never within it.
struct SQLiteCheckpoints {
    /// From here on the log is moved, as far as possible, by a reader's thread and outside the writers' lock.
    static let besidePages = 1000
    /// From here on the rest is moved within our turn, which takes a few milliseconds because most was moved beside the writers.
    static let inTurnPages = 3000
    /// A log that begins anew is cut to this length.
    static let walBytesKept = 16 << 20
    /// A log longer than this is also emptied within our turn, which waits for readers no longer than ``truncateWait``.
    static let walBytesMax = 64 << 20
    static let truncateWait: Duration = .milliseconds(200)

    enum Step { case beside, inTurn, truncate }

    private let readers: SQLiteReaders
    private let pageSize: Int
    private let beside: Beside
    private let lock: LockFile
    private var lastPages = 0
    private var lastInTurnPages = 0

    /// What the reader's thread needs; one checkpoint beside the writers per process at a time.
    private final class Beside: Sendable {
        let running = Atomic<Bool>(false)
        let lock: LockFile
        init(lock: LockFile) { self.lock = lock }
    }

    init(databasePath: String, readers: SQLiteReaders, pageSize: Int) throws(DatabaseError) {
        self.readers = readers
        self.pageSize = pageSize
        // Two descriptors, since our two threads exclude each other too.
        lock = try LockFile(databasePath + ".checkpoint")
        beside = Beside(lock: try LockFile(databasePath + ".checkpoint"))
    }

    /// Looks at the log's length after a group, and has it moved when that is due.
    mutating func afterCommit(_ session: SQLiteSession, _ turnstile: Turnstile) {
        switch step(pages: session.walPages) {
        case .beside: moveBeside()
        case .inTurn: moveInTurn(session, turnstile, cutting: false)
        case .truncate: moveInTurn(session, turnstile, cutting: true)
        case nil: break
        }
    }

    /// What is due for a log of so many pages; not the same again before it has grown further.
    mutating func step(pages: Int) -> Step? {
        if pages < lastPages {
            // The log began anew.
            lastPages = 0
            lastInTurnPages = 0
        }
        if pages >= SQLiteCheckpoints.inTurnPages && pages >= lastInTurnPages + SQLiteCheckpoints.besidePages {
            lastPages = pages
            lastInTurnPages = pages
            return pages * pageSize > SQLiteCheckpoints.walBytesMax ? .truncate : .inTurn
        }
        if pages >= SQLiteCheckpoints.besidePages && pages >= lastPages + SQLiteCheckpoints.besidePages / 4 {
            lastPages = pages
            return .beside
        }
        return nil
    }

    private func moveBeside() {
        let beside = beside
        guard !beside.running.exchange(true, ordering: .acquiringAndReleasing) else { return }
        do {
            try readers.submit(
                .maintain { session in
                    // Taken when another one is at it: then it is being done.
                    if beside.lock.tryLock() {
                        _ = try? session.checkpoint(.passive)
                        beside.lock.unlock()
                    }
                    beside.running.store(false, ordering: .releasing)
                })
        } catch {
            // Closing: the last connection empties the log.
            beside.running.store(false, ordering: .releasing)
        }
    }

    private func moveInTurn(_ session: SQLiteSession, _ turnstile: Turnstile, cutting: Bool) {
        guard (try? lock.lock()) != nil else { return }
        defer { lock.unlock() }
        // Most of it first, while others may write.
        _ = try? session.checkpoint(.passive)
        guard (try? turnstile.enter()) != nil else { return }
        defer { turnstile.leave() }
        guard cutting else {
            _ = try? session.checkpoint(.passive)
            return
        }
        session.waitWhenBusy(SQLiteCheckpoints.truncateWait)
        // Busy when a reader is long: tried again after more commits.
        _ = try? session.checkpoint(.truncate)
        session.waitWhenBusy(SQLiteSession.busyTimeout)
    }
}
