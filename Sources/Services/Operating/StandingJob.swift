import Cryptography
import Formats
import JobQueue
import JobQueueRedis
import RedisClient
import Telemetry

/// A body somewhere on a queue, as commands speak of it.
package struct StandingJob: Sendable {
    package enum State: String, Sendable, CaseIterable {
        case ready
        case delayed
        case waiting
        case parked
        case inFlight = "in_flight"
        case moving
        case dead
    }

    package let queue: String
    package let body: StandingBody
    /// Nil when the body is no job, such as an event.
    package let job: JobEnvelope?
    /// Set when it is dead.
    package let record: DeadRecord?

    package init(queue: String, _ body: StandingBody) {
        self.queue = queue
        self.body = body
        job = body.job
        record = body.record
    }

    package var state: State {
        switch body.place {
        case .ready, .woken: .ready
        case .delayed: .delayed
        case .waiting: .waiting
        case .parked: .parked
        case .claimed: .inFlight
        case .moving: .moving
        case .dead: .dead
        }
    }

    /// The job's id; for a body that is no job, the beginning of its digest.
    package var id: String { record?.job ?? job?.id ?? "body-" + Hex.encode(Array(Digest.sha256(record?.bytes ?? body.body).prefix(6))) }
    package var kind: String? { record.map(\.kind) ?? job?.kind }
    package var payment: String? { record.map(\.payment) ?? job?.payment }
    package var dueMs: Int64? { state == .delayed ? body.dueMs : nil }
    package var reason: String? { record?.reason }

    package var worker: String? {
        switch body.place {
        case .claimed(let worker), .woken(let worker): worker
        default: record?.worker
        }
    }

    /// When it was made; nil when it does not say.
    package var enqueuedAtMs: Int64? { job.flatMap { $0.enqueuedAtMs > 0 ? $0.enqueuedAtMs : nil } }
    /// Since when it is what it is: of the dead, since it was buried.
    package var sinceMs: Int64? { record?.buriedAtMs ?? enqueuedAtMs }
}

/// A worker that is registered on a queue.
package struct StandingWorker: Sendable {
    package let queue: String
    package let name: String
    package let leaseMs: Int64
    package let inHand: Int64
}

/// Reads a queue's bodies where they stand. Workers go on meanwhile: a body may be seen twice, or have moved on.
package struct QueueInspection {
    /// Bodies looked at in one call.
    private static let page = 500
    /// Bodies looked at in one state of one queue.
    package static let scanMax = 100_000

    package let driver: RedisDriver
    package let redis: RedisConnection

    package init(_ queue: String, _ queues: RedisQueues) {
        driver = queues.redisDriver(of: queue)
        redis = queues.connection
    }

    /// Those that `isWanted`, in the order in which they come to be claimed.
    /// - Parameter limit: how many of them at most.
    package func jobs(
        in states: [StandingJob.State], limit: Int, where isWanted: (StandingJob) async throws -> Bool
    ) async throws -> [StandingJob] {
        let places = try await driver.places() + [.dead]
        var found: [StandingJob] = []
        var seen: Set<String> = []
        for state in states {
            for place in places.filter({ Self.states($0).contains(state) }) {
                var offset: Int? = 0
                while let from = offset, from < Self.scanMax, found.count < limit {
                    let page = try await driver.standing(in: place, order: .next, from: from, limit: Self.page, holding: [])
                    for body in page.bodies where found.count < limit {
                        let entry = StandingJob(queue: driver.queue, body)
                        if entry.job == nil || seen.insert("\(state.rawValue) \(entry.id)").inserted, try await isWanted(entry) {
                            found.append(entry)
                        }
                    }
                    offset = page.next
                }
            }
        }
        return found
    }

    private static func states(_ place: QueuePlace) -> [StandingJob.State] {
        switch place {
        case .ready, .woken: [.ready]
        case .delayed: [.delayed]
        case .waiting: [.waiting]
        case .parked: [.parked]
        case .claimed: [.inFlight]
        case .moving: [.moving]
        case .dead: [.dead]
        }
    }

    package func workers() async throws -> [StandingWorker] {
        let pairs = try await redis.call("ZRANGE", driver.keys.leases, 0, -1, "WITHSCORES").array ?? []
        var workers: [StandingWorker] = []
        for place in stride(from: 0, to: pairs.count - 1, by: 2) {
            guard let name = pairs[place].string, let lease = pairs[place + 1].string.flatMap({ Double($0) }) else { continue }
            let inHand = try await redis.call("HLEN", driver.keys.inflight(name)).int ?? 0
            workers.append(StandingWorker(queue: driver.queue, name: name, leaseMs: Int64(lease), inHand: inHand))
        }
        return workers
    }
}
