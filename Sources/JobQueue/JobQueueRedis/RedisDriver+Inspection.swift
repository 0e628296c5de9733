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
        // Workers come and go; what is counted is counted at one moment.
        while true {
            let known = try await pipeline([RedisCommand("ZRANGE", keys.leases, 0, -1), RedisCommand("HKEYS", keys.control)])
            let workers = (known[0].array ?? []).compactMap(\.string).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            let kinds = Self.control((known[1].array ?? []).compactMap(\.string)).pausedKinds.sorted()
            var counted = [
                (keys.ready, "LLEN"), (keys.delayed, "ZCARD"), (keys.dead, "ZCARD"), (keys.moving, "HLEN"),
            ]
            let fixed = counted.count
            counted += workers.flatMap { [(keys.inflight($0), "HLEN"), (keys.woken($0), "LLEN")] } + kinds.map { (keys.parked($0), "LLEN") }
            var call = RedisScriptCall(QueueScripts.count, keys: [keys.leases, keys.waiting] + counted.map(\.0))
            call.append(workers.joined(separator: " "))
            for (_, command) in counted { call.append(command) }
            let numbers = (try await run(call).array ?? []).compactMap(\.int).map { Int($0) }
            guard numbers.count == 2 + counted.count else { continue }
            let rest = numbers.dropFirst(2 + fixed)
            var counts = QueueCounts(
                ready: numbers[2], delayed: numbers[3], dead: numbers[4], workers: numbers[0],
                parked: rest.dropFirst(2 * workers.count).reduce(0, +), waiting: numbers[1], moving: numbers[5])
            for (place, number) in rest.prefix(2 * workers.count).enumerated() {
                // What was set aside for a worker has not been started: it is as ready as the rest.
                if place.isMultiple(of: 2) { counts.inFlight += number } else { counts.ready += number }
            }
            return counts
        }
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
