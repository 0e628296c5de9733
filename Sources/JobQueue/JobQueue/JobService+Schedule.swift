import Synchronization
import Telemetry

/// Queues that keep cron entries too.
public protocol CronDirectory: QueueDirectory {
    associatedtype Store: CronStore
    /// The cron entries of a queue.
    func cronStore(of queue: String) -> Store
}

extension JobService {
    /// Pushes the same parameters again and again. Before the service starts, in every process that may schedule: any number of them run
    /// each tick once.
    /// - Parameters:
    ///   - schedule: `.crontab("0 4 * * sun", timeZone: "Europe/Paris")`, `.daily(hour: 4)`, `.every(.seconds(30))`.
    ///   - name: of the entry, when the kind has several schedules.
    ///   - accuracy: which of the ticks run that were missed while nobody scheduled.
    ///   - overlap: what happens to a tick while the job of the tick before has not come to its end.
    public func addScheduledJob<P: JobParameters>(
        _ parameters: P, schedule: CronSchedule, name: String = P.kind, accuracy: CronCatchUp = .latest, overlap: CronOverlap = .allow
    ) where P.PaymentRule == PaymentOptional {
        add(CronJob(name, schedule, queue: P.queue, catchUp: accuracy, overlap: overlap) { _ in try JobRequest(parameters) })
    }

    /// Adds an entry whose jobs depend on their tick. Before the service starts.
    public func addScheduledJob(_ entry: CronJob) { add(entry) }

    /// Begins a schedule that reads as English: `service.schedule(Cleanup()).weekly().on(.monday).at("3:13pm")`.
    /// - Parameters:
    ///   - name: of the entry, when the kind has several schedules.
    ///   - timeZone: by whose clocks; `try TimeZoneFolder.system.zone("Europe/Paris")`.
    public func schedule<P: JobParameters>(_ parameters: P, name: String = P.kind, timeZone: NamedTimeZone = .utc) -> ScheduleBuilder
    where P.PaymentRule == PaymentOptional {
        ScheduleBuilder { [self] expression in addScheduledJob(parameters, schedule: CronSchedule(expression, zone: timeZone), name: name) }
    }

    /// The scheduled entries, for pausing, extra runs and listings; nil when there are none.
    public var scheduler: CronScheduler? {
        scheduling.withLock { scheduling in
            if scheduling.scheduler == nil && !scheduling.entries.isEmpty, let directory = queues as? any CronDirectory {
                scheduling.scheduler = CronScheduler(jobs: scheduling.entries, clock: configuration.clock, log: configuration.log) { queue in
                    directory.cronStore(of: queue)
                }
            }
            return scheduling.scheduler
        }
    }

    private func add(_ entry: CronJob) {
        precondition(queues is any CronDirectory, "these queues keep no cron entries")
        scheduling.withLock { scheduling in
            precondition(scheduling.scheduler == nil, "scheduled jobs are added before the service starts")
            precondition(!scheduling.entries.contains { $0.name == entry.name }, "two entries are named \(entry.name): give one another name")
            scheduling.entries.append(entry)
        }
    }

    func startScheduling() {
        guard let scheduler else { return }
        scheduling.withLock { scheduling in
            if scheduling.running == nil { scheduling.running = Task { await scheduler.run() } }
        }
    }

    func stopScheduling() async {
        let running = scheduling.withLock { scheduling in
            defer { scheduling.running = nil }
            return scheduling.running
        }
        running?.cancel()
        await running?.value
    }
}

/// What a service schedules.
struct JobScheduling {
    var entries: [CronJob] = []
    var scheduler: CronScheduler?
    var running: Task<Void, Never>?
}
