import Synchronization

/// When the write-ahead log is moved into the file. SQLite's own automatic checkpoint is off: it would run inside a commit, while
/// the other processes wait for their turn.
struct SQLiteCheckpoints {
    /// From here on the log is moved, as far as possible, by a reader's thread and outside the writers' lock.
    static let passivePages = 1000
    /// A log longer than this is emptied within our turn, which waits for readers no longer than ``truncateWait``.
    static let walBytesMax = 64 << 20
    static let truncateWait: Duration = .milliseconds(200)

    private let readers: SQLiteReaders
    private let pageSize: Int
    private let running = RunningFlag()
    private var lastPages = 0
    private var lastTruncatePages = 0

    /// One checkpoint of this process at a time.
    private final class RunningFlag: Sendable { let value = Atomic<Bool>(false) }

    init(readers: SQLiteReaders, pageSize: Int) {
        self.readers = readers
        self.pageSize = pageSize
    }

    /// Looks at the log's length after a group, and has it moved when that is due.
    mutating func afterCommit(_ session: SQLiteSession, _ turnstile: Turnstile) {
        let pages = session.walPages
        if pages < lastPages {
            // The log began anew.
            lastPages = 0
            lastTruncatePages = 0
        }
        if pages * pageSize > SQLiteCheckpoints.walBytesMax && pages >= lastTruncatePages + SQLiteCheckpoints.passivePages {
            lastTruncatePages = pages
            truncate(session, turnstile)
        } else if pages >= SQLiteCheckpoints.passivePages && pages >= lastPages + SQLiteCheckpoints.passivePages / 4 {
            lastPages = pages
            passive()
        }
    }

    private func passive() {
        guard !running.value.exchange(true, ordering: .acquiringAndReleasing) else { return }
        let running = running
        do {
            try readers.submit(
                .maintain { session in
                    // Busy when another process is at it: then it is being done.
                    _ = try? session.checkpoint(.passive)
                    running.value.store(false, ordering: .releasing)
                })
        } catch {
            // Closing: the last connection empties the log.
            running.value.store(false, ordering: .releasing)
        }
    }

    private func truncate(_ session: SQLiteSession, _ turnstile: Turnstile) {
        // Most of it first, while others may write.
        _ = try? session.checkpoint(.passive)
        guard (try? turnstile.enter()) != nil else { return }
        session.waitWhenBusy(SQLiteCheckpoints.truncateWait)
        // Busy when a reader is long: tried again after more commits.
        _ = try? session.checkpoint(.truncate)
        session.waitWhenBusy(SQLiteSession.busyTimeout)
        turnstile.leave()
    }
}
