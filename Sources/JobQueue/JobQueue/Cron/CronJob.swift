import Formats

/// One job that is put on its queue again and again.
///
/// ```swift
/// CronJob("daily-report", try .cron("0 6 * * mon-fri", zone: "Europe/Paris"), queue: "reports", catchUp: .latest, overlap: .skip) { tick in
///     try JobRequest(DailyReport(day: tick.localDate))
/// }
/// ```
public struct CronJob: Sendable {
    /// 1 to 64 letters, digits, `.`, `_` and `-`; names the entry's keys and its jobs.
    public let name: String
    public let schedule: CronSchedule
    /// The queue that its jobs go to, and that keeps the entry's last tick.
    public let queue: String
    public let catchUp: CronCatchUp
    public let overlap: CronOverlap
    let request: @Sendable (CronTick) throws -> JobRequest

    /// - Parameter request: the job of a tick. It must be of the entry's queue.
    public init(
        _ name: String, _ schedule: CronSchedule, queue: String, catchUp: CronCatchUp = .latest, overlap: CronOverlap = .allow,
        request: @escaping @Sendable (CronTick) throws -> JobRequest
    ) {
        precondition(JobEnvelope.isQueueName(name), "an entry's name is made of letters, digits, '.', '_' and '-'")
        precondition(JobEnvelope.isQueueName(queue), "a queue's name is made of letters, digits, '.', '_' and '-'")
        self.name = name
        self.schedule = schedule
        self.queue = queue
        self.catchUp = catchUp
        self.overlap = overlap
        self.request = request
    }

    /// The job of a tick. Its id is made of entry and tick, so it is the same whoever makes it.
    func job(_ tick: CronTick, nowMs: Int64) throws -> JobEnvelope {
        let request = try request(tick)
        guard request.queue == queue else { throw CronError(field: "queue", rule: "the entry \(name) is of \(queue), its job of \(request.queue)") }
        return request.envelope(id: "cron:\(name):\(tick.name)", nowMs: nowMs)
    }

    /// The job of a tick as it is fired. Where no two runs may overlap it owns a unique key, its own or the entry's, from then to its end.
    func firing(_ tick: CronTick, nowMs: Int64) throws -> CronFiring.Tick {
        var job = try job(tick, nowMs: nowMs)
        let unique = job.unique ?? "cron:\(name)"
        if overlap != .allow {
            job.unique = unique
            job.admitted = job.slots == nil && job.rate == nil ? .wholly : .uniquely
        }
        return CronFiring.Tick(atMs: tick.atMs, job: job.id, unique: unique, body: job.encoded())
    }
}

/// One time at which an entry is due, or one extra run of it.
public struct CronTick: Sendable, Equatable {
    public let entry: String
    /// Unix ms; of an extra run the moment at which it was asked for.
    public let atMs: Int64
    /// By whose clocks the entry runs.
    public let zone: NamedTimeZone
    /// The name of an extra run; nil for a tick.
    public let extra: String?

    /// `2026-11-21T06:00:00.000Z`, or the name of an extra run.
    public var name: String { extra ?? Timestamp.rfc3339(atMs) }
    /// The day by the zone's calendar: `2026-11-21`.
    public var localDate: String { String(zone.rfc3339(atMs).prefix(10)) }
}
