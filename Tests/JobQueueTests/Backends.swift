import Formats
import JobQueue
import TestSupport

/// What the contract tests run against.
enum Backend: String, CaseIterable, Sendable {
    case memory, redis
    /// A Redis that refuses a script whose keys are not all in one slot.
    case cluster

    static var allCases: [Backend] { [.memory, .redis] }
    /// For what touches keys in every way there is.
    static let contract: [Backend] = [.memory, .redis, .cluster]

    func bench(queue: String = uniqueQueue()) async throws -> any QueueBench {
        switch self {
        case .memory: MemoryBench(queue: queue)
        case .redis: try await RedisBench(server: SharedRedis.server(), queue: queue)
        case .cluster: try await RedisBench(server: SharedRedis.cluster(), queue: queue)
        }
    }
}

/// One queue with the means to play its surroundings.
protocol QueueBench: Sendable {
    /// The driver of one process.
    var driver: any QueueDriver { get }
    /// The driver of another process on the same queue.
    func peer() async throws -> any QueueDriver
    /// Lets time pass on the queue's server.
    func pass(_ duration: Duration) async throws
    /// The server's time, as near as a test needs it.
    var nowMs: Int64 { get }
    /// The worker stands still: it gives no sign of life any more, until it is revived.
    func silence(_ worker: WorkerIdentity, of driver: any QueueDriver) async
    func revive(_ worker: WorkerIdentity, of driver: any QueueDriver)
    /// The worker died some time ago: its lease has run out and is swept.
    func loseNow(_ worker: WorkerIdentity) async throws
}

final class MemoryBench: QueueBench {
    let clock = TurnedClock()
    let memory: InMemoryDriver
    var driver: any QueueDriver { memory }
    var nowMs: Int64 { clock.nowMs }

    init(queue: String) { memory = InMemoryDriver(queue: queue, clock: clock.clock) }

    func peer() async throws -> any QueueDriver { memory }
    func pass(_ duration: Duration) async throws { clock.turn(by: duration) }
    func silence(_ worker: WorkerIdentity, of driver: any QueueDriver) async { memory.silence(worker) }

    func revive(_ worker: WorkerIdentity, of driver: any QueueDriver) {}

    func loseNow(_ worker: WorkerIdentity) async throws {
        memory.silence(worker)
        clock.turn(by: QueueLimits.lease)
        try await memory.reclaimExpired()
    }
}

/// A queue of its own for each test.
func uniqueQueue() -> String { "q-" + ULID.make().lowercased() }

/// A body that is no job: drivers never look inside.
func body(_ text: String) -> [UInt8] { Array(text.utf8) }

func text(_ job: ClaimedJob) -> String { String(decoding: job.body, as: UTF8.self) }

extension QueueDriver {
    func put(_ texts: String...) async throws { try await enqueue(texts.map { EnqueueItem(body: body($0)) }) }

    /// A registered worker whose signals are ignored.
    func worker(_ name: String = "w") async throws -> WorkerIdentity {
        let identity = WorkerIdentity(name: name)
        try await register(identity) { _ in }
        return identity
    }

    func claim(_ worker: WorkerIdentity, _ count: Int = 10) async throws -> [ClaimedJob] {
        try await step(StepRequest(worker: worker, claimMax: count)).claimed
    }

    @discardableResult
    func tell(_ worker: WorkerIdentity, _ operations: StepOperation...) async throws -> StepResult {
        try await step(StepRequest(worker: worker, operations: operations, claimMax: 0))
    }
}

func record(_ job: ClaimedJob, _ worker: WorkerIdentity, reason: String = "broken", job id: String? = nil, nowMs: Int64 = 1) -> DeadRecord {
    DeadRecord(job: id, kind: nil, reason: reason, buriedAtMs: nowMs, worker: worker.description, body: job.body)
}
