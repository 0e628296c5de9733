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
            RedisCommand("ZRANGE", keys.leases, 0, -1), RedisCommand("HVALS", keys.waiting), RedisCommand("HKEYS", keys.control),
            RedisCommand("HLEN", keys.moving),
        ])
        let workers = (first[3].array ?? []).compactMap(\.string)
        let waiting = (first[4].array ?? []).compactMap { $0.string.flatMap { Int($0) } }
        let parked = try await pipeline(
            Self.control((first[5].array ?? []).compactMap(\.string)).pausedKinds.map { RedisCommand("LLEN", keys.parked($0)) })
        let held = try await pipeline(
            workers.flatMap { [RedisCommand("HLEN", keys.inflight($0)), RedisCommand("LLEN", keys.woken($0))] })
        var counts = QueueCounts(
            ready: Int(first[0].int ?? 0), delayed: Int(first[1].int ?? 0), dead: Int(first[2].int ?? 0), workers: workers.count,
            parked: parked.reduce(0) { $0 + Int($1.int ?? 0) }, waiting: waiting.reduce(0, +),
            moving: Int(first[6].int ?? 0))
        for (index, value) in held.enumerated() {
            // What was set aside for a worker has not been started: it is as ready as the rest.
            if index.isMultiple(of: 2) { counts.inFlight += Int(value.int ?? 0) } else { counts.ready += Int(value.int ?? 0) }
        }
        return counts
    }

    public func control() async throws(QueueDriverError) -> QueueControl {
        let reply = try await pipeline([RedisCommand("HGETALL", keys.control)])[0]
        let texts = (reply.array ?? []).compactMap(\.string)
        var control = Self.control(stride(from: 0, to: texts.count, by: 2).map { texts[$0] })
        if let place = stride(from: 0, to: texts.count - 1, by: 2).first(where: { texts[$0] == QueueKeys.controlOfConcurrency }) {
            control.concurrency = Int(texts[place + 1])
        }
        return control
    }

    static func control(_ fields: [String]) -> QueueControl {
        var control = QueueControl()
        for field in fields {
            if field == QueueKeys.controlOfAll { control.isPaused = true }
            if field.hasPrefix(QueueKeys.control(ofKind: "")) { control.pausedKinds.insert(String(field.dropFirst(5))) }
        }
        return control
    }

    public func pause(kind: String?) async throws(QueueDriverError) {
        _ = try await pipeline([RedisCommand("HSET", keys.control, kind.map(QueueKeys.control(ofKind:)) ?? QueueKeys.controlOfAll, "paused")])
    }

    @discardableResult
    public func resume(kind: String?) async throws(QueueDriverError) -> Int {
        var resumed = 0
        while true {
            let reply = try await run(
                RedisScriptCall(
                    QueueScripts.resume, keys: [keys.control, keys.ready, keys.wake, keys.parked(kind ?? "")],
                    arguments: [kind.map(QueueKeys.control(ofKind:)) ?? QueueKeys.controlOfAll, QueueLimits.enqueueBatchMax]))
            guard let moved = reply[0]?.int, let left = reply[1]?.int else { throw .unexpected("resume") }
            resumed += Int(moved)
            if left == 0 { return resumed }
        }
    }

    public func setConcurrency(_ limit: Int?) async throws(QueueDriverError) {
        let field = QueueKeys.controlOfConcurrency
        _ = try await pipeline([
            limit.map { RedisCommand("HSET", keys.control, field, $0) } ?? RedisCommand("HDEL", keys.control, field),
            RedisCommand("LPUSH", keys.wake, "1"), RedisCommand("LTRIM", keys.wake, 0, 0),
        ])
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
        var call = RedisScriptCall(QueueScripts.replay, keys: [keys.dead, keys.ready, keys.report(record.job ?? ""), keys.cancels])
        call.append(record.bytes)
        call.append(record.replayBody)
        call.append(record.job ?? "")
        return try await run(call).int == 1
    }

    public func deleteDead(_ record: DeadRecord) async throws(QueueDriverError) -> Bool {
        var call = RedisScriptCall(QueueScripts.forget, keys: [keys.dead, keys.history])
        call.append(record.bytes)
        call.append(record.job ?? "")
        return try await run(call).int == 1
    }

    public func history(ofJob id: String) async throws(QueueDriverError) -> [HistoryEntry] {
        let lines = try await pipeline([RedisCommand("HGET", keys.history, id), RedisCommand("HGET", keys.report(id), "history")])
        return HistoryEntry.list(job: id, lines: lines[0].bytes ?? lines[1].bytes ?? [])
    }

    func pipeline(_ commands: [RedisCommand]) async throws(QueueDriverError) -> [RedisValue] {
        var values: [RedisValue] = []
        for result in await connection.pipeline(commands) {
            do { values.append(try result.get()) } catch { throw QueueDriverError(error) }
        }
        return values
    }
}
