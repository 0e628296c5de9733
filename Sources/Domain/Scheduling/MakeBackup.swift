import JobQueue

/// `backup.make`: backs this installation up.
public struct MakeBackup: JobParameters {
    public static let kind = "backup.make"
    /// The queue of what keeps the installation itself in order.
    public static let queue = "maintenance"
    /// Such as `2026-11-21T02:00Z`.
    public let tick: String
    public init(tick: String) { self.tick = tick }

    /// A full disk may have room in minutes; after some six hours somebody is told by its death.
    public static let retry = RetryPolicy.exponential(base: .seconds(30), factor: 3, cap: .seconds(1800), jitter: .equal, attemptsMax: 16)
    /// What an attempt may take.
    public static let timeout = Duration.seconds(2 * 60 * 60)

    public func request() throws -> JobRequest { try JobRequest(self, unique: "\(Self.kind):\(tick)") }
}
