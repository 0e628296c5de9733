import EventLoop
import Synchronization

/// When a queue last answered a worker of this process: a step, or a sign of life between steps. What readiness goes by, since a
/// worker that is connected and yet gets nothing through looks well from everywhere else.
public final class QueuePulse: Sendable {
    /// An idle worker gives a sign of life every 0.9 s.
    public static let readyWithin = Duration.seconds(2)

    private static let origin = ContinuousClock.now
    /// Nanoseconds since `origin`; 0 while nothing was answered.
    private let last = Atomic<Int64>(0)

    package init() {}

    package func beat() {
        let (seconds, attoseconds) = Self.origin.duration(to: .now).components
        last.store(max(1, seconds * 1_000_000_000 + attoseconds / 1_000_000_000), ordering: .relaxed)
    }

    /// How long ago; nil when never.
    public var age: Duration? {
        let nanoseconds = last.load(ordering: .relaxed)
        guard nanoseconds > 0 else { return nil }
        return Self.origin.duration(to: .now) - .nanoseconds(nanoseconds)
    }
}

/// A driver whose queue can fall silent.
public protocol PulsedDriver: QueueDriver {
    var pulse: QueuePulse { get }
}

/// A service that is ready only while something of its own answers, besides the queues that it works.
public protocol PulsedService: Service {
    var pulse: QueuePulse { get }
}

/// What works a queue, as probes see it.
public protocol QueueWorking: Service {
    var queue: String { get }
    /// Bodies that it has in hand at a time at most.
    var slots: Int { get }
}

extension JobWorker: QueueWorking {
    public var slots: Int { configuration.concurrency }
}

extension BatchWorker: QueueWorking {
    public var slots: Int { configuration.batchMax }
}
