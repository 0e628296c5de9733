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
public final class SchedulerService: Service {
    public let name = "cron"
    public let table: CronTable
    private let loop: EventLoop
    private let log: Log
    private let nowMs: @Sendable () -> Int64
    private let state = Mutex<(timer: RepeatingTimer?, running: Task<Void, Never>?)>((nil, nil))

    /// How often due entries are looked for: cheap, and far below a minute.
    static let interval = Duration.seconds(1)
    /// A tick that failed is tried again a minute later.
    static let retryAfterMs: Int64 = 60_000
    private static let late = MetricRegistry.shared.histogram("cron_duration_seconds", help: "Time that ticks took.", labels: [])

    /// The services of the scheduler program. Figures of the product are read only where somebody can ask for them.
    public static func services(_ program: WorkerProgram) throws -> [any Service] {
        let scheduler = try SchedulerService(program: program)
        return program.settings.metricsAddress == nil ? [scheduler] : [scheduler, ProductMetrics(program: program)]
    }

    private static func count(_ entry: CronEntry, _ outcome: String) { ticks(entry.name, outcome).add() }

    private static func ticks(_ entry: String, _ outcome: String) -> Counter {
        MetricRegistry.shared.counter(
            "cron_ticks_total", help: "Ticks that this process ran, by entry and outcome.", labels: [("entry", entry), ("outcome", outcome)])
    }

    public init(program: WorkerProgram) throws {
        let entries = try Self.entries(settings: program.settings, relay: program.relay, database: program.database)
        table = CronTable(entries: entries, database: program.database, runner: "\(program.name).\(program.settings.slot)")
        loop = program.loop
        log = program.log
        nowMs = program.nowMs
        // There from the start: an increase is seen only of what was there before.
        for entry in entries { for outcome in ["done", "failed"] { _ = Self.ticks(entry.name, outcome) } }
    }

    /// The entries of this installation, for the scheduler and for `quittance cron`.
    public static func entries(settings: Settings, relay: OutboxRelay, database: Database) throws -> [CronEntry] {
        let providers = try Product.providers(settings)
        let facts = PaymentFacts(purposes: Product.purposes, outbox: relay.outbox)
        return StandardEntries.all(
            reconciliation: Reconciliation(facts: facts, providers: providers), relay: relay, database: database,
            purges: [
                ("idempotent calls", { now, limit, connection in try IdempotentCalls.purge(nowMs: now, limit: limit, in: connection) }),
                ("usage rows", { now, limit, connection in try UsageStore.purge(nowMs: now, limit: limit, in: connection) }),
            ]) + UsageEntries.all(outbox: relay.outbox)
    }

    public func start() async throws {
        try await table.install(nowMs: nowMs())
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

    /// Looks at all entries, unless the last look is still at it.
    private func tick() {
        state.withLock { state in
            guard state.running == nil else { return }
            state.running = Task {
                await self.runDue()
                self.state.withLock { $0.running = nil }
            }
        }
    }

    private func runDue() async {
        for entry in table.entries {
            do {
                let begun = ContinuousClock.now
                let result = try await table.runDue(entry, nowMs: nowMs(), retryAfterMs: Self.retryAfterMs)
                switch result {
                case .done(let tick, let detail):
                    Self.late.observe(begun.duration(to: .now))
                    Self.count(entry, "done")
                    log.info("cron entry ran", ["entry": .string(entry.name), "tick": .string(tick), "detail": .string(detail)])
                case .failed(let tick, let error):
                    Self.count(entry, "failed")
                    log.error("cron entry failed", ["entry": .string(entry.name), "tick": .string(tick), "error": .string(error)])
                case .alreadyDone, .nothingDue: break
                }
            } catch {
                log.error("cron entry could not be looked at", ["entry": .string(entry.name), "error": .string("\(error)")])
            }
        }
    }
}
