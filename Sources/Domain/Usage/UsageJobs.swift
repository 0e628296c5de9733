import Formats
import JobQueue

/// `storage.measure`: asks Docker and the folders how much each project keeps.
public struct MeasureStorage: JobParameters {
    public static let kind = "storage.measure"
    public static let queue = "usage"
    /// Such as `2026-11-21T04:00Z`; the run's name.
    public let tick: String
    public init(tick: String) { self.tick = tick }

    /// An engine that is away may be back in minutes; after some four hours the next day's run is near enough.
    public static let retry = RetryPolicy.exponential(base: .seconds(10), factor: 3, cap: .seconds(900), jitter: .equal, attemptsMax: 24)

    public func request() throws -> JobRequest { try JobRequest(self, unique: "\(Self.kind):\(tick)") }
}

/// `limits.check`: compares what every team used with its plan, and has its people told.
public struct CheckLimits: JobParameters {
    public static let kind = "limits.check"
    public static let queue = "usage"
    /// Such as `2026-11-21T06:00Z`; the run's name.
    public let tick: String
    public init(tick: String) { self.tick = tick }

    /// Only SQL can be in the way.
    public static let retry = RetryPolicy.exponential(base: .seconds(5), factor: 2, cap: .seconds(300), jitter: .equal, attemptsMax: 12)

    public func request() throws -> JobRequest { try JobRequest(self, unique: "\(Self.kind):\(tick)") }

    /// When the tick was due; nil for a run by hand, which has a name of its own.
    var dueMs: Int64? { tick.hasSuffix("Z") && tick.count == 17 ? Timestamp.parse(tick.dropLast() + ":00Z") : nil }
}
