import JobQueue
import Synchronization

/// Queues in memory that remember everything that was ever put on them.
public final class TestQueues: CronDirectory, DurabilityChecking {
    private let clock: JobClock
    private let drivers = Mutex<[String: InMemoryDriver]>([:])
    private let cronStores = Mutex<[String: InMemoryCronStore]>([:])
    private let journal = Journal()

    private final class Journal: Sendable {
        let bodies = Mutex<[[UInt8]]>([])
    }

    init(clock: JobClock) { self.clock = clock }

    public func driver(of queue: String) -> any QueueDriver { memoryDriver(of: queue) }

    public func memoryDriver(of queue: String) -> InMemoryDriver {
        drivers.withLock { drivers in
            if let known = drivers[queue] { return known }
            let journal = journal
            let made = InMemoryDriver(queue: queue, clock: clock) { body in journal.bodies.withLock { $0.append(body) } }
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

    /// Pretends to keep what it is asked to keep.
    public func require(_ level: Durability) async throws(DurabilityError) {}

    /// Every job that was put on a queue, in order. Bodies that are no jobs are left out.
    public var jobs: [JobEnvelope] { journal.bodies.withLock { $0 }.compactMap { try? JobEnvelope(decoding: $0) } }

    /// What is buried on a queue, the latest first.
    public func dead(on queue: String) async throws -> [DeadJob] { try await memoryDriver(of: queue).dead(offset: 0, limit: .max) }
}
