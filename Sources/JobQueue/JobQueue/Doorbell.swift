import Synchronization

/// Wakes one waiting task. Rings while nobody waits are remembered as one.
final class Doorbell: Sendable {
    private struct State {
        var rung = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())
    /// Whether ``State/rung`` is set. Whoever rings has said before, under a lock of its own, what it rings for; the waiter takes that lock
    /// after it has unset this. So a ring that finds it set may go: the waiter will still come by.
    private let isRung = Atomic<Bool>(false)

    func ring() {
        if isRung.load(ordering: .acquiring) { return }
        let waiter = state.withLock { state in
            let waiter = state.waiter
            state.waiter = nil
            if waiter == nil {
                state.rung = true
                isRung.store(true, ordering: .releasing)
            }
            return waiter
        }
        waiter?.resume()
    }

    /// Returns at the next ring, or at once when it has rung since the last wait. One waiter at a time.
    func wait() async {
        await withCheckedContinuation { continuation in
            let resumeNow = state.withLock { state in
                if state.rung {
                    state.rung = false
                    isRung.store(false, ordering: .releasing)
                    return true
                }
                precondition(state.waiter == nil, "a doorbell has one waiter")
                state.waiter = continuation
                return false
            }
            if resumeNow { continuation.resume() }
        }
    }
}

/// Something that happens once, and that many may wait for until a deadline.
final class Milestone: Sendable {
    private struct State {
        var reached = false
        var nextID = 0
        var waiters: [Int: CheckedContinuation<Bool, Never>] = [:]
    }

    private let state = Mutex(State())

    var isReached: Bool { state.withLock { $0.reached } }

    func reach() {
        let waiters = state.withLock { state in
            state.reached = true
            defer { state.waiters = [:] }
            return state.waiters.values
        }
        for waiter in waiters { waiter.resume(returning: true) }
    }

    /// - Returns: false when `deadline` came first.
    func wait(until deadline: ContinuousClock.Instant) async -> Bool {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        let alarm = Task {
            try? await Task.sleep(until: deadline, clock: .continuous)
            self.giveUp(id)
        }
        defer { alarm.cancel() }
        return await withCheckedContinuation { continuation in
            let answer: Bool? = state.withLock { state in
                if state.reached { return true }
                // The alarm may have gone off before we came here.
                if ContinuousClock.now >= deadline { return false }
                state.waiters[id] = continuation
                return nil
            }
            if let answer { continuation.resume(returning: answer) }
        }
    }

    private func giveUp(_ id: Int) {
        state.withLock { $0.waiters.removeValue(forKey: id) }?.resume(returning: false)
    }
}
