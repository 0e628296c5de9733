import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// SIGTERM and SIGINT as calls, on a thread of their own.
///
/// Waiting with `sigwait` while every thread has them blocked is not enough: an async `main` gives its thread to the system's
/// queue, which unblocks every signal there and would let the default action end the program. So a handler is installed; all
/// it does is pass the number through a pipe.
public enum ProcessSignals {
    /// To be called first thing in `main`, before any thread exists, so that every thread inherits the mask: a signal then
    /// interrupts no call of a working thread. SIGPIPE is ignored: a closed socket is an error code, not the end of the program.
    public static func prepare() {
        signal(SIGPIPE, SIG_IGN)
        var set = signalSet()
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    public final class Listener: Sendable {
        fileprivate let handler: Mutex<(@Sendable (String) -> Void)?>
        fileprivate init(_ handler: @escaping @Sendable (String) -> Void) { self.handler = Mutex(handler) }
        public func forget() { handler.withLock { $0 = nil } }
    }

    /// Calls `handler` with the signal's name whenever SIGTERM or SIGINT arrives, until the listener forgets.
    public static func listen(_ handler: @escaping @Sendable (String) -> Void) -> Listener {
        let listener = Listener(handler)
        listeners.withLock { listeners in
            listeners.removeAll { $0.handler.withLock { $0 == nil } }
            listeners.append(listener)
        }
        _ = installed
        return listener
    }

    private static let listeners = Mutex<[Listener]>([])

    /// The thread and the handlers, once per process.
    private static let installed: Void = {
        let pipe = signalPipe
        guard pipe.read >= 0 else { return }
        _ = ThreadLaunch.start(name: "signals") {
            var set = signalSet()
            pthread_sigmask(SIG_UNBLOCK, &set, nil)
            while true {
                var number: UInt8 = 0
                let count = read(pipe.read, &number, 1)
                if count == 1 { tell(number == UInt8(SIGINT) ? "SIGINT" : "SIGTERM") } else if count == 0 || errno != EINTR { return }
            }
        }
        var action = sigaction()
        action.__sigaction_handler.sa_handler = passOn
        action.sa_flags = SA_RESTART
        for number in [SIGTERM, SIGINT] { sigaction(number, &action, nil) }
    }()

    private static func tell(_ name: String) {
        let now = listeners.withLock { $0 }
        for listener in now { listener.handler.withLock { $0 }?(name) }
    }

    private static func signalSet() -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGTERM)
        sigaddset(&set, SIGINT)
        return set
    }
}

/// Read before a handler exists, so that the handler finds it made.
private let signalPipe: (read: Int32, write: Int32) = {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { return (-1, -1) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return (ends[0], ends[1])
}()

/// Only what a signal handler may do: one write, and errno left as it was.
private func passOn(_ number: Int32) {
    let before = errno
    var byte = UInt8(truncatingIfNeeded: number)
    _ = write(signalPipe.write, &byte, 1)
    errno = before
}
