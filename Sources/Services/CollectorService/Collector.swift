import EventLoop
import Formats
import HTTPClient
import Settings
import Synchronization
import Telemetry

/// Follows access logs and posts what they say to ingest.
///
/// A batch goes through three states on disk: where reading stood before it; the batch itself with its name and its bytes, written before
/// the first post; where reading stands after it, written once ingest has it. Killed at any moment, the collector posts the very same
/// batch again, which counts once, or reads the same lines again, which nobody has been told of.
public final class Collector: Service {
    public let name = "collector"
    private let settings: CollectorSettings
    private let file: CheckpointFile
    private let reader: AccessLogReader
    private let post: IngestPost
    private let http: HTTPClient
    private let metrics: CollectorMetrics
    private let log: Log
    /// Reads, scans and syncs: one thread.
    private let pool = BlockingPool(name: "access logs", threads: 1)
    private let state: Mutex<State>

    private struct State {
        var checkpoint: Checkpoint
        var isStopping = false
        /// What the collector waits for while there is nothing to do.
        var rest: Task<Void, Never>?
        var running: Task<Void, Never>?
        /// What keeps samples from ingest; nil when nothing does.
        var trouble: String?
        /// What keeps a log from being read.
        var readingProblem: String?
        var beat = ContinuousClock.now
        /// Since when something waits that ingest has not got; nil when nothing does.
        var waitingSince: ContinuousClock.Instant?
        var unknown: (listed: [String: Int64], unlisted: Int64) = ([:], 0)
    }

    /// How often the logs are looked at.
    private static let pause = Duration.milliseconds(250)
    /// Longer than any wait for an answer and any pause between two posts.
    private static let stuckAfter = Duration.seconds(120)

    /// Takes up where the last run stopped.
    /// - Throws: ``CollectorError`` when it cannot begin: no logs, no key, a folder or a file that cannot be used.
    public convenience init(_ settings: CollectorSettings, loop: EventLoop, log: Log) throws {
        try self.init(settings, loop: loop, registry: .shared, patience: .seconds(60), log: log)
    }

    init(_ settings: CollectorSettings, loop: EventLoop, registry: MetricRegistry, patience: Duration, log: Log) throws {
        guard !settings.files.isEmpty else { throw CollectorError("COLLECTOR_FILES names no log to follow") }
        guard let key = settings.key else { throw CollectorError("COLLECTOR_KEY is not set: ingest takes samples by a key of USAGE_SOURCE_KEYS") }
        let maps = try ProjectMapSource(settings.assignments, path: settings.assignmentsFile)
        guard maps.map.count > 0 else { throw CollectorError("COLLECTOR_PROJECTS and COLLECTOR_PROJECTS_FILE name no project") }
        file = try CheckpointFile(folder: settings.folder)
        let written = try file.read()
        var checkpoint = written ?? Checkpoint(collector: "collector-\(ULID.make())")
        let pending = checkpoint.pending
        // Reading goes on behind the batch that is on its way.
        if let pending { checkpoint.advance(to: pending.after) }
        self.settings = settings
        metrics = CollectorMetrics(registry: registry)
        reader = AccessLogReader(settings, checkpoint, maps: maps, patience: patience, metrics: metrics, registry: registry, log: log)
        let begun = reader.takeBegun()
        checkpoint.trails = (written?.trails ?? [:]).merging(begun) { $1 }
        // Where a log begins is kept at once: what comes while nobody follows it must not be behind a later end.
        if written == nil || !begun.isEmpty { try file.write(checkpoint) }
        http = HTTPClient(loop: loop, userAgent: "Quittance collector", connectionsPerHostMax: 2)
        post = IngestPost(http: http, url: settings.ingestURL, key: key)
        self.log = log
        state = Mutex(State(checkpoint: checkpoint))
        registry.gaugeFunction(
            "collector_lag_seconds", help: "Since when something was written that ingest has not got; 0 when it has everything."
        ) { [weak self] in self?.lagSeconds ?? 0 }
        registry.gaugeFunction("collector_ready", help: "1 while logs can be read and ingest takes what they say.") { [weak self] in
            self?.trouble == nil ? 1 : 0
        }
    }

    // MARK: What it is like

    /// What keeps traffic from being counted; nil when nothing does.
    public var trouble: String? { state.withLock { $0.trouble ?? $0.readingProblem } }

    /// Whether it neither reads nor waits for an answer any more.
    public var isStuck: Bool { ContinuousClock.now - state.withLock { $0.beat } > Self.stuckAfter }

    /// Names without a project, with the lines of each, and the lines of those that are not listed.
    public var unknown: (listed: [String: Int64], unlisted: Int64) { state.withLock { $0.unknown } }

    private var lagSeconds: Double {
        guard let since = state.withLock({ $0.waitingSince }) else { return 0 }
        let parts = (ContinuousClock.now - since).components
        return Double(parts.seconds) + Double(parts.attoseconds) / 1e18
    }

    // MARK: Service

    public func start() async throws {
        log.info("following", ["logs": .string(settings.files.map(\.path).joined(separator: " ")), "ingest": .string(settings.ingestURL)])
        let task = Task { await run() }
        state.withLock { $0.running = task }
    }

