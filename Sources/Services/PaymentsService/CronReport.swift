import Database
import Formats
import Scheduling
import Usage

/// What came of the job that a tick has added: what it looked at, what went wrong, how long it took.
public struct CronReport: Sendable, Equatable {
    public let outcome: UsageRun.Outcome
    public let items: Int
    public let errors: Int
    public let durationMs: Int64?
    public let detail: String

    /// The report of a tick as it stands.
    /// - Returns: nil when its job has not begun, and for entries whose work is done with their tick.
    public static func find(entry: String, tick: String, in connection: Connection) throws -> CronReport? {
        guard let kind = UsageEntries.kind(of: entry), let run = try UsageRun.find(kind, tick: tick, in: connection) else { return nil }
        return CronReport(
            outcome: run.outcome, items: run.items, errors: run.errors, durationMs: run.durationMs, detail: run.detail)
    }

    /// Waits until the run of a tick's job has ended, well or not, or as long as the caller has patience; then answers the report as it
    /// stands. A run that failed may be tried again by its job's policy; its caller learns of the failure at once.
    public static func wait(entry: String, tick: String, atMost patience: Duration, database: Database) async throws -> CronReport? {
        let deadline = ContinuousClock.now + patience
        while true {
            let report = try await database.read { try find(entry: entry, tick: tick, in: $0) }
            let left = ContinuousClock.now.duration(to: deadline)
            if let report, report.outcome != .running { return report }
            if left <= .zero || UsageEntries.kind(of: entry) == nil { return report }
            // Another process works on it, and SQL tells nobody of a change: it has to be asked.
            try await Task.sleep(for: min(left, .milliseconds(100)))
        }
    }

    public var json: JSON {
        [
            "outcome": .string(outcome.rawValue), "items": .int(Int64(items)), "errors": .int(Int64(errors)), "duration_ms": .optional(durationMs),
            "detail": .string(detail),
        ]
    }
}

/// What running an entry came to, as the operator's command prints it and the API answers it.
public struct CronAnswer: Sendable, Equatable {
    public let entry: String
    public let result: CronResult
    public let report: CronReport?

    public init(entry: String, result: CronResult, report: CronReport?) {
        self.entry = entry
        self.result = result
        self.report = report
    }

    /// The tick that was run, or had been.
    public static func tick(of result: CronResult) -> String? {
        switch result {
        case .done(let tick, _), .alreadyDone(let tick), .failed(let tick, _), .skipped(let tick, _): tick
        case .nothingDue: nil
        }
    }

    /// `done`, `already done`, `failed`, `skipped`, `nothing due`.
    public var word: String {
        switch result {
        case .done: "done"
        case .alreadyDone: "already done"
        case .failed: "failed"
        case .skipped: "skipped"
        case .nothingDue: "nothing due"
        }
    }

    /// Whether the tick or its job has failed.
    public var hasFailed: Bool {
        if case .failed = result { return true }
        return report?.outcome == .failed
    }

    private var isSkipped: Bool { if case .skipped = result { true } else { false } }

    /// Whether there is a job of this tick that has not come to its end.
    public var isUnderWay: Bool {
        guard UsageEntries.kind(of: entry) != nil, Self.tick(of: result) != nil, !hasFailed, !isSkipped else { return false }
        return report?.outcome != .done
    }

    /// entry, tick, result, detail; and run, null until it begins, where the entry's work is a job.
    public var json: JSON {
        let detail: String? =
            switch result {
            case .done(_, let detail), .failed(_, let detail), .skipped(_, let detail): detail
            case .alreadyDone, .nothingDue: nil
            }
        var members: [(String, JSON)] = [
            ("entry", .string(entry)), ("tick", .optional(Self.tick(of: result))), ("result", .string(word)), ("detail", .optional(detail)),
        ]
        if UsageEntries.kind(of: entry) != nil { members.append(("run", report?.json ?? .null)) }
        return .object(JSONObject(members))
    }
}
