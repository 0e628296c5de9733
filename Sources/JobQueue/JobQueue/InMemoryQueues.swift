import Synchronization

/// All queues of one process in memory, for unit tests.
public final class InMemoryQueues: CronDirectory {
    private let clock: JobClock
    private let drivers = Mutex<[String: InMemoryDriver]>([:])
    private let cronStores = Mutex<[String: InMemoryCronStore]>([:])

    public init(clock: JobClock = .system) { self.clock = clock }

    public func driver(of queue: String) -> any QueueDriver { memoryDriver(of: queue) }

    public func memoryDriver(of queue: String) -> InMemoryDriver {
        drivers.withLock { drivers in
            if let known = drivers[queue] { return known }
            let made = InMemoryDriver(queue: queue, clock: clock)
            drivers[queue] = made
            return made
        }
    }

    public func cronStore(of queue: String) -> InMemoryCronStore {
        cronStores.withLock { stores in
            if let known = stores[queue] { return known }
            let made = InMemoryCronStore(driver: memoryDriver(of: queue), clock: clock)
            stores[queue] = made
            return made
        }
    }
}
