import Access
import Database
import EventLoop
import Formats
import JobQueue
import Outbox
import Payments
import ProviderPort
import Scheduling
import Settings
import Synchronization
import Telemetry
import Usage
import WorkerService

/// Runs the cron entries when they are due. Any number of schedulers may run: a tick is one row.
public final class SchedulerService: PulsedService {
    public let name = "cron"
    public let table: CronTable
    private let loop: EventLoop
    private let log: Log
    /// What is due is for Redis' clock to say: a machine's own may be wrong, and SQLite has no other.
    private let clock: ServerClock
    private let state = Mutex<(timer: RepeatingTimer?, running: Task<Void, Never>?, isInstalled: Bool)>((nil, nil, false))

    /// How often due entries are looked for: cheap, and far below a minute.
    static let interval = Duration.seconds(1)
    /// A tick that failed is tried again a minute later.
    static let retryAfterMs: Int64 = 60_000
    private static let duration = MetricRegistry.shared.histogram("cron_duration_seconds", help: "Time that ticks took.", labels: [])

    /// The services of the scheduler program. Figures of the product are read only where somebody can ask for them.
    public static func services(_ program: WorkerProgram) throws -> [any Service] {
        let scheduler = try SchedulerService(program: program)
        var services: [any Service] = [scheduler]
        if let backups = try DailyBackup.worker(program) { services.append(backups) }
        if program.settings.metricsAddress != nil { services.append(try ProductMetrics(program: program)) }
        return services
    }

    private static func count(_ entry: CronEntry, _ outcome: String) { CronMetrics.ticks(entry.name, outcome).add() }

    public convenience init(program: WorkerProgram) throws {
        self.init(program: program, entries: try Self.entries(settings: program.settings, relay: program.relay, database: program.database))
    }

    /// - Parameter entries: instead of the installation's own.
    public init(program: WorkerProgram, entries: [CronEntry]) {
        table = CronTable(entries: entries, database: program.database, runner: "\(program.name).\(program.settings.slot)")
        loop = program.loop
        log = program.log
        clock = Self.clock(program)
        // There from the start: an increase is seen only of what was there before.
        for entry in entries {
            for outcome in ["done", "failed"] { _ = CronMetrics.ticks(entry.name, outcome) }
            _ = CronMetrics.late(entry.name)
        }
    }

    /// The clock by which entries are due: that of the queues' server.
    public static func clock(_ program: WorkerProgram) -> ServerClock {
        ServerClock(server: program.queues as? any ServerTime ?? OwnTime(nowMs: program.nowMs))
    }

    /// The entries of this installation, for the scheduler and for `quittance cron`.
    public static func entries(settings: Settings, relay: OutboxRelay, database: Database) throws -> [CronEntry] {
        let providers = try Product.providers(settings)
        let facts = PaymentFacts(purposes: Product.purposes, outbox: relay.outbox)
        return StandardEntries.all(
            reconciliation: Reconciliation(facts: facts, providers: providers), relay: relay, database: database,
            keepEventsMs: Int64(settings.eventKeepDays) * 86_400_000,
            purges: [
                ("idempotent calls", { now, limit, connection in try IdempotentCalls.purge(nowMs: now, limit: limit, in: connection) }),
                ("usage rows", { now, limit, connection in try UsageStore.purge(nowMs: now, limit: limit, in: connection) }),
            ]) + [UnmatchedEntry.entry(outbox: relay.outbox), AttachmentsEntry.entry(outbox: relay.outbox)] + UsageEntries.all(outbox: relay.outbox)
            + PlanEntries.all(outbox: relay.outbox, database: database) + DailyBackup.entries(settings: settings, outbox: relay.outbox)
    }

    public func start() async throws {
        try table.check()
        let timer = loop.repeating(every: Self.interval) { [self] in tick() }
        state.withLock { $0.timer = timer }
    }

    public func stop(by deadline: ContinuousClock.Instant) async {
        let running = state.withLock { state in
            state.timer?.cancel()
            return state.running
        }
        await running?.value
    }

    public var pulse: QueuePulse { clock.pulse }

    /// Looks at all entries, unless the last look is still at it. Redis is asked for its time in any case: a long tick is no silence.
    private func tick() {
        Task { _ = try? await clock.nowMs() }
        state.withLock { state in
            guard state.running == nil else { return }
            state.running = Task {
                await self.runDue()
                self.state.withLock { $0.running = nil }
            }
        }
    }

    private func runDue() async {
        let nowMs: Int64
        do {
            nowMs = try await clock.nowMs()
            if !state.withLock({ $0.isInstalled }) {
                try await table.install(nowMs: nowMs)
                state.withLock { $0.isInstalled = true }
                for entry in table.entries where entry.runsAtStart { report(entry, try await table.runAtStart(entry, nowMs: nowMs), since: .now) }
            }
        } catch {
            log.error("cron entries wait", ["error": .string("\(error)")])
            return
        }
        for entry in table.entries { await runDue(entry, nowMs: nowMs) }
    }

    /// Runs an entry's due ticks, one after the other, until there is none left.
    private func runDue(_ entry: CronEntry, nowMs: Int64) async {
        do {
            while true {
                let begun = ContinuousClock.now
                let result = try await table.runDue(entry, nowMs: nowMs, retryAfterMs: Self.retryAfterMs)
                switch result {
                case .alreadyDone, .nothingDue: return
                case .done, .skipped, .failed: report(entry, result, since: begun)
                }
            }
        } catch {
            log.error("cron entry could not be looked at", ["entry": .string(entry.name), "error": .string("\(error)")])
        }
    }

    private func report(_ entry: CronEntry, _ result: CronResult, since begun: ContinuousClock.Instant) {
        switch result {
        case .done(let tick, let detail):
            Self.duration.observe(begun.duration(to: .now))
            Self.count(entry, "done")
            log.info("cron entry ran", ["entry": .string(entry.name), "tick": .string(tick), "detail": .string(detail)])
        case .skipped(let tick, let reason):
            Self.count(entry, "skipped")
            log.info("cron tick passed over", ["entry": .string(entry.name), "tick": .string(tick), "reason": .string(reason)])
        case .failed(let tick, let error):
            Self.count(entry, "failed")
            log.error("cron entry failed", ["entry": .string(entry.name), "tick": .string(tick), "error": .string(error)])
        case .alreadyDone, .nothingDue: break
        }
    }
}

/// The process' own clock, where jobs are not kept on a server.
private struct OwnTime: ServerTime {
    let nowMs: @Sendable () -> Int64
    func serverNowMs() async -> Int64 { nowMs() }
}
