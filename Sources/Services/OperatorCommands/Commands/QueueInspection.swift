import Formats
import JobQueue
import JobQueueRedis
import RedisClient

/// A body somewhere on a queue.
struct StandingJob: Sendable {
    enum State: String, Sendable, CaseIterable {
        case ready
        case delayed
        case inFlight = "in_flight"
        case dead
    }

    let queue: String
    let state: State
    /// Nil when the body is no job, such as an event.
    let job: JobEnvelope?
    let bytes: Int
    var dueMs: Int64?
    var worker: String?
    var reason: String?

    init(queue: String, state: State, body: [UInt8], dueMs: Int64? = nil, worker: String? = nil, reason: String? = nil) {
        self.queue = queue
        self.state = state
        job = try? JobEnvelope(decoding: body)
        bytes = body.count
        self.dueMs = dueMs
        self.worker = worker
        self.reason = reason
    }
}

/// A worker that is registered on a queue.
struct StandingWorker: Sendable {
    let queue: String
    let name: String
    let leaseMs: Int64
    let inHand: Int64
}

/// Reads a queue's bodies where they stand. Workers go on meanwhile: a body may be seen twice, or have moved on.
struct QueueInspection {
    /// Bodies fetched in one call; events may be megabytes, so not many.
    private static let page = 200
    /// Bodies looked at in one state of one queue.
    static let scanMax = 100_000

    let driver: RedisDriver
    let redis: RedisConnection

    init(_ queue: String, _ queues: RedisQueues) {
        driver = queues.redisDriver(of: queue)
        redis = queues.connection
    }

    /// Those that `isWanted`, in the order in which they come to be claimed.
    /// - Parameter limit: how many of them at most.
    func jobs(in states: [StandingJob.State], limit: Int, where isWanted: (StandingJob) -> Bool) async throws -> [StandingJob] {
        var found: [StandingJob] = []
        for state in states {
            var offset = 0
            while offset < Self.scanMax && found.count < limit {
                let (page, more) = try await page(of: state, from: offset)
                found += page.filter(isWanted).prefix(limit - found.count)
                guard more else { break }
                offset += Self.page
            }
        }
        return found
    }

    private func page(of state: StandingJob.State, from offset: Int) async throws -> (jobs: [StandingJob], more: Bool) {
        let queue = driver.queue
        let last = offset + Self.page - 1
        switch state {
        case .ready:
            // The right end is claimed first.
            let bodies = try await redis.call("LRANGE", driver.keys.ready, -(last + 1), -(offset + 1)).array ?? []
            return (bodies.reversed().compactMap(\.bytes).map { StandingJob(queue: queue, state: state, body: $0) }, bodies.count == Self.page)
        case .delayed:
            let pairs = try await redis.call("ZRANGE", driver.keys.delayed, offset, last, "WITHSCORES").array ?? []
            let jobs = stride(from: 0, to: pairs.count - 1, by: 2).compactMap { place -> StandingJob? in
                guard let body = pairs[place].bytes else { return nil }
                return StandingJob(queue: queue, state: state, body: body, dueMs: pairs[place + 1].string.flatMap { Double($0) }.map { Int64($0) })
            }
            return (jobs, pairs.count == 2 * Self.page)
        case .dead:
            let dead = try await driver.dead(offset: offset, limit: Self.page)
            let jobs = dead.map { entry in
                StandingJob(queue: queue, state: state, body: entry.record.body, worker: entry.record.worker, reason: entry.record.reason)
            }
            return (jobs, dead.count == Self.page)
        case .inFlight:
            // Bounded by the workers' slots: one page.
            var jobs: [StandingJob] = []
            for worker in try await workers() {
                let bodies = try await redis.call("HVALS", driver.keys.inflight(worker.name)).array ?? []
                jobs += bodies.compactMap(\.bytes).map { StandingJob(queue: queue, state: state, body: $0, worker: worker.name) }
            }
            return (jobs, false)
        }
    }

    func workers() async throws -> [StandingWorker] {
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
