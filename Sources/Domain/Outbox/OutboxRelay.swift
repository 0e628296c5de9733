import Database
import EventLoop
import Formats
import JobQueue
import Synchronization
import Telemetry

/// Where published jobs go: the product's Redis queues.
public protocol JobPublisher: Sendable {
    /// Puts the jobs onto the queue in order, leaving out those whose sequence is not above the last one published for
    /// (queue, slot), so that publishing the same rows again changes nothing.
    func publish(_ items: [PublishItem], slot: String, queue: String) async throws

    /// The queues, for those who have to ask them about a job; nil where they cannot be asked.
    var directory: (any QueueDirectory)? { get }
}

extension JobPublisher {
    public var directory: (any QueueDirectory)? { nil }
}

/// Publishes the rows of one slot after each commit, in order, and what a crash has left, at the start.
///
/// A crash between push and mark is harmless: the rows are pushed again under the same sequence and Redis skips them.
public final class OutboxRelay: Service {
    public let name = "outbox relay"
    public let outbox: Outbox
    private let database: Database
    private let publisher: any JobPublisher
    private let log: Log
    private let pokes: AsyncStream<Void>
    private let poke: AsyncStream<Void>.Continuation
    private let task = Mutex<Task<Void, Never>?>(nil)

    /// Rows taken and pushed at once.
    public static let batchMax = 500
    private static let published = MetricRegistry.shared.counter("outbox_published_total", help: "Jobs pushed to their queues after commit.")
    private static let failures = MetricRegistry.shared.counter("outbox_publish_failures_total", help: "Failed pushes; each is tried again.")

    public init(slot: String, database: Database, publisher: any JobPublisher, log: Log) {
        let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        pokes = stream
        poke = continuation
        outbox = Outbox(slot: slot) { continuation.yield() }
        self.database = database
        self.publisher = publisher
        self.log = log
    }

    public func start() async throws {
        // One long-lived task, ended by `stop`: rows are published one batch after the other, in order.
        let running = Task { await self.run() }
        task.withLock { $0 = running }
        poke.yield()
    }

    public func stop(by deadline: ContinuousClock.Instant) async {
        poke.finish()
        guard let running = task.withLock({ $0 }) else { return }
        let watchdog = Task {
            try await Task.sleep(until: deadline, clock: .continuous)
            running.cancel()
        }
        await running.value
        watchdog.cancel()
    }

    /// Publishes the rows of a slot whose program is silent. Safe beside the program's own relay, should it wake.
    /// - Returns: how many rows were published.
    public func adopt(slot: String) async throws -> Int {
        var total = 0
        while true {
            let count = try await publishBatch(of: slot)
            total += count
            if count < Self.batchMax { return total }
        }
    }

    /// Ends what operators began to leave off and did not come to write down: see ``LeavingJob``.
    /// - Parameter cutoffMs: what was said since is its speaker's.
    /// - Returns: how many jobs.
    public func settleLeaving(olderThanMs cutoffMs: Int64, nowMs: Int64) async throws -> Int {
        guard let queues = publisher.directory else { return 0 }
        return try await LeavingJob.settle(in: database, queues, olderThanMs: cutoffMs, nowMs: nowMs)
    }

    private func run() async {
        var backoff = Duration.milliseconds(100)
        for await _ in pokes {
            do {
                while try await publishBatch(of: outbox.slot) == Self.batchMax {}
                backoff = .milliseconds(100)
            } catch is CancellationError {
                return
            } catch {
                Self.failures.add()
                log.warning("jobs could not be published yet", ["error": .string("\(error)")])
                try? await Task.sleep(for: backoff)
                backoff = min(backoff * 2, .seconds(5))
                poke.yield()
            }
        }
    }

    private func publishBatch(of slot: String) async throws -> Int {
        let (epoch, jobs) = try await database.read { connection in
            (try UnpublishedJob.epoch(in: connection), try UnpublishedJob.oldest(of: slot, limit: Self.batchMax, in: connection))
        }
        guard !jobs.isEmpty else { return 0 }
        for (queue, members) in Dictionary(grouping: jobs, by: \.queue) {
            let items = members.map { PublishItem(sequence: $0.sequence, body: $0.body, dueMs: $0.runAtMs) }
            try await publisher.publish(items, slot: "\(slot)@\(epoch)", queue: queue)
        }
        try await database.write { try UnpublishedJob.markPublished(jobs[...], slot: slot, nowMs: WallClock.nowMs, in: $0) }
        Self.published.add(Int64(jobs.count))
        return jobs.count
    }
}
