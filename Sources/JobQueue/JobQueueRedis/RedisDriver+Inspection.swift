import JobQueue
import RedisClient

extension RedisDriver {
    public func leaseLives(_ worker: String) async throws(QueueDriverError) -> Bool {
        let answers = try await pipeline([RedisCommand("ZSCORE", keys.leases, worker), RedisCommand("TIME")])
        guard let until = answers[0].string.flatMap({ Int64($0) }) else { return false }
        guard let seconds = answers[1][0]?.int, let micros = answers[1][1]?.int else { throw .unexpected("TIME") }
        return until > seconds * 1000 + micros / 1000
    }

    public func counts() async throws(QueueDriverError) -> QueueCounts {
        let first = try await pipeline([
            RedisCommand("LLEN", keys.ready), RedisCommand("ZCARD", keys.delayed), RedisCommand("ZCARD", keys.dead),
            RedisCommand("ZRANGE", keys.leases, 0, -1),
        ])
        let workers = (first[3].array ?? []).compactMap(\.string)
        let held = try await pipeline(
            workers.flatMap { [RedisCommand("HLEN", keys.inflight($0)), RedisCommand("LLEN", keys.woken($0))] })
        var counts = QueueCounts(
            ready: Int(first[0].int ?? 0), delayed: Int(first[1].int ?? 0), dead: Int(first[2].int ?? 0), workers: workers.count)
        for (index, value) in held.enumerated() {
            // What was set aside for a worker has not been started: it is as ready as the rest.
            if index.isMultiple(of: 2) { counts.inFlight += Int(value.int ?? 0) } else { counts.ready += Int(value.int ?? 0) }
        }
        return counts
    }

    public func peek(limit: Int) async throws(QueueDriverError) -> [[UInt8]] {
        guard limit > 0 else { return [] }
        let bodies = try await pipeline([RedisCommand("LRANGE", keys.ready, -limit, -1)])[0]
        return (bodies.array ?? []).reversed().compactMap(\.bytes)
    }

    public func dead(offset: Int, limit: Int) async throws(QueueDriverError) -> [DeadJob] {
        guard limit > 0 else { return [] }
        let members = try await pipeline([RedisCommand("ZREVRANGE", keys.dead, offset, offset + limit - 1)])[0]
        let records = (members.array ?? []).compactMap { $0.bytes.flatMap { DeadRecord(bytes: $0) } }
        let lines = try await pipeline(records.map { RedisCommand("HGET", keys.history, $0.job ?? "") })
        return zip(records, lines).map { record, lines in
            DeadJob(record: record, history: HistoryEntry.list(job: record.job ?? "", lines: lines.bytes ?? []))
        }
    }

    public func replayDead(_ record: DeadRecord) async throws(QueueDriverError) -> Bool {
        var call = RedisScriptCall(QueueScripts.replay, keys: [keys.dead, keys.ready])
        call.append(record.bytes)
        call.append(record.replayBody)
        return try await run(call).int == 1
    }

    public func deleteDead(_ record: DeadRecord) async throws(QueueDriverError) -> Bool {
        var call = RedisScriptCall(QueueScripts.forget, keys: [keys.dead, keys.history])
        call.append(record.bytes)
        call.append(record.job ?? "")
        return try await run(call).int == 1
    }

    public func history(ofJob id: String) async throws(QueueDriverError) -> [HistoryEntry] {
        HistoryEntry.list(job: id, lines: try await pipeline([RedisCommand("HGET", keys.history, id)])[0].bytes ?? [])
    }

    private func pipeline(_ commands: [RedisCommand]) async throws(QueueDriverError) -> [RedisValue] {
        var values: [RedisValue] = []
        for result in await connection.pipeline(commands) {
            do { values.append(try result.get()) } catch { throw QueueDriverError(error) }
        }
        return values
    }
}
