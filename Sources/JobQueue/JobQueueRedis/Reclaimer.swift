import EventLoop
import JobQueue
import RedisClient
import Synchronization
import Telemetry

/// Puts back what lost workers held. Every worker does this for all others of its queue; ``LeaseRule`` says when it may.
///
/// `@unchecked Sendable`: all but `rule` and the constants is confined to the connection's loop.
final class Reclaimer: @unchecked Sendable {
    private let connection: RedisConnection
    private let keys: QueueKeys
    private let metrics: QueueMetrics
    private let log: Log
    private let rule = Mutex(LeaseRule())
    private var underWay: Set<String> = []

    /// When a worker that was taken off is looked at again: a blocking read of its may have been answered meanwhile.
    private static let sweepsAfter = (first: Duration.seconds(2), last: Duration.seconds(60))
    private static let redeliveriesKept = Duration.seconds(86_400)

    init(connection: RedisConnection, keys: QueueKeys, metrics: QueueMetrics, log: Log) {
        self.connection = connection
        self.keys = keys
        self.metrics = metrics
        self.log = log
    }

    func begin() {
        connection.onConnect { [weak self] connected in self?.connected(connected) }
        connection.onDisconnect { [weak self] _ in self?.rule.withLock { $0.disconnected() } }
    }

    private func connected(_ connected: RedisConnection.Connected) {
        rule.withLock { $0.connected(isFirst: false, serverAge: nil, now: .now) }
        guard connected.generation == 1 else { return }
        connection.send(RedisCommand("INFO", "server")) { [self] result in
            guard case .success(let value) = result, let age = Self.uptime(value) else { return }
            rule.withLock { $0.connected(isFirst: true, serverAge: age, now: .now) }
        }
    }

    func renewed(took: Duration, hadRunOut: Bool, now: ContinuousClock.Instant) {
        metrics.pulse.beat()
        rule.withLock { $0.renewed(took: took, hadRunOut: hadRunOut, now: now) }
    }

    func renewalFailed(now: ContinuousClock.Instant) { rule.withLock { $0.renewalFailed(now: now) } }

    /// When a sweep that is not allowed now will be; nil when it is.
    func quietLeft(now: ContinuousClock.Instant) -> Duration? { rule.withLock { $0.quietLeft(now: now) } }

    var maySweep: Bool { rule.withLock { $0.maySweep(now: .now) } }

    /// On the loop.
    func sweep(expired: [String], retired: [String], now: ContinuousClock.Instant) {
        guard rule.withLock({ $0.maySweep(now: now) }) else { return }
        for worker in expired where underWay.insert(worker).inserted {
            connection.run(release(worker, "expired")) { [self] result in
                underWay.remove(worker)
                if case .success(let reply) = result { noteReclaimed(worker, reply) }
            }
        }
        for member in retired where underWay.insert(member).inserted {
            let worker = String(member.dropFirst(2))
            connection.run(release(worker, "sweep", member: member)) { [self] _ in underWay.remove(member) }
        }
    }

    /// - Returns: the bodies put back, when the worker had been lost.
    @discardableResult
    func noteReclaimed(_ worker: String, _ reply: RedisValue) -> Int? {
        guard reply[0]?.string == "DONE", let jobs = reply[1]?.int else { return nil }
        metrics.recovered.add(jobs)
        let fields: [String: Log.Value] = ["queue": .string(keys.queue), "worker": .string(worker), "jobs": .int(jobs)]
        // One without work may be a registration whose answer was lost.
        if jobs > 0 { log.warning("worker lost, its work is back", fields) } else { log.info("lease run out, nothing held", fields) }
        return Int(jobs)
    }

    /// - Parameter how: `expired`, `retired` or `sweep`, see the script.
    func release(_ worker: String, _ how: String, member: String = "") -> RedisScriptCall {
        RedisScriptCall(
            QueueScripts.release,
            keys: [keys.leases, keys.inflight(worker), keys.woken(worker), keys.ready, keys.redeliveries, keys.retired, keys.inhand],
            arguments: [
                worker, how, Self.sweepsAfter.first.wholeMilliseconds, Self.sweepsAfter.last.wholeMilliseconds,
                Self.redeliveriesKept.components.seconds, member,
            ])
    }

    private static func uptime(_ information: RedisValue) -> Duration? {
        let line = information.string?.split(whereSeparator: \.isNewline).first { $0.hasPrefix("uptime_in_seconds:") }
        return line.flatMap { Int64($0.dropFirst("uptime_in_seconds:".count)) }.map { .seconds($0) }
    }
}

extension RedisValue {
    subscript(_ index: Int) -> RedisValue? {
        guard let array, array.indices.contains(index) else { return nil }
        return array[index]
    }
}
