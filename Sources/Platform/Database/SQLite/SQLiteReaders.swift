import EventLoop
import Telemetry

#if canImport(Glibc)
    import Glibc
#endif

/// A few threads that read, each with a connection of its own that cannot write. Each call sees one snapshot.
final class SQLiteReaders: Sendable {
    static let waitingMax = 65_536

    enum Work: Sendable {
        case read(any DatabaseCall)
        /// Work on the file itself, outside a transaction: a checkpoint, a backup.
        case maintain(@Sendable (SQLiteSession) -> Void)
    }

    /// Carries a session into its thread, which takes it out. `@unchecked Sendable`: nobody else touches it.
    private final class Handover: @unchecked Sendable {
        private var session: SQLiteSession?
        init(_ session: SQLiteSession) { self.session = session }
        func take() -> SQLiteSession? {
            defer { session = nil }
            return session
        }
    }

    private let queue = CallQueue<Work>(itemsMax: waitingMax)

    func submit(_ work: Work) throws(DatabaseError) { try queue.push(work) }

    /// Refuses further calls; those that wait are still carried out.
    func close() { queue.close() }

    /// Starts a thread for each session; each ends after ``close()`` with `onEnd` as its last act.
    func start(_ sessions: [SQLiteSession], onEnd: @escaping @Sendable () -> Void) {
        for session in sessions {
            let handover = Handover(session)
            let thread = ThreadLaunch.start(name: "sql-reader") { [queue] in
                // The connection is closed when this returns, before anybody learns of the end.
                if let session = handover.take() { SQLiteReaders.serve(queue, session) }
                onEnd()
            }
            pthread_detach(thread)
        }
    }

    private static func serve(_ queue: CallQueue<Work>, _ session: consuming SQLiteSession) {
        let session = session
        while let work = queue.next() {
            switch work {
            case .read(let call): if call.begin() { read(call, session) }
            case .maintain(let body): body(session)
            }
        }
    }

    private static func read(_ call: any DatabaseCall, _ session: SQLiteSession) {
        do {
            try session.beginSnapshot()
            session.isLent = true
            defer {
                session.isLent = false
                // Nothing was changed, so the way out does not matter; a rollback cannot fail for want of room.
                _ = session.rollback()
            }
            try call.run(Connection(session: session, isWriter: false))
        } catch {
            return call.fail(error)
        }
        call.succeed()
    }
}
