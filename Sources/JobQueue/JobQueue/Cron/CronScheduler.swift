import Formats
import Synchronization
import Telemetry

/// Puts cron jobs on their queues when they are due. Any number of schedulers may run, on machines whose clocks agree or not: the queue's
/// server says what time it is, and keeps the last tick of each entry, so each tick runs once.
public final class CronScheduler: Sendable {
    public let jobs: [CronJob]
    private let stores: [(store: any CronStore, jobs: [CronJob])]
    private let clock: JobClock
    private let log: Log
    /// Ticks whose job could not be made: told once, tried again.
    private let unmade = Mutex<Set<String>>([])

    /// How often the queues are asked when nothing is due: another scheduler, or an operator, may have changed something.
    private static let interval = Duration.seconds(1)
    private static let pauseMin = Duration.milliseconds(50)

    /// - Parameters:
    ///   - clock: only waits; what is due is for the server to say.
    ///   - store: of a queue, such as `RedisQueues.cronStore(of:)`.
    public init(jobs: [CronJob], clock: JobClock = .system, log: Log = Log("cron"), store: (String) -> any CronStore) {
        precondition(Set(jobs.map(\.name)).count == jobs.count, "two entries have one name")
        self.jobs = jobs
        self.clock = clock
        self.log = log
        stores = Dictionary(grouping: jobs, by: \.queue).sorted { $0.key < $1.key }.map { (store($0.key), $0.value) }
    }

    /// Schedules until its task is cancelled. A server that is away is waited for.
    public func run() async {
        var failures = 0
        while !Task.isCancelled {
            var pause: Duration
            do throws(QueueDriverError) {
                pause = try await look()
                failures = 0
            } catch {
                if failures == 3 { log.warning("cron entries cannot be looked at", ["error": .string(error.message)]) }
                pause = min(Self.interval, Self.pauseMin * (1 << min(failures, 10)))
                failures += 1
            }
            try? await clock.sleep(pause)
        }
    }

    /// Fires what is due.
    /// - Returns: how long nothing will be due.
    package func look() async throws(QueueDriverError) -> Duration {
        var pause = Self.interval
        for (store, jobs) in stores { pause = min(pause, try await look(at: jobs, in: store)) }
        return pause
    }

    private func look(at jobs: [CronJob], in store: any CronStore) async throws(QueueDriverError) -> Duration {
        let look = try await store.look(at: jobs.map { CronEntryKey(name: $0.name, schedule: $0.schedule.description) })
        let begun = ContinuousClock.now
        var next = Int64.max
        for (job, state) in zip(jobs, look.states) where !state.isPaused {
            let due = dueTicks(of: job, after: state.lastMs, nowMs: look.nowMs)
            if !due.isEmpty { try await fire(due, of: job, in: store, nowMs: look.nowMs) }
            next = min(next, job.schedule.next(after: look.nowMs) ?? .max)
        }
        guard next != .max else { return Self.interval }
        return max(.milliseconds(1), min(Self.interval, .milliseconds(next - look.nowMs) - begun.duration(to: .now)))
    }

    private func dueTicks(of job: CronJob, after last: Int64, nowMs: Int64) -> [Int64] {
        let due = job.catchUp.due(job.schedule, after: last, nowMs: nowMs)
        // One may wait: the latest.
        return job.overlap == .queueOne ? due.suffix(1) : due
    }

    private func fire(_ due: [Int64], of job: CronJob, in store: any CronStore, nowMs: Int64) async throws(QueueDriverError) {
        var ticks: [CronFiring.Tick] = []
        for atMs in due {
            let tick = CronTick(entry: job.name, atMs: atMs, zone: job.schedule.zone, extra: nil)
            do {
                ticks.append(try job.firing(tick, nowMs: nowMs))
            } catch {
                // Later ticks wait with it: firing them would pass it over.
                note(tick, "\(error)")
                break
            }
        }
        guard !ticks.isEmpty else { return }
        let fired = try await store.fire(CronFiring(entry: job.name, ticks: ticks, overlap: job.overlap))
        for tick in fired.firedMs {
            CronMetrics.late(job.name).observe(.milliseconds(max(0, fired.nowMs - tick)))
            CronMetrics.ticks(job.name, "fired").add()
            log.info("cron entry fired", ["entry": .string(job.name), "tick": .string(Timestamp.rfc3339(tick))])
        }
        for tick in fired.skippedMs {
            CronMetrics.ticks(job.name, "skipped").add()
            log.info("cron tick passed over", ["entry": .string(job.name), "tick": .string(Timestamp.rfc3339(tick))])
        }
    }

