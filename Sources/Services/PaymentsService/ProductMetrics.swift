import Database
import EventLoop
import Formats
import Outbox
import Payments
import Plans
import ProviderPort
import Synchronization
import Teams
import Telemetry
import Usage
import WorkerService

/// What the product as a whole has to show, read from SQL every 30 s and set as gauges: usage, plans, payments, jobs.
///
/// Each part is read by itself: one that cannot be read keeps its last figures, and how old they are is a figure of its own.
/// Run it in one program only, the scheduler: of several schedulers each shows the same.
public final class ProductMetrics: Service {
    public let name = "product metrics"

    /// Teams that have series of their own.
    public static let teamsMax = 500
    static let interval = Duration.seconds(30)
    /// Reading never takes more than one part in so many of the time, however large the tables have grown.
    private static let restFactor = 20

    private let database: Database
    private let providers: ProviderRegistry?
    private let loop: EventLoop
    private let registry: MetricRegistry
    private let log: Log
    private let nowMs: @Sendable () -> Int64
    private let state = Mutex(State())

    private struct State {
        var timer: RepeatingTimer?
        var running: Task<Void, Never>?
        var restsUntil = ContinuousClock.now
    }

    /// - Parameter providers: whose silence is to be seen.
    public init(
        database: Database, providers: ProviderRegistry? = nil, loop: EventLoop, registry: MetricRegistry = .shared, log: Log,
        nowMs: @escaping @Sendable () -> Int64
    ) {
        self.database = database
        self.providers = providers
        self.loop = loop
        self.registry = registry
        self.log = log
        self.nowMs = nowMs
    }

    public convenience init(program: WorkerProgram) throws {
        self.init(
            database: program.database, providers: try Product.providers(program.settings), loop: program.loop, log: program.log, nowMs: program.nowMs
        )
    }

