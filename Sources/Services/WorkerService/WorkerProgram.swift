import Database
import EventLoop
import Formats
import JobQueue
import JobQueueRedis
import Outbox
import Payments
import ProgramStart
import RedisClient
import Settings
import Telemetry

/// What every worker needs and does alike: settings, one loop, the database, the outbox with its relay, its queue, metrics.
public struct WorkerProgram: Sendable {
    public let name: String
    public let settings: Settings
    public let log: Log
    public let loop: EventLoop
    public let database: Database
    public let relay: OutboxRelay
    public let queues: any QueueDirectory
    private let slotLock: SlotLock

    public var outbox: Outbox { relay.outbox }
    /// The clock of records; leases and due times are Redis' business.
    public let nowMs: @Sendable () -> Int64 = { WallClock.nowMs }

    /// Prepares a program. What is missing or wrong is said in a sentence, and the program ends.
    public static func begin(_ name: String, migrations: [MigrationSet], sources: Settings.SourcesUse = .reading) async -> WorkerProgram {
        let (settings, log) = ProgramStart.begin(name, sources: sources)
        do {
            let lock = try SlotLock(folder: settings.varDirectory + "/slots", program: name, slot: settings.slot)
            let loop = try EventLoop.started(name: name)
            let database = try await DatabaseStart.open(settings, migrations: migrations, log: log)
            let queues = try QueueStart.directory(settings, name: name, loop: loop, log: log)
            let relay = OutboxRelay(
                slot: "\(name).\(settings.slot)", database: database, publisher: DirectoryPublisher(queues: queues), log: log)
            return WorkerProgram(
                name: name, settings: settings, log: log, loop: loop, database: database, relay: relay, queues: queues, slotLock: lock)
        } catch {
            ProgramStart.fail("\(name): \(error)")
        }
    }

    /// The worker of one queue. What the engine decides without a handler (skipped, buried) is recorded in SQL.
    public func worker(queue: String, onSkip: JobNotice? = nil, onBury: JobNotice? = nil) -> JobWorker {
        let recorder = JobOutcomeRecorder(database: database)
        let burials = BurialReport(database: database)
        let nowMs = nowMs
        return JobWorker(
            driver: queues.driver(of: queue),
            configuration: JobWorker.Configuration(
                name: "\(name)-\(settings.slot)", concurrency: settings.workerConcurrency,
                onSkip: { job, reason in
                    try await recorder.record(job, as: .skipped, reason: reason, nowMs: nowMs())
                    try await onSkip?(job, reason)
                },
                onBury: { job, reason in
                    await burials.tell(job, reason)
                    try await recorder.record(job, as: .buried, reason: reason, nowMs: nowMs())
                    try await onBury?(job, reason)
                },
                effects: Effects(store: EffectTable(database: database), owners: LeasedOwners(queues: queues), log: log), log: log))
    }

    /// The breaker of a dependency, shared with all programs that call it.
    public func breaker(_ dependency: String, isIllness: @escaping @Sendable (any Error) -> Bool) -> CircuitBreaker {
        CircuitBreaker(dependency: dependency, store: QueueStart.breakers(queues), log: log, isIllness: isIllness)
    }

    /// Runs the services, after the relay and before the metrics, until the program is asked to stop.
    public func run(_ services: [any Service]) async -> Never {
        var all: [any Service] = [relay]
        all += services
        if let address = settings.metricsAddress {
            all.append(MetricsServer.make(address: address, loop: loop, watch: watch(services), log: log))
        }
        await ProgramStart.run(all, settings: settings, log: log)
    }

    /// What the probes look at: the queues that these services work.
    private func watch(_ services: [any Service]) -> QueueWatch {
        var watched: [QueueWatch.Watched] = []
        for service in services {
            guard let working = service as? any QueueWorking else { continue }
            watched.append(QueueWatch.Watched(driver: queues.driver(of: working.queue), target: working.slots))
        }
        let others = services.compactMap { $0 as? any PulsedService }
        guard let connection = (queues as? RedisQueues)?.connection else { return QueueWatch(watched, others: others) }
        return QueueWatch(watched, others: others, isConnected: { connection.isConnected })
    }
}

/// Publishes the outbox's rows to the queues they name.
struct DirectoryPublisher: JobPublisher {
    let queues: any QueueDirectory

    func publish(_ items: [PublishItem], slot: String, queue: String) async throws {
        try await queues.driver(of: queue).publish(slot: slot, items: items)
    }

    var directory: (any QueueDirectory)? { queues }
}
