import Formats

/// How far a job has come, as its handler tells it.
public struct JobProgress: Sendable, Equatable {
    /// Longest note kept.
    public static let noteLengthMax = 200

    /// 0…1
    public let fraction: Double
    /// Units done, of ``total``, when the handler counts.
    public let done: Int64?
    public let total: Int64?
    public let note: String?
    public let attempt: Int

    public init(fraction: Double, done: Int64? = nil, total: Int64? = nil, note: String? = nil, attempt: Int = 1) {
        self.fraction = fraction.isFinite ? min(1, max(0, fraction)) : 0
        self.done = done
        self.total = total
        self.note = note.map { String($0.prefix(Self.noteLengthMax)) }
        self.attempt = attempt
    }

    /// One line of JSON, as it is kept.
    package var bytes: [UInt8] {
        var object: JSONObject = ["fraction": .number("\(fraction)"), "attempt": .int(Int64(attempt))]
        if let done { object["done"] = .int(done) }
        if let total { object["total"] = .int(total) }
        if let note { object["note"] = .string(note) }
        return JSON.object(object).bytes
    }

    /// Reads what ``bytes`` wrote; nil for anything else.
    package init?(bytes: [UInt8]) {
        guard let json = try? JSON(parsing: bytes), let fraction = json["fraction"]?.numberText.flatMap({ Double($0) }) else { return nil }
        self.init(
            fraction: fraction, done: json["done"]?.int, total: json["total"]?.int, note: json["note"]?.string,
            attempt: json["attempt"]?.int.map { Int(clamping: $0) } ?? 1)
    }
}

/// What is to be remembered of a job beyond its end. An object, as ``JobFlow`` is: each outcome has room for one.
public final class JobEnding: Sendable, Equatable {
    public enum State: String, Sendable, CaseIterable {
        case done, skipped, discarded, dead, cancelled, deleted
    }

    /// The reason of a cancelled job, where nobody gives another one.
    public static let cancelled = "cancelled"
    /// How long an ending is kept for which nobody says a time.
    public static let keptUsually = Duration.seconds(86_400)

    public let job: String
    public let state: State
    public let reason: String?
    /// JSON.
    public let result: [UInt8]?
    public let kept: Duration
    /// The attempt that led here, for the history.
    public let entry: HistoryEntry?

    public init(
        job: String, state: State, reason: String? = nil, result: [UInt8]? = nil, kept: Duration = keptUsually, entry: HistoryEntry? = nil
    ) {
        self.job = job
        self.state = state
        self.reason = reason.map { String($0.prefix(HistoryEntry.reasonLengthMax)) }
        self.result = result
        self.kept = kept
        self.entry = entry
    }

    public static func == (one: JobEnding, other: JobEnding) -> Bool {
        one.job == other.job && one.state == other.state && one.reason == other.reason && one.result == other.result && one.kept == other.kept
            && one.entry == other.entry
    }
}

/// What is remembered of a job: how far it has come, and its end when its kind asks for that.
public struct JobReport: Sendable, Equatable {
    public struct Ended: Sendable, Equatable {
        public let state: JobEnding.State
        public let atMs: Int64
        public let reason: String?
        /// JSON.
        public let result: [UInt8]?

        package init(state: JobEnding.State, atMs: Int64, reason: String?, result: [UInt8]?) {
            self.state = state
            self.atMs = atMs
            self.reason = reason
            self.result = result
        }
    }

    public var progress: JobProgress?
    /// By the queue server's clock.
    public var progressAtMs: Int64?
    public var ending: Ended?

    package init(progress: JobProgress? = nil, progressAtMs: Int64? = nil, ending: Ended? = nil) {
        self.progress = progress
        self.progressAtMs = progressAtMs
        self.ending = ending
    }
}

/// Where a job stands, or how it ended.
public struct JobStatus: Sendable, Equatable {
    public enum State: String, Sendable, CaseIterable {
        case ready, delayed, waiting, parked, running
        /// Between two queues, for a moment.
        case moving
        case done, skipped, discarded, dead, cancelled, deleted
        /// On the queue no more, and nothing is remembered of its end; or it never was.
        case unknown
    }

    public let id: String
    public var state: State
    /// When it is due, or ended.
    public var atMs: Int64?
    public var worker: String?
    public var reason: String?
    public var progress: JobProgress?
    /// JSON.
    public var result: [UInt8]?

    public init(
        id: String, state: State, atMs: Int64? = nil, worker: String? = nil, reason: String? = nil, progress: JobProgress? = nil,
        result: [UInt8]? = nil
    ) {
        self.id = id
        self.state = state
        self.atMs = atMs
        self.worker = worker
        self.reason = reason
        self.progress = progress
        self.result = result
    }
}

extension QueueOperating {
    /// Where a job stands. What has ended and is remembered is found at once; the rest is looked for, which takes as long as the queue is.
    public func status(of id: String) async throws(QueueDriverError) -> JobStatus {
        if let report = try await report(ofJob: id), report.ending != nil { return JobStatus(id, report) }
        let found = try await find(job: id)
        let report = try await report(ofJob: id)
        guard let found else { return JobStatus(id, report) }
        var status = JobStatus(id: id, state: .unknown, atMs: found.dueMs, progress: report?.progress)
        switch found.place {
        case .ready: status.state = .ready
        case .delayed: status.state = .delayed
        case .waiting: status.state = .waiting
        case .parked: status.state = .parked
        case .claimed(let worker):
            status.state = .running
            status.worker = worker
        case .woken: status.state = .ready
        case .moving: status.state = .moving
        case .dead:
            status.state = .dead
            status.atMs = found.record?.buriedAtMs
            status.reason = found.record?.reason
        }
        return status
    }
}

extension JobStatus {
    fileprivate init(_ id: String, _ report: JobReport?) {
        let ending = report?.ending
        self.init(
            id: id, state: ending.flatMap { State(rawValue: $0.state.rawValue) } ?? .unknown, atMs: ending?.atMs, reason: ending?.reason,
            progress: report?.progress, result: ending?.result)
    }
}