    public func start() async throws {
        tick()
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

    /// Begins a reading, unless the last one is still at it or was so long that SQL deserves a rest.
    private func tick() {
        state.withLock { state in
            guard state.running == nil, ContinuousClock.now >= state.restsUntil else { return }
            state.running = Task {
                let begun = ContinuousClock.now
                await self.read()
                let rest = begun.duration(to: .now) * Self.restFactor
                self.state.withLock { state in
                    state.running = nil
                    state.restsUntil = ContinuousClock.now + rest
                }
            }
        }
    }

    /// Reads every part once.
    package func read() async {
        let nowMs = nowMs()
        await part("usage", { try UsageFigures.read(teamsMax: Self.teamsMax, nowMs: nowMs, in: $0) }, show: { self.show($0, nowMs: nowMs) })
        await part(
            "plans", { (try PlanFigures.read(nowMs: nowMs, in: $0), try TeamStore.everyTeam(in: $0).map(\.id)) },
            show: { self.show($0.0, teams: $0.1) })
        await part("payments", { try PaymentFigures.read(in: $0) }, show: { self.show($0) })
        await part("day", { try PaymentDay.read(nowMs: nowMs, in: $0) }, show: { self.show($0) })
        let posting = (providers?.all ?? []).filter { $0.adapter.capabilities.hasWebhook }.map { (name: $0.adapter.name, mode: $0.mode) }
        await part(
            "sources", { connection in try posting.map { ($0.mode, try SourceStanding.read($0.name, nowMs: nowMs, in: connection)) } },
            show: { self.show($0, nowMs: nowMs) })
        await part("parked", { try ParkedReferences.counts(in: $0).map { ($0.provider, $0.waiting) } }, show: { self.show(parked: $0) })
        await part("jobs", { try UnfinishedJobs.all(in: $0) }, show: { self.show($0) })
        await part(
            "effects", { try EffectTable.countOpen(begunBefore: nowMs - EffectTable.overdueMs, in: $0) },
            show: { gauge("effects_pending", "Calls to the outside without a result for over two minutes.", [], Double($0)) })
    }

    private func part<Figures: Sendable>(
        _ name: String, _ read: @escaping @Sendable (Connection) throws -> Figures, show: (Figures) -> Void
    ) async {
        let begun = ContinuousClock.now
        do {
            show(try await database.read(read))
            let (seconds, attoseconds) = begun.duration(to: .now).components
            let labels = [("part", name)]
            gauge("product_metrics_seconds", "Time that the last reading of a part took.", labels, Double(seconds) + Double(attoseconds) / 1e18)
            gauge("product_metrics_read_timestamp_seconds", "When a part was last read, Unix time.", labels, Double(nowMs()) / 1000)
        } catch {
            log.warning("figures could not be read", ["part": .string(name), "error": .string("\(error)")])
        }
    }

    private func gauge(_ name: String, _ help: String, _ labels: [(String, String)] = [], _ value: Double) {
        registry.gauge(name, help: help, labels: labels).set(value)
    }

    // MARK: Usage

    private func show(_ figures: UsageFigures, nowMs: Int64) {
        show(
            figures.traffic, last: figures.lastMonthTraffic, figures, "usage_team_traffic_bytes", "usage_average_traffic_bytes",
            "usage_month_traffic_bytes", what: "traffic of this UTC month")
        show(
            figures.storage, last: figures.lastMonthStorage, figures, "usage_team_storage_bytes", "usage_average_storage_bytes",
            "usage_month_storage_bytes", what: "storage as last measured")
        gauge("usage_storage_stale", "Projects whose storage gauge is older than 36 h, or never was whole.", [], Double(figures.staleGauges))
        registry.gauges(
            "usage_storage_age_seconds", help: "Age of what an origin of storage last measured; infinite when it never did.",
            figures.origins.filter(\.isWhole).map { origin in
                ([("origin", origin.name)], origin.measuredAtMs.map { Double(max(0, nowMs - $0)) / 1000 } ?? .infinity)
            })
        registry.gauges(
            "usage_samples_rejected", help: "Samples of the last 24 hours that were not counted, by reason.",
            figures.rejected.map { ([("reason", $0.key)], Double($0.value)) })
        registry.gauges(
            "usage_runs", help: "Whether the last run of a kind has this outcome.",
            figures.runs.flatMap { run in
                ["running", "done", "failed"].map { outcome in
                    ([("kind", run.kind.rawValue), ("outcome", outcome)], run.outcome?.rawValue == outcome ? 1 : 0)
                }
            })
        registry.gauges(
            "usage_run_seconds", help: "Time that the last run of a kind took.",
            figures.runs.compactMap { run in run.durationMs.map { ([("kind", run.kind.rawValue)], Double($0) / 1000) } })
        registry.gauges(
            "usage_run_success_timestamp_seconds", help: "When a run of a kind last came to a good end, Unix time.",
            figures.runs.compactMap { run in run.succeededAtMs.map { ([("kind", run.kind.rawValue)], Double($0) / 1000) } })
    }

    private func show(
        _ bytes: UsageFigures.ByTeam, last: Int64, _ figures: UsageFigures, _ byTeam: String, _ average: String, _ byMonth: String, what: String
    ) {
        registry.gauges(
            byTeam, help: "Bytes by team, \(what): the greatest \(Self.teamsMax) by name, all others under an empty one.",
            bytes.greatest.map { ([("team", $0.team)], Double($0.bytes)) } + [([("team", "")], Double(bytes.rest))])
        registry.gauges(
            average, help: "Bytes on average, \(what).",
            [("project", figures.projects), ("team", figures.teams)].map { per, count in
                ([("per", per)], count > 0 ? Double(bytes.total) / Double(count) : 0)
            })
        registry.gauges(
            byMonth, help: "Bytes of all projects, this UTC month and the one before.",
            [([("month", "this")], Double(bytes.total)), ([("month", "last")], Double(last))])
    }

    // MARK: Plans, payments, jobs

    private func show(_ figures: PlanFigures, teams: [String]) {
        registry.gauges(
            "plans_teams", help: "Teams on a plan.", figures.teamsByPlan(among: teams).map { ([("plan", $0.key)], Double($0.value)) })
        gauge("plans_conversions", "Teams that ever bought a plan.", [], Double(figures.buyers.count))
        registry.gauges(
            "plans_conversion_ratio", help: "The share of all teams that ever bought a plan.",
            figures.conversionRatio(among: teams).map { [([], $0)] } ?? [])
        registry.gauges(
            "plans_subscriptions", help: "Subscriptions by status.", figures.countByStatus.map { ([("status", $0.key)], Double($0.value)) })
        gauge("plans_overdue", "Subscriptions that nobody has moved on though their period ended over 15 min ago.", [], Double(figures.overdue))
    }

    private func show(_ figures: PaymentFigures) {
        registry.gauges(
            "payments_states", help: "Payments by the provider of their latest attempt and by state.",
            figures.standings.map { ([("provider", $0.provider), ("state", $0.state)], Double($0.count)) })
        registry.gauges(
            "payments_success_ratio", help: "The share of the payments that came to an end and were paid.",
            figures.successRatio.map { [([], $0)] } ?? [])
        registry.gauges(
            "payments_attempts", help: "Attempts by the method that the customer asked for.",
            figures.attemptsByMethod.map { ([("method", $0.key)], Double($0.value)) })
    }

    private func show(_ day: PaymentDay) {
        registry.gauges(
            "payments_day", help: "Payments of the last 24 hours by the method of their latest attempt and by what became of them.",
            day.counts.flatMap { method, outcomes in
                outcomes.map { ([("method", method), ("outcome", $0.key.rawValue)], Double($0.value)) }
            })
    }

    private func show(_ sources: [(mode: String, standing: SourceStanding)], nowMs: Int64) {
        registry.gauges(
            "payments_source_silent_seconds", help: "Time since a source that is on was last heard of, or since it was first paid at.",
            sources.compactMap { mode, standing in
                standing.silentMs(nowMs: nowMs).map { ([("source", standing.provider), ("mode", mode)], Double($0) / 1000) }
            })
        registry.gauges(
            "payments_source_unheard_attempts",
            help: "Attempts begun at a source since it was last heard of, those of the last quarter hour left out.",
            sources.map { mode, standing in ([("source", standing.provider), ("mode", mode)], Double(standing.unheardAttempts)) })
    }

    private func show(parked: [(provider: String, waiting: Int64)]) {
        registry.gauges(
            "payments_parked_references", help: "References that lead to no payment and are still asked about, by source.",
            parked.map { ([("source", $0.provider)], Double($0.waiting)) })
    }

    private func show(_ jobs: [UnfinishedJobs]) {
        registry.gauges(
            "outbox_jobs", help: "Jobs in SQL by queue: unfinished, and of these not yet on their queue.",
            jobs.flatMap { jobs in
                [("unfinished", jobs.count), ("unpublished", jobs.unpublished)].map { state, count in
                    ([("queue", jobs.queue), ("state", state)], Double(count))
                }
            })
    }
}