    private func note(_ tick: CronTick, _ reason: String) {
        let isNew = unmade.withLock { unmade in
            if unmade.count > 1000 { unmade = [] }
            return unmade.insert("\(tick.entry) \(tick.name)").inserted
        }
        guard isNew else { return }
        CronMetrics.ticks(tick.entry, "failed").add()
        log.error("the job of a cron entry cannot be made", ["entry": .string(tick.entry), "tick": .string(tick.name), "error": .string(reason)])
    }

    // MARK: For operators

    /// Runs an entry once more, under a name of its own.
    /// - Parameter name: the same name runs once; made up unless given.
    /// - Returns: the run, or nil when there was one of that name.
    public func runNow(_ entry: String, name: String? = nil) async throws -> CronTick? {
        let (job, store) = try find(entry)
        let nowMs = try await store.look(at: [CronEntryKey(name: job.name, schedule: job.schedule.description)]).nowMs
        let tick = CronTick(entry: entry, atMs: nowMs, zone: job.schedule.zone, extra: name ?? "extra-" + ULID.make(nowMs: nowMs))
        let body = try job.job(tick, nowMs: nowMs).encoded()
        return try await store.runNow(entry: entry, name: tick.name, body: body) ? tick : nil
    }

    /// Lets an entry rest, or run again; ticks of the pause do not come back.
    /// - Returns: false when it was so before.
    @discardableResult
    public func setPaused(_ isPaused: Bool, _ entry: String) async throws -> Bool {
        let (job, store) = try find(entry)
        _ = try await store.look(at: [CronEntryKey(name: job.name, schedule: job.schedule.description)])
        return try await store.setPaused(isPaused, entry: entry)
    }

    /// Every entry as it stands, with its next ticks.
    public func standing(next count: Int = 10) async throws(QueueDriverError) -> [CronStanding] {
        var standings: [CronStanding] = []
        for (store, jobs) in stores {
            let look = try await store.look(at: jobs.map { CronEntryKey(name: $0.name, schedule: $0.schedule.description) })
            for (job, state) in zip(jobs, look.states) {
                standings.append(CronStanding(job: job, state: state, nextMs: job.schedule.next(count, after: look.nowMs)))
            }
        }
        return standings
    }

    private func find(_ entry: String) throws(CronError) -> (CronJob, any CronStore) {
        for (store, jobs) in stores { if let job = jobs.first(where: { $0.name == entry }) { return (job, store) } }
        throw CronError(field: "entry", rule: "there is no '\(entry.prefix(100))'; the entries are \(jobs.map(\.name).joined(separator: ", "))")
    }
}

/// An entry for listings.
public struct CronStanding: Sendable {
    public let job: CronJob
    public let state: CronState
    /// The ticks to come, unix ms.
    public let nextMs: [Int64]
}

/// What is measured of cron entries.
public enum CronMetrics {
    private static let lateBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600]

    /// How long after its time a tick ran.
    public static func late(_ entry: String) -> Histogram {
        MetricRegistry.shared.histogram(
            "cron_late_seconds", help: "Time from a tick to its run.", buckets: lateBuckets, labels: [("entry", entry)])
    }

    /// Ticks of an entry by what became of them.
    public static func ticks(_ entry: String, _ outcome: String) -> Counter {
        MetricRegistry.shared.counter(
            "cron_ticks_total", help: "Ticks that this process ran, by entry and outcome.", labels: [("entry", entry), ("outcome", outcome)])
    }
}
