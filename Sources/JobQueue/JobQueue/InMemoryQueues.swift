import Synchronization

/// All queues of one process in memory, for unit tests.
public final class InMemoryQueues: QueueDirectory {
    private let clock: JobClock
    private let drivers = Mutex<[String: InMemoryDriver]>([:])

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
}
