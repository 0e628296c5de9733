import Cryptography
import EventLoop
import Formats
import Settings
import Telemetry

/// Reads all logs and gathers what they say into batches.
///
/// `@unchecked Sendable`: touched on one thread only, that of the pool that ``Collector`` hands it to.
final class AccessLogReader: @unchecked Sendable {
    /// What a turn came to.
    struct Turn: Sendable {
        /// Whether there is more to read at once.
        var hasMore = false
        /// Whether lines were read that are in no batch yet.
        var isGathering = false
        /// Where logs begin that were begun in it.
        var begun: [String: Checkpoint.Trail] = [:]
        /// The batch, when it is time for it.
        var batch: Batch?
    }

    /// What is to be sent, and where reading stands after it.
    struct Batch: Sendable, Equatable {
        /// Nil when nothing is to be sent: lines were read, and none of them counts.
        var pending: Checkpoint.Pending?
        var after: [String: Checkpoint.Trail]
        var samples = 0
    }

    /// Bytes of log that are read in a turn, and that a batch covers.
    private static let turnMax = 16 << 20
    private static let batchMax = 64 << 20
    private static let bufferSize = 256 << 10
    /// How often new unknown names are told of.
    private static let tellingPause = Duration.seconds(60)
    /// Rejected lines that are shown of each log, until the next start.
    private static let shownMax = 5

    private let trails: [LogTrail]
    private let fileMetrics: [FileMetrics]
    private let collector: String
    private let interval: Duration
    private let metrics: CollectorMetrics
    private let log: Log
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: AccessLogReader.bufferSize, alignment: 16)
    private var intake: LineIntake
    private var maps: ProjectMapSource
    private var shown: [Int]
    private var first = 0
    private var readInBatch = 0
    private var begunAt: ContinuousClock.Instant?
    private var toldAt: ContinuousClock.Instant?

    /// - Parameters:
    ///   - checkpoint: where reading goes on; without a pending batch.
    init(
        _ settings: CollectorSettings, _ checkpoint: Checkpoint, maps: ProjectMapSource, patience: Duration = .seconds(60),
        metrics: CollectorMetrics, registry: MetricRegistry = .shared, log: Log
    ) {
        let fileMetrics = settings.files.map { FileMetrics(path: $0.path, registry: registry) }
        trails = zip(settings.files, fileMetrics).map { file, metrics in
            LogTrail(
                file, checkpoint.trails[file.path], beginning: settings.beginning, patience: patience, metrics: metrics, log: log)
        }
        self.fileMetrics = fileMetrics
        collector = checkpoint.collector
        interval = settings.interval
        self.metrics = metrics
        self.log = log
        self.maps = maps
        intake = LineIntake(maps.map)
        shown = settings.files.map { _ in 0 }
        for (number, trail) in trails.enumerated() {
            trail.onUnfinished = { [unowned self] offset, length in
                guard length > 0 else { return }
                intake.reject(.unfinished, at: offset, length: Int(length), "the file ended before the line did")
                count(number)
            }
        }
    }

    deinit { buffer.deallocate() }

    /// Where reading stands.
    var position: [String: Checkpoint.Trail] {
        Dictionary(uniqueKeysWithValues: trails.filter(\.isBegun).map { ($0.file.path, $0.position) })
    }

    /// Where logs begin that were never followed before, each told once: as they were before anything of them was read.
    func takeBegun() -> [String: Checkpoint.Trail] {
        Dictionary(uniqueKeysWithValues: trails.compactMap { trail in trail.takeFirstPlace().map { (trail.file.path, $0) } })
    }

    /// What keeps a log from being read, or an assignment from being obeyed; nil when nothing does.
    var problem: String? { maps.problem ?? trails.lazy.compactMap(\.problem).first }

    /// Bytes that are written and not read.
    var lag: Int64 { trails.reduce(0) { $0 + $1.lag } }

    /// Names without a project, with the lines of each, and the lines of those that are not listed.
    var unknown: (listed: [String: Int64], unlisted: Int64) { (intake.names.unknown, intake.names.unlisted) }

    // MARK: Reading

    /// Reads on for a while.
    /// - Parameter isLast: whether what was gathered is to be sent now.
    func turn(isLast: Bool = false) -> Turn {
        var turn = Turn()
        if begunAt == nil { look() }
        intake.setTime(WallClock.nowMs)
        var budget = Self.turnMax
        var isFull = false
        // Each turn begins with another log, so that a busy one holds up nobody.
        first = (first + 1) % trails.count
        for step in trails.indices {
            let number = (first + step) % trails.count
            let trail = trails[number]
            trail.look()
            let before = budget
            let stop = trail.read(into: &intake, buffer, budget: &budget)
            readInBatch += before - budget
            count(number)
            fileMetrics[number].lag.set(Double(trail.lag))
            if stop == .full { isFull = true }
            guard stop == .end else {
                turn.hasMore = true
                break
            }
        }
        tell()
        turn.begun = takeBegun()
        guard readInBatch > 0 else { return turn }
        let begun = begunAt ?? ContinuousClock.now
        begunAt = begun
        if isLast || isFull || readInBatch >= Self.batchMax || ContinuousClock.now - begun >= interval {
            turn.batch = close()
        } else {
            turn.isGathering = true
        }
        return turn
    }

    /// Ends the batch that is being gathered.
    private func close() -> Batch {
        let after = position
        var batch = Batch(after: after, samples: intake.tally.rows.count)
        if !intake.tally.isEmpty {
            batch.pending = Checkpoint.Pending(id: name(), body: intake.tally.body(projects: intake.names.projects), after: after)
        }
        intake.tally.removeAll()
        for trail in trails { trail.beginBatch() }
        readInBatch = 0
        begunAt = nil
        return batch
    }

    /// The batch's name says which bytes of which files it is made of: of the same bytes it is the same.
    private func name() -> String {
        let segments = trails.flatMap { trail in trail.segments.map { "\(trail.file.path)|\($0)" } }
        return "\(collector)-\(Digest.sha256Hex(Array(segments.joined(separator: "\n").utf8)).prefix(40))"
    }

    /// Another map of projects, between two batches.
    private func look() {
        let before = maps.problem
        if maps.look() {
            intake.names.replace(maps.map)
            log.info("the projects' file was read anew", ["assignments": .int(maps.map.count)])
        }
        if let problem = maps.problem, problem != before {
            log.error("the projects' file is not used, what it said before stays in force", ["problem": .string(problem)])
        }
    }

    // MARK: Telling

    private func count(_ number: Int) {
        let counts = intake.takeCounts()
        fileMetrics[number].lines.add(counts.lines)
        metrics.add(counts)
        for line in intake.takeRejected() where shown[number] < Self.shownMax {
            shown[number] += 1
            log.warning(
                "a line was not counted",
                [
                    "file": .string(trails[number].file.path), "reason": .string(line.reason.rawValue), "offset": .int(line.offset),
                    "length": .int(line.length), "detail": .string(line.detail), "shape": .string(line.shape),
                ])
        }
    }

    private func tell() {
        metrics.unknownHosts.set(Double(intake.names.unknown.count))
        let now = ContinuousClock.now
        if let toldAt, now - toldAt < Self.tellingPause { return }
        let fresh = intake.names.takeFresh()
        guard !fresh.isEmpty else { return }
        toldAt = now
        log.warning(
            "lines of hosts without a project are not counted",
            ["hosts": .string(fresh.prefix(10).joined(separator: " ")), "more": .int(max(0, fresh.count - 10))])
    }
}
