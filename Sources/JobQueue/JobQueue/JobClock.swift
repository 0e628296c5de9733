import Formats

/// The worker's own time: for time-outs and logs. Leases and due times follow the driver's server instead.
public struct JobClock: Sendable {
    /// Unix milliseconds.
    public let now: @Sendable () -> Int64
    /// Waits, or throws `CancellationError` when the task is cancelled.
    public let sleep: @Sendable (Duration) async throws -> Void

    public init(now: @escaping @Sendable () -> Int64, sleep: @escaping @Sendable (Duration) async throws -> Void) {
        self.now = now
        self.sleep = sleep
    }

    /// The system's clock.
    public static let system = JobClock(
        now: { WallClock.nowMs }, sleep: { duration in try await Task.sleep(for: duration, tolerance: .milliseconds(1)) })
}
