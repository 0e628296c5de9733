import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// A child from its birth until it is reaped. Its number is signalled only while it is surely still ours: the kernel keeps it
/// for us until `waitpid`, and both happen under the same lock.
final class ChildLife: Sendable {
    let pid: pid_t

    private struct State {
        var status: ExitStatus?
        var waiting: [Int: CheckedContinuation<ExitStatus?, Never>] = [:]
        var givenUp: Set<Int> = []
        var tickets = 0
    }
    private let state = Mutex(State())

    init(pid: pid_t) { self.pid = pid }

    var status: ExitStatus? { state.withLock(\.status) }

    /// Signals the child itself.
    func signal(_ number: Int32) {
        state.withLock { if $0.status == nil { _ = kill(pid, number) } }
    }

    /// Kills the child and all that it started in its group.
    func killGroup() {
        state.withLock { if $0.status == nil { _ = kill(-pid, SIGKILL) } }
    }

    /// Blocks until the child has ended, kills what is left of its group, and reaps it. Called once, by one thread.
    func reap() {
        var information = siginfo_t()
        // WNOWAIT leaves the zombie, so that the number cannot be given to another process before the group is killed.
        while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0 && errno == EINTR {}
        let (waiting, status) = state.withLock { state in
            kill(-pid, SIGKILL)
            var raw: Int32 = 0
            while waitpid(pid, &raw, 0) < 0 && errno == EINTR {}
            let status = ExitStatus(waitStatus: raw)
            state.status = status
            defer { state.waiting = [:] }
            return (state.waiting, status)
        }
        for continuation in waiting.values { continuation.resume(returning: status) }
    }

    // MARK: Waiting without a thread

    /// The name of one wait, so that it can be given up.
    func makeTicket() -> Int {
        state.withLock { state in
            state.tickets += 1
            return state.tickets
        }
    }

    /// The child's end, or nil when the wait was given up first.
    func wait(_ ticket: Int) async -> ExitStatus? {
        await withCheckedContinuation { continuation in
            let answer: ExitStatus?? = state.withLock { state in
                if let status = state.status { return .some(status) }
                if state.givenUp.remove(ticket) != nil { return .some(nil) }
                state.waiting[ticket] = continuation
                return nil
            }
            if let answer { continuation.resume(returning: answer) }
        }
    }

    func giveUp(_ ticket: Int) {
        let continuation = state.withLock { state in
            let waiting = state.waiting.removeValue(forKey: ticket)
            if waiting == nil && state.status == nil { state.givenUp.insert(ticket) }
            return waiting
        }
        continuation?.resume(returning: nil)
    }
}