    /// Sends what was read, where ingest takes it in time; else it is sent at the next start.
    public func stop(by deadline: ContinuousClock.Instant) async {
        let running = state.withLock { state in
            state.isStopping = true
            state.rest?.cancel()
            return state.running
        }
        // Only an answer that does not come would take longer; the batch is on disk.
        let ending = Task {
            try await Task.sleep(until: deadline, clock: .continuous)
            running?.cancel()
        }
        await running?.value
        ending.cancel()
        await http.close()
        let (pool, closing) = (pool, BlockingPool(name: "collector end", threads: 1))
        try? await closing.run { pool.close() }
        file.release()
    }

    private var isStopping: Bool { state.withLock { $0.isStopping } }

    private func run() async {
        if let pending = state.withLock({ $0.checkpoint.pending }) {
            log.info("a batch of the last run is sent again", ["batch": .string(pending.id)])
            noteWaiting(true)
            guard await deliver(AccessLogReader.Batch(pending: pending, after: pending.after), isWritten: true) else { return }
        }
        while true {
            let isLast = isStopping
            guard let turn = try? await pool.run({ [reader] in reader.turn(isLast: isLast) }) else { return }
            await observe(turn)
            if !turn.begun.isEmpty { guard await keep(turn.begun) else { return } }
            if let batch = turn.batch {
                guard await deliver(batch, isWritten: false) else { return }
                if !turn.hasMore { noteWaiting(false) }
            }
            // What is written while it stops is read by the next run.
            if isLast {
                // All that was read is sent.
                if let place = try? await pool.run({ [reader] in reader.position }) { _ = await keep(place) }
                return
            }
            if !turn.hasMore { await rest(Self.pause) }
        }
    }

    private func observe(_ turn: AccessLogReader.Turn) async {
        guard let seen = try? await pool.run({ [reader] in (reader.problem, reader.lag, reader.unknown) }) else { return }
        state.withLock { state in
            state.beat = ContinuousClock.now
            state.readingProblem = seen.0
            state.unknown = seen.2
            let isWaiting = turn.hasMore || turn.batch != nil || turn.isGathering || seen.1 > 0
            if !isWaiting { state.waitingSince = nil } else if state.waitingSince == nil { state.waitingSince = state.beat }
        }
    }

    private func noteWaiting(_ isWaiting: Bool) {
        state.withLock { state in
            if !isWaiting { state.waitingSince = nil } else if state.waitingSince == nil { state.waitingSince = ContinuousClock.now }
        }
    }

    /// Waits, until it is to stop.
    private func rest(_ duration: Duration) async {
        let rest = Task { _ = try? await Task.sleep(for: duration) }
        state.withLock { state in
            state.rest = rest
            if state.isStopping { rest.cancel() }
        }
        await rest.value
    }

    // MARK: Delivering

    /// Brings a batch to ingest, however long that takes.
    /// - Parameter isWritten: whether the checkpoint has it already.
    /// - Returns: false when it is to stop before ingest had it: the checkpoint has it.
    private func deliver(_ batch: AccessLogReader.Batch, isWritten: Bool) async -> Bool {
        if let pending = batch.pending {
            if !isWritten { guard await write({ $0.pending = pending }) else { return false } }
            guard await send(pending) else { return false }
        }
        return await write { checkpoint in
            checkpoint.advance(to: batch.after)
            checkpoint.pending = nil
        }
    }

    /// Keeps where logs stand of which nothing is to be sent.
    private func keep(_ trails: [String: Checkpoint.Trail]) async -> Bool { await write { $0.advance(to: trails) } }

    private func send(_ batch: Checkpoint.Pending) async -> Bool {
        var backoff = PostBackoff()
        while true {
            let begun = ContinuousClock.now
            let answer = await post.send(batch)
            metrics.postSeconds.observe(ContinuousClock.now - begun)
            metrics.count(answer.outcome)
            if answer.outcome == .accepted {
                settle(nil)
                return true
            }
            settle("ingest: \(answer.outcome.rawValue) \(answer.detail)")
            if isStopping { return false }
            await rest(backoff.next(after: answer.retryAfter, random: Double.random(in: 0..<1)))
            if isStopping { return false }
        }
    }

    /// Changes the checkpoint, here and on disk; where the disk does not take it, waits until it does.
    private func write(_ change: @Sendable (inout Checkpoint) -> Void) async -> Bool {
        var backoff = PostBackoff()
        var checkpoint = state.withLock { $0.checkpoint }
        change(&checkpoint)
        var hasFailed = false
        while true {
            do {
                try await pool.run { [file, checkpoint] in try file.write(checkpoint) }
                state.withLock { $0.checkpoint = checkpoint }
                if hasFailed { settle(nil) }
                return true
            } catch {
                hasFailed = true
                settle("the checkpoint cannot be written: \(error)")
                if isStopping { return false }
                await rest(backoff.next(after: nil, random: Double.random(in: 0..<1)))
            }
        }
    }

    /// Notes what is wrong, or that it no longer is, and says it once.
    private func settle(_ trouble: String?) {
        let before = state.withLock { state in
            defer { state.trouble = trouble }
            state.beat = ContinuousClock.now
            return state.trouble
        }
        guard before != trouble else { return }
        if let trouble {
            log.error("samples do not reach ingest, and are sent again", ["trouble": .string(trouble)])
        } else {
            log.info("ingest takes samples again")
        }
    }
}
