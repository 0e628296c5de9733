import Formats
import JobQueue
import RedisClient
import Telemetry

/// Moving a body to another queue, in steps of which each touches the keys of one queue only.
///
/// 1. The other queue is told that something is on its way (`arriving`).
/// 2. The body leaves its place for `moving`, in one script.
/// 3. The other queue takes it in, once for its number.
/// 4. `moving` forgets it, then `arriving`.
///
/// Whoever sees either hash a while later ends what was begun: workers of the first queue by `moving`, those of the second by `arriving`.
extension RedisDriver {
    /// How long the number of an arrival is remembered: after that a move that was begun is not ended by itself any more.
    private static let arrivalsKept = Duration.seconds(30 * 86_400)
    /// Whoever began a move has ended it by then, or is gone.
    private static let moverPatience = Duration.seconds(10)
    /// Whoever announced a move has begun it by then, or never will.
    private static let announcementsKept = Duration.seconds(3600)

    public func depart(_ standing: StandingBody, to destination: String) async throws(QueueDriverError) -> Departure? {
        guard standing.place.isRemovable, let job = standing.job, JobEnvelope.isQueueName(destination) else { return nil }
        let departure = Departure(
            number: ULID.make(), origin: queue, destination: destination, job: job.id, body: job.moved(to: destination).encoded(),
            dueMs: standing.dueMs, history: try await history(ofJob: job.id))
        let announced = try await pipeline([RedisCommand("TIME")])[0]
        guard let seconds = announced[0]?.int else { throw .unexpected("TIME") }
        let there = QueueKeys(prefix: keys.prefix, queue: destination).arriving
        _ = try await pipeline([RedisCommand("HSET", there, departure.number, "\(seconds * 1000) \(queue)")])
        var call = removal(of: standing, job)
        call.append(0)
        call.append("")
        call.append("")
        call.append(departure.number)
        call.append(Array("\(departure.dueMs ?? 0) \(destination) ".utf8) + departure.body)
        guard try await run(call).int == 1 else {
            _ = try await pipeline([RedisCommand("HDEL", there, departure.number)])
            return nil
        }
        return departure
    }

    @discardableResult
    public func arrive(_ departure: Departure) async throws(QueueDriverError) -> Bool {
        try await run(Self.arrival(departure, keys)).int == 1
    }

    /// - Parameter keys: those of the queue where it arrives.
    private static func arrival(_ departure: Departure, _ keys: QueueKeys) -> RedisScriptCall {
        var call = RedisScriptCall(
            QueueScripts.arrive,
            keys: [keys.arrived(from: departure.origin, departure.number), keys.ready, keys.delayed, keys.wake, keys.history])
        call.append(departure.dueMs ?? 0)
        call.append(departure.body)
        call.append(departure.job)
        call.append(Array(departure.history.map(\.bytes).joined(separator: [UInt8(ascii: "\n")])))
        call.append(arrivalsKept.wholeMilliseconds)
        return call
    }

    public func forget(_ departure: Departure) async throws(QueueDriverError) {
        let there = QueueKeys(prefix: keys.prefix, queue: departure.destination).arriving
        _ = try await pipeline([
            RedisCommand("HDEL", keys.history, departure.job), RedisCommand("HDEL", keys.moving, departure.number),
            RedisCommand("HDEL", there, departure.number),
        ])
    }

    /// Called between steps when something is on its way.
    func finishMovesLater(nowMs: Int64) {
        // Unstructured: a sign of life does not wait for it. A second one beside it does no harm.
        Task { [weak self] in
            guard let self else { return }
            do throws(QueueDriverError) {
                try await finishMoves(nowMs: nowMs)
                try await finishArrivals(nowMs: nowMs)
            } catch {
                log.warning("a move could not be ended yet", ["error": .string(error.message)])
            }
        }
    }

    /// Ends the moves from this queue of those who are gone.
    /// - Returns: how many.
    @discardableResult
    package func finishMoves(nowMs: Int64) async throws(QueueDriverError) -> Int {
        let all = try await pipeline([RedisCommand("HGETALL", keys.moving)])[0].array ?? []
        var ended = 0
        for place in stride(from: 0, to: all.count - 1, by: 2) {
            guard let number = all[place].string, let kept = all[place + 1].bytes else { continue }
            if try await finishMove(number, kept, from: keys, nowMs: nowMs) { ended += 1 }
        }
        return ended
    }

    /// Ends the moves to this queue of those who are gone: the queue that they come from may have no worker.
    /// - Returns: how many.
    @discardableResult
    package func finishArrivals(nowMs: Int64) async throws(QueueDriverError) -> Int {
        let all = try await pipeline([RedisCommand("HGETALL", keys.arriving)])[0].array ?? []
        var ended = 0
        for place in stride(from: 0, to: all.count - 1, by: 2) {
            // <unix ms> <queue>
            guard let number = all[place].string, let words = all[place + 1].string?.split(separator: " "), words.count == 2,
                let sinceMs = Int64(words[0]), JobEnvelope.isQueueName(String(words[1]))
            else { continue }
            let age = nowMs - sinceMs
            guard age >= Self.moverPatience.wholeMilliseconds else { continue }
            let origin = QueueKeys(prefix: keys.prefix, queue: String(words[1]))
            if let kept = try await pipeline([RedisCommand("HGET", origin.moving, number)])[0].bytes {
                if try await finishMove(number, kept, from: origin, nowMs: nowMs) { ended += 1 }
            } else if age >= Self.announcementsKept.wholeMilliseconds {
                _ = try await pipeline([RedisCommand("HDEL", keys.arriving, number)])
            }
        }
        return ended
    }

    private func finishMove(
        _ number: String, _ kept: [UInt8], from origin: QueueKeys, nowMs: Int64
    ) async throws(QueueDriverError) -> Bool {
        guard let moving = MovingBody(kept), nowMs - moving.sinceMs >= Self.moverPatience.wholeMilliseconds,
            let job = try? JobEnvelope(decoding: moving.body)
        else { return false }
        let lines = try await pipeline([RedisCommand("HGET", origin.history, job.id)])[0].bytes ?? []
        let departure = Departure(
            number: number, origin: origin.queue, destination: moving.destination, job: job.id, body: moving.body, dueMs: moving.dueMs,
            history: HistoryEntry.list(job: job.id, lines: lines))
        let there = QueueKeys(prefix: keys.prefix, queue: moving.destination)
        _ = try await run(Self.arrival(departure, there))
        _ = try await pipeline([
            RedisCommand("HDEL", origin.history, job.id), RedisCommand("HDEL", origin.moving, number), RedisCommand("HDEL", there.arriving, number),
        ])
        log.warning(
            "a move was ended whose mover is gone",
            ["job": .string(job.id), "from": .string(origin.queue), "to": .string(moving.destination)])
        return true
    }
}

/// What `moving` keeps: `<unix ms> <due or 0> <queue> <body>`.
struct MovingBody {
    let sinceMs: Int64
    let dueMs: Int64?
    let destination: String
    let body: [UInt8]

    /// Nil for what is none of ours.
    init?(_ kept: [UInt8]) {
        let parts = kept.split(separator: UInt8(ascii: " "), maxSplits: 3, omittingEmptySubsequences: false)
        let words = parts.prefix(3).map { String(decoding: $0, as: UTF8.self) }
        guard parts.count == 4, let sinceMs = Int64(words[0]), let dueMs = Int64(words[1]), JobEnvelope.isQueueName(words[2]) else { return nil }
        self.sinceMs = sinceMs
        self.dueMs = dueMs > 0 ? dueMs : nil
        destination = words[2]
        body = Array(parts[3])
    }
}
