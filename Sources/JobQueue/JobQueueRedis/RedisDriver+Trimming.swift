import JobQueue
import RedisClient
import Telemetry

/// Records of buried bodies do not stay for ever: see ``DeadRetention``.
extension RedisDriver {
    /// Records looked at together.
    private static let trimPage = 100
    /// Pages of one round: a worker has other things to do, and goes on at its next round.
    private static let trimPagesMax = 10

    /// Called between steps, at times.
    func trimDeadLater(nowMs: Int64) {
        guard deadRetention != .forever else { return }
        // Unstructured: a sign of life does not wait for it. A second one beside it, here or elsewhere, finds other records.
        Task { [weak self] in
            guard let self else { return }
            do throws(QueueDriverError) { try await trimDead(nowMs: nowMs) } catch {
                log.warning("dead records could not be trimmed yet", ["error": .string(error.message)])
            }
        }
    }

    /// Deletes records that are too old or too many, with their jobs' histories; a thousand at most.
    /// - Returns: how many.
    @discardableResult
    package func trimDead(nowMs: Int64) async throws(QueueDriverError) -> Int {
        var trimmed = 0
        for _ in 0..<Self.trimPagesMax {
            let replies = try await pipeline([
                RedisCommand("ZCARD", keys.dead), RedisCommand("ZRANGE", keys.dead, 0, Self.trimPage - 1, "WITHSCORES"),
            ])
            guard let count = replies[0].int, let pairs = replies[1].array else { throw .unexpected("ZRANGE") }
            let excess = deadRetention.maxCount.map { Int(count) - $0 } ?? 0
            let cutoffMs = deadRetention.maxAge.map { nowMs - $0.wholeMilliseconds } ?? .min
            var isAllOfIt = true
            for (place, at) in stride(from: 0, to: pairs.count - 1, by: 2).enumerated() {
                guard let record = pairs[at].bytes, let buriedAtMs = pairs[at + 1].string.flatMap({ Double($0) }) else { continue }
                guard place < excess || Int64(buriedAtMs) < cutoffMs else {
                    isAllOfIt = false
                    break
                }
                var call = RedisScriptCall(QueueScripts.forget, keys: [keys.dead, keys.history])
                call.append(record)
                call.append(DeadRecord(bytes: record)?.job ?? "")
                if try await run(call).int == 1 { trimmed += 1 }
            }
            if !isAllOfIt || pairs.count < 2 * Self.trimPage { break }
        }
        if trimmed > 0 {
            metrics.trimmed.add(Int64(trimmed))
            log.info("old dead records were trimmed", ["queue": .string(queue), "records": .int(Int64(trimmed))])
        }
        return trimmed
    }
}
