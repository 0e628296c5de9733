import EventLoop
import Telemetry

#if canImport(Glibc)
    import Glibc
#endif

/// The one writing connection of a process, on a thread of its own.
///
/// All closures that wait share one transaction and one fsync, and one that throws undoes only its own part. The callers learn their
/// outcome after the commit; a commit that fails, fails all of them.
///
/// The first of a group needs no savepoint: nothing is before it, so the transaction itself is what it undoes. That matters for large ones.
/// Within a savepoint SQLite copies each page before it changes it, and searches the list of copies from its start at many statements.
///
/// `@unchecked Sendable`: `session`, `turnstile` and `checkpoints` belong to the writer's thread from ``start(onEnd:)`` on.
final class SQLiteWriter: @unchecked Sendable {
    static let waitingMax = 65_536

    private let path: String
    private let limits: GroupLimits
    private let log: Log
    private let queue = CallQueue<any DatabaseCall>(itemsMax: waitingMax)
    private var session: SQLiteSession?
    private let turnstile: Turnstile
    private var checkpoints: SQLiteCheckpoints

    init(path: String, session: SQLiteSession, turnstile: Turnstile, checkpoints: SQLiteCheckpoints, limits: GroupLimits, log: Log) {
        self.path = path
        self.session = session
        self.turnstile = turnstile
        self.checkpoints = checkpoints
        self.limits = limits
        self.log = log
    }

    func submit(_ call: any DatabaseCall) throws(DatabaseError) { try queue.push(call) }

    var waiting: Int { queue.count }

    /// Refuses further calls; those that wait are still carried out.
    func close() { queue.close() }

    /// Starts the thread, which ends after ``close()`` with `onEnd` as its last act.
    func start(onEnd: @escaping @Sendable () -> Void) {
        let thread = ThreadLaunch.start(name: "sql-writer") { [self] in
            while let call = queue.next() {
                serve(call)
                if let session { checkpoints.afterCommit(session, turnstile) }
            }
            // The last connection to close empties the log into the file: in turn, so that nobody opening meanwhile finds it busy.
            try? turnstile.enter()
            session = nil
            turnstile.leave()
            onEnd()
        }
        pthread_detach(thread)
    }

    // MARK: One group

    private enum Outcome {
        case done
        case failed(any Error)
        /// SQLite gave up the whole transaction, the work of earlier closures with it.
        case lost(any Error, DatabaseError)
    }

    private func serve(_ first: any DatabaseCall) {
        let connection: Connection
        let session: SQLiteSession
        do {
            try turnstile.enter()
            session = try openSession()
            try session.beginImmediate()
            connection = Connection(session: session, isWriter: true)
        } catch {
            turnstile.leave()
            log.warning("the database refuses a write", ["error": .string("\(error)")])
            failWaiting(first, error)
            return
        }
        let began = ContinuousClock.now
        var done: [any DatabaseCall] = []
        var failed: [(any DatabaseCall, any Error)] = []
        var loss: DatabaseError?
        var next: (any DatabaseCall)? = first
        while let call = next {
            if call.begin() {
                SQLiteMetrics.shared.waited(ContinuousClock.now - call.submittedAt)
                switch run(call, isFirst: done.isEmpty && failed.isEmpty, connection, session) {
                case .done: done.append(call)
                case .failed(let error): failed.append((call, error))
                case .lost(let error, let cause):
                    call.fail(error)
                    loss = cause
                }
            }
            guard loss == nil, done.count + failed.count < limits.callsMax, ContinuousClock.now - began < limits.time else { break }
            next = queue.poll()
        }
        if loss == nil {
            do {
                try session.commit()
            } catch {
                loss = error
            }
        }
        if loss != nil && !session.rollback() { self.session = nil }
        let ended = ContinuousClock.now
        turnstile.leave()

        if let loss {
            SQLiteMetrics.shared.groupUndone()
            log.warning("a group of writes was undone", ["error": .string("\(loss)"), "writes": .int(Int64(done.count + failed.count))])
            // Also those that threw by themselves: what they read may have been work that is now undone.
            let answer = loss.forNeighbours
            for call in done + failed.map(\.0) { call.fail(answer) }
            return
        }
        SQLiteMetrics.shared.committed(writes: done.count, in: ended - began, walPages: session.walPages)
        for callback in connection.takeCallbacks() { callback() }
        for call in done { call.succeed() }
        for (call, error) in failed { call.fail(error) }
    }

    private func run(_ call: any DatabaseCall, isFirst: Bool, _ connection: Connection, _ session: SQLiteSession) -> Outcome {
        let mark = connection.callbackCount
        var failure: (any Error)?
        do {
            if !isFirst { try session.beginSavepoint() }
        } catch {
            return .lost(error, session.loss ?? error)
        }
        do {
            session.isLent = true
            defer { session.isLent = false }
            try call.run(connection)
            if session.hasUnresolvedForeignKeys {
                throw DatabaseError(kind: .foreignKeyViolation, message: "FOREIGN KEY constraint failed")
            }
        } catch {
            failure = error
        }
        // A closure may have swallowed the error that ended the transaction.
        if let loss = session.loss { return .lost(failure ?? loss, loss) }
        do {
            guard let failure else {
                if !isFirst { try session.releaseSavepoint() }
                return .done
            }
            connection.forgetCallbacks(after: mark)
            if isFirst { try session.beginAgain() } else { try session.rollbackSavepoint() }
            return .failed(failure)
        } catch {
            return .lost(failure ?? error, session.loss ?? error)
        }
    }

    /// The connection, opened anew when the last one could not get out of its transaction. Within our turn.
    private func openSession() throws(DatabaseError) -> SQLiteSession {
        if let session { return session }
        let opened = try SQLiteSession.open(path: path, role: .writer)
        session = opened
        return opened
    }

    /// Answers those that wait now with the reason why no transaction could begin.
    private func failWaiting(_ first: any DatabaseCall, _ error: DatabaseError) {
        var next: (any DatabaseCall)? = first
        for _ in 0..<limits.callsMax {
            guard let call = next else { return }
            call.fail(error)
            next = queue.poll()
        }
        next?.fail(error)
    }
}

extension DatabaseError {
    /// What the other callers of a group get when the group is undone: for them a retry helps, even where it does not help the one
    /// whose statement was the cause.
    fileprivate var forNeighbours: DatabaseError {
        isTransient
            ? self
            : DatabaseError(kind: .interrupted, code: code, message: "another write ended the transaction that this one shared: \(message)")
    }
}
