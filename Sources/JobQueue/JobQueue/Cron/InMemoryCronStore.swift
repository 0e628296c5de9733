import Synchronization

/// The cron entries of a queue in memory, for unit tests: the contract of ``CronStore`` on a clock that can be turned.
public final class InMemoryCronStore: CronStore {
    private struct Entry {
        var lastMs: Int64
        var firedMs: Int64?
        var isPaused = false
        /// Schedule → when it became known.
        var since: [String: Int64] = [:]
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var extras: Set<String> = []
    }

    private let driver: InMemoryDriver
    private let clock: JobClock
    private let state = Mutex(State())

    public var queue: String { driver.queue }

    /// - Parameter clock: the driver's.
    public init(driver: InMemoryDriver, clock: JobClock = .system) {
        self.driver = driver
        self.clock = clock
    }

    public func look(at entries: [CronEntryKey]) async throws(QueueDriverError) -> CronLook {
        let now = clock.now()
        let states = state.withLock { state in
            entries.map { key in
                var entry = state.entries[key.name] ?? Entry(lastMs: now)
                let since = entry.since[key.schedule] ?? (entry.since.isEmpty ? entry.lastMs : now)
                entry.since[key.schedule] = since
                state.entries[key.name] = entry
                return CronState(lastMs: max(entry.lastMs, since), isPaused: entry.isPaused, firedMs: entry.firedMs)
            }
        }
        return CronLook(nowMs: now, states: states)
    }

    public func fire(_ firing: CronFiring) async throws(QueueDriverError) -> CronFired {
        let now = clock.now()
        return state.withLock { state in
            var fired = CronFired(nowMs: now)
            guard var entry = state.entries[firing.entry], !entry.isPaused else { return fired }
            for tick in firing.ticks where tick.atMs > entry.lastMs && tick.atMs <= now {
                let isPut = driver.put(tick.body, owning: firing.overlap == .allow ? nil : (key: tick.unique, job: tick.job))
                if !isPut && firing.overlap == .queueOne {
                    fired.isWaiting = true
                    break
                }
                entry.lastMs = tick.atMs
                if isPut {
                    entry.firedMs = tick.atMs
                    fired.firedMs.append(tick.atMs)
                } else {
                    fired.skippedMs.append(tick.atMs)
                }
            }
            state.entries[firing.entry] = entry
            return fired
        }
    }

    public func runNow(entry: String, name: String, body: [UInt8]) async throws(QueueDriverError) -> Bool {
        guard state.withLock({ $0.extras.insert("\(entry):\(name)").inserted }) else { return false }
        try await driver.enqueue([EnqueueItem(body: body)])
        return true
    }

    public func setPaused(_ isPaused: Bool, entry: String) async throws(QueueDriverError) -> Bool {
        let now = clock.now()
        return state.withLock { state in
            guard let known = state.entries[entry], known.isPaused != isPaused else { return false }
            state.entries[entry]?.isPaused = isPaused
            if !isPaused { state.entries[entry]?.lastMs = max(known.lastMs, now) }
            return true
        }
    }
}
