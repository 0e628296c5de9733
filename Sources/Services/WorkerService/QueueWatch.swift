import EventLoop
import Formats
import JobQueue
import Synchronization

/// The queues of one program as its probes see them: whether they answer, how much waits, how old the oldest is.
final class QueueWatch: Sendable {
    struct Watched: Sendable {
        let driver: any QueueDriver
        /// Bodies that this process takes at a time: what one replica is worth.
        let target: Int
        /// When the queue last answered; nil for a driver that cannot fall silent.
        var pulse: QueuePulse? { (driver as? any PulsedDriver)?.pulse }
    }

    struct Seen: Sendable {
        let queue: String
        let target: Int
        let counts: QueueCounts
        /// Of the body that is claimed next, if it says how old it is.
        let oldestAgeMs: Int64?

        /// How many replicas like this one would be busy.
        var load: Double { Double(counts.ready + counts.inFlight) / Double(max(1, target)) }
    }

    /// Counting again sooner than this tells nothing new.
    private static let fresh = Duration.milliseconds(500)
    /// A body beyond this size is not fetched to learn its age.
    private static let readableBytesMax = 256 << 10
    /// Connected, and yet nothing gets through for so long: a restart helps.
    private static let silentAfter = Duration.seconds(30)

    private struct State {
        var seen: [Seen] = []
        var seenAt: ContinuousClock.Instant?
        var looking: Task<Void, Never>?
    }

    let watched: [Watched]
    private let others: [any PulsedService]
    private let isConnected: @Sendable () -> Bool
    private let nowMs: @Sendable () -> Int64
    private let state = Mutex(State())

    /// - Parameter isConnected: whether the queues' server is connected, as far as this side knows.
    init(
        _ watched: [Watched], others: [any PulsedService] = [], isConnected: @escaping @Sendable () -> Bool = { false },
        nowMs: @escaping @Sendable () -> Int64 = { WallClock.nowMs }
    ) {
        self.watched = watched
        self.others = others
        self.isConnected = isConnected
        self.nowMs = nowMs
    }

    // MARK: Readiness

    /// Why this program is not ready: a sentence for each queue that did not answer lately.
    var silence: [String] {
        let queues = watched.compactMap { watched in watched.pulse.map { (what: "queue \(watched.driver.queue)", pulse: $0) } }
        return (queues + others.map { (what: "the server's clock for \($0.name)", pulse: $0.pulse) }).compactMap { what, pulse in
            guard let age = pulse.age else { return "\(what) has not answered yet" }
            return age <= QueuePulse.readyWithin ? nil : "\(what) answered last \(age.components.seconds) s ago"
        }
    }

    /// Whether a restart would help: the connection stands, and the queue says nothing through it.
    var isStuck: Bool {
        isConnected() && watched.contains { watched in watched.pulse?.age.map { $0 > Self.silentAfter } ?? false }
    }

    // MARK: Counting

    /// What waits where. When the queues do not answer in time: what was seen last.
    func look(within limit: Duration) async -> [Seen] {
        let looking: Task<Void, Never>? = state.withLock { state in
            if let seenAt = state.seenAt, ContinuousClock.now - seenAt < Self.fresh { return nil }
            if let looking = state.looking { return looking }
            let task = Task { await self.count() }
            state.looking = task
            return task
        }
        if let looking { await Self.wait(for: looking, atMost: limit) }
        return state.withLock { $0.seen }
    }

    /// When the last look succeeded.
    var lastLook: ContinuousClock.Instant? { state.withLock { $0.seenAt } }

    private func count() async {
        var seen: [Seen] = []
        var whole = true
        for watched in watched {
            do {
                let counts = try await watched.driver.counts()
                let age = counts.ready > 0 ? try await oldestAge(watched.driver) : nil
                QueueMetrics.show(counts, oldestAgeMs: age, of: watched.driver.queue)
                seen.append(Seen(queue: watched.driver.queue, target: watched.target, counts: counts, oldestAgeMs: age))
            } catch {
                // Readiness tells of a queue that is away; the figures stay what they were.
                whole = false
            }
        }
        state.withLock { state in
            state.looking = nil
            if whole { (state.seen, state.seenAt) = (seen, .now) }
        }
    }

    private func oldestAge(_ driver: any QueueDriver) async throws(QueueDriverError) -> Int64? {
        guard let body = try await driver.peek(limit: 1).first, body.count <= Self.readableBytesMax, let madeAtMs = Self.madeAt(body) else {
            return nil
        }
        return max(0, nowMs() - madeAtMs)
    }

    /// When a body was made: a job's `enqueued_at`, an event's `time`.
    static func madeAt(_ body: [UInt8]) -> Int64? {
        guard let json = try? JSON(parsing: body) else { return nil }
        if let ms = json["enqueued_at"]?.int { return ms > 0 ? ms : nil }
        return json["time"]?.string.flatMap { Timestamp.parse($0) }
    }

    private static func wait(for task: Task<Void, Never>, atMost limit: Duration) async {
        let first = AsyncStream<Void>.makeStream()
        let waiting = Task {
            await task.value
            first.continuation.finish()
        }
        let alarm = Task {
            try? await Task.sleep(for: limit)
            first.continuation.finish()
        }
        for await _ in first.stream {}
        waiting.cancel()
        alarm.cancel()
    }
}
